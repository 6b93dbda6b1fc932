"""Each sentence under a picture is true of the numbers that the picture shows, in every state and in both languages."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from softkv_attention import attend
from tools.node import ROOT, checked, node
from tools.page import WORKSHOP
from workshop.tools.recorded import read, unpack_weights

pytestmark = pytest.mark.node
SCRIPT = Path(__file__).with_name("sentences.mjs")
WEB = ROOT / "service" / "softkv_service" / "web"
PICTURES = WEB / "shared" / "pictures.json"
SENTENCES = ("told", "shares", "thousands", "fits", "mask", "predict.why", "step")
TEMPERATURES = (0.0, 0.001, 0.01, 0.05, 0.1, 0.3, 1.0, 10.0, 100.0, math.inf)
SIZES = (2, 3, 5, 9, 17, 30)
CHARACTERS = read("sharing")["characters"]
STEPS = ["x", "project", "dot", "scale", "mask", "softmax", "blend", "heads", "norm", "whole"]


def told(
    chapter: str | None, states: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], dict[str, Any], str, Any]]:
    """Yield each state in both languages, what it shows, the name of the sentence told and the parts filled in.

    The words are those of a chapter, or without one of all pictures.
    """
    file = WORKSHOP / "story" / "chapters" / f"{chapter}.json" if chapter else PICTURES
    texts = json.loads(file.read_text(encoding="utf-8"))
    cases = [state | {"language": language} for state, language in product(states, texts)]
    sent = [state | {"words": texts[state["language"]], "T": _written(state.get("T", 1.0))} for state in cases]
    content = json.dumps({"states": sent, "characters": CHARACTERS})
    shown = json.loads(checked(node(ROOT, SCRIPT, given=content)))
    for state, picture in zip(cases, shown, strict=True):
        yield state, picture, *_matched(texts[state["language"]], picture["text"])


def _written(T: float) -> float | str:
    return "inf" if math.isinf(T) else T


def _matched(texts: dict[str, str], text: str) -> tuple[str, dict[str, str]]:
    """Return the longest sentence that a text can be, and what stands in its places; "" for an empty text."""
    if not text:
        return "", {}
    matches = {}
    for name, template in texts.items():
        if not name.startswith(SENTENCES) or name == "fits.blurred":
            continue
        whole = re.sub(r"\{(\w+)\|[^|}]*\|(?:[^{}]|\{\w+\})*\}", r"{\1}§", template)
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(whole)).replace("§", "[^;]*")
        if match := re.fullmatch(pattern, text):
            matches[name] = match.groupdict()
    assert matches, text
    return max(matches.items(), key=lambda match: len(texts[match[0]]))


def close(text: str, share: float) -> bool:
    """Whether a percentage as it is written stands for a share; 0% and 100% only for all and nothing."""
    if text in ("0%", "100%"):
        return abs(share - float(text[:-1]) / 100) < 1e-12
    if text in ("<0.1%", ">99.9%"):
        return share < 0.001 if text[0] == "<" else share > 0.999
    digits = text.rstrip("%")
    return abs(float(digits) - 100 * share) <= (0.0501 if "." in digits else 0.501)


def similarities(size: int) -> NDArray[np.float64]:
    return np.random.default_rng(size).uniform(-0.1, 0.9, size).round(4)


def weighed(numbers: NDArray[np.float64], T: float) -> NDArray[np.float64]:
    """Return the core's weights."""
    if math.isinf(T):
        return np.full(len(numbers), 1 / len(numbers))
    eye = np.eye(len(numbers))
    attended = attend(np.ones((1, 1)), numbers[:, None], eye, similarity="dot", temperature=T)
    return np.asarray(attended.weights[0])


def grid(sentence: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {"sentence": sentence, "T": T, "similarities": similarities(n).tolist(), "keys": [f"row {i}" for i in range(n)]}
        | more
        for T, n in product(TEMPERATURES, SIZES)
    ]


@pytest.mark.parametrize("query", ["another text", "row 1"])
def test_one_row_answers_or_many(query: str) -> None:
    names = set()
    for state, picture, name, parts in told("hard", grid("hardAndSoft", query=query)):
        weights = weighed(np.array(state["similarities"]), state["T"])
        np.testing.assert_allclose(picture["weights"], weights, atol=1e-12)
        names.add(name)
        if name == "told.infinity":
            assert np.ptp(weights) < 1e-12
            assert int(parts["count"]) == len(weights)
        elif name == "told.alone":
            assert close(parts["share"], weights.max())
            assert weights.max() > 0.98
        elif name == "told":
            entropy = -sum(weight * math.log(weight) for weight in weights if weight > 0)
            assert abs(float(parts["count"]) - math.exp(entropy)) <= 0.0501
        else:
            assert state["T"] == 0
            assert weights[state["keys"].index(parts["key"])] == 1
            assert (parts["key"] == query) is (name == "told.equal")
            assert name == "told.equal" or parts["hot"] == " ".join(f"{weight:.0f}" for weight in weights)
    assert names >= {"told", "told.zero", "told.infinity"}
    assert ("told.equal" in names) is (query == "row 1")


