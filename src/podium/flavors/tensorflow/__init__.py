"""TensorFlow's models: Keras' in TensorFlow's own flavor, modules and SavedModels."""
