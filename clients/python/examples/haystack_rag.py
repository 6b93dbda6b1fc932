"""A pipeline that answers from a collection, in which the language model is not asked where that knows nothing.

python haystack_rag.py "pets that purr" "flurb zindle quax"
"""

from __future__ import annotations

import sys
from typing import Any

from haystack import Pipeline, component
from haystack.components.builders import PromptBuilder
from haystack.components.routers import ConditionalRouter

from softkv.haystack import SoftkvDocumentStore, SoftkvRetriever

PROMPT = """Answer the question from these texts alone, and name the one that you answer from.

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
    """Says again what it is told; a generator of yours goes here."""

    @component.output_types(replies=list[str])
    def run(self, prompt: str) -> dict[str, list[str]]:
        """The prompt as the only reply."""
        return {"replies": [prompt]}


def made(store: SoftkvDocumentStore, model: Any) -> Pipeline:
    """The pipeline over a store, with a generator."""
    pipeline = Pipeline()
    pipeline.add_component("retriever", SoftkvRetriever(store, top_p=0.9, top_k=5))
    pipeline.add_component("router", ConditionalRouter(ROUTES, unsafe=True))  # documents go through as they are
    pipeline.add_component("prompt", PromptBuilder(PROMPT, required_variables="*"))
    pipeline.add_component("model", model)
    pipeline.connect("retriever.documents", "router.documents")
    pipeline.connect("retriever.verdict", "router.verdict")
    pipeline.connect("router.documents", "prompt.documents")
    pipeline.connect("prompt.prompt", "model.prompt")
    return pipeline


def answer(question: str, pipeline: Pipeline) -> str:
    """What the model makes of the texts that the collection has for a question."""
    found = pipeline.run({"retriever": {"query": question}, "prompt": {"question": question}})
    told: str = found["model"]["replies"][0] if "model" in found else found["router"]["unknown"]
    return told


if __name__ == "__main__":
    library = made(SoftkvDocumentStore("library"), Echo())
    for asked in sys.argv[1:]:
        print(answer(asked, library))
