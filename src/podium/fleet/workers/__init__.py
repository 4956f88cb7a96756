"""Processes beside models: what starts, isolates, watches and ends them."""
