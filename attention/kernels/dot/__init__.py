"""Products of bytes: by the matrix unit, by dot-product instructions, or by a loop."""
