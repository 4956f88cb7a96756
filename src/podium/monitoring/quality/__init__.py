"""How good versions are by the labels that come back: predictions kept, labels joined to them, what is told of it."""
