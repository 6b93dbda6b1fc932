"""Rooms: the shared memory of a class, its rows and its questions; for one event loop."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from service.rooms.limits import (
    Limits,
    NotPresenter,
    QuestionOver,
    RoomFull,
    RoomNotFound,
    RoomsFull,
    RoomTaken,
    RowNotFound,
    exceeds_share,
)
from service.rooms.listeners import Listeners, Update


@dataclass(frozen=True)
class Row:
    """A key and its value.

    Attributes:
        owner: digest of the secret that it was sent with; empty for none.
        caller: where it came from; None for who presents.
    """

    id: str
    key: str
    value: str
    owner: bytes = b""
    caller: str | None = None

    @property
    def size(self) -> int:
        """Bytes of its texts."""
        return len(f"{self.id}{self.key}{self.value}".encode())

    def told(self) -> dict[str, str]:
        """What everybody may know."""
        return {"id": self.id, "key": self.key, "value": self.value}

    def sent_with(self, secret: str | None) -> bool:
        """Whether that is the secret it was sent with, if any."""
        return bool(self.owner) and hmac.compare_digest(self.owner, hash_secret(secret))


def hash_secret(secret: str | None) -> bytes:
    """What is kept of a secret; nothing of none."""
    return b"" if not secret else hashlib.sha256(secret.encode()).digest()


@dataclass(frozen=True)
class Share:
    """What a row got of an answer."""

    id: str
    weight: float
    similarity: float


@dataclass(frozen=True)
class Answer:
    """What the room's rows answered, the heaviest first.

    Attributes:
        temperature: at which it was asked.
        null_similarity: None where there is no null key.
        verdict, verdict_certain: as the evidence of an answer has them.
    """

    shares: Sequence[Share]
    temperature: float
    null_weight: float
    null_similarity: float | None
    verdict: str
    verdict_certain: bool


@dataclass
class Question:
    """What is asked of a room's rows.

    Attributes:
        number: of the room's questions, from 1.
        guesses: by who guessed, which row will weigh most; None for none of them.
        callers: by who guessed, where the guess came from.
        closed: whether guesses are no longer taken.
    """

    number: int
    query: str
    temperature: float | None = None
    guesses: dict[str, str | None] = field(default_factory=dict)
    callers: dict[str, str | None] = field(default_factory=dict)
    closed: bool = False
    answer: Answer | None = None

    def told(self) -> dict[str, Any]:
        """What everybody may know: of guesses only how many, until the answer is shown."""
        asked: dict[str, Any] = {"number": self.number, "query": self.query, "guesses": len(self.guesses)}
        if self.temperature is not None:
            asked["temperature"] = self.temperature
        if (answer := self.answer) is None:
            return asked
        counts = Counter(self.guesses.values())
        matches = [
            {"id": each.id, "weight": each.weight, "similarity": each.similarity, "guesses": counts[each.id]}
            for each in answer.shares
        ]
        return asked | {
            "temperature": answer.temperature,
            "answer": {
                "matches": matches,
                "null_weight": answer.null_weight,
                "null_similarity": answer.null_similarity,
                "null_guesses": counts[None],
                "verdict": answer.verdict,
                "verdict_certain": answer.verdict_certain,
            },
        }


class Room:
    """A class's memory, from when it is opened until it is closed or was not used for so long.

    Each caller has a share of what others send: at most three quarters. Who presents has all, and so has caller None.

    Attributes:
        secret: of whoever presents.
        caller: who opened it.
        used: when it was last used, by the clock.
    """

    def __init__(self, code: str, caller: str, limits: Limits, clock: Callable[[], float]) -> None:
        self.code = code
        self.caller = caller
        self.secret = secrets.token_urlsafe(18)
        self.used = clock()
        self._clock = clock
        self._limits = limits
        self._rows: dict[str, Row] = {}
        self._bytes = 0
        self._waiting: dict[int, tuple[str, str | None]] = {}  # number → query, caller
        self._question: Question | None = None
        self._numbers = 0
        self._version = 0
        self._listeners = Listeners(limits.listeners, limits.updates)

    @property
    def seconds_left(self) -> float:
        """How long it lives if nobody uses it."""
        return max(0.0, self.used + self._limits.seconds - self._clock())

    def use(self) -> None:
        """Let it live on."""
        self.used = self._clock()

    def presents(self, secret: str | None) -> None:
        """Raises: NotPresenter where that is not the secret of who presents."""
        if not _is_secret(secret, self.secret):
            raise NotPresenter(
                "this is for who presents: send the secret that opening the room was answered with, as X-Room-Secret"
            )

    def put(self, row_id: str, key: str, value: str, secret: str | None, caller: str | None = None) -> dict[str, str]:
        """A row, new or in place of one; who presents may replace any, others what they sent with the same secret.

        Raises:
            NotPresenter: it is another's.
            RoomFull: the room has as many rows, or bytes, as it may, or as may be of this caller.
        """
        found, presents = self._rows.get(row_id), _is_secret(secret, self.secret)
        if found is not None and not presents and not found.sent_with(secret):
            raise NotPresenter(f"row {row_id!r} is another's: send a new row under an id of its own")
        if found is None and len(self._rows) >= self._limits.rows:
            raise RoomFull(f"this room has {len(self._rows)} rows, the most that a room may have: remove some")
        if found is None and not presents and caller is not None:
            self._limits.share("rows", sum(row.caller == caller for row in self._rows.values()), len(self._rows))
        row = Row(row_id, key, value, hash_secret(secret), None if presents else caller)
        if found is not None and presents:
            row = replace(row, owner=found.owner, caller=found.caller)
        self._grow(row.size - (0 if found is None else found.size), None if presents else caller)
        self._rows[row_id] = row
        self._tell("row", row.told())
        return row.told()

    def fill(self, rows: Sequence[tuple[str, str, str]], secret: str) -> None:
        """Put rows of (id, key, value) into a room that is being opened; they belong to who presents."""
        for row in rows:
            self.put(*row, secret)

    def remove(self, row_id: str, secret: str | None) -> None:
        """Take a row out: who presents any, others what they sent.

        Raises:
            RowNotFound: there is none of that id.
            NotPresenter: it is another's.
        """
        row = self._rows.get(row_id)
        if row is None:
            raise RowNotFound(f"room {self.code} has no row with the id {row_id!r}")
        if not (_is_secret(secret, self.secret) or row.sent_with(secret)):
            raise NotPresenter(f"row {row_id!r} is another's: who presents may remove it")
        del self._rows[row_id]
        self._bytes -= row.size
        self._tell("removed", {"id": row_id})
        self._forget_guesses()

    def clear(self, secret: str | None) -> None:
        """Take all rows out, whoever sent them.

        Raises:
            NotPresenter: that is for who presents.
        """
        self.presents(secret)
        self._bytes -= sum(row.size for row in self._rows.values())
        self._rows.clear()
        self._forget_guesses()
        self._tell("room", self.told())

    def wait(self, query: str, caller: str | None = None) -> dict[str, Any]:
        """A question that anybody would like to be asked; who presents may ask it.

        Raises:
            RoomFull: too many wait, or of this caller, or the room has as many bytes as it may.
        """
        if len(self._waiting) >= self._limits.waiting:
            raise RoomFull(f"{len(self._waiting)} questions wait in this room, the most that may: try again later")
        if caller is not None:
            self._limits.share("waiting", sum(each == caller for _, each in self._waiting.values()), len(self._waiting))
        self._grow(len(query.encode()), caller)
        number = self._next_number()
        self._waiting[number] = query, caller
        self._tell_waiting()
        return {"number": number, "query": query, "guesses": 0}

    def ask(self, query: str, temperature: float | None, secret: str | None) -> dict[str, Any]:
        """Show a question to all, in place of the one before; guesses are taken from now on.

        Raises:
            NotPresenter: that is for who presents.
            RoomFull: the room has as many bytes as it may.
        """
        self.presents(secret)
        before = 0 if self._question is None else len(self._question.query.encode())
        waited = [number for number, (each, _) in self._waiting.items() if each == query]
        self._grow(len(query.encode()) * (1 - len(waited)) - before, None)
        for number in waited:
            del self._waiting[number]
        self._question = Question(self._next_number(), query, temperature)
        if waited:
            self._tell_waiting()
        self._tell("question", self._question.told())
        return self._question.told()

    def guess(self, who: str, number: int, row_id: str | None, caller: str | None = None) -> int:
        """Which row will weigh most, in place of what the same one guessed before; None for none of them → how many.

        Raises:
            QuestionOver: another question is open, or its answer is shown.
            RowNotFound: there is no such row.
            RoomFull: too many have guessed, or of this caller.
        """
        question = self._open(number)
        if row_id is not None and row_id not in self._rows:
            raise RowNotFound(f"room {self.code} has no row with the id {row_id!r}: guess one that it has")
        if who not in question.guesses:
            if len(question.guesses) >= self._limits.guesses:
                raise RoomFull(f"{len(question.guesses)} have guessed, the most that a question takes")
            if caller is not None:
                own = sum(each == caller for each in question.callers.values())
                self._limits.share("guesses", own, len(question.guesses))
            question.callers[who] = caller
        question.guesses[who] = row_id
        self._tell("guesses", {"number": number, "guesses": len(question.guesses)})
        return len(question.guesses)

    @contextmanager
    def revealing(self, number: int, secret: str | None) -> Iterator[tuple[Question, list[Row]]]:
        """The question, closed to guesses for as long as the block runs, and the rows as they are; `reveal` ends it.

        Raises:
            NotPresenter: that is for who presents.
            QuestionOver: another question is open, or its answer is shown or on its way.
        """
        self.presents(secret)
        question = self._open(number)
        question.closed = True
        try:
            yield question, list(self._rows.values())
        finally:
            question.closed = question.answer is not None

    def reveal(self, question: Question, answer: Answer) -> dict[str, Any]:
        """Show the answer, and what was guessed, to all."""
        question.answer = answer
        if question is self._question:
            self._tell("answer", question.told())
        return question.told()

    def told(self) -> dict[str, Any]:
        """Everything that everybody may know."""
        told: dict[str, Any] = {
            "code": self.code,
            "version": self._version,
            "seconds_left": self.seconds_left,
            "listeners": len(self._listeners),
            "rows": [row.told() for row in self._rows.values()],
            "waiting": self._told_waiting(),
        }
        return told if self._question is None else told | {"question": self._question.told()}

    def check_listeners(self) -> None:
        """Raises: ListenersFull where nobody more may listen."""
        self._listeners.check()

    async def listen(self) -> AsyncGenerator[Update]:
        """All there is, as `room`, then every change; it ends when the room does, or when who listens is too slow.

        Raises:
            ListenersFull: too many listen.
        """
        listener = self._listeners.add()
        try:
            first = Update("room", self.told(), self._version)
            self._tell("here", {"listeners": len(self._listeners)})
            yield first
            while (update := await listener.next()) is not None:
                yield update
        finally:
            self._listeners.leave(listener)
            self._tell("here", {"listeners": len(self._listeners)})

    def end(self, reason: str) -> None:
        """Tell all that it is over, and let them go."""
        self._tell("over", {"detail": reason})
        self._listeners.end()
        self._rows.clear()

    def _open(self, number: int) -> Question:
        question = self._question
        if question is None or question.number != number:
            raise QuestionOver(f"question {number} is not the one that is open in this room: look which one is")
        if question.closed:
            raise QuestionOver(
                f"the answer to question {number} is shown, or is on its way: guesses are counted before"
            )
        return question

    def _forget_guesses(self) -> None:
        """Who guessed a row that is gone has not guessed."""
        question = self._question
        there = {None, *self._rows}
        if question is None or question.closed or there.issuperset(question.guesses.values()):
            return
        question.guesses = {who: guessed for who, guessed in question.guesses.items() if guessed in there}
        question.callers = {who: question.callers[who] for who in question.guesses}
        self._tell("guesses", {"number": question.number, "guesses": len(question.guesses)})

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _grow(self, size: int, caller: str | None) -> None:
        """Count more bytes, or fewer; None is who presents, and has no share."""
        if size > 0 and self._bytes + size > self._limits.bytes:
            raise RoomFull(
                f"this room holds {self._bytes} bytes of text and may hold {self._limits.bytes}: {size} more do not "
                "fit, remove rows or send shorter ones"
            )
        if size > 0 and caller is not None:
            rows = sum(row.size for row in self._rows.values() if row.caller == caller)
            waiting = sum(len(query.encode()) for query, each in self._waiting.values() if each == caller)
            self._limits.share("bytes", rows + waiting, self._bytes, size)
        self._bytes += size

    def _told_waiting(self) -> list[dict[str, Any]]:
        return [{"number": number, "query": query} for number, (query, _) in self._waiting.items()]

    def _tell_waiting(self) -> None:
        self._tell("waiting", {"waiting": self._told_waiting()})

    def _tell(self, name: str, data: Any) -> None:
        self._version += 1
        self._listeners.tell(Update(name, data, self._version))


def _is_secret(given: str | None, secret: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode(), secret.encode())


LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # without vowels a code spells nothing
CODE_LENGTH = 4
CLOSED = "this room was closed by who presents"
EXPIRED = "nobody used this room for so long that it has ended"


class Rooms:
    """The rooms that are open. For one event loop.

    Attributes:
        limits: of each, and how many.
    """

    def __init__(self, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits or Limits()
        self._clock = clock
        self._open: dict[str, Room] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def open(self, caller: str = "", code: str | None = None, rows: Sequence[tuple[str, str, str]] = ()) -> Room:
        """A new room, under a code that was wished for or one of its own, with rows of (id, key, value).

        Raises:
            RoomTaken: a room is open under that code.
            RoomsFull: as many are open as may be, or as this caller may have.
            RoomFull: the rows are more than a room holds.
        """
        self.sweep()
        if code is not None and code in self._open:
            raise RoomTaken(f"a room is open under {code}: leave the code out for a room of your own, or join that one")
        most, taken = self.limits.rooms, len(self._open)
        if taken >= most:
            raise RoomsFull(f"{most} rooms are open, the most of this service: try again when one is closed or over")
        own = sum(room.caller == caller for room in self._open.values())
        if exceeds_share(own, taken, most):
            raise RoomsFull(f"{own} rooms of this caller are open, and few are left for others: close one of them")
        room = Room(code or self._new_code(), caller, self.limits, self._clock)
        room.fill(rows, room.secret)
        self._open[room.code] = room
        self._wake()
        return room

    def find(self, code: str, *, use: bool = True) -> Room:
        """The room of that code, which lives on by being used.

        Raises:
            RoomNotFound: none is open under it.
        """
        self.sweep()
        room = self._open.get(code)
        if room is None:
            raise RoomNotFound(code)
        if use:
            room.use()
        return room

    def close(self, room: Room, reason: str = CLOSED) -> None:
        """End a room, now."""
        if self._open.get(room.code) is room:
            del self._open[room.code]
        room.end(reason)

    def sweep(self) -> None:
        """End those that nobody has used for so long."""
        for room in [each for each in self._open.values() if each.seconds_left <= 0]:
            self.close(room, EXPIRED)

    def _wake(self) -> None:
        """See to it that the next room to end does so, though nobody asks for it."""
        if self._timer is not None or not self._open:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # nobody listens without one
            return
        soonest = min(room.seconds_left for room in self._open.values())
        self._timer = loop.call_later(soonest + 0.01, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self.sweep()
        self._wake()

    def _new_code(self) -> str:
        while True:
            code = "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))
            if code not in self._open:
                return code
