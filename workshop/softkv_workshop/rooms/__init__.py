"""Rooms: a room is the shared memory of a school class, with rows and questions. It exists only in this process and for
a limited time; listeners receive every change.
"""

from __future__ import annotations

from softkv_workshop.rooms.limits import (
    Limits,
    ListenersFull,
    NotPresenter,
    QuestionOver,
    RoomError,
    RoomFull,
    RoomNotFound,
    RoomOver,
    RoomsFull,
    RoomTaken,
    RowNotFound,
)
from softkv_workshop.rooms.listeners import Update
from softkv_workshop.rooms.room import Answer, FirstRow, Question, Room, Rooms, Row, Share
