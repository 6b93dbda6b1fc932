"""Rooms: each is the shared memory of a school class, with its rows and questions. Only one event loop may use them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from softkv_workshop.rooms.limits import (
    Limits,
    NotPresenter,
    QuestionOver,
    RoomFull,
    RoomNotFound,
    RoomOver,
    RoomsFull,
    RoomTaken,
    RowNotFound,
    exceeds_share,
)
from softkv_workshop.rooms.listeners import Listeners, Update


@dataclass(frozen=True)
class Row:
    """A row of a room: a key and its value.

    Attributes:
        owner: the hash of the secret that it was sent with; empty without one.
        caller: the caller that sent it; None for the presenter.
        by: the name that its sender gave; empty without one.
    """

    id: str
    key: str
    value: str
    owner: bytes = b""
    caller: str | None = None
    by: str = ""

    @property
    def size(self) -> int:
        """The size of the row's texts in bytes."""
        return len(f"{self.id}{self.key}{self.value}{self.by}".encode())

    def public_state(self) -> dict[str, str]:
        """Return the fields of the row that every participant may see."""
        return {"id": self.id, "key": self.key, "value": self.value} | ({"by": self.by} if self.by else {})

    def sent_with(self, secret: str | None) -> bool:
        """Return whether the row was sent with this secret."""
        return bool(self.owner) and hmac.compare_digest(self.owner, hash_secret(secret))


class FirstRow(NamedTuple):
    """A row that a room has from the start."""

    id: str
    key: str
    value: str
    by: str = ""


def hash_secret(secret: str | None) -> bytes:
    """Return the hash of a secret; empty without one."""
    return b"" if not secret else hashlib.sha256(secret.encode()).digest()


@dataclass(frozen=True)
class Share:
    """The weight and similarity of a row in an answer."""

    id: str
    weight: float
    similarity: float


@dataclass(frozen=True)
class Answer:
    """The answer to a question from the room's rows, ordered by weight.

    Attributes:
        temperature: the temperature of the query.
        null_similarity: the similarity of the null key; None without a null key.
        background: how similar unrelated texts are, as JSON; the null key follows from it at any temperature. None if
            it follows from none.
        verdict, verdict_certain: as in the evidence of an answer.
    """

    shares: Sequence[Share]
    temperature: float
    null_weight: float
    null_similarity: float | None
    verdict: str
    verdict_certain: bool
    background: Mapping[str, Any] | None = None


@dataclass
class Question:
    """A question in a room, which its rows answer.

    Attributes:
        number: the number of the question in the room, from 1.
        guesses: by participant, the row that it expects to weigh most; None if it expects no row.
        callers: by participant, the caller that sent the guess.
        closed: whether guesses are no longer accepted.
        shown_temperature: the temperature that the presenter has chosen since the answer was shown; None before.
    """

    number: int
    query: str
    temperature: float | None = None
    guesses: dict[str, str | None] = field(default_factory=dict)
    callers: dict[str, str | None] = field(default_factory=dict)
    closed: bool = False
    answer: Answer | None = None
    shown_temperature: float | None = None

    def public_state(self) -> dict[str, Any]:
        """Return what every participant may see: only the number of guesses, until the answer is shown."""
        state: dict[str, Any] = {"number": self.number, "query": self.query, "guesses": len(self.guesses)}
        if self.temperature is not None:
            state["temperature"] = self.temperature
        if (answer := self.answer) is None:
            return state
        counts = Counter(self.guesses.values())
        matches = [
            {"id": share.id, "weight": share.weight, "similarity": share.similarity, "guesses": counts[share.id]}
            for share in answer.shares
        ]
        if self.shown_temperature is not None:
            state["shown_temperature"] = self.shown_temperature
        return state | {
            "temperature": answer.temperature,
            "answer": {
                "matches": matches,
                "null_weight": answer.null_weight,
                "null_similarity": answer.null_similarity,
                "null_guesses": counts[None],
                "background": answer.background,
                "verdict": answer.verdict,
                "verdict_certain": answer.verdict_certain,
            },
        }


