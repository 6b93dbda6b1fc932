"""Keys and the loopback rule."""

from __future__ import annotations

import httpx
import pytest
from pydantic import ValidationError

from service.settings import Settings
from tests.running import RunningService


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    data = tmp_path_factory.mktemp("keyed")
    with RunningService(data_dir=data, encoder="none", api_keys=("w1", "w2"), read_keys=("r1",)) as running:
        yield running


@pytest.mark.parametrize(
    "headers", [{"authorization": "Bearer w2"}, {"x-api-key": "w1"}, {"authorization": "bearer w1"}]
)
def test_a_writing_key_reads_and_writes(keyed, headers):
    with keyed.client(headers=headers) as client:
        assert client.put("/v1/collections/a", json={}).status_code in (200, 201)
        assert client.get("/v1/collections").json()["access"] == "write"


def test_a_reading_key_reads_and_may_not_write(keyed):
    with keyed.client(headers={"x-api-key": "r1"}) as client:
        assert client.get("/v1/collections").json()["access"] == "read"
        refused = client.put("/v1/collections/a", json={})
        assert refused.status_code == 403
        assert refused.json()["code"] == "forbidden"


@pytest.mark.parametrize(
    "headers", [{}, {"x-api-key": "w"}, {"authorization": "Bearer w11"}, {"authorization": "Basic w1"}]
)
def test_without_a_known_key_only_the_open_places_answer(keyed, headers):
    with keyed.client(headers=headers) as client:
        refused = client.get("/v1/collections")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert client.get("/livez").status_code == 200
        assert client.get("/openapi.json").status_code == 200


def test_a_refusal_comes_before_the_body_is_read(keyed):
    with keyed.client() as client:
        assert client.put("/v1/collections/a", content=b"not json").status_code == 401


@pytest.mark.parametrize(("level", "status"), [("read", 403), ("write", 201)])
def test_anonymous_callers_may_do_what_was_said(tmp_path, level, status):
    with RunningService(data_dir=tmp_path, encoder="none", allow_anonymous=level) as running:
        answer = httpx.put(f"{running.url}/v1/collections/a", json={})
        assert answer.status_code == status


def test_an_open_address_without_keys_needs_a_decision():
    with pytest.raises(ValidationError, match="SOFTKV_ALLOW_ANONYMOUS"):
        Settings(host="0.0.0.0")
    assert Settings(host="0.0.0.0", allow_anonymous="read").host == "0.0.0.0"
    assert Settings(host="0.0.0.0", api_keys="a, b").api_keys == ("a", "b")
