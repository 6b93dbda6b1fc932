"""Stored keys and values: blocks of rows that a writer appends to, and immutable views of them for readers."""
