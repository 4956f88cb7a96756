"""PyTorch's modules: graphs, TorchScript, pickles."""
