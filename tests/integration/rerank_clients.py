"""Run by `.venv-integrations`: {url, query, documents} as JSON comes in, what each client makes of them goes out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

# Else LiteLLM downloads a list of prices when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import cohere
import litellm
from langchain_cohere import CohereRerank
from langchain_core.documents import Document

litellm.suppress_debug_info = True  # else it prints advice to standard output
sent = json.load(sys.stdin)
url, query, documents, top_n = sent["url"], sent["query"], sent["documents"], 2


def by_cohere(kind: Callable[..., Any], model: str) -> list[tuple[int, float]]:
    """Return index and score of the best documents by one of Cohere's clients."""
    client = kind("no key", base_url=url)
    answer = client.rerank(model=model, query=query, documents=documents, top_n=top_n)
    return [(result.index, result.relevance_score) for result in answer.results]


def by_langchain(model: str) -> list[tuple[int, float]]:
    """Return index and score of the best documents by LangChain's compressor of documents."""
    compressor = CohereRerank(client=cohere.ClientV2("no key", base_url=url), model=model, top_n=top_n)
    best = compressor.compress_documents([Document(text) for text in documents], query)
    return [(documents.index(item.page_content), item.metadata["relevance_score"]) for item in best]


def by_litellm(provider: str, path: str, model: str) -> list[tuple[int, float]]:
    """Return index and score of the best documents by LiteLLM as a client of one provider."""
    answer = litellm.rerank(
        model=f"{provider}/{model}",
        query=query,
        documents=documents,
        top_n=top_n,
        api_base=f"{url}{path}",
        api_key="no key",
    )
    return [(result["index"], result["relevance_score"]) for result in answer.results]


CLIENTS: dict[str, Callable[[str], list[tuple[int, float]]]] = {
    "cohere": lambda model: by_cohere(cohere.Client, model),
    "cohere v2": lambda model: by_cohere(cohere.ClientV2, model),
    "langchain-cohere": by_langchain,
    "litellm cohere": lambda model: by_litellm("cohere", "/v1/rerank", model),
    "litellm jina_ai": lambda model: by_litellm("jina_ai", "/v1/rerank", model),
}


def refusal(rerank: Callable[[str], Any]) -> str:
    """Return the text of the error that a client raises for a model that the service does not have."""
    try:
        rerank("nothing")
    except Exception as error:  # each client has classes of its own
        return str(error)
    return ""


json.dump(
    {name: {"ranked": rerank(sent["model"]), "refusal": refusal(rerank)} for name, rerank in CLIENTS.items()},
    sys.stdout,
)
