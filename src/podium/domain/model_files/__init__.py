"""Formats of files that models consist of, read far enough to say what loading them would run."""
