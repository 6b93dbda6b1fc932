"""A pipeline that answers from a collection; it skips the language model if no document is about the question.

python rag.py "pets that purr" "flurb zindle quax"
"""

from __future__ import annotations

import sys
from typing import Any

from haystack import Pipeline, component
from haystack.components.builders import PromptBuilder
from haystack.components.routers import ConditionalRouter

from haystack_integrations.components.retrievers.softkv import SoftkvRetriever
from haystack_integrations.document_stores.softkv import SoftkvDocumentStore

PROMPT = """Check that one of these texts answers the question; if none does, say so. Answer from them alone.

{% for document in documents %}[{{ "%.2f" % document.score }}] {{ document.content }}
{% endfor %}
Question: {{ question }}
"""
ROUTES: list[Any] = [
    {
        "condition": "{{ verdict != 'none' }}",
        "output": "{{ documents }}",
        "output_name": "documents",
        "output_type": list[Any],
    },
    {
        "condition": "{{ verdict == 'none' }}",
        "output": "not known here",
        "output_name": "unknown",
        "output_type": str,
    },
]


@component
class Echo:
    """A placeholder for a generator: it returns the prompt."""

    @component.output_types(replies=list[str])
    def run(self, prompt: str) -> dict[str, list[str]]:
        """Return the prompt as the only reply."""
        return {"replies": [prompt]}


def build_pipeline(store: SoftkvDocumentStore, model: Any) -> Pipeline:
    """Return the pipeline over a store with a generator."""
    pipeline = Pipeline()
    pipeline.add_component("retriever", SoftkvRetriever(store, top_p=0.9, top_k=5))
    pipeline.add_component("router", ConditionalRouter(ROUTES, unsafe=True))  # passes documents unchanged
    pipeline.add_component("prompt", PromptBuilder(PROMPT, required_variables="*"))
    pipeline.add_component("model", model)
    pipeline.connect("retriever.documents", "router.documents")
    pipeline.connect("retriever.verdict", "router.verdict")
    pipeline.connect("router.documents", "prompt.documents")
    pipeline.connect("prompt.prompt", "model.prompt")
    return pipeline


def answer(question: str, pipeline: Pipeline) -> str:
    """Answer a question from the collection's texts."""
    results = pipeline.run({"retriever": {"query": question}, "prompt": {"question": question}})
    reply: str = results["model"]["replies"][0] if "model" in results else results["router"]["unknown"]
    return reply


if __name__ == "__main__":
    library = build_pipeline(SoftkvDocumentStore("library"), Echo())
    for question in sys.argv[1:]:
        print(answer(question, library))
