"""Rooms: a class's shared memory, in this process only and with a life time; who listens hears of every change."""

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
