"""What podium decides: values and pure functions; no I/O, clock, thread or logger."""
