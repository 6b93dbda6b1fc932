"""Questions that arrive while a scan runs form the next batch; each is answered as if it were alone."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from softkv_attention.kernels import kernels
from softkv_attention.lookup import Answer, Question, View
from softkv_service.retrieval import CollectionNotFound, InvalidContent
from softkv_service.retrieval.collections import lookup_queue as lookups
from softkv_service.retrieval.collections import snapshot as snapshots
from softkv_service.retrieval.queries import attend_collection, compare_collection, sweep_collection
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage.errors import DocumentDamaged
from softkv_service.storage.records import DocumentRecord
from tests.captured_logs import capture_logs
from tests.service.retrieval.making import opened, texts, wait_until_gone
from tests.waiting import until

PATIENCE = 60
RNG = np.random.default_rng(3)
KEYS = RNG.normal(size=(50, 4)).astype(np.float32)


@pytest.fixture
def catalogue(tmp_path):
    made = opened(tmp_path, [DocumentRecord(f"{i:02}", None, i, key[None]) for i, key in enumerate(KEYS)])
    made.collection("c").lookups.light_components = 0  # all lookups wait for a batch
    yield made
    made.store.close()


@pytest.fixture
def held_scan(monkeypatch):
    """Hold the first scan until a signal; count the questions of each scan."""
    gate, sizes, real = threading.Event(), [], lookups.answers

    def watched(view, questions):
        sizes.append(len(questions))
        gate.wait(PATIENCE)
        return real(view, questions)

    monkeypatch.setattr(lookups, "answers", watched)
    return gate, sizes


def ask(catalogue, query, **options):
    return attend_collection(
        catalogue.collection("c"), [query], CollectionQuestion(temperature=1.0, **options), ["/query"]
    )


@dataclass
class Asking:
    """A plan of some questions, and what it does with their answers."""

    questions: list[Question]
    finish: Callable[[list[Answer]], Any]


def ask_for(catalogue, finish, size=1):
    return catalogue.collection("c").lookups.ask(lambda snapshot: Asking([Question(KEYS[0], 1.0)], finish), size=size)


async def scanning(held_scan, asking):
    """Start a question, and return its task once its scan waits."""
    first = asyncio.create_task(asking)
    while not held_scan[1]:
        await asyncio.sleep(0.001)
    return first


async def waiting(collection, count):
    while len(collection.lookups._waiting) < count:
        await asyncio.sleep(0.001)


async def test_waiting_questions_are_answered_in_one_batch_as_if_alone(catalogue, held_scan):
    gate, sizes = held_scan
    queries = RNG.normal(size=(20, 4)).astype(np.float32)
    first = await scanning(held_scan, ask(catalogue, queries[0]))
    rest = [asyncio.create_task(ask(catalogue, query)) for query in queries[1:]]
    await waiting(catalogue.collection("c"), 19)
    gate.set()
    all_results = await asyncio.gather(first, *rest)
    assert sizes == [1, 19]
    for query, (result,) in zip(queries, all_results, strict=True):
        logits = KEYS.astype(np.float64) @ query.astype(np.float64)
        weights = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        best = np.argsort(-logits)[:10]
        assert [json.loads(match.document.value) for match in result.matches] == best.tolist()
        np.testing.assert_allclose([match.weight for match in result.matches], weights[best], rtol=1e-9)


async def test_a_batch_ends_before_a_lookup_that_it_has_no_room_for(catalogue, held_scan):
    gate, sizes = held_scan
    collection = catalogue.collection("c")
    first = await scanning(held_scan, ask(catalogue, KEYS[0]))
    full = [asyncio.create_task(ask_for(catalogue, len, lookups.MAX_BATCH_QUESTIONS)) for _ in range(2)]
    await waiting(collection, 2)
    gate.set()
    await asyncio.gather(first, *full)
    assert sizes == [1, 1, 1]


async def test_a_cancelled_question_leaves_the_batch(catalogue, held_scan):
    gate, sizes = held_scan
    first = await scanning(held_scan, ask(catalogue, KEYS[0]))
    leaver, stayer = (asyncio.create_task(ask(catalogue, key)) for key in KEYS[1:3])
    await waiting(catalogue.collection("c"), 2)
    leaver.cancel()
    await asyncio.wait([leaver])
    gate.set()
    await asyncio.gather(first, stayer)
    assert sizes == [1, 1]


async def test_a_question_sees_every_write_that_was_acknowledged_before_it(catalogue, held_scan):
    gate, _ = held_scan
    first = await scanning(held_scan, ask(catalogue, KEYS[0]))
    new = DocumentRecord("new", None, "new", 100 * KEYS[:1])
    await asyncio.to_thread(catalogue.collection("c").write, [new])
    second = asyncio.create_task(ask(catalogue, KEYS[0]))
    await waiting(catalogue.collection("c"), 1)
    gate.set()
    before, after = await asyncio.gather(first, second)
    assert before[0].answer.documents == 50
    assert (after[0].answer.documents, after[0].matches[0].document.id) == (51, "new")


def test_a_sweep_a_comparison_and_a_question_that_wait_share_a_version_its_masks_and_a_scan(
    tmp_path, encoder, held_scan, monkeypatch
):
    gate, sizes = held_scan
    seen, real = [], lookups.Snapshot._mask

    def watched(snapshot, condition):
        seen.append((snapshot, real(snapshot, condition)))
        return seen[-1][1]

    monkeypatch.setattr(lookups.Snapshot, "_mask", watched)
    options = CollectionQuestion(filter={"field": "id", "operator": "!=", "value": "000"}, include=["value", "output"])

    async def run():
        async with texts(tmp_path, encoder, "a cat", "a dog", "a boat") as collection:
            first = await scanning(held_scan, attend_collection(collection, ["cat"], CollectionQuestion(), ["/query"]))
            rest = [
                asyncio.create_task(attend_collection(collection, ["cat"], options, ["/query"])),
                asyncio.create_task(sweep_collection(collection, "cat", [0.0, 0.05], options)),
                asyncio.create_task(compare_collection(collection, "cat", options)),
            ]
            await waiting(collection, 3)
            gate.set()
            return await asyncio.gather(first, *rest)

    _, (attended,), swept, compared = asyncio.run(run())
    assert sizes == [1, 2]
    assert len(seen) == 4  # of each question, and for the keys that pass
    assert len({id(snapshot) for snapshot, _ in seen}) == len({id(mask) for _, mask in seen}) == 1
    ids = [match.id for match in attended.matches]
    assert len(ids) == 2
    assert [match.document.id for match in swept.matches] == [match.id for match in compared.attention.matches] == ids
    temperature = swept.temperatures[1]
    np.testing.assert_allclose([match.weight for match in attended.matches], temperature.weights, rtol=1e-9)
    np.testing.assert_array_equal(compared.attention.output, attended.output)


DAMAGED = DocumentDamaged(7, None, vectors=False)


def raising(error):
    def fail(*_):
        raise error

    return fail


def wide(snapshot):
    return Asking([Question(np.ones(5), 1.0)], lambda answers: answers)


@pytest.mark.parametrize(
    ("fail", "error"),
    [
        # As the options are read, the question is made, its answers are finished, or by the scan of all.
        (lambda c: attend_collection(c, [KEYS[0][:2]], CollectionQuestion(), ["/query"]), InvalidContent),
        (lambda c: attend_collection(c, [KEYS[0]], CollectionQuestion(top_p=2.0), ["/query"]), InvalidContent),
        (lambda c: sweep_collection(c, KEYS[0], [1.0], CollectionQuestion(top_p=0.5)), InvalidContent),
        (lambda c: c.lookups.ask(wide, size=1), InvalidContent),
        (lambda c: c.lookups.ask(lambda _: Asking([], raising(ZeroDivisionError())), size=1), ZeroDivisionError),
        (lambda c: c.lookups.read(raising(MemoryError()), size=1), MemoryError),
        (lambda c: c.lookups.read(raising(DAMAGED), size=1), DocumentDamaged),
    ],
    ids=["width", "made", "finished", "scanned", "unexpected", "memory", "damage"],
)
async def test_a_failing_question_fails_alone_and_damage_is_noted(catalogue, held_scan, fail, error):
    gate, _ = held_scan
    collection = catalogue.collection("c")
    first = await scanning(held_scan, ask(catalogue, KEYS[0]))
    rest = [asyncio.create_task(question) for question in (fail(collection), ask(catalogue, KEYS[1], top_k=3))]
    await waiting(collection, 1)
    gate.set()
    _, failed, (good,) = await asyncio.gather(first, *rest, return_exceptions=True)
    assert type(failed) is error
    assert len(good.matches) == 3
    assert len(collection.damage.report()) == (error is DocumentDamaged)


async def test_questions_that_wait_for_a_deleted_collection_fail_with_its_deletion(catalogue, held_scan):
    gate, _ = held_scan
    collection = catalogue.collection("c")
    tasks = [await scanning(held_scan, ask(catalogue, KEYS[0]))]
    tasks.append(asyncio.create_task(ask(catalogue, KEYS[0])))
    tasks.append(asyncio.create_task(sweep_collection(collection, KEYS[0], [1.0], CollectionQuestion())))
    await waiting(collection, 2)
    await asyncio.to_thread(catalogue.delete, "c")
    gate.set()
    first, *rest = await asyncio.gather(*tasks, return_exceptions=True)
    assert first[0].answer.documents == 50
    assert [type(error) for error in rest] == [CollectionNotFound] * 2


def test_a_deleted_collection_is_freed_after_questions(catalogue):
    async def run():
        collection, _ = await catalogue.create("passing", {})
        await attend_collection(collection, [KEYS[0]], CollectionQuestion(), ["/query"])
        return weakref.ref(collection)

    references = asyncio.run(run())
    catalogue.delete("passing")
    wait_until_gone(references)


async def test_a_batch_is_scanned_while_the_documents_of_the_one_before_are_read(catalogue, held_scan):
    gate, sizes = held_scan
    scanned = threading.Event()
    first = await scanning(held_scan, ask_for(catalogue, lambda answers: scanned.wait(PATIENCE)))
    second = asyncio.create_task(ask_for(catalogue, lambda answers: scanned.set()))
    await waiting(catalogue.collection("c"), 1)
    gate.set()
    assert await asyncio.gather(first, second) == [True, None], "the second was scanned while the first was read"
    assert sizes == [1, 1]


VALUES = {
    "operator": "OR",
    "conditions": [{"field": "metadata.n", "operator": "==", "value": i} for i in range(0, 5000, 2)],
}


@pytest.fixture
def held_evaluation(monkeypatch):
    """Hold the evaluation of every filter that has many comparisons until a signal; count the evaluated conditions."""
    begun, gate, counts, real = threading.Event(), threading.Event(), [], snapshots._evaluate

    def watched(condition, *arguments):
        counts.append(condition.comparisons)
        if condition.comparisons > 1000:
            begun.set()
            gate.wait(PATIENCE)
        return real(condition, *arguments)

    monkeypatch.setattr(snapshots, "_evaluate", watched)
    yield begun, gate, counts
    gate.set()


async def test_a_costly_filter_holds_up_no_other_question(catalogue, held_evaluation):
    begun, gate, _ = held_evaluation
    written = [DocumentRecord(str(n), None, n, KEYS[n][None], metadata={"n": n}) for n in range(4)]
    catalogue.collection("c").write(written)
    costly = asyncio.create_task(ask(catalogue, KEYS[0], filter=VALUES))
    assert await asyncio.to_thread(begun.wait, PATIENCE)
    (other,) = await ask(catalogue, KEYS[0])
    assert not costly.done()
    gate.set()
    (result,) = await costly
    assert (other.answer.documents, result.answer.documents) == (54, 2)


async def test_the_evaluation_of_a_filter_ends_when_its_caller_goes(catalogue, held_evaluation):
    begun, gate, counts = held_evaluation
    costly = asyncio.create_task(ask(catalogue, KEYS[0], filter=VALUES))
    assert await asyncio.to_thread(begun.wait, PATIENCE)
    costly.cancel()
    with pytest.raises(asyncio.CancelledError):
        await costly
    gate.set()
    while catalogue.collection("c").lookups._long:
        await asyncio.sleep(0)
    assert counts == [len(VALUES["conditions"])]


def test_an_error_of_a_costly_filter_is_its_callers_own(catalogue, held_evaluation, monkeypatch):
    held_evaluation[1].set()

    def fail(*_, **__):
        raise DocumentDamaged(1, "01", vectors=False)

    monkeypatch.setattr(snapshots.Columns, "of", fail)
    with pytest.raises(DocumentDamaged):
        asyncio.run(ask(catalogue, KEYS[0], filter=VALUES))


@pytest.fixture
def light(catalogue, monkeypatch):
    """Let light lookups be answered at once; record the thread of each scan."""
    threads, real = [], lookups.answers

    def watched(view, questions):
        threads.append(threading.current_thread())
        return real(view, questions)

    monkeypatch.setattr(lookups, "answers", watched)
    collection = catalogue.collection("c")
    until(lambda: not collection.compaction.running)  # while it takes a state of the store, threads answer
    collection.lookups.light_components = lookups.LIGHT_COMPONENTS
    return threads


async def test_a_light_lookup_is_answered_by_the_event_loop_with_the_same_result(catalogue, light):
    first, second = [(await ask(catalogue, KEYS[0]))[0] for _ in range(2)]
    loop = threading.main_thread()
    # If documents are not in memory, a thread reads them. It scans again only if the keys were compacted meanwhile.
    assert light[0] is light[-1] is loop
    assert [match.id for match in first.matches] == [match.id for match in second.matches]
    assert [match.document for match in first.matches] == [match.document for match in second.matches]
    assert first.verdict == second.verdict
    assert first.reason == second.reason


def test_an_unexpected_error_of_a_light_lookup_is_logged_and_a_thread_answers(catalogue, light, monkeypatch):
    watched = lookups.answers

    def fails_in_the_loop(view, questions):
        result = watched(view, questions)
        if light[-1] is threading.main_thread():
            raise RuntimeError("unexpected")
        return result

    monkeypatch.setattr(lookups, "answers", fails_in_the_loop)
    with capture_logs() as logs:
        [result] = asyncio.run(ask(catalogue, KEYS[0]))
    assert result.matches
    assert [line["event"] for line in logs] == ["a light lookup failed unexpectedly, a thread tries again"]
    assert light[-1] is not threading.main_thread()


async def test_a_light_lookup_sees_every_write_that_was_acknowledged_before_it(catalogue, light):
    collection = catalogue.collection("c")

    async def best():
        (result,) = await ask(catalogue, KEYS[0], top_k=1)
        return json.loads(result.matches[0].document.value)

    values = []
    for value in range(3):
        await asyncio.to_thread(collection.write, [DocumentRecord("new", None, value, 9 * KEYS[:1])])
        values += [await best(), await best()]
    collection.delete(ids=["new"])
    after = await best()
    assert values == [0, 0, 1, 1, 2, 2]
    assert after != 2
    cached = collection.store.cached_texts._by_row.values()
    assert "new" not in {document.id for document in cached}, "documents that were replaced or deleted leave memory"


async def test_a_lookup_that_does_more_than_a_plain_one_waits_for_a_batch(catalogue, light):
    queue = catalogue.collection("c").lookups

    def plan(_):
        return Asking([Question(KEYS[0], 1.0)], len)

    await queue.ask(plan, size=1)
    await queue.ask(plan, size=1, read=lookups.LIGHT_DOCUMENTS + 1, lookup_only=True)
    await queue.ask(plan, size=lookups.LIGHT_QUESTIONS + 1, lookup_only=True)
    await ask(catalogue, KEYS[0], top_p=0.9)
    queue.light_components = KEYS.size - 1
    await ask(catalogue, KEYS[0])
    queue.light_components = KEYS.size
    assert threading.main_thread() not in light
    await queue.ask(plan, size=1, read=lookups.LIGHT_DOCUMENTS, lookup_only=True)
    assert light[-1] is threading.main_thread()


async def test_light_lookups_that_come_one_by_one_wait_for_no_other_task(catalogue, light):
    await ask(catalogue, KEYS[0], top_k=len(KEYS))  # reads all documents
    for key in (KEYS[1], KEYS[2]):
        await asyncio.sleep(0)  # the turn of the answer before ends
        asking = ask(catalogue, key)
        with pytest.raises(StopIteration) as ended:
            asking.send(None)
        assert ended.value.value[0].matches[0].similarity == pytest.approx((KEYS @ key).max())


async def test_light_lookups_that_come_together_share_a_scan(catalogue, light, monkeypatch):
    sizes, real = [], lookups.answers
    monkeypatch.setattr(lookups, "answers", lambda view, some: sizes.append(len(some)) or real(view, some))
    await ask(catalogue, KEYS[0], top_k=len(KEYS))  # reads all documents
    sizes.clear()
    await asyncio.gather(*(ask(catalogue, key) for key in KEYS[:12]))
    together = await asyncio.gather(*(ask(catalogue, key) for key in KEYS[:12]))
    assert sizes == [1, 11, 12]  # the first of the first came alone
    assert [result.matches[0].id for (result,) in together] == [f"{int(np.argmax(KEYS @ key)):02}" for key in KEYS[:12]]


MANY = np.random.default_rng(4).normal(size=(6_000, 256)).astype(np.float32)


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A collection of too many keys for a light batch; record the thread of each scan, and how it began."""
    made = opened(tmp_path, [DocumentRecord(f"{i:04}", None, i, key[None]) for i, key in enumerate(MANY)])
    scans = []
    for name in ("answers", "answer_in_one_scan"):
        real = getattr(lookups, name)

        def watched(*arguments, name=name, real=real):
            scans.append((name, threading.current_thread() is threading.main_thread()))
            return real(*arguments)

        monkeypatch.setattr(lookups, name, watched)
    collection = made.collection("c")
    until(lambda: not collection.compaction.running)
    collection.lookups.light_components = MANY.size // 2
    yield made, scans
    made.store.close()


