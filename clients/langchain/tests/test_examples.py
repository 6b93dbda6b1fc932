"""The example in clients/langchain/examples, with a model that repeats the first note."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from langchain_softkv import SoftkvRetriever, SoftkvVectorStore
from tests.examples import ROOT


class Repeating(BaseChatModel):
    """Answers with the first line of its notes, and counts how often it was asked."""

    asked: list[list[BaseMessage]]

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        self.asked.append(messages)
        system, _ = messages
        note = next(line for line in str(system.content).splitlines() if line.startswith("- "))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(note.removeprefix("- ")))])

    @property
    def _llm_type(self) -> str:
        return "repeating"


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("rag", ROOT / "clients" / "langchain" / "examples" / "rag.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "retriever",
    [lambda: SoftkvRetriever(collection="library", top_k=3), lambda: SoftkvVectorStore("library").as_retriever()],
    ids=["of a collection", "of a store"],
)
async def test_the_example_answers_known_questions_and_admits_unknown_ones(example, retriever):
    model = Repeating(asked=[])
    chain = example.answering(retriever(), model)
    known_question, unknown = "pets that purr", "flurb zindle quax"
    assert chain.invoke(known_question) == "Old Possum's Book of Practical Cats, T. S. Eliot"
    assert await chain.ainvoke(known_question) == chain.invoke(known_question)
    system, human = model.asked[0]
    assert human.content == known_question
    assert system.content.startswith("Check that these notes answer the question; if they do not, say")
    assert "- Old Possum's Book of Practical Cats, T. S. Eliot\n- " in system.content
    assert len(model.asked) == 3
    assert chain.invoke(unknown) == "not known here"
    assert await chain.ainvoke(unknown) == "not known here"
    assert len(model.asked) == 3
