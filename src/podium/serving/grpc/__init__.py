"""The Open Inference Protocol over gRPC, with Triton's numbering; imported only where a server has a port for it."""
