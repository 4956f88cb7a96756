"""Keras 3's models, on any backend; TensorFlow's flavor reads its own with the same parts."""
