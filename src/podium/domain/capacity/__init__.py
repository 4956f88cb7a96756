"""How much memory models have, how many replicas, and which of them loads next."""
