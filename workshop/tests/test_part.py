"""The workshop in a minute: the story is served, its question is answered, and a room is joined."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.running import RunningService


@pytest.mark.end_to_end
def test_the_story_opens_and_answers_and_a_room_is_joined(tmp_path: Path) -> None:
    with RunningService(data_dir=tmp_path, demo=("library",)) as running, running.client() as client:
        running.wait_until_ready()
        assert "built/story.js" in client.get("/").text
        answer = client.post("/v1/collections/library/attend", json={"query": "pets that purr"}).json()
        assert answer["evidence"]["verdict"] == "one"
        room = client.post("/v1/rooms", json={"rows": [{"key": "cats", "value": "They purr."}]}).json()
        assert client.get(f"/v1/rooms/{room['code']}").json()["rows"][0]["key"] == "cats"
        assert client.get(f"/room?code={room['code']}").status_code == 200
        assert client.get("/v1/lab").json()["models"] == []
