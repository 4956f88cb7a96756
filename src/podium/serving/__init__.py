"""The data plane: what a gateway does; it never imports a model."""
