"""MLflow's scoring protocol: the reference codec, which defines the answer."""
