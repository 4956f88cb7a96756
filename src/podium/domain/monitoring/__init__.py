"""Is the model still good? What is counted of its columns, and what is made of the counts: values and pure functions."""
