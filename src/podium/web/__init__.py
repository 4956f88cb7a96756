"""HTTP primitives: the protocol's parser, messages, limits."""
