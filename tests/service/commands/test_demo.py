"""`softkv demo`: what is missing is loaded, what is there is left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from softkv_service.datasets import DEMOS
from tests.service.commands.conftest import Softkv

VIDEOS = len(list(DEMOS["videos"].documents()))


@pytest.fixture(autouse=True)
def without_videos(client: httpx.Client) -> Iterator[None]:
    client.delete("/v1/collections/videos")
    yield
    client.delete("/v1/collections/videos")


def test_loading_twice_is_loading_once(softkv: Softkv, client: httpx.Client) -> None:
    assert softkv("demo", "videos").stdout == f"videos: {VIDEOS} documents, {VIDEOS} loaded now\n"
    assert client.get("/v1/collections/videos").json()["documents"] == VIDEOS
    assert softkv("demo", "videos").stdout == f"videos: {VIDEOS} documents, complete already\n"


def test_missing_documents_are_loaded_once_however_often_their_name_is_given(
    softkv: Softkv, client: httpx.Client
) -> None:
    softkv("demo", "videos")
    first = next(iter(DEMOS["videos"].documents()))["id"]
    path = "/v1/collections/videos/documents"
    assert client.post(f"{path}/delete", json={"ids": [first]}).json() == {"deleted": 1}
    report = json.loads(softkv("demo", "videos", "videos", "--json").stdout)
    assert report == [{"name": "videos", "documents": VIDEOS, "loaded": 1}]
    assert client.get(f"{path}/{first}").status_code == 200


def test_another_collection_of_that_name_is_not_touched(softkv: Softkv, client: httpx.Client) -> None:
    client.delete("/v1/collections/unicode")
    client.put("/v1/collections/unicode", json={"value_from": "value"})
    refused = softkv("demo", "unicode")
    assert refused.exit_code == 1
    assert "unicode" in refused.stderr
    assert client.get("/v1/collections/unicode").json()["documents"] == 0
    client.delete("/v1/collections/unicode")


def test_an_unknown_name_is_refused_before_anything_is_loaded(softkv: Softkv, client: httpx.Client) -> None:
    refused = softkv("demo", "videos", "librarry")
    assert refused.exit_code == 2
    assert "choose from library, videos, python, unicode, library-zh" in refused.stderr
    assert client.get("/v1/collections/videos").status_code == 404
