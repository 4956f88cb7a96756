"""Somebody else's registry, MLflow's: read over REST, from its database or from its files, and never written."""
