"""Rooms: a class's shared memory, its rows and questions, and what happens in it as it happens."""
