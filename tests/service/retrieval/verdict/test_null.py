"""The base of the null key: measured right after every write, and the same after a restart."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from softkv_attention.lookup import Background, Memory, Question, Rows, answers
from softkv_service.encoding import Backgrounds, EncoderFacts
from softkv_service.retrieval.collections import Catalogue
from softkv_service.retrieval.verdict import SAMPLE_DOCUMENTS, KeyBackground
from softkv_service.retrieval.verdict.key_background import MAX_FILTERS, SampledKeys
from softkv_service.retrieval.verdict.null import RULES, ResolvedNull, choose_background
from softkv_service.storage import SQLiteStore, id_hash
from softkv_service.storage.conditions import Comparison
from softkv_service.storage.records import CollectionRecord, CollectionSettings, DocumentRecord
from tests.service.retrieval.making import opened

D = 5
TEXTS, SHORT = Background(0.04, 0.08), Background(0.18, 0.09)
ENCODER = EncoderFacts("transformer", 64, "float32", 0.05, Backgrounds(TEXTS, SHORT), unit_length=True)


def by_definition(similarity: str, keys: dict[str, np.ndarray]) -> tuple[float, float, int]:
    """Return (mean, deviation, pairs): a full sample by halves, a smaller one by every pair."""
    sample = np.array([keys[i] for i in sorted(keys, key=id_hash)[:SAMPLE_DOCUMENTS]], np.float64)
    lefts, rights = np.triu_indices(len(sample), 1)
    if len(sample) == SAMPLE_DOCUMENTS:
        between = (lefts < SAMPLE_DOCUMENTS // 2) & (rights >= SAMPLE_DOCUMENTS // 2)
        lefts, rights = lefts[between], rights[between]
    dots, squares = sample @ sample.T, (sample**2).sum(axis=1)
    cosines = dots / np.sqrt(np.outer(squares, squares))
    similarities = {
        "cosine": cosines,
        "dot": dots,
        "scaled_dot": dots / math.sqrt(D),
        "gaussian": dots - np.add.outer(squares, squares) / 2,
    }[similarity][lefts, rights][cosines[lefts, rights] < 0.8]
    return similarities.mean(), similarities.std(), len(similarities)


@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot", "gaussian"])
def test_the_own_background_is_that_of_the_stored_documents_after_any_writes(tmp_path, similarity):
    random, keys = np.random.default_rng(0), dict[str, np.ndarray]()
    made = opened(tmp_path, similarity=similarity)
    for step in range(9):
        collection, first = made.collection("c"), int(random.integers(0, 900))
        ids = [f"d{i}" for i in range(first, first + int(random.integers(1, 400)))]
        if step % 3 == 2:
            collection.delete(ids=ids)
            keys = {identity: key for identity, key in keys.items() if identity not in ids}
            made.store.close()
            made = Catalogue(SQLiteStore.open(tmp_path), None)
            made.rebuild()
            collection = made.collection("c")
        else:
            rows = random.standard_normal((len(ids), D)).astype(np.float32)
            written = dict(zip(ids, np.repeat(rows[:1], len(ids), axis=0) if step == 4 else rows, strict=True))
            collection.write([DocumentRecord(i, None, None, key[None]) for i, key in written.items()])
            keys |= written
        with collection.snapshot() as snapshot:
            own = snapshot.own()
        expected = by_definition(similarity, keys)
        assert (own.background.mean, own.background.deviation, own.pairs) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert len(keys) > SAMPLE_DOCUMENTS
    made.store.close()


def unrelated(n: int, seed: int = 0) -> np.ndarray:
    keys = np.random.default_rng(seed).standard_normal((n, 64))
    return (keys / np.linalg.norm(keys, axis=1, keepdims=True)).astype(np.float32)


SAMPLED = SampledKeys.of("cosine", unrelated(40))


def documents(keys: np.ndarray) -> list[DocumentRecord]:
    return [DocumentRecord(f"d{i}", None, None, key[None], metadata={"part": i % 50}) for i, key in enumerate(keys)]


def test_a_version_is_measured_once(create):
    collection, ran = create(documents(unrelated(40)), similarity="cosine"), list[str]()

    def own() -> KeyBackground:
        with collection.snapshot() as snapshot:
            snapshot.reader._connection.set_trace_callback(ran.append)
            result = snapshot.own()
            snapshot.reader._connection.set_trace_callback(None)
        return result

    first = own()
    assert ran
    ran.clear()
    with collection.reading() as (seen, reader):
        assert collection.sample.own(seen, reader) is own() is first
    assert not ran
    collection.write([DocumentRecord("one more", None, None, unrelated(1, 1))])
    assert own() != first


def record(similarity: str, documents: int, keyless: int = 0) -> CollectionRecord:
    settings = CollectionSettings(similarity, 0.05, dimension=64, encoder="an encoder")
    return CollectionRecord(1, "c", settings, documents=documents, keyless=keyless)


def test_copies_of_one_key_have_no_background():
    assert KeyBackground.measure("cosine", np.repeat(unrelated(1), 12, axis=0)) is None
    assert KeyBackground.measure("cosine", np.repeat(unrelated(3), 4, axis=0)) is not None


def test_a_short_question_of_short_keys_has_the_background_of_short_texts():
    texts = ["cats", "red deer", None]
    assert KeyBackground.measure("cosine", unrelated(3), texts).short
    assert not KeyBackground.measure("cosine", unrelated(3), ["cats", "a cat that purrs at night"]).short
    assert not KeyBackground.measure("cosine", unrelated(3)).short
    own_background = KeyBackground(Background(0.14, 0.18), 65_536, SAMPLED, unit=True, short=True)
    for name, mean, deviation in (("auto", 0.18, 0.09), ("lenient", 0.18, 0.09), ("strict", 0.14, 0.18)):
        null_key = ResolvedNull(None, choose_background(name, record("cosine", 1000), own_background, ENCODER))
        short = null_key.of("flurb zindle quax", np.ones(64))
        assert (short.mean, short.deviation) == pytest.approx((mean, deviation))
        long = null_key.of("what is a soft lookup?", np.ones(64))
        assert long == null_key.of(np.ones(64), np.ones(64))
        standing = null_key.standing.background
        falls = 0.25 * (SAMPLED.measure(np.ones(64))[0] - 0.04)
        assert (long.mean, long.deviation) == pytest.approx((standing.mean - falls, standing.deviation))
    of_few = choose_background("auto", record("cosine", 15), replace(own_background, keys=15), ENCODER)
    assert (of_few.short.mean, of_few.short.deviation) == (SHORT.mean, SHORT.deviation)
    alike = replace(own_background, background=Background(0.5, 0.1), keys=15)
    assert choose_background("auto", record("cosine", 15), alike, ENCODER).short.mean == pytest.approx(
        0.18 + 0.32 * 0.15
    )
    assert (
        choose_background("auto", record("cosine", 1000), replace(own_background, short=False), ENCODER).short is None
    )
    assert choose_background("auto", record("cosine", 1000), own_background, None).short is None
    assert ResolvedNull(0.3, None).of("cats", np.ones(64)) == 0.3
    assert ResolvedNull(None, None).of("cats", np.ones(64)) is None


@pytest.mark.parametrize("keys", [0, 3, 12, 29, 30, 31])
def test_the_background_of_few_keys_counts_in_part(keys):
    own_background = KeyBackground(Background(0.14, 0.18), 9, SAMPLED, unit=True, keys=keys)
    share = min(1.0, keys / 30)
    strict = choose_background("strict", record("cosine", keys + 5, keyless=5), own_background, ENCODER)
    assert strict.background.mean == pytest.approx(0.04 + 0.1 * share)
    assert strict.of == ("keys" if share == 1 else "both")
    assert choose_background("auto", record("cosine", keys), own_background, ENCODER).background.mean == pytest.approx(
        0.04 + 0.03 * share
    )


@pytest.mark.parametrize(("similarity", "zero", "scale"), [("cosine", 0, 1), ("gaussian", -1, 1), ("scaled_dot", 0, 8)])
def test_keys_say_how_similar_questions_are_to_them_if_the_encoders_asymmetry_is_known(similarity, zero, scale):
    encoder = ENCODER._replace(asymmetry=0.5)

    def standing(mean: float, keys: int, choice: str = "auto"):
        own = KeyBackground(Background(zero + mean / scale, 0.18 / scale), 9, SAMPLED, True, True, keys)
        return choose_background(choice, record(similarity, keys), own, encoder)

    apart = standing(0.02, 1000)
    expected = zero + (0.2 * 0.04 + 0.8 * 0.01) / scale
    assert (apart.background.mean, apart.background.deviation) == pytest.approx((expected, 0.08 / scale))
    assert standing(0.02, 15).background.mean == pytest.approx(zero + (0.6 * 0.04 + 0.4 * 0.01) / scale)
    assert standing(0.02, 1000, "strict").background.mean == pytest.approx(zero + 0.02 / scale)
    alike = standing(0.5, 8)
    assert alike.background.at_most == Background(zero + 0.04 / scale, 0.08 / scale)
    assert (alike.short.mean, apart.short.mean) == pytest.approx((zero + 0.25 / scale, zero + 0.18 / scale))
    assert alike.question.rule == RULES["asymmetric"]
    assert (standing(0.5, 8, "strict").question, standing(0.5, 8, "lenient").question) == (None, None)
    sentence, vector = "我什么时候可以去借小说？", np.ones(64)
    assert alike.beside("平静大海的颜色", vector).background == alike.short != alike.beside(sentence, vector).background
    assert replace(alike, in_bytes=False).beside(sentence, vector).background == alike.short


def test_a_missing_background_is_replaced_by_the_other():
    own_background = KeyBackground(Background(0.14, 0.18), 9, SAMPLED, unit=True)
    for name in ("auto", "lenient", "strict"):
        assert (
            choose_background(name, record("cosine", 5), own_background, None).background == own_background.background
        )
        assert choose_background(name, record("cosine", 5), None, ENCODER).background == TEXTS
        assert choose_background(name, record("cosine", 2), None, None) is None


def test_the_encoders_cosines_become_other_similarities_of_vectors_of_length_one():
    keys = unrelated(300)
    for similarity, mean, deviation in (("dot", 0.04, 0.08), ("scaled_dot", 0.005, 0.01), ("gaussian", -0.96, 0.08)):
        own_background = KeyBackground.measure(similarity, keys)
        background = choose_background("lenient", record(similarity, 300), own_background, ENCODER).background
        assert (background.mean, background.deviation) == pytest.approx((mean, deviation))
        longer = KeyBackground.measure(similarity, 3 * keys)
        assert choose_background("lenient", record(similarity, 300), longer, ENCODER).of == "keys"
    assert (
        choose_background("lenient", record("cosine", 300), KeyBackground.measure("cosine", 3 * keys), ENCODER).of
        == "encoder"
    )


@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot", "gaussian"])
def test_a_thousand_copies_among_a_thousand_others_leave_right_matches_answered(similarity):
    other_vectors = unrelated(1000)
    keys = np.concatenate([other_vectors, np.repeat(other_vectors[:1], 1000, axis=0)])
    order = np.random.default_rng(1).permutation(2000)[:SAMPLE_DOCUMENTS]
    own_background = KeyBackground.measure(similarity, keys[order])
    memory = Memory(similarity)
    view = memory.publish(add=Rows(np.arange(2000), keys))
    temperature = 0.05 / math.sqrt(64) if similarity == "scaled_dot" else 0.05
    noise = unrelated(300, seed=2)
    questions = [
        Question(0.8 * other_vectors[i] + 0.6 * noise[i], temperature, own_background.background, output=False)
        for i in range(300)
    ]
    results = answers(view, questions)
    answered = [a.verdict.stands != "none" for i, a in enumerate(results) if a.numbers[0] == i or i == 0]
    assert len(answered) > 290
    assert np.mean(answered) >= 0.9
    beside = [
        Question(vector, temperature, own_background.background, output=False) for vector in unrelated(300, seed=3)
    ]
    assert np.mean([a.verdict.stands != "none" for a in answers(view, beside)]) < 0.2


SCALES = {"cosine": (1, 0), "dot": (1, 0), "scaled_dot": (8, 0), "gaussian": (1, -1)}
"""What a cosine of vectors of length 1 and width 64 is divided by, and what is added."""


@pytest.mark.parametrize("similarity", list(SCALES))
def test_auto_is_capped_and_rises_beside_a_question_near_to_all_keys(similarity):
    scale, offset = SCALES[similarity]
    random = np.random.default_rng(4)
    for closeness in (0.0, 0.5, 0.9):  # of a key, to the subject of all
        keys = closeness * unrelated(1) + math.sqrt(1 - closeness**2) * unrelated(200, seed=2)
        keys = (keys / np.linalg.norm(keys, axis=1, keepdims=True)).astype(np.float32)
        own = KeyBackground.measure(similarity, keys)
        null = ResolvedNull(None, choose_background("auto", record(similarity, 200), own, ENCODER))
        for question in (unrelated(1)[0], random.standard_normal(64).astype(np.float32)):
            question = question / np.linalg.norm(question)
            nearness = np.sort(keys.astype(np.float64) @ question)[:180] / scale + offset
            mean = 0.04 / scale + offset
            falls = 0.25 * (nearness.mean() - mean)
            for temperature, share in ((0.02, 1), (0.05, 1), (0.08, 0.4), (0.1, 0), (0.5, 0)):
                t, sigma = temperature / scale, 0.08 / scale
                level = [
                    Background(middle - falls, deviation).null_key(t, 200).level
                    for middle, deviation in (
                        (0.3 * own.background.mean + 0.7 * mean, 0.3 * own.background.deviation + 0.7 * sigma),
                        (mean + 0.75 * sigma, sigma),
                        (nearness.mean() + sigma * 2 / 3, nearness.std()),
                        (mean + 3 * sigma, sigma),
                    )
                ]
                expected = min(level[:2])
                expected += share * max(min(level[2:]) - expected, 0.0)
                key = null.of(question, question).null_key(t, 200)
                assert key.level == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("name", ["lenient", "strict"])
def test_a_question_about_the_subject_needs_less_than_another(name):
    """All keys are on one subject, so the mean similarity of a question to them says whether it is about that."""
    subject = unrelated(1)
    keys = 0.5 * subject + math.sqrt(0.75) * unrelated(200, seed=2)
    own = KeyBackground.measure("cosine", keys / np.linalg.norm(keys, axis=1, keepdims=True))
    null = ResolvedNull(None, choose_background(name, record("cosine", 200), own, ENCODER))
    about, other = 0.3 * subject[0] + math.sqrt(0.91) * unrelated(1, seed=7)[0], unrelated(1, seed=8)[0]
    levels = [null.of(vector, vector).null_key(0.05, 200).level for vector in (about, other)]
    assert levels[0] < levels[1] - 0.02
    few = ResolvedNull(
        None, choose_background(name, record("cosine", 3), KeyBackground.measure("cosine", keys[:3]), ENCODER)
    )
    levels_of_few = [few.of(vector, vector).null_key(0.05, 3).level for vector in (about, other)]
    assert abs(levels_of_few[0] - levels_of_few[1]) < 0.1 * (levels[1] - levels[0]) + 0.01


def test_right_answers_in_a_catalogue_of_one_subject_are_not_refused():
    """All keys have a cosine of 0.5 to each other, and a question that means one of them has 0.6 to it."""
    subject, apart, noise = unrelated(1)[0], unrelated(1000, seed=2), unrelated(200, seed=5)
    keys = math.sqrt(0.5) * subject + math.sqrt(0.5) * apart
    view = Memory("cosine").publish(add=Rows(np.arange(1000), keys.astype(np.float32)))
    own = KeyBackground.measure("cosine", keys)
    null = ResolvedNull(None, choose_background("auto", record("cosine", 1000), own, ENCODER))
    wanted = math.sqrt(0.02) * subject + math.sqrt(0.5) * apart[:200] + math.sqrt(0.48) * noise
    for vectors, least, most in ((wanted, 0.0, 0.2), (unrelated(200, seed=3), 0.9, 1.0)):
        questions = [Question(vector, 0.05, null.of(vector, vector), output=False) for vector in vectors]
        refused = np.mean([answer.verdict.stands == "none" for answer in answers(view, questions)])
        assert least <= refused <= most


def test_a_filter_leaves_the_question_beside_the_keys_that_pass(create):
    keys = unrelated(2000)
    collection = create(documents(keys), similarity="cosine")
    part, none = (Comparison("metadata.part", "==", value) for value in (7, 99))
    with collection.snapshot() as snapshot:
        whole, own = snapshot.own(), snapshot.own(part)
        assert len(whole.sampled) == 512
        assert own.background == whole.background
        assert sorted(own.sampled.keys.tolist()) == sorted(SampledKeys.of("cosine", keys[7::50]).keys.tolist())
        assert snapshot.restrict(part).own().sampled is snapshot.own(part).sampled
        assert snapshot.restrict(part).own().background == KeyBackground.measure("cosine", keys[7::50]).background
        assert choose_background("auto", record("cosine", 2000), snapshot.own(none), ENCODER).question is None


def test_samples_of_only_a_few_filters_are_kept(create):
    collection = create(documents(unrelated(400)), similarity="cosine")

    def sampled(part: int) -> SampledKeys:
        with collection.snapshot() as snapshot:
            return snapshot.own(Comparison("metadata.part", "==", part)).sampled

    first, *_, last = [sampled(part) for part in range(MAX_FILTERS + 1)]
    assert sampled(MAX_FILTERS) is last
    again = sampled(0)
    assert again is not first
    assert again.keys.tolist() == first.keys.tolist()
    used = sampled(2)
    sampled(MAX_FILTERS + 1)
    assert sampled(2) is used, "the filter that was used least recently leaves"
