"""An encoder behind a URL, with a real HTTP server as its provider."""

from __future__ import annotations

import json
import math
import threading
import time
from email.utils import formatdate

import numpy as np
import pytest

from softkv_service.encoding import (
    InvalidText,
    InvalidTokens,
    ModelUnusable,
    ProviderUnavailable,
    TextRefused,
    TokensUnknown,
)
from softkv_service.encoding.encoder import Measurements
from softkv_service.encoding.remote import RemoteSettings
from softkv_service.encoding.remote import provider as provider_module
from softkv_service.encoding.remote.encoder import RemoteEncoder, load_remote, read_measurements, write_measurements
from softkv_service.encoding.tokens import Content
from softkv_service.storage import SQLiteStore
from tests.captured_logs import capture_logs
from tests.service.encoding.remote.conftest import KEY
from tests.service.encoding.remote.provider import DROPPED, TOO_MANY, WIDTH, Call, Reply, StubProvider, vector_of

TEXTS = ["a relational database", "a cat asleep in the sun", "Wie geht es dir?"]


def once(stub, reply):
    """Let the stub answer the first call with a reply, and later ones as usual."""
    stub.behaviour = lambda call: reply if len(stub.calls) == 1 else None


def always(stub, reply):
    stub.behaviour = lambda call: reply


@pytest.mark.parametrize("as_base64", [True, False])
def test_vectors_are_the_providers_in_the_order_of_the_texts(stub, encoder_at, as_base64):
    stub.as_base64 = as_base64
    encoded = encoder_at().encode(TEXTS, "document")
    np.testing.assert_array_equal(encoded.vectors, np.stack([vector_of(text) for text in TEXTS]))
    assert encoded.vectors.dtype == np.float32
    assert stub.calls[0].body["encoding_format"] == "base64"
    assert stub.calls[0].body["model"] == "nomic-embed-text"


def test_tokens_of_a_text_are_unknown_and_its_content_is_not(encoder_at):
    encoded = encoder_at().encode(["word", "?!", "   x".replace("x", ""), "注意"], "query")
    assert (encoded.token_counts, encoded.truncated, encoded.unknown_tokens) == (None, None, None)
    assert encoded.content.tolist() == [Content.WORDS, Content.SIGNS, Content.NOTHING, Content.WORDS]
    assert encoded.texts()[0].token_count is None


def test_operations_on_tokens_are_refused_for_a_remote_encoder(encoder_at):
    encoder = encoder_at()
    for call in (
        lambda: encoder.tokens(TEXTS, "query"),
        lambda: encoder.room(10, "query"),
        lambda: encoder.windows(TEXTS, 10, 2, 5, "document"),
    ):
        with pytest.raises(TokensUnknown, match="'nomic' is behind a URL"):
            call()
    with pytest.raises(InvalidTokens, match="Send the text itself"):
        encoder.decode([1, 2])


@pytest.fixture
def proxy(monkeypatch):
    """Yield a proxy that the environment names for every address, and that forwards nothing."""
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with StubProvider().running() as provider:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://somebody:a-password@127.0.0.1:{provider.port}")
        yield provider


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0.0.0.0", "[::ffff:127.0.0.1]"])
def test_calls_of_a_provider_on_this_machine_go_without_the_proxy(stub, encoder_at, proxy, host):
    encoder = encoder_at(url=stub.url.replace("127.0.0.1", host), api_key=KEY)
    np.testing.assert_array_equal(encoder.encode(["a cat"], "query").vectors[0], vector_of("a cat"))
    assert proxy.calls == []


def test_an_error_names_the_proxy_that_may_have_answered(encoder_at, proxy):
    with pytest.raises(ProviderUnavailable) as caught:
        encoder_at(url="http://provider.example/v1", api_key=KEY).encode(["a cat"], "query")
    assert f"HTTP_PROXY=http://127.0.0.1:{proxy.port}" in str(caught.value)
    assert "a-password" not in str(caught.value)
    assert len(proxy.calls) == 1


