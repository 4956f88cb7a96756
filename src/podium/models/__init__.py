"""The MLflow model folder: the MLmodel file, saving, loading, the Predictor, requirements, examples."""
