"""What one slot holds: ranges of keys at their last versions, which follow the store."""
