"""A write under a name is done once: its answer is stored with what it did, and given again for a day."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from softkv_service.storage import LIFETIME_SECONDS, IdempotentWrite, SQLiteStore, Store
from softkv_service.storage.errors import KeyReused, StorageFailed, WriteAnswered
from softkv_service.storage.records import WriteAnswer, WriteRequest
from tests.service.storage.making import collection, document

ASKED = WriteRequest("somebody", "a name", b"what is asked", at=1_000_000)
ANSWER = WriteAnswer(201, b'{"upserted":1}')


def once(request: WriteRequest = ASKED) -> IdempotentWrite[int]:
    return IdempotentWrite(request, lambda did: WriteAnswer(200 + did, ANSWER.body))


def write(store: Store, number: int, identity: str, request: WriteRequest = ASKED) -> None:
    with store.writing(once(request)) as writer:
        change = writer.upsert(number, [document(identity)])
        writer.keep_answer(once(request), len(change.added))


def ids(store: Store, number: int) -> list[str]:
    with store.reading() as reader:
        return [document.id for document in reader.page(number, limit=100)]


def kept(store: Store) -> list[tuple[str, str]]:
    with store.reading() as reader:
        statement = f"SELECT caller, idempotency_key FROM {table(store)} ORDER BY 1, 2"
        return list(reader._connection.execute(statement))


def table(store: Store) -> str:
    """Return the name of the table of answers to writes."""
    return "answered_writes" if isinstance(store, SQLiteStore) else "softkv.answered_writes"


def test_a_write_that_was_answered_is_not_done_again(store: Store) -> None:
    number = collection(store)
    store.refuse_answered(ASKED)
    write(store, number, "a")
    for again in (lambda: store.refuse_answered(ASKED), lambda: write(store, number, "b")):
        with pytest.raises(WriteAnswered) as answered:
            again()
        assert answered.value.answer == ANSWER
    assert ids(store, number) == ["a"]


def test_another_request_under_the_same_key_is_refused(store: Store) -> None:
    number = collection(store)
    write(store, number, "a")
    other = replace(ASKED, digest=b"something else")
    for again in (lambda: store.refuse_answered(other), lambda: write(store, number, "b", other)):
        with pytest.raises(KeyReused, match="'a name' came before, with another request: send a new key"):
            again()
    assert ids(store, number) == ["a"]


def test_each_caller_has_names_of_its_own(store: Store) -> None:
    number = collection(store)
    write(store, number, "a")
    write(store, number, "b", replace(ASKED, caller="somebody else", digest=b"something else"))
    assert ids(store, number) == ["a", "b"]


def test_a_write_that_fails_keeps_no_answer(store: Store) -> None:
    number = collection(store)

    def refuse(_: int) -> WriteAnswer:
        raise LookupError("in the answer")

    def write_and_refuse(write_request: IdempotentWrite[int]) -> None:
        with store.writing(write_request) as writer:
            writer.upsert(number, [document("a")])
            writer.keep_answer(write_request, 1)
            raise KeyError

    with pytest.raises(LookupError, match="in the answer"):
        write_and_refuse(IdempotentWrite(ASKED, refuse))
    with pytest.raises(KeyError):
        write_and_refuse(once())
    assert (ids(store, number), kept(store)) == ([], [])
    store.refuse_answered(ASKED)
    write(store, number, "a")


def test_an_answer_is_given_for_a_day_and_then_dropped(store: Store) -> None:
    number = collection(store)
    write(store, number, "a")
    last = replace(ASKED, at=ASKED.at + LIFETIME_SECONDS - 1)
    with pytest.raises(WriteAnswered):
        store.refuse_answered(last)
    write(store, number, "b", replace(last, key="another"))
    assert kept(store) == [("somebody", "a name"), ("somebody", "another")]
    late = replace(ASKED, at=ASKED.at + LIFETIME_SECONDS)
    store.refuse_answered(late)
    store.refuse_answered(replace(late, digest=b"something else"))
    write(store, number, "c", replace(late, key="a third"))
    assert kept(store) == [("somebody", "a third"), ("somebody", "another")]
    write(store, number, "d", late)
    with pytest.raises(WriteAnswered):
        store.refuse_answered(late)
    assert ids(store, number) == ["a", "b", "c", "d"]


def test_one_of_two_waiting_writers_with_one_key_writes(store: Store) -> None:
    """Both have found no answer before; the second look is under the writer's lock."""
    number = collection(store)
    outcomes: list[type[Exception] | None] = []
    looked = threading.Barrier(3, timeout=60)

    def race(identity: str) -> None:
        store.refuse_answered(ASKED)
        looked.wait()
        try:
            write(store, number, identity)
        except WriteAnswered as answered:
            outcomes.append(type(answered))
        else:
            outcomes.append(None)

    with store.writing(collection=number):
        threads = [threading.Thread(target=race, args=(name,)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        looked.wait()
        for thread in threads:
            thread.join(0.2)
        assert outcomes == []
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=str) == [WriteAnswered, None]
    assert len(ids(store, number)) == 1


@pytest.mark.parametrize("change", ["status = 200", "answer = request", "request = answer"])
def test_an_answer_that_the_disk_has_changed_is_not_given(store: Store, change: str) -> None:
    number = collection(store)
    write(store, number, "a")
    with store.writing() as writer:
        writer._connection.execute(f"UPDATE {table(store)} SET {change}")
    with pytest.raises(StorageFailed, match="'a name' is not what was written"):
        write(store, number, "b")
    assert ids(store, number) == ["a"]
