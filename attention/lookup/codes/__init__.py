"""Keys, values and queries as bytes with a scale, and what the codes leave out."""
