"""Coded blocks in files: the next start maps them, if every byte is what was written."""
