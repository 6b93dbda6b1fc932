"""The models of the JSON of rooms and of the lab."""