class Room:
    """The memory of a class, until it is closed or its lifetime since the last use ends.

    The limits on what participants send are shared: a single caller may use at most three quarters of them. The
    presenter, and calls with the caller None, have no such share.

    While the room holds new rows and questions, only the presenter sees what participants send, until it is released.

    Attributes:
        secret: the secret of the presenter.
        caller: the caller that opened it.
        holds: whether new rows and questions wait for the presenter, unseen by others.
        used: the time of its last use, by the clock.
    """

    def __init__(self, code: str, caller: str, limits: Limits, clock: Callable[[], float]) -> None:
        self.code = code
        self.caller = caller
        self.secret = secrets.token_urlsafe(18)
        self.used = clock()
        self._clock = clock
        self._limits = limits
        self.holds = False
        self._rows: dict[str, Row] = {}
        self._held: dict[str, Row] = {}
        self._bytes = 0
        self._waiting: dict[int, tuple[str, str | None]] = {}  # number → query, caller
        self._question: Question | None = None
        self._numbers = 0
        self._version = 0
        self._listeners = Listeners(limits.listeners, limits.updates)

    @property
    def seconds_left(self) -> float:
        """The seconds until the room ends if it is not used again."""
        return max(0.0, self.used + self._limits.seconds - self._clock())

    def use(self) -> None:
        """Restart the room's lifetime, because it is used."""
        self.used = self._clock()

    def require_presenter(self, secret: str | None) -> None:
        """Raise NotPresenter if this is not the secret of the presenter."""
        if not _is_secret(secret, self.secret):
            raise NotPresenter(
                "only the presenter may do this: send the secret from the answer to opening the room, as X-Room-Secret"
            )

    def is_presenter(self, secret: str | None) -> bool:
        """Return whether this is the secret of the presenter."""
        return _is_secret(secret, self.secret)

    def put(
        self, row_id: str, key: str, value: str, secret: str | None, caller: str | None = None, by: str = ""
    ) -> dict[str, Any]:
        """Add or replace a row; the presenter may replace any, other callers those that they sent with the same secret.

        If the room holds new rows, the row of another caller than the presenter waits until `release`. A row that it
        would replace stays until then.

        Raises:
            NotPresenter: another caller sent the row.
            RoomFull: the limit of rows or bytes is reached, of the room or of this caller.
        """
        is_presenter = self.is_presenter(secret)
        is_held = self.holds and not is_presenter
        rows = self._held if is_held else self._rows
        for other in (self._rows.get(row_id), self._held.get(row_id)):
            if other is not None and not is_presenter and not other.sent_with(secret):
                raise NotPresenter(f"row {row_id!r} is another's: send a new row under an id of its own")
        replaced, all_rows = rows.get(row_id), self._list_rows()
        if replaced is None and len(all_rows) >= self._limits.rows:
            raise RoomFull(f"this room has {len(all_rows)} rows, the most that a room may have: remove some")
        if replaced is None and not is_presenter and caller is not None:
            self._limits.share("rows", sum(row.caller == caller for row in all_rows), len(all_rows))
        row = Row(row_id, key, value, hash_secret(secret), None if is_presenter else caller, by)
        if replaced is not None and is_presenter:
            row = replace(row, owner=replaced.owner, caller=replaced.caller)
        self._grow(row.size - (0 if replaced is None else replaced.size), None if is_presenter else caller)
        rows[row_id] = row
        if is_held:
            self._publish_held()
            return row.public_state() | {"held": True}
        self._publish("row", row.public_state())
        return row.public_state()

    def fill(self, rows: Sequence[FirstRow], secret: str) -> None:
        """Put rows into a new room; they belong to the presenter."""
        for row in rows:
            self.put(row.id, row.key, row.value, secret, by=row.by)

    def hold(self, holds: bool) -> None:
        """Hold new rows and questions from now on, or no more; those that wait already go on waiting."""
        self.holds = holds
        self._publish("hold", {"hold": holds})
        self._publish("waiting", {"waiting": self._list_waiting(for_presenter=False)})
        if holds:
            self._publish_waiting()

    def require_held(self, row_ids: Sequence[str]) -> None:
        """Raise RowNotFound if no row with one of these ids is held."""
        for row_id in row_ids:
            if row_id not in self._held:
                raise RowNotFound(f"room {self.code} holds no row with the id {row_id!r}")

    def release(self, row_ids: Sequence[str]) -> None:
        """Show held rows to all participants.

        Raises:
            RowNotFound: no row with one of the ids is held.
        """
        self.require_held(row_ids)
        for row_id in dict.fromkeys(row_ids):
            row = self._held.pop(row_id)
            if (replaced := self._rows.get(row_id)) is not None:
                self._bytes -= replaced.size
            self._rows[row_id] = row
            self._publish("row", row.public_state())
        if row_ids:
            self._publish_held()

    def remove(self, row_id: str, secret: str | None) -> None:
        """Remove a row, whether it is held or shown; the presenter may remove any, other callers those that they sent.

        If a row of this id is shown and another is held, the presenter removes only the held one, so that the shown
        one stays as it is.

        Raises:
            RowNotFound: the room has no row with that id.
            NotPresenter: another caller sent the row.
        """
        waiting, shown = self._held.get(row_id), self._rows.get(row_id)
        row = waiting or shown
        if row is None:
            raise RowNotFound(f"room {self.code} has no row with the id {row_id!r}")
        is_presenter = self.is_presenter(secret)
        if not (is_presenter or row.sent_with(secret)):
            raise NotPresenter(f"row {row_id!r} is another's: the presenter may remove it")
        if waiting is not None:
            del self._held[row_id]
            self._bytes -= waiting.size
            self._publish_held()
        if shown is not None and not (waiting is not None and is_presenter):
            del self._rows[row_id]
            self._bytes -= shown.size
            self._publish("removed", {"id": row_id})
            self._forget_guesses()

    def clear(self, secret: str | None) -> None:
        """Remove all rows of all callers.

        Raises:
            NotPresenter: only the presenter may do this.
        """
        self.require_presenter(secret)
        self._bytes -= sum(row.size for row in self._list_rows())
        self._rows.clear()
        self._held.clear()
        self._forget_guesses()
        self._publish("room", self.public_state())
        self._publish_held()
        self._publish_waiting()

    def wait(self, query: str, caller: str | None = None) -> dict[str, Any]:
        """Add a question that a participant suggests to those that wait for the presenter.

        Raises:
            RoomFull: too many questions wait, in all or of this caller, or the limit of bytes is reached.
        """
        if len(self._waiting) >= self._limits.waiting:
            raise RoomFull(f"{len(self._waiting)} questions wait in this room, the most that may: try again later")
        if caller is not None:
            self._limits.share(
                "waiting", sum(sender == caller for _, sender in self._waiting.values()), len(self._waiting)
            )
        self._grow(len(query.encode()), caller)
        number = self._next_number()
        self._waiting[number] = query, caller
        self._publish_waiting()
        return {"number": number, "query": query, "guesses": 0}

    def ask(self, query: str, temperature: float | None, secret: str | None) -> dict[str, Any]:
        """Show a question to all participants, in place of the previous one. From now on guesses are accepted.

        Raises:
            NotPresenter: only the presenter may do this.
            RoomFull: the limit of bytes is reached.
        """
        self.require_presenter(secret)
        old_bytes = 0 if self._question is None else len(self._question.query.encode())
        numbers = [number for number, (text, _) in self._waiting.items() if text == query]
        self._grow(len(query.encode()) * (1 - len(numbers)) - old_bytes, None)
        for number in numbers:
            del self._waiting[number]
        self._question = Question(self._next_number(), query, temperature)
        if numbers:
            self._publish_waiting()
        self._publish("question", self._question.public_state())
        return self._question.public_state()

    def guess(self, participant: str, number: int, row_id: str | None, caller: str | None = None) -> int:
        """Record which row a participant expects to get the largest weight; None expects no row.

        Return the number of guesses.

        A later guess of the same participant replaces the earlier one.

        Raises:
            QuestionOver: another question is open, or its answer is shown.
            RowNotFound: the room has no such row.
            RoomFull: too many participants have guessed, in all or of this caller.
        """
        question = self._open(number)
        if row_id is not None and row_id not in self._rows:
            raise RowNotFound(f"room {self.code} has no row with the id {row_id!r}: guess one that it has")
        if participant not in question.guesses:
            if len(question.guesses) >= self._limits.guesses:
                raise RoomFull(f"{len(question.guesses)} have guessed, the most that a question takes")
            if caller is not None:
                count = sum(sender == caller for sender in question.callers.values())
                self._limits.share("guesses", count, len(question.guesses))
            question.callers[participant] = caller
        question.guesses[participant] = row_id
        self._publish("guesses", {"number": number, "guesses": len(question.guesses)})
        return len(question.guesses)

    @contextmanager
    def revealing(self, number: int, released: Sequence[str] = ()) -> Iterator[tuple[Question, list[Row]]]:
        """Close the question to guesses for the duration of the block, and yield it with its rows.

        These are the rows that are shown, and the held rows with the ids `released`. `reveal` ends it.

        Raises:
            QuestionOver: another question is open, or its answer is shown or being computed.
        """
        question = self._open(number)
        question.closed = True
        rows = self._rows | {row_id: self._held[row_id] for row_id in released}
        try:
            yield question, list(rows.values())
        finally:
            question.closed = question.answer is not None

    def reveal(self, question: Question, answer: Answer, shown_temperature: float | None = None) -> None:
        """Show the answer and the numbers of guesses to all participants, if requested at another temperature."""
        question.answer, question.shown_temperature = answer, shown_temperature
        if question is self._question:
            self._publish("answer", question.public_state())

    def show_temperature(self, number: int, temperature: float) -> None:
        """Show all participants the answer at another temperature.

        Raises:
            QuestionOver: another question is shown, or this one has no answer yet.
        """
        self._require_answer(number).shown_temperature = temperature
        self._publish("temperature", {"number": number, "temperature": temperature})

    def require_question(self, number: int) -> Question:
        """Return the question that is shown, if it has this number.

        Raises:
            QuestionOver: another question is shown, or none.
        """
        question = self._question
        if question is None or question.number != number:
            raise QuestionOver(f"question {number} is not the one that is open in this room: look which one is")
        return question

    def find_row_of_answer(self, number: int, row_id: str | None) -> tuple[Question, Row]:
        """Return the answered question with this number, and one of its rows.

        Args:
            row_id: the row's id; None for the heaviest of the answer that the room still has.

        Raises:
            QuestionOver: another question is shown, or this one has no answer yet.
            RowNotFound: the answer has no such row, or the row was removed.
        """
        question = self._require_answer(number)
        assert question.answer is not None
        row_ids = [share.id for share in question.answer.shares if share.id in self._rows]
        if row_id is None and not row_ids:
            raise RowNotFound(f"no row of the answer to question {number} is still in room {self.code}")
        chosen = row_ids[0] if row_id is None else row_id
        if chosen not in row_ids:
            raise RowNotFound(f"the answer to question {number} has no row with the id {chosen!r}, or it was removed")
        return question, self._rows[chosen]

    def public_state(self, *, for_presenter: bool = False) -> dict[str, Any]:
        """Return everything that every participant may see; for the presenter, also what is held."""
        state: dict[str, Any] = {
            "code": self.code,
            "version": self._version,
            "seconds_left": self.seconds_left,
            "listeners": len(self._listeners),
            "hold": self.holds,
            "rows": [row.public_state() for row in self._rows.values()],
            "waiting": self._list_waiting(for_presenter),
        }
        if for_presenter:
            state["held"] = [row.public_state() for row in self._held.values()]
        return state if self._question is None else state | {"question": self._question.public_state()}

    def check_listeners(self) -> None:
        """Raise ListenersFull if no more listeners are allowed."""
        self._listeners.check()

    async def listen(self, *, is_presenter: bool = False) -> AsyncGenerator[Update]:
        """Yield the whole room as an update `room`, then every change. Yield `here` after a few seconds without one.

        The iteration ends with the room, or if the listener reads too slowly.

        Raises:
            ListenersFull: there are too many listeners.
        """
        listener = self._listeners.add(is_presenter=is_presenter)
        try:
            first = Update("room", self.public_state(for_presenter=is_presenter), self._version)
            self._publish("here", {"listeners": len(self._listeners)})
            yield first
            while True:
                try:
                    async with asyncio.timeout(self._limits.silent_seconds):
                        update = await listener.next()
                except TimeoutError:
                    update = Update("here", {"listeners": len(self._listeners)}, self._version)
                if update is None:
                    return
                yield update
        finally:
            self._listeners.remove(listener)
            self._publish("here", {"listeners": len(self._listeners)})

    def end(self, reason: str) -> None:
        """Announce that the room is over, and end all listeners."""
        self._publish("over", {"detail": reason})
        self._listeners.end()
        self._rows.clear()
        self._held.clear()

    def _require_answer(self, number: int) -> Question:
        """Return the current question, if it has this number and an answer."""
        question = self.require_question(number)
        if question.answer is None:
            raise QuestionOver(f"question {number} has no answer yet: the presenter shows it first")
        return question

    def _open(self, number: int) -> Question:
        question = self.require_question(number)
        if question.closed:
            raise QuestionOver(
                f"the answer to question {number} is shown, or is on its way: guesses are counted before"
            )
        return question

    def _forget_guesses(self) -> None:
        """Remove guesses that name a row which was removed."""
        question = self._question
        possible = {None, *self._rows}
        if question is None or question.closed or possible.issuperset(question.guesses.values()):
            return
        question.guesses = {
            participant: row_id for participant, row_id in question.guesses.items() if row_id in possible
        }
        question.callers = {participant: question.callers[participant] for participant in question.guesses}
        self._publish("guesses", {"number": question.number, "guesses": len(question.guesses)})

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _grow(self, size: int, caller: str | None) -> None:
        """Add to the bytes that the room and a caller use; a negative size subtracts.

        The caller None is the presenter, which has no share.
        """
        if size > 0 and self._bytes + size > self._limits.bytes:
            raise RoomFull(
                f"this room holds {self._bytes} bytes of text and may hold {self._limits.bytes}: {size} more do not "
                "fit, remove rows or send shorter ones"
            )
        if size > 0 and caller is not None:
            rows = sum(row.size for row in self._list_rows() if row.caller == caller)
            waiting = sum(len(query.encode()) for query, sender in self._waiting.values() if sender == caller)
            self._limits.share("bytes", rows + waiting, self._bytes, size)
        self._bytes += size

    def _list_rows(self) -> list[Row]:
        """Return all rows, those that are held last."""
        return [*self._rows.values(), *self._held.values()]

    def _list_waiting(self, for_presenter: bool) -> list[dict[str, Any]]:
        """Return the questions that wait; none to other callers than the presenter while the room holds them."""
        if self.holds and not for_presenter:
            return []
        return [{"number": number, "query": query} for number, (query, _) in self._waiting.items()]

    def _publish_waiting(self) -> None:
        self._publish("waiting", {"waiting": self._list_waiting(for_presenter=True)}, private=self.holds)

    def _publish_held(self) -> None:
        self._publish("held", {"rows": [row.public_state() for row in self._held.values()]}, private=True)

    def _publish(self, name: str, data: Any, *, private: bool = False) -> None:
        self._version += 1
        self._listeners.publish(Update(name, data, self._version, private))


