"""Who asks, what for, how often, and on what terms."""
