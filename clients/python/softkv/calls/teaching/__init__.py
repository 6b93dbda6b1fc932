"""Calls for lessons: rooms that a class shares, models of the lab, and the events of both."""
