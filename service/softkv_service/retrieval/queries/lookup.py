"""The form in which the lookup answers a query: with its temperature, mask, null key and bias."""

from __future__ import annotations

from softkv_attention.lookup import AnyBias, AnyMask, Auto, Background, Question
from softkv_service.retrieval.queries.encoded import Array
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage.records import CollectionRecord


def lookup_question(
    record: CollectionRecord,
    vector: Array,
    question: CollectionQuestion,
    null: float | Background | None,
    mask: AnyMask | None = None,
    bias: AnyBias | None = None,
    *,
    weigh_all: bool = False,
    exact: bool = False,
) -> Question:
    """Return a query in the form that the lookup answers.

    Args:
        record: the collection's record, which has the defaults of the question.
        vector: the query's vector [d].
        question: the question that has the query.
        null: the null key ("none of these"): its similarity, or the background from which one follows; None without
            one.
        mask: the rows that pass the filter; None for all.
        bias: the numbers to add to the logits; None for none.
        weigh_all: whether the answer has the weight of every document.
        exact: whether no number of the answer may follow from other rows, as for a restricted snapshot.
    """
    temperature: float | Auto
    if question.temperature == "auto":
        temperature = Auto(question.effective_documents)
    else:
        temperature = record.settings.temperature if question.temperature is None else question.temperature
    return Question(
        query=vector,
        temperature=temperature,
        null=null,
        mask=mask,
        normaliser=question.normaliser,
        top_k=question.head,
        top_p=question.top_p,
        output="output" in question.fields,
        max_error=question.max_error,
        bias=bias,
        weigh_all=weigh_all,
        exact=exact,
    )
