"""Keys and values as bytes with a scale, and what that leaves out."""
