"""The log: one line per event, on a pipe as on a console, in plain text or as JSON."""

from __future__ import annotations

import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from softkv_service import logs
from tests.running import RunningService

WHEN = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


@pytest.fixture(autouse=True)
def log():
    """The log in the state of a new service; afterwards in that before."""
    root, write = logging.getLogger(), logs.log.write
    saved = root.handlers[:], root.level, logging.getLogger("softkv").level
    logs.configure("console")
    yield logs.log
    logs.log.write, root.handlers[:] = write, saved[0]
    root.setLevel(saved[1])
    logging.getLogger("softkv").setLevel(saved[2])


def test_a_line_has_its_time_level_and_fields(log, capsys):
    with logs.bound_fields(request_id="mine"):
        log.info("request", status=200, path="/v1", took_ms=1.25)
    line = capsys.readouterr().err
    assert re.fullmatch(
        rf"{WHEN} \[info     \] request {{24}}path=/v1 request_id=mine status=200 took_ms=1\.25\n", line
    )


@pytest.mark.parametrize(
    "value",
    [
        *("two words", "a=b", "it's", 'a "quote"', "a\nline", "\x1b[31mred", "\x9b1m", "", None),
        *("\u202egnp", "\u2066a", "\u200ba", "a\u2028b", "\ufeffa", "\ue000"),
    ],
)
def test_an_ambiguous_value_is_quoted(log, capsys, value):
    log.warning("told", value=value, last=1)
    line = capsys.readouterr().err
    assert line.endswith(f" last=1 value={value!r}\n")
    assert line.count("\n") == 1


@pytest.mark.parametrize("sign", ["\u202e", "\u2069", "\u200b", "\u2028", "\x1b", "\x9b"])
def test_a_terminal_gets_signs_that_it_would_obey_as_escapes(monkeypatch, capsys, sign):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    logs.configure("console")
    logs.log.info("told", value=f"é{sign}gnp", last=1)
    line = capsys.readouterr().err
    assert f"é{sign}" not in line
    assert f"é{ascii(sign)[1:-1]}gnp" in line


def test_an_event_of_any_length_is_before_its_fields_by_name(log, capsys):
    output = {"status": 200, "path": "/v1/collections/a", "reason": "no = room", "took_ms": 0.5, "n": None}
    log.error("an event of more than thirty characters", **output)
    assert capsys.readouterr().err.partition("Z ")[2] == (
        "[error    ] an event of more than thirty characters "
        "n=None path=/v1/collections/a reason='no = room' status=200 took_ms=0.5\n"
    )


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_an_error_has_its_traceback_from_any_logger(capsys, log_format):
    logs.configure(log_format)
    try:
        raise ValueError("on purpose")
    except ValueError as error:
        logs.log.error("failed", exc_info=error)
        logging.getLogger("uvicorn.error").error("failed too", exc_info=error)
    output = capsys.readouterr().err
    if log_format == "json":
        lines = [json.loads(line) for line in output.splitlines()]
        assert [line["event"] for line in lines] == ["failed", "failed too"]
        assert all("ValueError: on purpose" in line["exception"] for line in lines)
    else:
        assert output.count("\nValueError: on purpose\n") == 2


def test_lines_below_the_level_are_not_logged(log, capsys):
    log.debug("nothing")
    logging.getLogger("uvicorn").debug("nothing")
    logging.getLogger("another").info("nothing")
    assert capsys.readouterr().err == ""


def test_lines_of_many_threads_stay_whole(log, capsys):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: log.info("told", value="x" * 500), range(800)))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 800
    assert {line.partition("Z ")[2] for line in lines} == {
        f"[info     ] told                           value={'x' * 500}"
    }


def test_only_a_call_without_a_valid_key_is_logged_with_its_address(tmp_path, capfd):
    settings = {"encoder": "none", "log_format": "json", "api_keys": ("w",), "trusted_proxies": "127.0.0.1"}
    with RunningService(data_dir=tmp_path, **settings) as running, running.client() as client:
        for headers in ({}, {"x-api-key": "x"}, {"x-api-key": "w"}):
            client.get("/v1/collections", headers=headers | {"x-forwarded-for": "203.0.113.7"})
        client.get("/nothing", headers={"x-forwarded-for": "203.0.113.7"})
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if '"request"' in line]
    assert [(line["status"], line.get("client")) for line in lines] == [
        (401, "203.0.113.7"),
        (401, "203.0.113.7"),
        (200, None),
        (404, None),
    ]


def test_every_request_has_its_line(tmp_path, capfd):
    with RunningService(data_dir=tmp_path, encoder="none", log_format="json") as running, running.client() as client:
        for path in ("/v1/collections", "/v1/nothing", "/livez", "/v1/collections/a%20b"):
            client.get(path, headers={"x-request-id": f"id-of{path}"})
    # On a busy machine, a request may also be logged as slow.
    lines = [line for line in capfd.readouterr().err.splitlines() if "id-of" in line and "slow request" not in line]
    lines = [json.loads(line) for line in lines]
    assert [(line["path"], line["status"], line["request_id"]) for line in lines] == [
        ("/v1/collections", 200, "id-of/v1/collections"),
        ("/v1/nothing", 404, "id-of/v1/nothing"),
        ("/v1/collections/a b", 422, "id-of/v1/collections/a%20b"),
    ]
    assert all(line["method"] == "GET" and line["took_ms"] > 0 and line["event"] == "request" for line in lines)


def test_a_line_that_the_disk_refuses_fails_no_caller(monkeypatch):
    full = open("/dev/full", "w")  # noqa: SIM115 - closing it fails, too
    monkeypatch.setattr("sys.stderr", full)
    logs.configure("console")
    logs.log.info("no room for this")
    monkeypatch.undo()
    with pytest.raises(OSError, match="No space"):
        full.close()
