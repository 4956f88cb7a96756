"""The control plane: make what runs equal what is wanted."""
