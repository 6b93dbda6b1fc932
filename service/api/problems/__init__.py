"""What a call may answer instead of what was asked for: one table, and its forms."""
