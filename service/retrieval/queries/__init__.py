"""What is asked of a collection: attend, sweep, compare, trace."""
