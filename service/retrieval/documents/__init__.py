"""Documents on their way in: prepared, written, patched, uploaded."""
