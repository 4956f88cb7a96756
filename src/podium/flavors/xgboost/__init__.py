"""XGBoost: Boosters and the scikit-learn API."""
