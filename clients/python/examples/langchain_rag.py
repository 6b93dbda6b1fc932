"""Answers from a collection, with LangChain: where the collection does not know, no model is asked.

from langchain.chat_models import init_chat_model
from softkv.langchain import SoftkvRetriever

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
        ("system", f"Answer from these notes alone. If they do not say it, answer: {NOT_KNOWN}.\n\n{{notes}}"),
        ("human", "{question}"),
    ]
)


def answering(retriever: BaseRetriever, model: BaseChatModel) -> Runnable[str, str]:
    """A question in, an answer out, or `NOT_KNOWN`.

    Args:
        retriever: one that finds nothing where its collection holds nothing about a question, as softkv's do.
        model: which writes the answer.
    """
    found: Runnable[Any, Any] = RunnableLambda(lambda given: given["question"]) | retriever | _notes
    asked = RunnablePassthrough.assign(notes=found)
    told = PROMPT | model | StrOutputParser()
    return (
        RunnableLambda(lambda question: {"question": question})
        | asked
        | RunnableBranch((lambda given: not given["notes"], lambda _: NOT_KNOWN), told)
    )


def _notes(found: list[Document]) -> str:
    return "\n".join(f"- {document.page_content}" for document in found)
