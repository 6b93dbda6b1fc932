"""Blocks in files: what was coded once is mapped at the next start, if every byte of it is what was written."""
