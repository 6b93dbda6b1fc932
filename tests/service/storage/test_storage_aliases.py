"""Aliases in every store: they move as one write, end with their collection, and share the names of collections."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_service.storage import SQLiteStore, Store, copy_aliases
from softkv_service.storage.errors import AliasDamaged, AliasExists, AliasMissing, CollectionExists, CollectionMissing
from tests.service.storage.making import SETTINGS, collection
from tests.thorough import examples


def aliases(store: Store) -> dict[str, str]:
    with store.reading() as reader:
        return dict(reader.aliases())


def put(store: Store, alias: str, name: str) -> str | None:
    with store.writing() as writer:
        return writer.put_alias(alias, name)


def test_an_alias_that_was_changed_on_disk_is_reported_and_not_used(tmp_path: Path) -> None:
    with SQLiteStore.open(tmp_path) as store:
        collection(store, name="one")
        collection(store, name="two")
        put(store, "current", "one")
    with closing(sqlite3.connect(tmp_path / "softkv.sqlite3")) as connection:
        connection.execute("UPDATE aliases SET collection = 2")
        connection.commit()
    with SQLiteStore.open(tmp_path) as store:
        with pytest.raises(AliasDamaged, match="'current' is damaged"), store.reading() as reader:
            reader.aliases()
        (line,) = store.check()
        assert "alias 'current' is damaged" in line


def test_aliases_are_copied_with_their_collections(store: Store, tmp_path: Path) -> None:
    with SQLiteStore.open(tmp_path / "source") as source:
        for name in ("one", "two"):
            collection(source, name=name)
            collection(store, name=name)
        for alias, name in (("current", "two"), ("first", "one")):
            put(source, alias, name)
        put(store, "current", "one")
        put(store, "own", "one")
        with source.reading() as reader:
            assert copy_aliases(reader, store, ["two"]) == [("current", "two")]
            assert aliases(store) == {"current": "two", "own": "one"}
            copy_aliases(reader, store, ["one", "two"])
        assert aliases(store) == {"current": "two", "first": "one", "own": "one"}
        collection(store, name="taken")
        put(source, "taken", "one")
        put(source, "before", "one")
        with source.reading() as reader, pytest.raises(CollectionExists):
            copy_aliases(reader, store, ["one"])
        assert "before" not in aliases(store)


def test_the_aliases_of_a_deleted_collection_are_deleted_with_it(store: SQLiteStore) -> None:
    collection(store, name="one")
    collection(store, name="two")
    for alias, name in (("a", "one"), ("b", "one"), ("c", "two")):
        put(store, alias, name)
    with store.writing() as writer:
        writer.delete_collection("one")
        writer.create_collection("a", SETTINGS)
    assert aliases(store) == {"c": "two"}
    collection(store, name="one")
    assert aliases(store) == {"c": "two"}
    assert list(store.check()) == []


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True)


@settings(max_examples=examples(25), deadline=None)
@given(
    names=st.lists(NAMES, min_size=3, max_size=3, unique=True),
    steps=st.lists(st.tuples(st.sampled_from(["create", "delete", "put", "drop"]), *[st.integers(0, 2)] * 2)),
)
def test_no_sequence_of_writes_gives_a_name_two_meanings(shared: Store, names: list[str], steps: list[Any]) -> None:
    collections, expected = set[str](), dict[str, str]()
    with shared.writing() as writer:
        for record in writer.collections():
            writer.delete_collection(record.name)
    for step, first, second in steps:
        name, other = names[first], names[second]
        try:
            with shared.writing() as writer:
                if step == "create":
                    writer.create_collection(name, SETTINGS)
                elif step == "delete":
                    writer.delete_collection(name)
                elif step == "put":
                    assert writer.put_alias(name, other) == expected.get(name)
                else:
                    assert writer.delete_alias(name) == expected.get(name)
            refused = False
        except (CollectionExists, AliasExists, CollectionMissing, AliasMissing):
            refused = True
        assert refused == {
            "create": name in collections or name in expected,
            "delete": name not in collections,
            "put": name in collections or other not in collections,
            "drop": name not in expected,
        }.get(step)
        if refused:
            continue
        if step == "create":
            collections.add(name)
        elif step == "delete":
            collections.remove(name)
            expected = {alias: behind for alias, behind in expected.items() if behind != name}
        elif step == "put":
            expected[name] = other
        else:
            del expected[name]
        with shared.reading() as reader:
            assert {record.name for record in reader.collections()} == collections
            assert reader.aliases() == sorted(expected.items())