def test_a_misread_question_has_its_sentence() -> None:
    rows: dict[str, Any] = {"similarities": [0.19, 0.26, 0.21], "keys": ["embers", "wet stone", "the deep ocean"]}
    state = {"sentence": "hardAndSoft", "query": "hot lava"} | rows
    misread = {"query": "hot lava", "key": "wet stone"}
    for shown, _, name, parts in told("hard", [state | {"T": T, "misread": misread} for T in TEMPERATURES]):
        weight = weighed(np.array(rows["similarities"]), shown["T"])[rows["keys"].index("wet stone")]
        assert (name == "told.misread") == (weight > 0.5)
        assert name != "told.misread" or close(parts["share"], weight)


def test_rows_that_tie_at_zero_are_not_one() -> None:
    tied = {"sentence": "hardAndSoft", "T": 0.0, "similarities": [0.5, 0.2, 0.5], "keys": ["a", "b", "c"], "query": "q"}
    assert {(name, parts["count"]) for _, _, name, parts in told("hard", [tied])} == {("told", "2.0")}


def test_shares_are_of_the_weights() -> None:
    for state, _, name, parts in told(None, grid("whoShares")):
        weights = weighed(np.array(state["similarities"]), state["T"])
        if name == "shares.alike":
            assert np.ptp(weights) < 1e-12
            assert close(parts["share"], weights[0])
            continue
        rows = [state["keys"].index(parts[part]) for part in ("first", "second", "key") if part in parts]
        assert sorted(weights[rows]) == pytest.approx(np.sort(weights)[-len(rows) :])
        assert close(parts["share"], weights[rows].sum())


def test_the_nearest_of_thousands_have_their_share() -> None:
    states = [{"sentence": "amongThousands", "T": T} for T in TEMPERATURES]
    for state, picture, name, parts in told(None, states):
        weights, rest = picture["weights"], picture["rest"]
        if name == "shares.alike":
            assert state["T"] == math.inf
            continue
        others = int(parts["others"].replace(",", ""))
        if name == "thousands.zero":
            assert state["T"] == 0
            assert max(weights) == 1
            assert others == CHARACTERS["documents"] - 1
            continue
        assert others == CHARACTERS["documents"] - len(weights)
        assert close(parts["share"], 1 - rest)
        assert parts["share"] != "100%", "the others have the rest, and there is one"


@pytest.mark.parametrize("level", [-0.1, 0.3, 0.95])
@pytest.mark.parametrize("blurred", [False, True])
def test_an_answer_is_an_answer(level: float, blurred: bool) -> None:
    texts = json.loads(PICTURES.read_text(encoding="utf-8"))
    doubts = {language: texts[language]["fits.blurred"].replace("{text}", "") for language in texts}
    states = grid("nothingFits", level=level, isBlurred=blurred)
    cases = [state | {"language": language} for state, language in product(states, texts)]
    sent = [state | {"words": texts[state["language"]], "T": _written(state["T"])} for state in cases]
    shown = json.loads(checked(node(ROOT, SCRIPT, given=json.dumps({"states": sent, "characters": CHARACTERS}))))
    for state, picture in zip(cases, shown, strict=True):
        *weights, none = weighed(np.array([*state["similarities"], level]), state["T"])
        doubt = doubts[state["language"]]
        assert picture["text"].endswith(doubt) is blurred
        name, parts = _matched(texts[state["language"]], picture["text"].removesuffix(doubt))
        assert close(parts["share"], max(weights) if name == "fits.one" else none)
        if name == "fits.one":
            assert weights[state["keys"].index(parts["key"])] == max(weights) > 0.5
        else:
            assert (none >= 0.5) == (name == "fits.none")
            assert name == "fits.none" or max(weights) <= 0.5


def test_the_reason_for_none_holds_or_is_empty() -> None:
    names = set()
    for level in (-0.1, 0.3, 0.95):
        for state, _, name, parts in told("none", grid("whyNone", level=level)):
            *weights, none = weighed(np.array([*state["similarities"], level]), state["T"])
            names.add(name)
            assert bool(name) is (level > max(state["similarities"]) and state["T"] < math.inf)
            if name:
                assert close(parts["share"], none)
                assert none > max(weights)
    assert names == {"", "predict.why"}


