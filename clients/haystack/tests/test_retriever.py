"""The retriever: every option of attend, alone and in a serialised pipeline, and the example."""

from __future__ import annotations

import asyncio
import runpy
import sys

import haystack
import pytest
from haystack import Document, Pipeline, component
from haystack.document_stores.errors import DocumentStoreError
from haystack.document_stores.types import FilterPolicy
from haystack.errors import FilterError
from haystack.utils import Secret

import softkv
from haystack_integrations.components.retrievers.softkv import SoftkvRetriever
from haystack_integrations.document_stores.softkv import SoftkvDocumentStore
from softkv.integrations import RETRIEVER_OPTIONS
from tests.examples import ROOT
from tests.integrations.fixtures import option_examples

EXAMPLE = ROOT / "clients" / "haystack" / "examples" / "rag.py"
CATS, NONSENSE = "pets that purr", "flurb zindle quax"


@pytest.fixture(params=["waited for", "awaited"])
def run(request):
    def ask(retriever, **arguments):
        if request.param == "waited for":
            return retriever.run(**arguments)
        return asyncio.run(retriever.run_async(**arguments))

    return ask


def library(**options):
    return SoftkvRetriever(SoftkvDocumentStore("library"), **options)


def test_documents_come_with_their_weights(client, run):
    expected = client.collection("library").attend(CATS, top_k=3, include=["value", "metadata", "output"])
    result = run(library(top_k=3, include=["output"]), query=CATS)
    assert [document.id for document in result["documents"]] == expected.ids
    assert [document.score for document in result["documents"]] == pytest.approx(list(expected.weights))
    assert [document.content for document in result["documents"]] == expected.values
    assert [document.meta for document in result["documents"]] == [item.metadata for item in expected]
    assert result["verdict"] == "one"
    assert result["output"] == pytest.approx(list(expected.output))
    assert result["evidence"]["null_weight"] == pytest.approx(expected.null_weight)
    similar = run(library(top_k=3), query=CATS, score="similarity")["documents"]
    assert [item.score for item in similar] == pytest.approx([item.similarity for item in expected])


def test_documents_are_handed_on_where_the_verdict_is_accepted(run):
    result = run(library(), query=NONSENSE)
    assert (result["documents"], result["verdict"], result["output"]) == ([], "none", None)
    assert result["evidence"]["advice"].startswith("Say that the collection holds no answer.")
    assert run(library(), query=NONSENSE, accept="any")["documents"] != []
    assert len(run(library(accept="one", top_k=3), query=CATS)["documents"]) == 3
    for accept, handed_on in (("one", 0), ("several", 10)):
        result = run(library(accept=accept, evidence=True), query=CATS, null=False, temperature=1.0)
        assert (result["verdict"], len(result["documents"])) == ("several", handed_on)
    metadata = result["documents"][0].meta["softkv"]
    assert (metadata["verdict"], metadata["verdict_certain"]) == ("several", True)
    assert metadata["advice"] == result["evidence"]["advice"]


def test_every_option_of_attend_is_one_of_the_retriever_and_of_each_run():
    pipeline = Pipeline()
    pipeline.add_component("retriever", library())
    sockets = pipeline.inputs()["retriever"]
    assert sockets.keys() == RETRIEVER_OPTIONS.keys() | {"query", "query_embedding", "filters"}
    assert not [name for name, socket in sockets.items() if socket["is_mandatory"]]


def test_an_invalid_default_is_refused(run):
    with pytest.raises(DocumentStoreError, match=r"wanted True, or names of filter, .*, got 'colour'"):
        run(library(ignore_defaults=["colour"]), query=CATS)


@pytest.mark.parametrize("options", option_examples().values(), ids=option_examples())
def test_each_option_reaches_attend(client, run, options):
    expected = client.collection("library").attend(CATS, **options)
    for result in (run(library(**options), query=CATS), run(library(top_k=7), query=CATS, **{"top_k": 10, **options})):
        weights = {document.id: document.score for document in result["documents"]}
        assert weights == pytest.approx(dict(zip(expected.ids, expected.weights, strict=True)))


