"""Aliases that several processes write at once: names keep one meaning, and no writer waits for ever."""

from __future__ import annotations

import threading
from typing import Any

from softkv_service.storage.errors import AliasExists, AliasMissing, CollectionExists, CollectionMissing
from tests.service.storage.making import SETTINGS, collection


def test_writers_that_wait_for_each_other_end_without_a_deadlock(store: Any) -> None:
    """Create, delete, alias and move under the same names from several threads, each with its own connection."""
    errors, rounds = list[BaseException](), 40
    allowed = (CollectionExists, AliasExists, CollectionMissing, AliasMissing)

    def work(step: str) -> None:
        for _ in range(rounds):
            try:
                with store.writing() as writer:
                    if step == "create":
                        writer.create_collection("race", SETTINGS)
                    elif step == "delete":
                        writer.delete_collection("race")
                    elif step == "put":
                        writer.put_alias("race", "base")
                    elif step == "onto":
                        writer.put_alias("other", "race")
                    else:
                        writer.delete_alias("race")
            except allowed:
                continue
            except BaseException as error:
                errors.append(error)
                return

    collection(store, name="base")
    steps = ("create", "delete", "put", "onto", "drop", "create", "put")
    threads = [threading.Thread(target=work, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with store.reading() as reader:
            assert not {record.name for record in reader.collections()} & {record.alias for record in reader.aliases()}
    for thread in threads:
        thread.join()
    assert errors == []
    assert list(store.check()) == []
