"""One size: every store loaded and running, called in turns, its answers compared with NumPy's, started anew."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.contenders.documents import Documents, questions, recall, texts_of
from benchmarks.contenders.rounds import Callers, Measured
from benchmarks.contenders.server import memory, wait_until_idle
from benchmarks.contenders.softkv import Softkv
from benchmarks.contenders.store import Store, Way, seconds_to_first_answer, size_on_disk
from benchmarks.keys import near

FILTERS = (None, 1, 50)
QUERIES = 1000
QUESTIONS = 20_000  # more than the service keeps the vectors of: none is answered from its cache

Maker = Callable[[Path], Store]


@dataclass
class Holding:
    """A store and what holding the documents takes.

    Attributes:
        store: itself.
        ways: to ask it.
        loading: seconds until it had all and was idle.
        at_rest: MiB of its processes after a start, when they are idle.
        memory: the same after all rounds.
        disk: MiB of its directory.
        starts: seconds from starting it anew to its first answer.
    """

    store: Store
    ways: list[Way]
    loading: float
    at_rest: float = 0.0
    memory: float = 0.0
    disk: float = 0.0
    starts: list[float] = field(default_factory=list)

    @property
    def start(self) -> float:
        """The median."""
        return median(self.starts)


@dataclass(frozen=True)
class Outcome:
    """The results for one size.

    Attributes:
        size: the number of documents.
        measured: all cells.
        recalls: by the way's name and filter; empty without answers.
        holdings: the resources of each store.
    """

    size: int
    measured: Measured
    recalls: dict[tuple[str, int | None], float]
    holdings: list[Holding]

    @property
    def ways(self) -> list[Way]:
        """Return the ways of all stores that answered."""
        return [way for holding in self.holdings for way in holding.ways]


def compared(
    size: int,
    makers: Mapping[str, Maker],
    data: Path,
    connections: Sequence[int],
    starts: int,
    callers: Callers,
    without: Collection[str] = (),
) -> Outcome:
    """Load `size` documents into each store, start each anew, call all in turns, and start each `starts` times more.

    Args:
        size: the number of documents.
        makers: of the stores, by name.
        data: the folder for their data.
        connections: at once.
        starts: of each store, until its first answer.
        callers: the process that calls.
        without: names of ways to leave out.
    """
    documents = Documents.of(count=size)
    queries = near(documents.keys, QUERIES, 7)
    with ExitStack() as running:
        holdings = []
        for name, make in makers.items():
            directory = data / str(size) / name
            directory.mkdir(parents=True, exist_ok=True)
            store = make(directory)
            with store.server:
                store.wait_until_started()
                seconds = loaded(store, documents, directory / "loaded.json")
            # Users ask servers that were started on stored data.
            running.enter_context(store.server)
            store.wait_until_started()
            wait_until_idle(store.pid)
            ways = [way for way in store.ways(queries, FILTERS) if way.name not in without]
            holdings.append(Holding(store, ways, seconds, memory(store.pid)))
            print(f"{size:,} documents: {name} has them after {seconds:.1f} s", file=sys.stderr)
        measured = callers.measure([way for holding in holdings for way in holding.ways], connections)
        for holding in holdings:
            holding.memory = memory(holding.store.pid)
            holding.disk = size_on_disk(data / str(size) / holding.store.name)
    for _ in range(starts):
        for holding in holdings:
            holding.starts.append(seconds_to_first_answer(holding.store, holding.ways[0]))
    nearest = {below: documents.nearest(queries, below) for below in FILTERS}
    recalls = {
        (way.name, below): recalled(way, answers, nearest[below], documents)
        for holding in holdings
        for way in holding.ways
        for below in FILTERS
        if (answers := measured.answers[way.name, below])
    }
    return Outcome(size, measured, recalls, holdings)


def loaded(store: Store, documents: Documents, mark: Path) -> float:
    """Fill it, unless it was filled before → seconds that it took, until the server was idle."""
    if not mark.exists():
        started = time.perf_counter()
        store.fill(documents)
        seconds = time.perf_counter() - started + wait_until_idle(store.pid)
        mark.write_text(json.dumps({"documents": len(documents), "seconds": seconds}))
    return float(json.loads(mark.read_text())["seconds"])


def recalled(way: Way, answers: Mapping[int, bytes], nearest: Sequence[set[str]], documents: Documents) -> float:
    """The recall of the answers that came.

    Raises:
        RuntimeError: one comes without the text of the document that it names first.
    """
    ids_by_query = {place: way.ids(answer) for place, answer in answers.items()}
    for query, ids in ids_by_query.items():
        if ids and documents.texts[int(ids[0])].encode() not in answers[query]:
            raise RuntimeError(f"{way.name} answers without the documents' texts: {answers[query][:500]!r}")
    return recall(ids_by_query.values(), [nearest[place] for place in ids_by_query])


def by_text(size: int, checkouts: Mapping[str, Path | None], connections: Sequence[int], callers: Callers) -> Outcome:
    """Ask softkv with texts, no two alike; the recall is of up to 1,000 answers.

    Args:
        size: the number of documents.
        checkouts: the folder of each softkv by its name, see `Softkv`.
        connections: at once.
        callers: the process that calls.
    """
    texts, text_questions = texts_of(size), questions(QUESTIONS)
    documents, holdings, recalls = None, list[Holding](), {}
    with ExitStack() as running:
        for name, checkout in checkouts.items():
            directory = Path(running.enter_context(tempfile.TemporaryDirectory()))
            store = Softkv(directory, encoder=True, checkout=checkout, name=name)
            running.enter_context(store.server)
            store.wait_until_started()
            if documents is None:
                first, documents = store, Documents.of(store.encoded(texts), count=size)
            seconds = loaded(store, documents, directory / "loaded.json")
            holdings.append(Holding(store, [store.asked_with(text_questions)], seconds))
        assert documents is not None
        ways = [way for holding in holdings for way in holding.ways]
        measured = callers.measure(ways, connections)
        for way in ways:
            answers = dict(list(measured.answers[way.name, None].items())[:QUERIES])
            nearest = documents.nearest(first.encoded([text_questions[answer] for answer in answers]), None)
            recalls[way.name, None] = recall([way.ids(answer) for answer in answers.values()], nearest)
        for holding in holdings:
            holding.memory = memory(holding.store.pid)
    return Outcome(size, measured, recalls, holdings)
