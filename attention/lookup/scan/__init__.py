"""One pass over all 8-bit codes: rows below a query's threshold are summed, rows above it are listed."""