@pytest.mark.parametrize("scheme", ["socks4", "socks5"])
def test_a_proxy_of_another_kind_is_refused_in_one_sentence(stub, encoder_at, proxy, monkeypatch, scheme):
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:1080")
    with pytest.raises(ModelUnusable, match=f"Expected a proxy of HTTP .*{scheme}://127.0.0.1:1080.* NO_PROXY"):
        encoder_at(url="https://provider.example/v1")
    assert encoder_at().encode(["a cat"], "query").vectors.shape == (1, WIDTH)


def test_each_purpose_has_its_prefix(stub, encoder_at):
    encoder = encoder_at(query_prefix="search_query: ", document_prefix="search_document: ")
    encoder.encode(["cats"], "query")
    encoder.encode(["cats"], "document")
    assert stub.texts == ["search_query: cats", "search_document: cats"]


def test_the_width_is_the_configured_or_the_first_one(stub, encoder_at):
    encoder = encoder_at(dimensions=16)
    assert encoder.encode(TEXTS, "query").vectors.shape == (3, 16)
    assert (encoder.dimension, stub.calls[0].body["dimensions"]) == (16, 16)
    plain = encoder_at()
    plain.encode(TEXTS, "query")
    stub.behaviour = lambda call: Reply(200, stub.answer(Call(call.body | {"dimensions": 24}, {})))
    for wanted, one in ((16, encoder), (WIDTH, plain)):
        with pytest.raises(ProviderUnavailable, match=f"width 24, wanted {wanted}"):
            one.encode(TEXTS, "query")


def test_texts_are_cut_into_batches_by_count_and_by_tokens(stub, encoder_at):
    encoder = encoder_at(batch_texts=4, batch_tokens=100)
    encoder.encode([f"short {i}" for i in range(10)], "document")
    assert sorted(len(call.body["input"]) for call in stub.calls) == [2, 4, 4]
    stub.calls.clear()
    long = ["x" * 150, "y" * 150, "z" * 900]  # 50, 50 and 300 tokens by the estimate
    np.testing.assert_array_equal(
        encoder.encode(long, "document").vectors, np.stack([vector_of(text) for text in long])
    )
    assert sorted(len(call.body["input"]) for call in stub.calls) == [1, 2]


def test_concurrent_calls_stay_within_the_limit(stub, encoder_at):
    three = threading.Barrier(3)

    def wait_for_others(call):
        three.wait(60)

    stub.behaviour = wait_for_others
    encoder_at(batch_texts=1, concurrency=3).encode([f"text {i}" for i in range(12)], "document")
    assert stub.most_in_flight == 3


def test_so_many_calls_start_within_a_minute(stub, encoder_at, monkeypatch):
    monkeypatch.setattr("softkv_service.encoding.remote.provider.MINUTE", 0.6)  # a minute is short in this test
    began = time.monotonic()
    encoder_at(batch_texts=1, requests_per_minute=3).encode([f"text {i}" for i in range(8)], "document")
    assert len(stub.calls) == 8
    assert time.monotonic() - began > 1.1  # two calls have to wait for the third minute


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_call_is_repeated_after_an_error_that_passes(stub, encoder_at, status):
    once(stub, Reply(status, {"error": "model is loading"}))
    encoder = encoder_at()
    assert encoder.encode(TEXTS, "query").vectors.shape == (3, WIDTH)
    assert (encoder.counts.requests, encoder.counts.repeats, sum(encoder.counts.failures.values())) == (2, 1, 0)


@pytest.mark.parametrize("value", [lambda: "1", lambda: formatdate(time.time() + 3, usegmt=True)], ids=["s", "date"])
def test_the_provider_says_when_to_try_again(stub, encoder_at, value):
    stub.behaviour = lambda call: Reply(429, b"", {"Retry-After": value()}) if len(stub.calls) == 1 else None
    encoder_at().encode(TEXTS, "query")
    assert stub.calls[1].at - stub.calls[0].at >= 0.9


def test_the_log_says_once_that_a_provider_that_is_away_is_tried_again(nowhere, encoder_at):
    encoder = encoder_at(url=nowhere, timeout_seconds=2)
    with capture_logs() as lines:
        for _ in range(2):
            with pytest.raises(ProviderUnavailable, match="cannot be reached") as refusal:
                encoder.encode(TEXTS, "query")
    (line,) = lines
    assert (line["event"], line["encoder"], line["seconds"]) == ("provider fails, trying again", "nomic", 2)
    assert "cannot be reached" in line["reason"]
    assert refusal.value.retry_after is None


