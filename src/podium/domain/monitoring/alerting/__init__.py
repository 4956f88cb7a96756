"""Alerts as values: rules and what they find, what becomes of it, who is told, and the same rules for other monitors."""
