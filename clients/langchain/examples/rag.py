"""Answers from a collection with LangChain; the model is skipped if no document is about the question.

from langchain.chat_models import init_chat_model
from langchain_softkv import SoftkvRetriever

chain = answering(SoftkvRetriever(collection="library", top_k=3), init_chat_model("…"))
print(chain.invoke("a book about pets that purr"))
"""

from __future__ import annotations

from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableBranch, RunnableLambda, RunnablePassthrough

NOT_KNOWN = "not known here"
PROMPT = ChatPromptTemplate(
    [
        ("system", f"Check that these notes answer the question; if they do not, say: {NOT_KNOWN}.\n\n{{notes}}"),
        ("human", "{question}"),
    ]
)


def answering(retriever: BaseRetriever, model: BaseChatModel) -> Runnable[str, str]:
    """Return a chain from a question to an answer, or to `NOT_KNOWN`.

    Args:
        retriever: returns nothing if its collection has nothing about the question, as softkv's do.
        model: writes the answer.
    """
    notes: Runnable[Any, Any] = RunnableLambda(lambda fields: fields["question"]) | retriever | _notes
    with_notes = RunnablePassthrough.assign(notes=notes)
    answer = PROMPT | model | StrOutputParser()
    return (
        RunnableLambda(lambda question: {"question": question})
        | with_notes
        | RunnableBranch((lambda fields: not fields["notes"], lambda _: NOT_KNOWN), answer)
    )


def _notes(documents: list[Document]) -> str:
    return "\n".join(f"- {document.page_content}" for document in documents)
