"""What a model takes: which values fit a signature, in which form, and how it is said in JSON Schema."""