def test_the_log_says_it_again_after_a_success(stub, encoder_at):
    replies = iter([TOO_MANY, None, TOO_MANY, None])
    stub.behaviour = lambda call: next(replies)
    encoder = encoder_at()
    with capture_logs() as lines:
        encoder.encode(TEXTS, "query")
        encoder.encode(TEXTS, "query")
    assert [line["event"] for line in lines] == ["provider fails, trying again"] * 2


def test_a_pause_that_is_too_long_is_passed_on_at_once(stub, encoder_at):
    always(stub, Reply(429, {"error": {"message": "slow down"}}, {"Retry-After": "120"}))
    encoder = encoder_at()
    with pytest.raises(ProviderUnavailable, match="429, 'slow down'") as refusal:
        encoder.encode(TEXTS, "query")
    assert refusal.value.retry_after == 120
    with pytest.raises(ProviderUnavailable, match="asked for a pause"):
        encoder.encode(TEXTS, "query")
    assert len(stub.calls) == 1
    assert encoder.counts.failures["rate limit"] == 2


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        pytest.param(401, {"error": {"message": "Incorrect API key", "code": None}}, "Incorrect API key", id="OpenAI"),
        pytest.param(404, {"error": "try pulling it first"}, "try pulling it first", id="Ollama"),
        pytest.param(424, {"error": "unavailable", "error_type": "backend"}, "unavailable", id="TEI"),
        pytest.param(401, {"detail": "Not authenticated"}, "Not authenticated", id="FastAPI"),
        pytest.param(405, {"detail": [{"loc": ["body", "model"], "msg": "Field"}]}, "body.model: Field", id="flaws"),
        pytest.param(404, {"object": "error", "message": "does not exist"}, "does not exist", id="older vLLM"),
    ],
)
def test_the_providers_message_reaches_the_caller_and_the_call_is_not_repeated(stub, encoder_at, status, body, words):
    always(stub, Reply(status, body))
    with pytest.raises(ProviderUnavailable) as refusal:
        encoder_at().encode(TEXTS, "query")
    message = f"The provider of encoder 'nomic' is not usable now: it answered {status}, '{words}'."
    assert str(refusal.value) == message
    assert len(stub.calls) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "maximum context length is 8192 tokens", "type": "invalid_request_error"}}),
        (413, {"error": "`inputs` must have less than 512 tokens. Given: 900", "error_type": "Validation"}),
        (422, {"detail": [{"loc": ["body", "input"], "msg": "too long"}]}),
    ],
)
def test_a_text_that_the_provider_refuses_is_named_and_not_sent_again(stub, encoder_at, status, body):
    bad = "a very long text"
    stub.behaviour = lambda call: Reply(status, body) if bad in call.body["input"] else None
    with pytest.raises(TextRefused, match=f"refused the text 'a very long text': {status}, '"):
        encoder_at().encode([*TEXTS, bad], "document")
    assert stub.calls[-1].body["input"] == [bad]
    sent = [tuple(call.body["input"]) for call in stub.calls]
    assert len(set(sent)) == len(sent)


def test_a_batch_that_is_too_large_for_the_provider_is_halved(stub, encoder_at):
    refusal = Reply(413, {"error": "batch size 8 > maximum allowed batch size 3", "error_type": "Validation"})
    stub.behaviour = lambda call: refusal if len(call.body["input"]) > 3 else None
    texts = [f"text {i}" for i in range(8)]
    np.testing.assert_array_equal(
        encoder_at().encode(texts, "document").vectors, np.stack([vector_of(text) for text in texts])
    )


def test_a_provider_without_base64_is_called_without_it(stub, encoder_at):
    unknown = Reply(422, {"detail": [{"loc": ["body", "encoding_format"], "msg": "Extra inputs are not permitted"}]})
    stub.behaviour = lambda call: unknown if "encoding_format" in call.body else None
    encoder = encoder_at()
    assert encoder.encode(TEXTS, "query").vectors.shape == (3, WIDTH)
    encoder.encode(TEXTS, "query")
    assert [("encoding_format" in call.body) for call in stub.calls] == [True, False, False]


