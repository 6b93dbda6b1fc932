"""The cache under LangChain's own models and suite: what is found by its meaning, and what never is."""

from __future__ import annotations

import time
from typing import Any

import pytest
from langchain_core.caches import BaseCache
from langchain_core.language_models import BaseChatModel, FakeListLLM
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult, Generation
from langchain_tests.integration_tests.cache import AsyncCacheTestSuite, SyncCacheTestSuite

import softkv
from langchain_softkv import InvalidInput, SoftkvCache
from langchain_softkv.cache import BOUND_SECONDS

LLM = "model='one'"
QUESTIONS = {
    f"how do I {action} my {thing}?": f"to {action} my {thing}, what must I do?"
    for action in ("cancel", "print", "insure")
    for thing in (
        *("subscription", "passport", "bicycle", "train ticket", "garden", "violin", "tax return", "web site"),
        *("photo album", "washing machine"),
    )
}
STORED = dict(list(QUESTIONS.items())[::2])


def answer(text: str) -> list[Generation]:
    return [Generation(text=text, generation_info={"finish_reason": "stop"})]


class TestSyncSuite(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, name: Any) -> BaseCache:
        return SoftkvCache(name(), min_confidence=0.9)


class TestAsyncSuite(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, name: Any) -> BaseCache:
        return SoftkvCache(name(), min_confidence=0.9)


class Counting(BaseChatModel):
    """Answers with the number of its calls."""

    calls: int = 0
    style: str = "short"

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        self.calls += 1
        message = AIMessage(f"answer {self.calls}", response_metadata={"model": "counting"})
        return ChatResult(generations=[ChatGeneration(message=message, generation_info={"at": 1.5})])

    @property
    def _llm_type(self) -> str:
        return "counting"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"style": self.style}


@pytest.fixture
def calibrated(name: Any, client: softkv.Client) -> SoftkvCache:
    """Return a cache of every second question, calibrated on other wordings of all of them."""
    cache = SoftkvCache(name(), min_confidence=0.8, client=client)
    for question in STORED:
        cache.update(question, LLM, answer(question))
    ids = {document.key: document.id for document in cache.collection.find()}
    labels = [
        {"query": wording.format(text=text), "id": ids.get(question)}
        for question, text in QUESTIONS.items()
        for wording in ("{text}", "please tell me: {text}")
    ]
    assert cache.collection.calibrate(labels, apply=True).applied
    return cache


def test_a_question_in_other_words_is_found_once_the_collection_is_calibrated(calibrated):
    hits = {
        question: found[0].text
        for question in QUESTIONS
        if (found := calibrated.lookup(f"hello, {question}", LLM)) is not None
    }
    right = [question for question, text in hits.items() if question == text]
    assert len(right) >= len(STORED) / 2
    assert len(hits) - len(right) <= 1
    assert calibrated.lookup("which moons has Jupiter?", LLM) is None


async def test_the_awaited_methods_find_the_same(calibrated):
    question = next(iter(STORED))
    other = f"hello, {question}"
    assert await calibrated.alookup(other, LLM) == calibrated.lookup(other, LLM) == answer(question)
    await calibrated.aupdate("new question", LLM, answer("new"))
    assert calibrated.lookup("new question", LLM) == answer("new")
    await calibrated.aclear()
    assert calibrated.lookup(question, LLM) is None


@pytest.mark.parametrize("bound", [None, 0.5])
def test_without_a_bound_or_a_calibration_only_the_same_question_is_found(name, client, bound):
    cache = SoftkvCache(name(), min_confidence=bound, client=client)
    question, other = next(iter(QUESTIONS.items()))
    assert cache.lookup(question, LLM) is None
    cache.update(question, LLM, answer("one"))
    assert cache.lookup(question, LLM) == answer("one")
    assert cache.lookup(other, LLM) is None


def test_a_repeated_question_does_not_blur_the_first_one(calibrated):
    """Two keys of one meaning share the weight; neither would be confident then."""
    question = next(iter(STORED))
    again = f"hello, {question}"
    best = calibrated.collection.attend(again, top_k=1).matches[0]
    calibrated.update(again, "another model", answer("one"))
    assert calibrated.lookup(again, "another model") == answer("one")
    assert calibrated.lookup(again, LLM) == answer(question)
    assert calibrated.collection.attend(again, top_k=1).matches[0].confidence == best.confidence
    assert calibrated.collection.info().keyless == 1


