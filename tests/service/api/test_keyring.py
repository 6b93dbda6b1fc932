"""A file of keys: what stands in it, what may not, and that it is read again as it changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from softkv_service.api.keyring import MAX_KEYS, KeyFile, Keyring, KeysUnusable, digest_of, line_of, new_key, read_keys
from softkv_service.storage import Restriction
from softkv_service.storage.conditions import parse_condition
from tests.captured_logs import capture_logs

KEY = "softkv_unmistakable"
LINE = line_of("app", "read", "docs-", KEY)
SAID = json.loads(LINE)
TENANT = {"field": "metadata.tenant", "operator": "==", "value": "a"}


def other(**fields: object) -> str:
    return json.dumps(SAID | fields)


def nested(deep: int) -> dict[str, object]:
    return TENANT if deep < 0 else {"operator": "NOT", "conditions": [nested(deep - 1)]}


def test_a_line_holds_a_digest_and_no_key():
    assert KEY not in LINE
    assert {"name": "app", "scope": "read", "collections": "docs-", "sha256": digest_of(KEY).hex()} == SAID


def test_keys_are_long_and_never_the_same():
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("softkv_") and len(key) == len("softkv_") + 43 for key in keys)


def test_comments_and_empty_lines_say_nothing():
    ((digest, holder),) = read_keys(f"# ours\n\n  # theirs\n{LINE}\n".encode())
    assert digest == digest_of(KEY)
    assert (holder.name, holder.level, holder.prefixes) == ("app", "read", ("docs-",))


def test_a_line_may_limit_its_key():
    line = line_of(
        "app",
        "write",
        "docs-,books-",
        KEY,
        filter=TENANT,
        requests_per_minute=60,
        documents=10,
        bytes=2**20,
        expires="2027-01-31t18:00:00.5+01:00",
    )
    ((_, holder),) = read_keys(line.encode())
    assert holder.prefixes == ("docs-", "books-")
    assert [holder.reaches(name) for name in ("docs-a", "books-", "docs", "other")] == [True, True, False, False]
    assert holder.restriction == Restriction(parse_condition(TENANT), ("docs-", "books-"), 10, 2**20)
    assert (holder.filtered, holder.requests_per_minute) == (True, 60)
    assert holder.expires == datetime(2027, 1, 31, 17, 0, 0, 500_000, UTC)
    ((_, plain),) = read_keys(LINE.encode())
    assert (plain.restriction, plain.requests_per_minute, plain.expires, plain.filtered) == (None, None, None, False)


@pytest.mark.parametrize(
    ("own", "asked", "listed"),
    [
        ("", "", ("",)),
        ("", "a", ("a",)),
        ("a,b", "", ("a", "b")),
        ("a,b", "b1", ("b1",)),
        ("a1,a2,b", "a", ("a1", "a2")),
        ("a,b", "c", None),
    ],
)
def test_listed_collections_match_the_key_and_the_requested_prefix(own, asked, listed):
    ((_, holder),) = read_keys(other(collections=own).encode())
    assert holder.prefixes_within(asked) == listed


def test_keys_of_one_name_with_different_filters_are_different_callers():
    """So that none gets another's answer to a write that it repeats."""
    others = TENANT | {"value": "b"}
    lines = [
        line_of("app", "write", "", str(i), **limits)
        for i, limits in enumerate(({}, {"filter": TENANT}, {"filter": TENANT, "documents": 3}, {"filter": others}))
    ]
    callers = [holder.caller for _, holder in read_keys("\n".join(lines).encode())]
    assert callers[1] == callers[2]
    assert len(set(callers)) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it holds no key"),
        (KEY, "line 1 is not a JSON object"),
        (f"{LINE}\n{LINE[:-9]}", "line 2 is not a JSON object"),
        (f"{LINE}\n# more\n{other(sha256=0)}", "line 3: sha256 is 64 hexadecimal digits"),
        (json.dumps({k: v for k, v in SAID.items() if k != "collections"}), "line 1 wants the fields"),
        (other(collection="docs-"), "line 1 wants the fields"),
        (other(name="API_KEYS#1"), "a name is"),
        (other(name="x" * 65), "a name is"),
        (other(scope="admin"), "a scope is read, feedback or write"),
        (other(collections=None), "line 1: collections is"),
        (other(collections="docs-*"), "collections is"),
        (other(collections="docs-, books-"), "collections is"),
        (f"{LINE}\n\n{other(filter={}, sha256='0' * 64)}", "line 3: filter is not a filter of documents at field"),
        (other(filter=TENANT | {"operator": "="}), "line 1: filter is not a filter of documents at operator"),
        (other(filter={"operator": "AND", "conditions": [TENANT | {"field": "tenant"}]}), "at conditions/0/field"),
        (other(filter=nested(8)), "nests at most 8 deep"),
        (other(filter={"field": "id", "operator": "in", "value": ["a"] * 1001}), "at most 1000 values"),
        (
            other(filter={"operator": "AND", "conditions": [TENANT | {"field": f"metadata.{i}"} for i in range(17)]}),
            "at most 16 fields",
        ),
        (other(requests_per_minute=0), "requests_per_minute is a whole number from 1 to 1000000"),
        (other(documents=None), "line 1: documents is"),
        (other(documents=-1), "documents is a whole number from 1"),
        (other(documents=True), "documents is"),
        (other(bytes="1 GiB"), "bytes is"),
        (other(expires=1767225600), "expires is an instant as RFC 3339"),
        (other(expires="2027-01-31"), "expires is"),
        (other(expires="2027-02-30T18:00:00Z"), "expires is"),
        ("[" * 100_000, "line 1 is not a JSON object"),
        (other(sha256=KEY), "sha256 is"),
        (f"{LINE}\n{other(name='again')}", "one key stands there twice"),
        ("\n".join(other(sha256=f"{i:064x}") for i in range(MAX_KEYS + 1)), f"it holds {MAX_KEYS + 1} keys"),
    ],
)
def test_an_invalid_key_file_is_reported_without_its_content(content, message):
    with pytest.raises(KeysUnusable, match=message) as refused:
        read_keys(content.encode())
    assert KEY not in str(refused.value)
    assert SAID["sha256"] not in str(refused.value)


