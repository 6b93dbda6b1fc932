"""The retriever: every option of attend, unknown topics, and the example."""

from __future__ import annotations

import asyncio
import runpy
import sys

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import QueryBundle
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters

from llama_index.vector_stores.softkv import SoftkvEmbedding, SoftkvRetriever, SoftkvVectorStore
from tests.examples import ROOT
from tests.integrations.fixtures import option_examples

EXAMPLE = ROOT / "clients" / "llamaindex" / "examples" / "rag.py"
CATS, NONSENSE = "pets that purr", "flurb zindle quax"


@pytest.fixture(params=["waited for", "awaited"])
def retrieve(request):
    def ask(retriever, question):
        if request.param == "waited for":
            return retriever.retrieve(question)
        assert type(retriever)._aretrieve is not BaseRetriever._aretrieve
        return asyncio.run(retriever.aretrieve(question))

    return ask


def library(**options):
    return SoftkvRetriever(SoftkvVectorStore("library"), **options)


def test_nodes_come_with_their_weights(client, retrieve):
    expected = client.collection("library").attend(CATS, top_k=3)
    nodes = retrieve(library(top_k=3), CATS)
    assert [document.node_id for document in nodes] == expected.ids
    assert [document.score for document in nodes] == pytest.approx(list(expected.weights))
    similar = retrieve(library(top_k=3, score="similarity"), CATS)
    assert [item.score for item in similar] == pytest.approx([item.similarity for item in expected])


def test_nodes_are_handed_on_where_the_verdict_is_accepted(retrieve):
    assert retrieve(library(), NONSENSE) == []
    assert retrieve(library(null=False), NONSENSE) != []
    nodes = retrieve(library(accept="any", evidence=True, top_k=2), NONSENSE)
    assert [document.node.metadata["softkv"]["verdict"] for document in nodes] == ["none", "none"]
    assert nodes[0].node.metadata["softkv"]["verdict_certain"] is True
    assert nodes[0].node.metadata["softkv"]["advice"].startswith("Say that the collection holds no answer.")
    assert len(retrieve(library(accept="one", top_k=2), CATS)) == 2
    shared = {"null": False, "temperature": 1.0, "top_k": 2}
    assert len(retrieve(library(**shared), CATS)) == 2
    assert retrieve(library(accept="one", **shared), CATS) == []


def test_an_argument_of_another_name_is_refused():
    with pytest.raises(ValueError, match=r"a question has temperature, .*, not threshold"):
        library(threshold=0.5)


def test_an_invalid_default_is_refused(retrieve):
    with pytest.raises(ValueError, match=r"wanted True, or names of filter, .*, got 'colour'"):
        retrieve(library(ignore_defaults=["colour"]), CATS)


@pytest.mark.parametrize("options", option_examples().values(), ids=option_examples())
def test_each_option_reaches_attend(client, retrieve, options):
    expected = client.collection("library").attend(CATS, **options)
    nodes = retrieve(library(**options), CATS)
    assert [(document.node_id, document.score) for document in nodes] == list(
        zip(expected.ids, map(pytest.approx, expected.weights), strict=True)
    )


def test_filters_say_which_nodes_are_attended_to(films, retrieve):
    recent = MetadataFilters(filters=[MetadataFilter(key="year", operator=">", value=1980)])
    bundle = QueryBundle("which film", embedding=[1.0, 1.0, 1.0])
    nodes = retrieve(SoftkvRetriever(films, filters=recent), bundle)
    assert {document.node_id for document in nodes} == {"shawshank", "inception", "memento"}
    assert {node.node_id for node in retrieve(SoftkvRetriever(films, doc_ids=["doc-0"]), bundle)} == {"shawshank"}
    assert {node.node_id for node in retrieve(SoftkvRetriever(films, node_ids=["memento"]), bundle)} == {"memento"}


@pytest.mark.parametrize("selection", [{"node_ids": []}, {"doc_ids": []}, {"node_ids": ["memento"], "doc_ids": []}])
def test_an_empty_list_of_ids_selects_no_node(films, retrieve, selection):
    bundle = QueryBundle("which film", embedding=[1.0, 1.0, 1.0])
    assert retrieve(SoftkvRetriever(films, **selection, accept="any"), bundle) == []


def test_a_model_of_the_index_may_embed_the_question(retrieve):
    own_nodes, theirs = (retrieve(library(embed_model=model), CATS) for model in (SoftkvEmbedding(), None))
    assert [item.node_id for item in own_nodes] == [their.node_id for their in theirs]
    assert [item.score for item in own_nodes] == pytest.approx([their.score for their in theirs], abs=1e-6)


def test_a_varied_choice(retrieve):
    plain = retrieve(library(top_k=4), CATS)
    varied = retrieve(library(top_k=4, mode="mmr", mmr={"mmr_threshold": 0.1}), CATS)
    assert varied[0].node_id == plain[0].node_id
    assert {item.node_id for item in varied} != {item.node_id for item in plain}
    assert retrieve(library(mode="mmr"), NONSENSE) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1},
        {"top_k": 10_001},
        {"score": "distance"},
        {"accept": "none"},
        {"mode": "sparse"},
        {"null": "none"},
    ],
    ids=lambda each: next(iter(each)),
)
def test_a_wrong_option_is_a_value_error(retrieve, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        retrieve(library(**wrong), CATS)


def test_a_query_engine_over_it(retrieve):
    engine = RetrieverQueryEngine.from_args(library(), llm=Quoting())
    assert "Old Possum" in str(engine.query(CATS))
    assert engine.query(NONSENSE).source_nodes == []


class Quoting(CustomLLM):
    """Answers with the first line that has a text of the collection."""

    @property
    def metadata(self):
        return LLMMetadata()

    def complete(self, prompt, formatted=False, **kwargs):
        return CompletionResponse(text=next(line for line in prompt.splitlines() if "Possum" in line))

    def stream_complete(self, prompt, formatted=False, **kwargs):
        raise NotImplementedError


def test_the_example_answers_known_questions_and_admits_unknown_ones():
    answer = runpy.run_path(str(EXAMPLE))["answer"]
    retriever = library(top_p=0.9, top_k=5)
    assert answer(CATS, retriever, Quoting()).startswith("[0.93] Old Possum's Book of Practical Cats")
    assert answer(NONSENSE, retriever, Quoting()) == "not known here"


def test_the_example_is_a_program(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), CATS, NONSENSE])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    output = capsys.readouterr().out
    assert "Old Possum" in output
    assert "Check that one of these texts answers the question; if none does, say so." in output
    assert output.endswith("not known here\n")
