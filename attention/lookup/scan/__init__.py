"""One reading of all codes: what lies below a threshold is summed, what lies above is listed."""
