"""Error texts for a model: each says what to do about it, and never shows internals."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from softkv.mcp.library import Library
from softkv.mcp.tools import TOOLS
from tests.running import RunningService
from tests.speaking import Speaker, Way

ASKED = {"question": "pets that purr"}
NOBODY = "http://127.0.0.1:9"


def test_wrong_arguments_are_all_named_with_their_places(http: Way) -> None:
    message = http.refused(
        "ask", question="", top_k="5", where=[{"field": "id", "operator": "like", "valve": 1}], colection="library"
    )
    assert message.splitlines() == [
        "the arguments do not fit, call again with:",
        "/collection: is missing",
        "/colection: there is no such argument; there are collection, question, top_k, where, group_by, rerank",
        "/question: expected a text that is not empty",
        '/top_k: expected a whole number, got "5"',
        "/where/0/value: is missing",
        "/where/0/valve: there is no such argument; there are field, operator, value",
        '/where/0/operator: expected one of ==, !=, >, >=, <, <=, in, not in, contains, got "like"',
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"top_k": 51}, "/top_k: expected a number up to 50, got 51"),
        ({"top_k": 0}, "/top_k: expected a number from 1, got 0"),
        ({"where": {"field": "id"}}, '/where: expected a list, got {"field": "id"}'),
    ],
)
def test_a_number_or_a_kind_that_cannot_be(http: Way, library: str, arguments: dict[str, Any], expected: str) -> None:
    assert expected in http.refused("ask", collection=library, question="cats", **arguments)


def test_null_for_an_optional_argument_is_ignored(http: Way, library: str) -> None:
    assert len(http.call("ask", collection=library, question="cats", top_k=None, where=None)["matches"]) == 5
    assert "/question: expected a text, got null" in http.refused("ask", collection=library, question=None)


def test_a_whole_number_may_be_written_as_any(http: Way, library: str) -> None:
    assert len(http.call("ask", collection=library, question="cats", top_k=2.0)["matches"]) == 2


def test_too_many_and_too_long(http: Way, library: str) -> None:
    assert "/ids: expected at least 1 of them, got 0" in http.refused("get", collection=library, ids=[])
    assert "/ids: expected at most 20 of them, got 21" in http.refused("get", collection=library, ids=["a"] * 21)
    assert "/text: expected at most 2000 characters, got 2001" in http.refused("trace", text="a" * 2001)


def test_a_refusal_of_the_service_is_worded_for_the_tool(http: Way, library: str) -> None:
    fields = [{"field": "id", "operator": "!=", "value": "x"}, {"field": "year", "operator": "<", "value": 1900}]
    message = http.refused("ask", collection=library, question="cats", where=fields)
    assert (
        message == "/where/1/field: there is no field 'year': write metadata.year, or id, key, or metadata. and a name"
    )
    message = http.refused("find", collection=library, cursor="nowhere")
    assert "/cursor" in message


def test_tools_refuse_texts_for_a_collection_without_an_encoder(service: RunningService, http: Way) -> None:
    async def talking(speaker: Speaker) -> None:
        listed = (await speaker.call("list_collections"))["collections"]
        assert [item["takes_texts"] for item in listed if item["name"] == name] == [False]
        for tool, arguments in (("ask", ASKED), ("compare", ASKED), ("remember", {"text": "cats", "id": "new"})):
            refusal = await speaker.refused(tool, collection=name, **arguments)
            assert refusal.startswith(
                f"/collection: '{name}' takes no texts, only vectors: use a collection whose takes_"
            )
        assert (await speaker.call("find", collection=name))["count"] == 1

    name = "mcp-vectors"
    with service.client() as client:
        client.put(f"/v1/collections/{name}", json={"encoder": None, "dimension": 2})
        client.put(f"/v1/collections/{name}/documents/old", json={"key_vector": [1, 2]})
        http.speak(talking)
        client.delete(f"/v1/collections/{name}")


def test_a_question_without_known_tokens_is_refused_with_its_text(http: Way, library: str) -> None:
    message = http.refused("ask", collection=library, question="猫")
    assert message == (
        "/question: Expected a question with something to read, got '猫', of which all-MiniLM-L6-v2 knows no token "
        "(1 unknown). Ask in words that the model knows."
    )


@pytest.mark.parametrize("name", ["atlantis", "a library?"])
def test_a_missing_collection_is_answered_with_the_existing_names(http: Way, library: str, name: str) -> None:
    message = http.refused("ask", collection=name, question="cats")
    assert message.startswith(f"there is no collection {name!r}: use one of these names: ")
    assert library in message


def test_a_service_that_is_down() -> None:
    async def talking(speaker: Speaker) -> None:
        message = await speaker.refused("ask", collection="library", question="cats")
        assert message.startswith(f"no service answers at {NOBODY}: tell the user to start one with `softkv serve`")

    Way(NOBODY, options=()).speak(talking)


def test_a_full_queue(service: RunningService, http: Way, library: str) -> None:
    with service.full():
        message = http.refused("ask", collection=library, question="cats")
    assert "are in progress" in message
    assert "wait a few seconds and call again" in message
    assert http.call("ask", collection=library, question="cats")["matches"]


def test_an_unforeseen_error_is_logged_and_not_shown(
    http: Way, library: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: Library, **__: Any) -> dict[str, Any]:
        raise RuntimeError("the secret is 1234")

    monkeypatch.setitem(TOOLS["trace"].__dict__, "run", broken)
    with caplog.at_level(logging.ERROR):
        message = http.refused("trace", text="cats")
    assert message == "this server failed on the call, and its log has the cause: try something else, or tell the user"
    assert "the secret is 1234" in caplog.text
