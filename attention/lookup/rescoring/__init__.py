"""The rows that decide an answer, again from the float32 originals."""
