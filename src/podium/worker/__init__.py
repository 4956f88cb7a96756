"""What runs in the model's environment: one model, one blocking loop."""