def test_an_embedding_is_used_as_the_query(made, run):
    store = made(settings={"encoder": None, "similarity": "dot"})
    store.write_documents([Document(id="a", embedding=[1.0, 0.0]), Document(id="b", embedding=[0.0, 1.0])])
    documents = run(SoftkvRetriever(store, null=False), query_embedding=[1.0, 0.1])["documents"]
    assert [document.id for document in documents] == ["a", "b"]
    with pytest.raises(ValueError, match="got neither"):
        run(SoftkvRetriever(store))


def test_a_document_without_a_key_is_never_found(made, run):
    store = made()
    store.write_documents([Document(id="text", content="cats"), Document(id="picture", meta={"of": "cats"})])
    documents = run(SoftkvRetriever(store, null=False), query="cats")["documents"]
    assert [document.id for document in documents] == ["text"]
    assert store.count_documents() == 2


def test_filters_are_replaced_or_merged(run):
    old = {"field": "meta.year", "operator": "<", "value": 1900}
    odd = {"field": "meta.topics", "operator": "contains", "value": "animals"}
    replaced, merged = library(filters=old), library(filters=old, filter_policy=FilterPolicy.MERGE)
    assert run(replaced, query=CATS)["evidence"]["documents"] == 35
    both = run(merged, query=CATS, filters=odd)["evidence"]["documents"]
    assert both < min(35, run(replaced, query=CATS, filters=odd)["evidence"]["documents"])


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"temperature": -1}, DocumentStoreError),
        ({"top_k": 10_001}, DocumentStoreError),
        ({"score": "distance"}, DocumentStoreError),
        ({"accept": "none"}, DocumentStoreError),
        ({"null": "none"}, DocumentStoreError),
        ({"filters": {"field": "meta.year", "operator": "~", "value": 3}}, FilterError),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_a_wrong_option_is_an_error_of_haystack_s(run, wrong, error):
    with pytest.raises(error, match="operator" if "filters" in wrong else next(iter(wrong))):
        run(library(), query=CATS, **wrong)


def test_a_store_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="wanted a SoftkvDocumentStore, got str"):
        SoftkvRetriever("library")
    with pytest.raises(softkv.Invalid, match="accept"):
        library(accept="none")


def test_a_pipeline_is_written_down_and_read(monkeypatch):
    store = SoftkvDocumentStore(
        "library", key=Secret.from_env_var("A_KEY", strict=False), settings={"similarity": "cosine"}
    )
    retriever = SoftkvRetriever(
        store,
        filters={"field": "meta.year", "operator": ">", "value": 1900},
        filter_policy="merge",
        top_k=2,
        null="strict",
    )
    pipeline = Pipeline()
    pipeline.add_component("retriever", retriever)
    read = Pipeline.loads(pipeline.dumps())
    assert read.to_dict() == pipeline.to_dict()
    assert read.get_component("retriever").to_dict() == retriever.to_dict()
    expected, actual = (item.run({"retriever": {"query": CATS}})["retriever"]["documents"] for item in (pipeline, read))
    assert actual == expected
    monkeypatch.setenv("A_KEY", "of the environment")
    assert "of the environment" not in read.dumps()


def test_a_token_is_written_nowhere():
    with pytest.raises(ValueError, match="token"):
        SoftkvDocumentStore("library", key=Secret.from_token("a secret")).to_dict()


async def test_in_a_pipeline_that_is_awaited():
    pipeline = getattr(haystack, "AsyncPipeline", Pipeline)()  # which is its name before 3
    pipeline.add_component("retriever", library(top_k=1))
    result = await pipeline.run_async({"retriever": {"query": CATS}})
    assert result["retriever"]["documents"][0].content.startswith("Old Possum")


@component
class Quoting:
    """Answers with the first line that has a text of the collection."""

    @component.output_types(replies=list[str])
    def run(self, prompt: str):
        return {"replies": [next(line for line in prompt.splitlines() if line.startswith("["))]}


def test_the_example_answers_known_questions_and_admits_unknown_ones():
    example = runpy.run_path(str(EXAMPLE))
    pipeline = example["build_pipeline"](SoftkvDocumentStore("library"), Quoting())
    assert example["answer"](CATS, pipeline).startswith("[0.93] Old Possum's Book of Practical Cats")
    assert example["answer"](NONSENSE, pipeline) == "not known here"


def test_the_example_is_a_program(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), CATS, NONSENSE])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    output = capsys.readouterr().out
    assert "Old Possum" in output
    assert "Check that one of these texts answers the question; if none does, say so." in output
    assert output.endswith("not known here\n")
