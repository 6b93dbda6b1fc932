"""Questions answered from a collection by a language model, which is not asked where the collection knows nothing.

python llamaindex_rag.py "pets that purr" "flurb zindle quax"
"""

from __future__ import annotations

import sys

from llama_index.core.llms import LLM, MockLLM

from softkv.llamaindex import SoftkvRetriever, SoftkvVectorStore

PROMPT = """Answer the question from these texts alone, and name the one that you answer from.

{texts}

Question: {question}
"""


def answer(question: str, retriever: SoftkvRetriever, model: LLM) -> str:
    """What the model makes of the texts that the collection has for a question."""
    nodes = retriever.retrieve(question)
    if not nodes:  # the verdict is "none"
        return "not known here"
    texts = "\n".join(f"[{each.score:.2f}] {each.get_content()}" for each in nodes)
    return model.complete(PROMPT.format(texts=texts, question=question)).text


if __name__ == "__main__":
    library = SoftkvRetriever(SoftkvVectorStore("library"), top_p=0.9, top_k=5)
    for asked in sys.argv[1:]:
        print(answer(asked, library, MockLLM()))  # which says again what it is told: put yours here
