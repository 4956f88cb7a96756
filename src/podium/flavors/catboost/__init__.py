"""CatBoost: its own models."""
