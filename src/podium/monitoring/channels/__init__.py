"""Ways to people: one kind a file, by the contract (`contract.py`) whose laws stand in `conformance.py`."""
