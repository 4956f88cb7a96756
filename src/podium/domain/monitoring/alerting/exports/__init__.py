"""The same alert rules for other people's monitors: text and JSON from the definitions in `rules.py`."""
