"""scikit-learn's models, and the cheaper ways to their own answers."""
