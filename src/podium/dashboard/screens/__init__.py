"""One screen a file: what was read becomes a `Page`."""