def test_an_account_without_credit_is_not_called_again(stub, encoder_at):
    always(stub, Reply(429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}))
    with pytest.raises(ProviderUnavailable, match="exceeded your current quota"):
        encoder_at().encode(TEXTS, "query")
    assert len(stub.calls) == 1


def changed(change):
    """Return a behaviour that changes the usual answer."""

    def behaviour(stub):
        def reply(call):
            answer = stub.answer(call)
            change(answer)
            return Reply(200, answer)

        return reply

    return behaviour


def set_number(answer, value):
    answer["data"][1]["embedding"] = [value] * WIDTH


INVALID = {
    "2 vectors for 3 texts": changed(lambda answer: answer["data"].pop()),
    "repeated or not from 0 to 2: None": changed(lambda answer: answer["data"][1].pop("index")),
    "repeated or not from 0 to 2: 0": changed(lambda answer: answer["data"][1].update(index=0)),
    "repeated or not from 0 to 2: 3": changed(lambda answer: answer["data"][1].update(index=3)),
    "vector 1 has numbers that are not finite": changed(lambda answer: set_number(answer, 1e39)),
    "has numbers that are not finite": changed(lambda answer: set_number(answer, math.nan)),
    "vector 1 is neither a list of numbers nor base64": changed(lambda answer: set_number(answer, None)),
    "vector 1 is a text that is not base64": changed(lambda answer: answer["data"][1].update(embedding="§")),
    "vector 1 has 3 bytes": changed(lambda answer: answer["data"][1].update(embedding="AAAA")),
    "vector 1 is empty": changed(lambda answer: answer["data"][1].update(embedding=[])),
    "different widths, 1 and 48": changed(lambda answer: answer["data"][1].update(embedding=[0.5])),
    "no list `data`": changed(lambda answer: answer.pop("data")),
    "no list `data`, but the message 'quota exceeded'": lambda stub: (
        lambda call: Reply(200, {"error": {"message": "quota exceeded", "code": 429}})
    ),
    'a web page titled "Welcome & hello"': lambda stub: (
        lambda call: Reply(200, b"<!doctype html><title>Welcome &amp; hello</title>", {"Content-Type": "text/html"})
    ),
    "is not JSON but a web page.": lambda stub: lambda call: Reply(200, b"<p>" * 4096 + b"<title>Late</title>"),
    "is not JSON, or was cut off": lambda stub: lambda call: Reply(200, json.dumps(stub.answer(call)).encode()[:-9]),
    "its answer is empty": lambda stub: lambda call: Reply(200, b""),
    "has more than": lambda stub: lambda call: Reply(200, b" " * (100_000 + 3 * 32 * 65_536)),
    "its answer is compressed": lambda stub: lambda call: Reply(200, b"", {"Content-Encoding": "gzip"}),
    "a redirect (307) to 'http://169.254.169.254/'": lambda stub: (
        lambda call: Reply(307, b"", {"Location": "http://169.254.169.254/"})
    ),
}


@pytest.mark.parametrize("words", INVALID)
def test_an_invalid_answer_is_one_clear_sentence(stub, encoder_at, words):
    stub.behaviour = INVALID[words](stub)
    with pytest.raises(ProviderUnavailable) as refusal:
        encoder_at().encode(TEXTS, "query")
    message = str(refusal.value)
    assert words in message
    assert message.startswith("The provider of encoder 'nomic' is not usable now: ")
    assert message.endswith(".")
    assert len(message) < 500


def test_reordered_vectors_come_back_in_the_order_of_the_texts(stub, encoder_at):
    stub.behaviour = changed(lambda answer: answer["data"].reverse())(stub)
    np.testing.assert_array_equal(
        encoder_at().encode(TEXTS, "query").vectors, np.stack([vector_of(text) for text in TEXTS])
    )


CUT = [Reply(body=b"{" * 99, cut=length) for length in (0, 50)]


@pytest.mark.parametrize("reply", [DROPPED, TOO_MANY, Reply(503), *CUT])
def test_a_connection_that_breaks_is_made_again(stub, encoder_at, reply):
    stub.behaviour = lambda call: reply if len(stub.calls) <= 2 else None
    encoder = encoder_at()
    encoded = encoder.encode(TEXTS, "query")
    np.testing.assert_array_equal(encoded.vectors, np.stack([vector_of(text) for text in TEXTS]))
    assert encoder.counts.repeats == 2


