"""Scoring a file by a server: read in pieces, asked in parallel, written in order, resumed whatever ended it."""
