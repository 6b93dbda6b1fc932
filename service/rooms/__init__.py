"""Rooms: the shared memory of a class, in this process only and with a lifetime; listeners receive every change."""

from __future__ import annotations

from service.rooms.limits import (
    Limits,
    ListenersFull,
    NotPresenter,
    QuestionOver,
    RoomError,
    RoomFull,
    RoomNotFound,
    RoomsFull,
    RoomTaken,
    RowNotFound,
)
from service.rooms.listeners import Update
from service.rooms.room import Answer, Question, Room, Rooms, Row, Share
