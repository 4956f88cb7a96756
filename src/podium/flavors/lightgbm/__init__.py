"""LightGBM: Boosters and the scikit-learn API."""
