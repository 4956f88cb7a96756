"""Where podium keeps things and what it was told."""
