"""Keys, values and queries as 8-bit codes with a scale, and bounds on the residuals that the codes leave out."""
