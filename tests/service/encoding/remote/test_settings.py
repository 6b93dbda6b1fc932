"""The settings of an encoder behind a URL."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from softkv_service.encoding.remote import RemoteSettings, provider_key
from softkv_service.encoding.remote.settings import KeyMissing

KEY = "sk-a-secret-that-nobody-may-read"


def settings(**fields) -> RemoteSettings:
    return RemoteSettings(**{"name": "nomic", "url": "http://127.0.0.1:11434/v1", "model": "nomic-embed-text"} | fields)


@pytest.mark.parametrize("url", ["http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1/"])
def test_the_endpoint_is_below_the_url(url):
    assert settings(url=url).endpoint == "http://127.0.0.1:11434/v1/embeddings"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("url", "127.0.0.1:11434/v1", "http or https"),
        ("url", "file:///etc/passwd", "http or https"),
        ("url", "http://", "http or https"),
        ("url", "http://host:99999/v1", "http or https"),
        ("url", "http://host/v1\n", "http or https"),
        ("url", "https://user:secret@host/v1", "api_key_env"),
        ("url", "https://host/v1?key=secret", "after \\?"),
        ("url", "https://host/v1/embeddings", "Leave that out"),
        ("model", "", "provider's model"),
        ("model", "a\0b", "provider's model"),
        ("api_key", "two words", "visible ASCII"),
        ("api_key", "line\n", "visible ASCII"),
        ("dimensions", 0, "or equal to 1"),
        ("dimensions", True, "valid integer"),
        ("batch_texts", 4096, "or equal to 2048"),
        ("batch_tokens", -1, "or equal to 1"),
        ("concurrency", 0, "or equal to 1"),
        ("requests_per_minute", 0.5, "valid integer"),
        ("timeout_seconds", 0, "greater than 0"),
        ("timeout_seconds", math.nan, "finite number"),
    ],
)
def test_a_value_outside_its_range_is_refused(field, value, words):
    with pytest.raises(ValidationError, match=words) as refusal:
        settings(**{field: value})
    assert [flaw["loc"] for flaw in refusal.value.errors()] == [(field,)]
    assert "secret" not in str(refusal.value)


def test_the_key_is_not_shown():
    assert KEY not in repr(settings(api_key=KEY))
    assert KEY not in str(settings(api_key=KEY))


def test_the_identity_of_a_model_covers_settings_that_change_vectors_only():
    plain = settings()
    assert plain.model_identity == "nomic-embed-text"
    assert settings(url="http://elsewhere/v1", api_key=KEY, batch_texts=1).model_identity == plain.model_identity
    others = [settings(dimensions=64), settings(query_prefix="q: "), settings(document_prefix="d: ")]
    assert len({plain.measurement_key, *(other.measurement_key for other in others)}) == 4


def test_a_key_is_read_from_its_variable(monkeypatch):
    monkeypatch.setenv("NOMIC_KEY", f"{KEY}\n")
    assert provider_key("NOMIC_KEY") == KEY


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_variable_is_named(monkeypatch, value):
    monkeypatch.delenv("NOMIC_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("NOMIC_KEY", value)
    with pytest.raises(KeyMissing, match="NOMIC_KEY"):
        provider_key("NOMIC_KEY")
