"""How much of each model there is: who sleeps, who wakes, and by how many replicas it is served."""
