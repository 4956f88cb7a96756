"""Bytes on the wire to inference values and back."""