def test_answers_of_other_models_are_not_found(calibrated):
    question = next(iter(STORED))
    assert calibrated.lookup(question, "model='two'") is None
    calibrated.update(question, "model='two'", answer("of two"))
    assert calibrated.lookup(question, "model='two'") == answer("of two")
    assert calibrated.lookup(question, LLM) == answer(question)


def test_a_promised_error_chooses_the_confidence(calibrated, client):
    collection, now = calibrated.collection, [time.time()]
    question = next(iter(STORED))
    other = f"hello, {question}"

    def cache(max_error: float) -> SoftkvCache:
        return SoftkvCache(collection.name, max_error=max_error, of="questions", client=client, clock=lambda: now[0])

    strict, lenient = cache(0.001), cache(0.2)
    assert lenient.lookup(other, LLM) == answer(question)
    assert strict.lookup(other, LLM) is None
    assert strict.lookup(question, LLM) == answer(question)
    collection.change(calibration=None)
    now[0] += BOUND_SECONDS
    assert lenient.lookup(other, LLM) is None
    assert lenient.lookup(question, LLM) == answer(question)


def test_an_answer_expires(name, client):
    now = [time.time()]
    cache = SoftkvCache(name(), seconds=60, client=client, clock=lambda: now[0])
    cache.update("question", LLM, answer("old"))
    now[0] += 59.9
    assert cache.lookup("question", LLM) == answer("old")
    now[0] += 0.1
    assert cache.lookup("question", LLM) is None
    cache.update("question", LLM, answer("new"))
    assert cache.lookup("question", LLM) == answer("new")
    (stored,) = cache.collection.find()
    assert stored.expires is not None


def test_a_chat_model_is_called_once_for_a_question_and_its_circumstances(calibrated):
    model = Counting(cache=calibrated)
    system = SystemMessage("You are brief.")
    first = model.invoke([system, HumanMessage("which moons has Jupiter?")])
    again = model.invoke([system, HumanMessage("which moons has Jupiter?", id="7")])
    assert (again.content, again.response_metadata) == (first.content, first.response_metadata)
    assert model.calls == 1
    model.invoke([HumanMessage("which moons has Jupiter?")])
    model.invoke([system, HumanMessage("and Saturn?"), AIMessage("many"), HumanMessage("which moons has Jupiter?")])
    assert model.calls == 3
    other = Counting(cache=calibrated, style="long")
    other.invoke([system, HumanMessage("which moons has Jupiter?")])
    assert other.calls == 1


def test_a_picture_and_a_long_text_are_found_only_as_they_are(calibrated):
    model = Counting(cache=calibrated)
    picture = HumanMessage([{"type": "text", "text": next(iter(STORED))}])
    long = HumanMessage(next(iter(STORED)) * 20)
    for message in (picture, long, picture, long):
        model.invoke([message])
    assert model.calls == 2
    assert calibrated.collection.info().keyless == 2


def test_a_model_of_texts(calibrated):
    model = FakeListLLM(responses=["one", "two"], cache=calibrated)
    assert [model.invoke("how tall is Everest?"), model.invoke("how tall is Everest?")] == ["one", "one"]


@pytest.mark.parametrize("sign", ["\0", "\ud83d"], ids=["NUL", "half an emoji"])
@pytest.mark.parametrize("bound", [None, 0.9])
async def test_signs_that_no_key_has_lose_no_answer(name, client, sign, bound):
    cache = SoftkvCache(name(), min_confidence=bound, client=client)
    question, similar = f"which moons has {sign} Jupiter?", "which moons has \ufffd Jupiter?"
    cache.update(question, LLM, answer(f"many {sign}"))
    await cache.aupdate(question, sign, answer(f"of another {sign}"))
    assert cache.lookup(question, LLM) == await cache.alookup(question, LLM) == answer(f"many {sign}")
    assert cache.lookup(question, sign) == answer(f"of another {sign}")
    assert cache.lookup(similar, LLM) is None
    assert [stored.key for stored in cache.collection.find()] == [similar]
    model = Counting(cache=cache)
    messages = [SystemMessage(f"Be brief. {sign}"), HumanMessage(question)]
    assert model.invoke(messages).content == model.invoke(messages).content == "answer 1"


def test_an_invalid_bound_is_named():
    with pytest.raises(InvalidInput, match="min_confidence: wanted a number from 0 to 1, got 95"):
        SoftkvCache(min_confidence=95)
    with pytest.raises(InvalidInput, match="give one"):
        SoftkvCache(min_confidence=0.95, max_error=0.05)
