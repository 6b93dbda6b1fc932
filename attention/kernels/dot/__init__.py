"""Products of bytes, by the matrix unit or by dot-product instructions."""
