"""Words and biases against a softmax over all documents, written out here in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.lookup import Question, answer, sweep
from softkv_service.retrieval.queries.documents import StoredDocuments
from softkv_service.retrieval.queries.encoded import EncodedQuery
from softkv_service.retrieval.queries.results import ResultBuilder, summarise_full_text
from softkv_service.retrieval.queries.terms import add_up_terms, terms_of
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage.conditions import parse_condition
from softkv_service.storage.records import DocumentRecord
from tests.service.retrieval.making import opened
from tests.service.storage.test_storage_ranks import bm25
from tests.thorough import examples

WIDTH = 3
WORDS = ["cat", "dog", "the"]
numbers = st.sampled_from([0, 1, 2, 2.5, -3, 1990, 2020, 2**53 + 1, 2**63 + 2**11, 1e300, -1e300, 1e-300])
values = numbers | st.sampled_from(["QA76", "2020", "true", "", True, False, [1], {"a": 1}, None])
keys = st.lists(st.lists(st.floats(-2, 2, width=16), min_size=WIDTH, max_size=WIDTH), max_size=2)
stored = st.tuples(
    st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join) | st.none(),
    keys,
    st.dictionaries(st.sampled_from(["year", "shelf"]), values),
)
writes = st.lists(st.tuples(st.sampled_from("abcdef"), stored | st.none()), max_size=12)
small = st.floats(-3, 3, width=16)
missing = st.fixed_dictionaries({}, optional={"missing": small})
field = st.sampled_from([{"field": "metadata.year"}, {"field": "metadata.shelf"}])
filters = st.builds(
    lambda operator, value: {"field": "metadata.year", "operator": operator, "value": value},
    st.sampled_from(["==", ">", "<="]),
    st.sampled_from([1, 1990, 2020]),
)
forms = st.one_of(
    st.fixed_dictionaries(
        {"half_life": st.sampled_from([1e-200, 0.5, 10, 1e9])},
        optional={"origin": numbers, "decay": st.sampled_from(["exponential", "gaussian"])},
    ),
    st.fixed_dictionaries({"factor": small | st.just(1e200)}),
    st.fixed_dictionaries({"scale": st.just("log")}, optional={"factor": small}),
    st.fixed_dictionaries(
        {"weights": st.dictionaries(st.sampled_from(["QA76", "2020", "true", "2.5"]), small, min_size=1)}
    ),
)
terms = st.builds(lambda *parts: {name: each for part in parts for name, each in part.items()}, field, forms, missing)
terms |= st.fixed_dictionaries({"filter": filters, "addend": small})
asked = st.fixed_dictionaries(
    {
        "text": st.lists(st.sampled_from([*WORDS, "cow"]), min_size=1, max_size=2, unique=True),
        "full_text": st.sampled_from([0, 0.1, 2.0]),
        "bias": terms | st.lists(terms, max_size=3),
        "filter": st.none() | filters,
        "null": st.sampled_from([None, 0.3]),
        "temperature": st.sampled_from([0.05, 1.0, 20.0, math.inf]),
    }
)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    made = opened(tmp_path_factory.mktemp("addends"))
    yield made
    made.store.close()


def document(identity: str, text: str | None, keys: list[list[float]], metadata: dict[str, Any]) -> DocumentRecord:
    rows = np.array(keys, np.float32).reshape(-1, WIDTH)
    return DocumentRecord(identity, text, identity, rows, metadata=metadata)


def number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) else None


def cut(value: float) -> float:
    return max(-1e30, min(1e30, value))


def passes(tree: dict[str, Any], metadata: dict[str, Any]) -> bool:
    year = number(metadata.get("year"))
    if year is None:
        return False
    exact, value = metadata["year"], tree["value"]
    return {"==": exact == value, ">": exact > value, "<=": exact <= value}[tree["operator"]]


def addend(term: dict[str, Any], metadata: dict[str, Any], all_of: list[dict[str, Any]]) -> float:
    """Return the addend of one term, by its definition."""
    if "filter" in term:
        return term["addend"] if passes(term["filter"], metadata) else 0.0
    name = term["field"].removeprefix("metadata.")
    value, otherwise = metadata.get(name), term.get("missing", 0.0)
    if "weights" in term:
        if isinstance(value, bool):
            return term["weights"].get("true" if value else "false", otherwise)
        if isinstance(value, str):
            return term["weights"].get(value, otherwise)
        return next(
            (weight for text, weight in term["weights"].items() if text[0] == "2" and value == float(text)), otherwise
        )
    x = number(value)
    if x is None:
        return otherwise
    if "half_life" in term:
        values = [
            number_of_other
            for number_of_other in (number(other.get(name)) for other in all_of)
            if number_of_other is not None
        ]
        lives = abs(x - term.get("origin", max(values))) / term["half_life"]
        power = 2 if term.get("decay") == "gaussian" else 1
        return cut(-math.log(2) * (lives**power if lives < 1e150 else math.inf))
    if "scale" not in term:
        return cut(term["factor"] * x)
    factor = term.get("factor", 1)
    if x < 0 or (x == 0 and factor < 0):
        return otherwise
    if x == 0:
        return -math.inf if factor > 0 else 0.0
    return cut(factor * math.log(x))


Model = dict[str, tuple[str | None, list[list[float]], dict[str, Any]]]


def ranks(ranking: str, model: Model, question: list[str]) -> dict[str, float]:
    """Return the rank of each document; 0 for documents that full text does not find."""
    if ranking == "bm25":
        named = dict(enumerate(model))
        result = bm25({row: model[identity][0] for row, identity in named.items()}, question)
        return dict.fromkeys(model, 0.0) | {named[row]: rank for row, rank in result.items()}
    counts = {
        identity: [(text or "").split().count(word) for word in question] for identity, (text, *_) in model.items()
    }
    return {identity: 0.1 * sum(count) for identity, count in counts.items()}


def expected(model: Model, query: Any, options: dict[str, Any], ranking: str) -> tuple[dict[str, float], float, int]:
    """The weight of each document, that of the null key, and how many documents pass and hold a word."""
    attended = {identity: entry for identity, entry in model.items() if entry[1]}
    metadata = [entry[2] for entry in attended.values()]
    by_rank = ranks(ranking, model, options["text"])
    bias = options["bias"] if isinstance(options["bias"], list) else [options["bias"]]
    logits: list[tuple[str | None, float]] = []
    holding = 0
    for identity, (text, rows, fields) in attended.items():
        added = [addend(term, fields, metadata) for term in bias]
        added.append(cut(options["full_text"] * by_rank[identity]))
        if (options["filter"] is not None and not passes(options["filter"], fields)) or -math.inf in added:
            continue
        holding += any(word in (text or "").split() for word in options["text"])
        dots = (np.array(rows, np.float32).astype(np.float64) * query).sum(axis=1)
        logits += [(identity, float(dot) / options["temperature"] + sum(added)) for dot in dots]
    if options["null"] is not None:
        logits.append((None, options["null"] / options["temperature"]))
    peak = max((logit for _, logit in logits), default=0.0)
    weights: dict[str | None, float] = {}
    for identity, logit in logits:
        weights[identity] = weights.get(identity, 0.0) + math.exp(logit - peak)
    total = sum(weights.values())
    null = weights.pop(None, 0.0) / total if total else 0.0
    return {str(identity): weight / total for identity, weight in weights.items()}, null, holding


@settings(max_examples=examples(50), deadline=None)
@given(writes, asked, st.lists(small, min_size=WIDTH, max_size=WIDTH))
def test_addends_enter_the_softmax_over_any_history(
    catalogue: Any, history: list[Any], asked: dict[str, Any], query: list[float]
) -> None:
    collection = catalogue.collection("c")
    collection.delete(ids=list("abcdef"))
    model: Model = {}
    for identity, written in [("a", ("the cat", [[1, 0, 0]], {"year": 1990, "shelf": "QA76"})), *history]:
        if written is None:
            collection.delete(ids=[identity])
            model.pop(identity, None)
        else:
            collection.write([document(identity, *written)])
            model[identity] = written
    with collection.snapshot() as snapshot:
        search = snapshot.reader.search(snapshot.record.id)
        mask = None if asked["filter"] is None else snapshot.mask(parse_condition(asked["filter"]))
        options = CollectionQuestion(filter=asked["filter"], full_text=asked["full_text"], bias=asked["bias"])
        (added,) = add_up_terms(terms_of([" ".join(asked["text"])], options), snapshot, 1)
        bias = None if added is None else added.bias
        question = Question(np.array(query), asked["temperature"], null=asked["null"], mask=mask, bias=bias)
        answered = answer(snapshot.view, question)
        reading = StoredDocuments(snapshot, "texts")
        encoded = EncodedQuery(question.query, question.query)
        outcome = ResultBuilder(snapshot.record, options, reading).build(encoded, answered, added)
        summary = summarise_full_text(added, snapshot, options)
        swept = sweep(snapshot.view, question, [asked["temperature"]])
    weights, null, holding = expected(model, np.array(query), asked, search.ranking)
    assert {match.id: match.weight for match in outcome.matches} == pytest.approx(weights, abs=1e-6)
    assert answered.null_weight == pytest.approx(null, abs=1e-6)
    np.testing.assert_allclose(
        dict(zip(swept.numbers, swept.weights[0], strict=True))[answered.numbers[0]] if len(weights) else 0,
        answered.weights[0] if len(weights) else 0,
        atol=1e-9,
    )
    if asked["full_text"]:
        assert summary is not None
        assert (summary.weight, summary.ranking, summary.documents) == (asked["full_text"], search.ranking, holding)
    many = len(asked["bias"]) if isinstance(asked["bias"], list) else 1
    for match in outcome.matches if added is not None else []:
        assert match.addends is not None
        assert len(match.addends) == many + bool(asked["full_text"])
        logit = match.similarity / asked["temperature"] + sum(line["addend"] for line in match.addends)
        assert logit == pytest.approx(match.logit, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("temperature", [0, 0.05, 2.0])
@pytest.mark.parametrize(
    ("addends", "bound"),
    [
        ([[1732363200123456, 1732363200123456], [0.1, 0.0]], 1),
        ([[1732363200123, 1732363200123], [1e-4, 0.0]], 1e-3),
        ([[1e30, 0.0], [1e14, 0.0], [0.3, 0.0], [-1e30, 0.0], [-1e14, 0.0]], 1e-13),
        ([[1e30, 0.0], [-1e30, 0.0], [1e16, 1e16], [-1e16, -1e16], [1e-4, 0.0]], 1e-13),
        ([[0.5, 0.0], [3.0, 1.0]], 1e-13),
    ],
)
def test_the_certificate_of_copies_covers_the_rounding_of_addends(create, addends, bound, temperature):
    names = [f"f{i}" for i in range(len(addends))]
    documents = [
        DocumentRecord(name, None, i, np.ones((1, WIDTH), np.float32), metadata=dict(zip(names, values, strict=True)))
        for i, (name, values) in enumerate(zip("ab", zip(*addends, strict=True), strict=True))
    ]
    bias = [{"field": f"metadata.{name}", "factor": 1} for name in names]
    with create(documents).snapshot() as snapshot:
        (added,) = add_up_terms(terms_of([np.ones(WIDTH)], CollectionQuestion(bias=bias)), snapshot, 1)
        outcome = answer(snapshot.view, Question(np.ones(WIDTH), temperature, bias=added.bias))
        explained = added.explain(outcome.numbers)
    exact = [sum(Fraction(line["addend"]) for line in lines) for lines in explained]
    share = 1 / (1 + math.exp(-float(exact[0] - exact[1])))
    assert abs(outcome.weights[0] - share) <= outcome.certificate.total_variation <= bound