def _is_secret(sent: str | None, secret: str) -> bool:
    return sent is not None and hmac.compare_digest(sent.encode(), secret.encode())


LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # without vowels, so that no code spells a word
CODE_LENGTH = 4
CLOSED = "this room was closed by the presenter"
EXPIRED = "this room has ended, because it was not used for too long"


class Rooms:
    """All open rooms of a service; only one event loop may use them.

    Attributes:
        limits: the limits of all rooms.
    """

    def __init__(self, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits or Limits()
        self._clock = clock
        self._open: dict[str, Room] = {}
        self._ended: dict[str, float] = {}  # code → time of its end, oldest first
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def open(
        self, caller: str = "", code: str | None = None, rows: Sequence[FirstRow] = (), *, hold: bool = False
    ) -> Room:
        """Open a room under the requested code or a new one, with its first rows. With `hold`, new rows wait.

        Raises:
            RoomTaken: a room is open under that code.
            RoomsFull: the maximum number of rooms is open, in all or of this caller.
            RoomFull: the rows exceed a limit of a room.
        """
        self.sweep()
        if code is not None and code in self._open:
            raise RoomTaken(f"a room is open under {code}: leave the code out for a room of your own, or join that one")
        limit, open_rooms = self.limits.rooms, len(self._open)
        if open_rooms >= limit:
            raise RoomsFull(f"{limit} rooms are open, the most of this service: try again when one is closed or over")
        owned = sum(room.caller == caller for room in self._open.values())
        if exceeds_share(owned, open_rooms, limit):
            raise RoomsFull(f"{owned} rooms of this caller are open, and few are left for others: close one of them")
        room = Room(code or self._new_code(), caller, self.limits, self._clock)
        room.fill(rows, room.secret)
        room.holds = hold
        self._open[room.code] = room
        self._ended.pop(room.code, None)
        self._wake()
        return room

    def find(self, code: str, *, use: bool = True) -> Room:
        """Return the room with this code. With `use`, restart the room's lifetime.

        Raises:
            RoomOver: the room under this code has ended.
            RoomNotFound: there was no room under this code, or it was too long ago.
        """
        self.sweep()
        room = self._open.get(code)
        if room is None:
            raise RoomOver(code) if code in self._ended else RoomNotFound(code)
        if use:
            room.use()
        return room

    def close(self, room: Room, reason: str = CLOSED) -> None:
        """End a room immediately, for this reason."""
        if self._open.get(room.code) is room:
            del self._open[room.code]
            self._ended.pop(room.code, None)
            self._ended[room.code] = self._clock()
        room.end(reason)

    def sweep(self) -> None:
        """End rooms whose lifetime is over, and forget the codes of those that ended long ago."""
        for room in [room for room in self._open.values() if room.seconds_left <= 0]:
            self.close(room, EXPIRED)
        oldest = self._clock() - self.limits.ended_seconds
        surplus = len(self._ended) - self.limits.ended
        for code in [code for i, (code, end) in enumerate(self._ended.items()) if i < surplus or end < oldest]:
            del self._ended[code]

    def _wake(self) -> None:
        """Set a timer for the end of the next room's lifetime, so that rooms end without a call."""
        if self._timer is not None or not self._open:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # listeners need an event loop, so the next call ends the rooms
            return
        soonest = min(room.seconds_left for room in self._open.values())
        self._timer = loop.call_later(soonest + 0.01, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.sweep()
        self._wake()

    def _new_code(self) -> str:
        while True:
            code = "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))
            if code not in self._open and code not in self._ended:
                return code
