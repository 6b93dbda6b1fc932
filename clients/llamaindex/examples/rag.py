"""Answer questions from a collection; the language model is skipped if no document is about the question.

python rag.py "pets that purr" "flurb zindle quax"
"""

from __future__ import annotations

import sys

from llama_index.core.llms import LLM, MockLLM

from llama_index.vector_stores.softkv import SoftkvRetriever, SoftkvVectorStore

PROMPT = """Check that one of these texts answers the question; if none does, say so. Answer from them alone.

{texts}

Question: {question}
"""


def answer(question: str, retriever: SoftkvRetriever, model: LLM) -> str:
    """Answer a question from the collection's texts."""
    nodes = retriever.retrieve(question)
    if not nodes:  # the verdict is "none"
        return "not known here"
    texts = "\n".join(f"[{node.score:.2f}] {node.get_content()}" for node in nodes)
    return model.complete(PROMPT.format(texts=texts, question=question)).text


if __name__ == "__main__":
    library = SoftkvRetriever(SoftkvVectorStore("library"), top_p=0.9, top_k=5)
    for question in sys.argv[1:]:
        print(answer(question, library, MockLLM()))  # returns the prompt; use your model here
