"""The Open Inference Protocol (V2) over HTTP: bodies to tensors and back. The gateway's; no worker imports it."""
