"""The file of encoders: what it may say, and how a flaw is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from softkv_service.encoding.configuration import (
    MAX_BYTES,
    EncodersFile,
    EncodersUnusable,
    LocalSettings,
    RerankerSettings,
    find_line,
    read_encoders,
)
from softkv_service.encoding.remote import RemoteSettings

GOOD = """\
default = "minilm"

[encoders.minilm]
model = "all-MiniLM-L6-v2"
precision = "bfloat16"

[encoders."nomic-ai/nomic"]
url = "http://127.0.0.1:11434/v1"
model = "nomic-embed-text"
api_key_env = "NOMIC_KEY"
dimensions = 256
query_prefix = "search_query: "
timeout_seconds = 20
"""


def read(folder: Path, text: str | bytes) -> EncodersFile:
    path = folder / "encoders.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_encoders(path, "float32", {"NOMIC_KEY": "secret"}.__getitem__)


def test_a_model_of_this_machine_and_one_behind_a_url(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == EncodersFile(
        "minilm",
        (
            LocalSettings("minilm", "all-MiniLM-L6-v2", "bfloat16"),
            RemoteSettings(
                "nomic-ai/nomic",
                "http://127.0.0.1:11434/v1",
                "nomic-embed-text",
                "secret",
                256,
                "search_query: ",
                timeout_seconds=20,
            ),
        ),
    )


def test_prefixes_are_part_of_the_model_that_collections_record(tmp_path: Path) -> None:
    (one,) = read(tmp_path, '[encoders.e5]\nmodel = "m"\nquery_prefix = "query: "').encoders
    assert isinstance(one, LocalSettings)
    assert one.prompts == {"query": "query: "}
    assert one.model_identity("/m") == '/m {"query_prefix": "query: "}'
    assert LocalSettings("e5", "m", "float32").model_identity("/m") == "/m"


def test_the_only_encoder_is_the_default_and_has_the_precision_of_the_service(tmp_path: Path) -> None:
    file = read(tmp_path, '[encoders.one]\nmodel = "m"')
    assert file == EncodersFile("one", (LocalSettings("one", "m", "float32"),))
    assert file.any_local
    assert not read(tmp_path, '[encoders.one]\nurl = "http://a/v1"\nmodel = "m"').any_local


def test_rerankers_have_the_precision_of_the_service(tmp_path: Path) -> None:
    tables = '[rerankers.marco]\nmodel = "m"\n[rerankers."b/c"]\nmodel = "n"\nprecision = "bfloat16"'
    file = read(tmp_path, '[encoders.one]\nurl = "http://a/v1"\nmodel = "m"\n' + tables)
    assert file.rerankers == (RerankerSettings("marco", "m", "float32"), RerankerSettings("b/c", "n", "bfloat16"))
    assert file.any_local


ONE = '[encoders.a]\nmodel = "m"\n'
REMOTE = '[encoders.a]\nurl = "http://a/v1"\n'


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("", 1, "has a table for each"),
        ("[encoders]", 1, "has a table for each"),
        (
            ONE + 'colour = "red"',
            3,
            "no setting 'colour': its settings are model, precision, query_prefix, document_prefix",
        ),
        ('colour = "red"\n' + ONE, 1, "the top of the file has no setting 'colour'"),
        (ONE + "dimensions = 3", 3, "dimensions is for an encoder with a url, and a has none"),
        (
            ONE + 'precision = "float16"',
            3,
            "precision of a: Input should be 'float32', 'int16' or 'bfloat16', it is 'float16'",
        ),
        ("[encoders.a]\nmodel = 3", 2, "model of a: Input should be a valid string, it is 3"),
        ("[encoders.a]", 1, "a has no model: add it"),
        ("rerankers = 3\n" + ONE, 1, r"rerankers are tables, such as \[rerankers.marco\]"),
        (ONE + "[rerankers]\nb = 3", 4, r"write \[rerankers.b\]"),
        (ONE + '[rerankers."b c"]', 3, "the name of a reranker is 1 to 64 letters"),
        (ONE + "[rerankers.b]", 3, "b has no model: add it"),
        (ONE + '[rerankers.late]\nmodel = "m"', 3, "'late' is late interaction, which needs no table"),
        (ONE + '[rerankers.b]\nurl = "http://a"', 4, "a reranker, b, has no setting 'url': its settings are model"),
        ('default = "b"\n' + ONE, 1, r"one of the encoders \(a\), it is 'b'"),
        (ONE + '[encoders.b]\nmodel = "n"', 1, r"one of the encoders \(a, b\), it is missing"),
        ("[encoders]\na = 1", 2, r"write \[encoders.a\]"),
        ('[encoders."a b"]\nmodel = "m"', 1, "1 to 64 letters, digits"),
        (REMOTE, 1, "a has a url and no model"),
        (REMOTE + 'model = "m"\n\nbatch_texts = 0', 5, "batch_texts of a: .*or equal to 1, it is 0"),
        ('[encoders.a]\nmodel = "m"\nurl = "ftp://a"', 3, "url of a: Expected a URL such as"),
        (REMOTE + 'model = "m"\napi_key_env = "NONE"', 4, "api_key_env of a: NONE is not set"),
        (REMOTE + 'model = "m"\napi_key = "secret"', 4, "no setting 'api_key': its settings are url, model,"),
    ],
)
def test_a_flaw_is_reported_with_its_line(tmp_path: Path, text: str, line: int, told: str) -> None:
    def key_of(variable: str) -> str:
        raise ValueError(f"{variable} is not set")

    path = tmp_path / "encoders.toml"
    path.write_text(text)
    with pytest.raises(EncodersUnusable, match=rf"encoders\.toml, line {line}: .*{told}"):
        read_encoders(path, "float32", key_of)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncodersUnusable, match="cannot be read"):
        read_encoders(tmp_path / "none.toml", "float32", str)
    with pytest.raises(EncodersUnusable, match=r"is not TOML: .*line 2"):
        read(tmp_path, "default = 'a'\nencoders [")
    with pytest.raises(EncodersUnusable, match="is not UTF-8"):
        read(tmp_path, b"\xff")
    with pytest.raises(EncodersUnusable, match="more than 1048576 bytes"):
        read(tmp_path, b"#" * (MAX_BYTES + 1))


def test_an_invalid_key_or_address_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "encoders.toml"
    path.write_text(REMOTE + 'model = "m"\napi_key_env = "KEY"')
    with pytest.raises(EncodersUnusable, match="line 4: api_key_env of a: Expected a key of visible ASCII") as refusal:
        read_encoders(path, "float32", lambda _: "a secret")
    assert "secret" not in str(refusal.value)
    path.write_text('[encoders.a]\nmodel = "m"\nurl = "https://user:secret@host/v1"')
    with pytest.raises(EncodersUnusable, match="line 3: url of a: The URL holds a user or a password") as refusal:
        read_encoders(path, "float32", str)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("position", "line"), [(("a",), 1), (("b",), 5), (("b", "c"), 6), (("b", "x"), 5), (("d",), 1), ((), 1)]
)
def test_a_value_is_located_at_its_last_line(position: tuple[str, ...], line: int) -> None:
    assert find_line('a = 1\nlong = """\n\n"""\n[b]\nc = 2\n', position) == line