@pytest.mark.skipif(kernels().one_scan is None, reason="no library of kernels was built")
async def test_the_event_loop_scans_many_keys_for_a_question_that_comes_alone(large):
    catalogue, scans = large
    result = (await ask(catalogue, MANY[7]))[0]
    assert scans == [("answer_in_one_scan", True)]
    scans.clear()
    await asyncio.gather(*(ask(catalogue, key) for key in MANY[:2]))  # they came during the scan, together
    assert scans == [("answers", False)]
    await ask(catalogue, MANY[8])  # reads its documents
    for _ in range(3):
        await asyncio.sleep(0)
    scans.clear()
    await ask(catalogue, MANY[8])
    await ask(catalogue, MANY[8])  # it came during the scan, and alone
    assert scans == [("answer_in_one_scan", True)] * 2
    scans.clear()
    for _ in range(3):
        await asyncio.sleep(0)
    await asyncio.gather(*(ask(catalogue, key) for key in MANY[:3]))
    assert scans == [("answer_in_one_scan", True), ("answers", False)]  # the others share a scan in a thread
    catalogue.collection("c").lookups.light_components = 0
    scans.clear()
    again = (await ask(catalogue, MANY[7]))[0]
    assert scans == [("answers", False)]
    assert [match.id for match in again.matches] == [match.id for match in result.matches]
    assert result.matches[0].id == "0007"


