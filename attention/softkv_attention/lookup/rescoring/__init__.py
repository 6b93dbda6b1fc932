"""Rescoring: the rows that decide an answer, computed again from the float32 originals."""