@pytest.mark.parametrize("masked", [0, 1, 2])
def test_masked_rows_are_counted_and_the_others_share_the_whole(masked: int) -> None:
    for state, picture, name, parts in told("none", grid("maskedRows", masked=masked)):
        assert name == ("mask.all" if len(state["keys"]) == masked else "mask.told" if masked else "")
        assert sum(picture["weights"]) == pytest.approx(0 if name == "mask.all" else 1)
        if name == "mask.told":
            assert int(re.findall(r"\d+", parts["count"])[0]) == masked


@pytest.mark.parametrize("T", TEMPERATURES)
@pytest.mark.parametrize("count", SIZES)
def test_an_edited_key_moves_weights_and_an_edited_value_none(T: float, count: int) -> None:
    numbers = similarities(count)
    other = numbers.copy()
    other[0] = 0.95
    values = [f"value {i}" for i in range(count)]
    shown = {
        "key": (other, values),
        "value": (numbers, ["another", *values[1:]]),
        "both": (other, ["another", *values[1:]]),
    }
    states = [
        {"sentence": "whatMoved", "before": _shown(numbers, values, T), "after": _shown(*after, T), "edited": edited}
        for edited, after in shown.items()
    ]
    for state, _, name, _ in told("value", states):
        weights = [np.array(state[when]["weights"]) for when in ("before", "after")]
        has_moved = np.abs(weights[0] - weights[1]).max() > 1e-9
        edited = state["edited"]
        assert has_moved or edited == "value" or T in (0, math.inf)
        if edited == "value":
            assert name == "told.value"
        elif edited == "key":
            assert name == ("told.key" if has_moved else "told.same")
        else:
            assert name == ("" if has_moved else "told.value")


def _shown(numbers: NDArray[np.float64], values: list[str], T: float) -> dict[str, Any]:
    return {"weights": weighed(numbers, T).tolist(), "values": values}


def test_a_step_says_one_sentence_of_its_state() -> None:
    states = [
        {"sentence": "layerStep", "step": step, "isMasked": masked} for step, masked in product(STEPS, (True, False))
    ]
    for state, _, name, _ in told("numbers", states):
        expected = f"step.{state['step']}"
        if state["step"] == "mask" and not state["isMasked"]:
            expected += ".off"
        assert name == expected


def test_the_pattern_of_a_head_has_its_share() -> None:
    trace = read("trace")
    texts = json.loads(PICTURES.read_text(encoding="utf-8"))
    text = next(one for one in trace["texts"] if one["text"] == "The dog chased the cat across the street")
    tokens = [token["text"] for token in text["tokens"]]
    n = len(tokens)
    weights = unpack_weights(text["weights"], trace["layers"], trace["heads"], n, n)
    for language, words in texts.items():
        heads = list(product(range(trace["layers"]), range(trace["heads"])))
        states = [
            {"sentence": "headPattern", "language": language, "words": words, "T": 1}
            | {"layer": i + 1, "head": j + 1, "weights": weights[i, j].ravel().tolist(), "tokens": tokens}
            for i, j in heads
        ]
        shown = json.loads(checked(node(ROOT, SCRIPT, given=json.dumps({"states": states, "characters": CHARACTERS}))))
        for (i, j), picture in zip(heads, shown, strict=True):
            one = weights[i, j]
            shares = {
                "before": np.diagonal(one, -1).mean(),
                "next": np.diagonal(one, 1).mean(),
                "self": np.diagonal(one).mean(),
                "start": one[:, 0].mean(),
                "end": one[:, -1].mean(),
                "word": one[:, 1:-1].mean(axis=0).max(),
            }
            place, pattern = picture["text"].split(" · ")
            assert place == words["place"].format(layer=i + 1, head=j + 1)
            largest = max(shares, key=lambda name: shares[name])
            if shares[largest] < 0.45:
                mixed = words["pattern.mixed"].removesuffix("{pattern}")
                assert pattern.startswith(mixed)
                pattern = pattern.removeprefix(mixed)
            word = tokens[1 + one[:, 1:-1].mean(axis=0).argmax()]
            before, after = words[f"pattern.{largest}"].replace("{word}", word).split("{share}")
            assert pattern.startswith(before)
            assert pattern.endswith(after)
            assert close(pattern[len(before) : len(pattern) - len(after)], shares[largest])
    assert np.diagonal(weights[1, 8], 1).mean() >= 0.45, "the head of the question looks at the next word"


def test_a_mask_leaves_the_rest_one_factor() -> None:
    rows = np.random.default_rng(8).dirichlet(np.full(4, 0.5), 6)
    states = [
        {"sentence": "whoAsks", "use": use, "word": "pas", "nearest": nearest, "read": 4, "free": row[0]}
        | {"weight": row[0] / (row[: asker + 1].sum() if use == "masked" else 1)}
        for use, row, asker in product(("self", "masked", "cross", "patches"), rows, range(4))
        for nearest in ("does", "see")
    ]
    for state, _, name, parts in told("../parts/kinds", states):
        is_cut = state["weight"] > state["free"] + 1e-9
        last = {"masked": "" if is_cut else ".last", "cross": ".pas" if state["nearest"] == "does" else ""}
        assert name == f"told.{state['use']}{last.get(state['use'], '')}"
        if "factor" in parts:
            assert float(parts["factor"]) == pytest.approx(state["weight"] / state["free"], abs=0.00501)
        assert "read" not in parts or int(parts["read"]) == 4