def test_a_key_file_that_is_not_utf_8_is_refused():
    with pytest.raises(KeysUnusable, match="not UTF-8"):
        read_keys(b"\xff" + LINE.encode())


def test_a_new_file_counts_at_the_second_look(tmp_path: Path):
    path, second = tmp_path / "keys", line_of("app", "read", "docs-", "second")
    path.write_text(LINE)
    ring = Keyring(write_keys=(), read_keys=(), file=KeyFile.open(path))
    assert ring.holder(KEY) is not None
    assert ring.holder("second") is None
    path.write_text(f"{LINE}\n{second}\n")
    ring.file.reload()
    assert ring.holder("second") is None  # it may be half-written
    with capture_logs() as logged:
        ring.file.reload()
    assert ring.holder(KEY).caller == ring.holder("second").caller  # one caller, whose key changes
    path.write_text(second)
    ring.file.reload()
    ring.file.reload()
    assert ring.holder(KEY) is None
    assert ring.holder("second").name == "app"
    assert [(line["event"], line["names"]) for line in logged] == [("the keys were read anew", ["app", "app"])]


@pytest.mark.parametrize("broken", [b"", b"no keys", b"\xff", b" " * (1 << 21), None], ids=str)
def test_a_broken_key_file_keeps_the_old_keys_and_is_logged_once(tmp_path: Path, broken: bytes | None):
    path = tmp_path / "keys"
    path.write_text(LINE)
    file = KeyFile.open(path)
    ring = Keyring(write_keys=(), read_keys=(), file=file)
    path.unlink()
    if broken is not None:
        path.write_bytes(broken)
    with capture_logs() as logged:
        for _ in range(4):
            file.reload()
    assert [(line["log_level"], bool(line["reason"])) for line in logged] == [("error", True)]
    assert file.flaw is not None
    assert ring.holder(KEY) is not None
    path.write_text(line_of("next", "write", "", "second"))
    with capture_logs() as logged:
        file.reload()
        file.reload()
    assert file.flaw is None
    assert ring.holder(KEY) is None
    assert ring.holder("second").level == "write"
    assert [line["log_level"] for line in logged] == ["info", "info"]


def test_a_file_that_is_mended_as_it_was_is_well_again(tmp_path: Path):
    path = tmp_path / "keys"
    path.write_text(LINE)
    file = KeyFile.open(path)
    path.write_text("no keys")
    file.reload()
    file.reload()
    assert file.flaw is not None
    path.write_text(LINE)
    file.reload()
    assert file.flaw is None


def test_a_file_that_cannot_be_used_at_first_is_refused(tmp_path: Path):
    with pytest.raises(KeysUnusable, match=r"keys of .*missing: it cannot be read \(No such file"):
        KeyFile.open(tmp_path / "missing")


def test_keys_of_settings_have_the_names_of_their_places():
    ring = Keyring(write_keys=("w", "both"), read_keys=("r", "both"))
    assert [ring.holder(key).name for key in ("w", "both", "r")] == ["API_KEYS#1", "API_KEYS#2", "READ_KEYS#1"]
    assert ring.holder("both").level == "write"
    assert ring.holder("") is None
    assert len({ring.holder(key).caller for key in ("w", "both", "r")}) == 3


def test_a_key_in_a_setting_and_a_file_has_the_permissions_of_both(tmp_path: Path):
    path = tmp_path / "keys"
    path.write_text(line_of("app", "write", "", "k"))
    ring = Keyring(write_keys=(), read_keys=("k",), file=KeyFile.open(path))
    assert ring.holder("k").level == "write"
