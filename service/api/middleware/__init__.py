"""What every request goes through before a route is found; each layer says no more than what it alone can see."""