def test_a_word_looks_at_its_largest_weight() -> None:
    weights = np.random.default_rng(7).dirichlet(np.full(4, 0.5), (12, 3))
    states = [
        {
            "sentence": "whereItLooks",
            "word": "rouge",
            "written": written,
            "read": list("abcd"),
            "weights": rows.tolist(),
        }
        for rows, written in zip(weights, [["la", "rouge", "auto"], ["la", "la", "la"]] * 6, strict=True)
    ]
    for shown, _, name, parts in told("learns", states):
        if "rouge" not in shown["written"]:
            assert name == ""
            continue
        row = np.array(shown["weights"][1])
        assert parts["word"] == "rouge"
        assert parts["read"] == shown["read"][int(row.argmax())]
        assert close(parts["share"], row.max())


@pytest.mark.parametrize("seed", range(4))
def test_a_level_of_the_zoom_says_its_numbers(seed: int) -> None:
    random = np.random.default_rng(seed)
    layers, heads, n = 3, 4, 5
    attention = random.dirichlet(np.full(n, 0.3), (layers, heads, n))
    added, rows = random.dirichlet(np.ones(3)), np.sort(random.dirichlet(np.ones(6)))[::-1]
    shares = random.dirichlet(np.full(7, 0.5))
    reading: dict[str, Any] = {
        "sentence": "rowToWord",
        "tokens": ["start", "one", "two", "three", "four"],
        "attention": attention.reshape(layers, heads, -1).tolist(),
        "shares": added.tolist(),
        "neurons": [{"key": f"a {i}", "writes": [f"word {i}"], "share": share} for i, share in enumerate(rows)],
        "inner": 1234,
        "guesses": [{"word": f"guess {i}", "probability": 0.5} for i in range(2 * layers + 1)],
        "candidates": [{"word": f"word {i}", "probability": share} for i, share in enumerate(sorted(shares)[::-1])],
        "vocabulary": 4321,
    }
    levels = ["row", "matrix", "heads", "neurons", "layer", "layers", "word"]
    states = [
        reading | {"level": level, "layer": layer, "head": head, "T": T}
        for level, layer, head, T in product(levels, (0, 2), (1, 3), (0.0, 0.7, math.inf))
    ]
    names = set()
    for state, _, name, parts in told("../word/word", states):
        names.add(name)
        last = attention[state["layer"], :, -1]
        nearest = [state["tokens"][int(one.argmax())] for one in last]
        layer, head = state["layer"], state["head"]
        if name == "told.row":
            assert (parts["word"], parts["read"]) == ("four", nearest[head])
            assert close(parts["share"], last[head].max())
            assert int(parts["place"]) == 1 + last[head].argmax()
            assert (int(parts["layer"]), int(parts["head"])) == (layer + 1, head + 1)
        elif name == "told.matrix":
            assert int(parts["count"]) == n
        elif name == "told.heads":
            assert int(parts["heads"]) == heads
            assert parts["read"] == ", ".join(nearest)
        elif name == "told.layer":
            assert int(parts["layer"]) == layer + 1
            told_shares = [parts[name] for name in ("before", "attended", "fed")]
            assert all(close(*pair) for pair in zip(told_shares, reading["shares"], strict=True))
        elif name == "told.neurons":
            assert (int(parts["count"].replace(",", "")), parts["key"], parts["word"]) == (1234, "a 0", "word 0")
            assert close(parts["share"], rows[0])
        elif name == "told.layers":
            assert (parts["first"], int(parts["layers"]), parts["last"]) == ("guess 0", layers, f"guess {2 * layers}")
        else:
            assert name == {0.0: "told.word.zero", 0.7: "told.word", math.inf: "told.word.infinity"}[state["T"]]
            assert int(parts["count"].replace(",", "")) == 4321
            assert name == "told.word.infinity" or parts["word"] == "word 0"
            assert name != "told.word" or close(parts["share"], shares.max())
    assert names == {f"told.{level}" for level in levels} | {"told.word.zero", "told.word.infinity"}
    silent = reading | {"level": "neurons", "layer": 0, "head": 0, "T": 1.0, "neurons": []}
    for _, _, name, parts in told("../word/word", [silent]):
        assert (name, parts["count"].replace(",", "")) == ("told.neurons.none", "1234")
