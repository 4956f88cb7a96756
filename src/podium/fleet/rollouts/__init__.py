"""Rollouts as this server sees them: what the registry says of them, the evidence, and the marks that come of it."""
