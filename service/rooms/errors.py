"""What can be wrong with what is asked of a room."""

from __future__ import annotations


class RoomError(Exception):
    """The root of this room's errors."""


class RoomNotFound(RoomError):
    """No room is open under that code."""

    def __init__(self, code: str) -> None:
        super().__init__(
            f"no room is open under {code}: it is over, or never was. Rooms are in memory only and end some time after "
            "their last use, and when the service is restarted; ask who presents for the code"
        )


class RowNotFound(RoomError):
    """The room has no row of that id."""


class RoomTaken(RoomError):
    """A room is open under the code that was wished for."""


class RoomsFull(RoomError):
    """As many rooms are open as may be at once, or as one caller may have."""


class RoomFull(RoomError):
    """The room holds as much as it may."""


class ListenersFull(RoomError):
    """As many listen as may at once."""


class NotPresenter(RoomError):
    """This is for whoever opened the room, or who sent the row."""


class QuestionOver(RoomError):
    """The question that was meant is not the one that is open."""