@pytest.mark.skipif(kernels().one_scan is None or sys.platform != "linux", reason="no kernels, or no mincore")
async def test_the_event_loop_scans_keys_in_files_that_memory_holds(large, monkeypatch, tmp_path):
    catalogue, scans = large
    view = catalogue.collection("c").in_memory.view
    for number, segment in enumerate(view.segments):
        path = tmp_path / f"{number}.keys"
        path.write_bytes(segment.block.keys.tobytes())
        keys = np.memmap(path, dtype=np.float32, mode="r", shape=segment.block.keys.shape)
        monkeypatch.setitem(segment.block.__dict__, "keys", keys)
    monkeypatch.setitem(view.__dict__, "in_memory", False)
    result = (await ask(catalogue, MANY[7]))[0]
    assert scans == [("answer_in_one_scan", True)]
    for _ in range(3):
        await asyncio.sleep(0)
    scans.clear()
    monkeypatch.setattr(View, "scan_in_memory", lambda _: False)
    again = (await ask(catalogue, MANY[7]))[0]
    assert scans == [("answers", False)]
    assert [match.id for match in again.matches] == [match.id for match in result.matches]


@pytest.mark.parametrize("options", [{"top_p": 0.9}, {"filter": VALUES}, {"normaliser": "sparsemax"}])
async def test_the_event_loop_leaves_other_questions_about_many_keys_to_threads(large, options):
    catalogue, scans = large
    await ask(catalogue, MANY[7], **options)
    assert ("answers", True) not in scans
    assert scans[-1] == ("answers", False)


async def test_the_event_loop_scans_no_more_keys_than_its_limit(large):
    catalogue, scans = large
    catalogue.collection("c").lookups.light_components = MANY.size // lookups.SCANNED - 1
    await ask(catalogue, MANY[7])
    assert scans == [("answers", False)]
