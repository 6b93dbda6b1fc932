"""Rooms on the wire: what they hold, and what is asked in them."""
