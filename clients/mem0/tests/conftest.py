"""mem0 with its telemetry off, over a collection of the service; and a language model that speaks OpenAI's form."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from softkv import Client
from softkv_mem0 import SoftkvMemoryStore

# mem0 reads both while it is imported.
FOLDER = tempfile.TemporaryDirectory()
os.environ |= {"MEM0_TELEMETRY": "False", "MEM0_DIR": FOLDER.name}


class Extractor(ThreadingHTTPServer):
    """A language model of OpenAI's form, which remembers each sentence of the new messages.

    Attributes:
        requests: what it was asked.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Extractor

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        text = request["messages"][-1]["content"]
        new = text.partition("## New Messages")[2].partition("##")[0]
        lines = [line.partition("user: ")[2] for line in new.splitlines() if "user: " in line]
        sentences = [sentence.strip() for line in lines for sentence in line.split(".") if sentence.strip()]
        content = json.dumps({"memory": [{"id": str(i), "text": text} for i, text in enumerate(sentences)]})
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        answer = {"id": "a", "object": "chat.completion", "created": 0, "model": request["model"], "choices": [choice]}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="session")
def extractor() -> Iterator[Extractor]:
    """Yield a language model."""
    with Extractor() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def config(client: Client, name: Callable[[], str], extractor: Extractor, tmp_path: Any) -> dict[str, Any]:
    """Return the configuration of a memory over a new collection, as clients/mem0/docs/guide/mem0.md has it."""
    service = {"openai_base_url": f"{os.environ['SOFTKV_URL']}/v1", "api_key": "none"}
    return {
        "vector_store": {"provider": "langchain", "config": {"client": SoftkvMemoryStore(name(), client=client)}},
        "embedder": {"provider": "openai", "config": {"model": "all-MiniLM-L6-v2", **service}},
        "llm": {"provider": "openai", "config": {"model": "stub", "openai_base_url": extractor.url, "api_key": "none"}},
        "history_db_path": str(tmp_path / "history.db"),
    }


@pytest.fixture
def memory(config: dict[str, Any]) -> Iterator[Any]:
    """Yield a memory of mem0's."""
    from mem0 import Memory

    with Memory.from_config(config) as memory:
        yield memory
