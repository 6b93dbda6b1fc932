"""The routes of rooms and of the lab."""
