"""A Python for each model: what it needs, where one is that has it, and building one where there is none."""
