"""The Open Inference Protocol's paths: version 2, its repository, its streams, and KServe's version 1."""
