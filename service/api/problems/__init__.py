"""What a call may answer instead of what was asked for: one `table` of refusals, and the forms that are made of it."""