def test_a_provider_that_is_too_slow_is_given_up_in_time(door, encoder_at):
    with pytest.raises(ProviderUnavailable, match="did not answer in time"):
        encoder_at(timeout_seconds=0.5).encode(TEXTS, "query")
    assert not door.is_set()


def test_a_timeout_during_a_retry_reports_the_earlier_failure_too(stub, door, encoder_at):
    hold = stub.behaviour
    stub.behaviour = lambda call: DROPPED if len(stub.calls) == 1 else hold(call)
    with pytest.raises(ProviderUnavailable, match=r"did not answer in time .* before failed, too: .* broke off"):
        encoder_at(timeout_seconds=3).encode(TEXTS, "query")


def test_a_question_gives_up_a_provider_that_is_not_there_sooner_than_a_document(encoder_at, nowhere):
    requests = []
    for purpose in ("query", "document"):
        encoder = encoder_at(url=nowhere, timeout_seconds=2)
        with pytest.raises(ProviderUnavailable, match="cannot be reached"):
            encoder.encode(TEXTS, purpose)
        requests.append(encoder.counts.requests)
    assert requests[0] == provider_module.QUERY_ATTEMPTS < requests[1]


def test_nothing_is_sent_for_a_text_that_no_model_reads(stub, encoder_at):
    with pytest.raises(InvalidText):
        encoder_at().encode(["good", "\ud800"], "query")
    assert stub.calls == []
    assert encoder_at().encode([], "query").vectors.shape[0] == 0


def test_the_key_is_sent_and_stands_in_no_message(stub, encoder_at):
    stub.behaviour = lambda call: Reply(401, {"error": {"message": f"Incorrect API key provided: {KEY}."}})
    encoder = encoder_at(api_key=KEY)
    with pytest.raises(ProviderUnavailable, match=r"provided: \[key\]\.") as refusal:
        encoder.encode(TEXTS, "query")
    assert stub.calls[0].headers["Authorization"] == f"Bearer {KEY}"
    cause: BaseException | None = refusal.value
    while cause is not None:
        assert KEY not in f"{cause!r} {cause}"
        cause = cause.__cause__ or cause.__context__
    assert KEY not in repr(encoder) + repr(vars(encoder))


def test_without_a_key_none_is_sent(stub, encoder_at):
    encoder_at().encode(TEXTS, "query")
    assert "Authorization" not in stub.calls[0].headers


def settings_of(stub, **fields):
    usual = {"name": "nomic", "url": stub.url, "model": "nomic-embed-text", "api_key": KEY}
    return RemoteSettings(**(usual | fields))


def test_an_encoder_is_measured_once_and_again_after_a_change_of_model(stub, tmp_path):
    with SQLiteStore.open(tmp_path) as store:
        first = load_remote(settings_of(stub), store)
        assert first.dimension == WIDTH
        assert 0 < first.background.deviation < 1
        assert first.temperature.source == "measured"
        assert first.measure().unit_length
        stub.calls.clear()
        again = load_remote(settings_of(stub, url="http://127.0.0.1:1/v1", batch_texts=3), store)
        assert again.measure() == first.measure()
        assert again.dimension == WIDTH
        assert stub.calls == []
        for change in ({"dimensions": 24}, {"query_prefix": "q: "}, {"model": "another"}):
            stub.calls.clear()
            load_remote(settings_of(stub, **change), store)
            assert stub.calls
    assert KEY.encode() not in b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_a_failed_measurement_is_not_kept(stub, tmp_path):
    always(stub, Reply(404, {"error": "no such model"}))
    with SQLiteStore.open(tmp_path) as store:
        with pytest.raises(ProviderUnavailable, match="no such model"):
            load_remote(settings_of(stub), store)
        assert store.measured_encoders() == []


def test_measurements_are_the_same_after_they_were_kept(encoder_at):
    encoder: RemoteEncoder = encoder_at()
    measured: Measurements = encoder.measure()
    assert read_measurements(write_measurements(encoder.dimension, measured)) == (WIDTH, measured)
