"""A query over the keys of a collection, of arrays or of an answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from traitlets import Bool, Dict, Float, TraitError, TraitType, Unicode, validate

from softkv import OMITTED, Answer, Collection, Error
from softkv.wire import OmittedType
from softkv_attention import check_temperature
from softkv_attention.lookup import Answer as CoreAnswer
from softkv_attention.lookup import Background, Memory, View
from softkv_widget.page import PageWidget
from softkv_widget.sources import HOTTEST, AnswerSource, CollectionSource, MemorySource, Null, Source

ROWS = 8
"""The number of rows that the page's explorer draws; all others together are a fan."""


class NullKey(TraitType[Null, Any]):
    """A null key: a similarity, the name of one that the source computes, or None."""

    info_text = 'a finite similarity, a name such as "auto", or None for no null key'

    def validate(self, obj: Any, value: Any) -> Null:
        """Return a valid null key; False is None."""
        if value is None or value is False:
            return None
        if isinstance(value, str):
            return value
        if not isinstance(value, int | float | np.number) or isinstance(value, bool) or not math.isfinite(value):
            self.error(obj, value)
        return float(value)


class Lookup(PageWidget):
    """A query, its most similar keys with their values, and the output, joined by threads as thick as the weights.

    The clamp sets the temperature, and the line over the keys the null key. A question can be typed where the source
    encodes texts. "Sweep" shows the weights at every temperature.

    Attributes:
        temperature: 0 to ∞.
        null: the similarity of the null key, "none of these"; "auto" or another name for one that the source computes;
            None for no null key.
        query: the text of the query; "query" for a vector.
        answer: the answer at this temperature, with this null key.

    Example:
        >>> widget = Lookup.of_collection(client.collection("library"), "pets that purr")
        >>> widget.observe(lambda change: print(change.new), "temperature")
    """

    _view = Unicode("lookup").tag(sync=True)
    _live = Bool().tag(sync=True)
    _asks = Bool().tag(sync=True)
    _picture = Dict().tag(sync=True)
    _problem = Unicode().tag(sync=True)
    temperature = Float().tag(
        sync=True,
        to_json=lambda value, _: min(value, HOTTEST),
        from_json=lambda value, _: math.inf if value >= HOTTEST else value,
    )
    null = NullKey(allow_none=True, default_value=None).tag(sync=True)
    query = Unicode().tag(sync=True)

    def __init__(self, source: Source, query: Any, *, temperature: float, null: Null | bool) -> None:
        null = None if null is False else null
        picture = source.picture(query, null)
        super().__init__(
            temperature=temperature,
            null=null,
            query=picture["query"],
            _picture=picture,
            _live=source.live,
            _asks=source.asks,
        )
        self._source, self._question, self._named = source, query, null
        self.observe(self._ask, ["query", "null"])

    @classmethod
    def of_collection(
        cls,
        collection: Collection,
        query: str | ArrayLike,
        *,
        temperature: float | None = None,
        null: Null | bool | OmittedType = OMITTED,
        rows: int = ROWS,
        **options: Any,
    ) -> Lookup:
        """Return a widget that asks a collection.

        Args:
            collection: a collection of a `softkv.Client`.
            query: a text, or a vector float[d].
            temperature: the collection's own if left out.
            null: a similarity, or "auto", "lenient", "strict" or "calibrated", or None for no null key; that of the
                collection if left out.
            rows: how many documents are drawn one by one.
            options: `where`, `full_text`, `bias` and `ignore_defaults`, as `Collection.attend` has them.

        Raises:
            softkv.Error: the service refuses the query, or is not reachable.
            TypeError: the collection is not one of a `softkv.Client`, or an option does not exist.
        """
        if not isinstance(collection, Collection):
            raise TypeError(f"expected a Collection of a softkv.Client, got {type(collection).__name__}")
        if temperature is None or null is OMITTED:
            settings = collection.info()
            temperature = settings.temperature if temperature is None else temperature
            null = settings.null if null is OMITTED else null
        return cls(CollectionSource(collection, rows, options), query, temperature=temperature, null=null)

    @classmethod
    def of_answer(cls, answer: Answer, collection: Collection | None = None) -> Lookup:
        """Return a widget with an answer of a client.

        An answer knows its own temperature only, so its picture is still. With the collection that gave it, the same
        question is asked anew, and the temperature moves.

        Args:
            answer: of `attend`.
            collection: the collection that was asked, by a text.

        Raises:
            TypeError: this is not an answer of `softkv.Client`.
            ValueError: the answer is to a vector, so its question is unknown.
        """
        if not isinstance(answer, Answer):
            raise TypeError(f"expected an Answer of a softkv.Client, got {type(answer).__name__}")
        if collection is None:
            level = answer.evidence.null_similarity
            question = answer.question or "query"
            return cls(
                AnswerSource(answer), question, temperature=answer.temperature, null=None if level is None else "auto"
            )
        if answer.question is None:
            raise ValueError("the answer does not have its question: use Lookup.of_collection(collection, vector)")
        return cls.of_collection(collection, answer.question, temperature=answer.temperature, rows=len(answer) or ROWS)

    @classmethod
    def of_arrays(
        cls,
        query: ArrayLike | str,
        keys: ArrayLike | Memory | View,
        values: ArrayLike | Sequence[str] | None = None,
        *,
        labels: Sequence[str] | None = None,
        similarity: str = "cosine",
        temperature: float = 0.05,
        null: float | Background | None = None,
        rows: int = ROWS,
        encode: Callable[[str], ArrayLike] | None = None,
    ) -> Lookup:
        """Return a widget over arrays, answered by `softkv_attention.lookup`.

        Args:
            query: float[d]; or a text, with `encode`.
            keys: float[n, d]; or a `Memory` or a view, which have values and a similarity of their own.
            values: n texts to show, of which `#rrggbb` is drawn as a colour; or float[n, d_v]; the keys if left out.
            labels: n texts for the keys.
            similarity: cosine, dot, scaled_dot or gaussian.
            temperature: 0 to ∞.
            null: a similarity; or a `Background` from which "auto" follows; None for no null key.
            rows: how many keys are drawn one by one.
            encode: makes a query of a text, so that texts can be typed.

        Raises:
            ValueError: shapes do not fit, or a text cannot be encoded.
        """
        texts, numbers = _split(values)
        if isinstance(keys, Memory | View):
            memory: Memory | View = keys
        else:
            floats = np.asarray(keys, dtype=np.float32)
            if floats.ndim != 2:
                raise ValueError(f"keys must be [n, d], got {list(floats.shape)}")
            memory = Memory.of(floats, numbers, similarity=similarity)
        background = null if isinstance(null, Background) else None
        source = MemorySource(memory, rows, labels, texts, background, encode)
        question = query if isinstance(query, str) else np.asarray(query, dtype=np.float64)
        return cls(source, question, temperature=temperature, null="auto" if isinstance(null, Background) else null)

    @property
    def answer(self) -> Answer | CoreAnswer:
        """The answer to this query, at this temperature and with this null key.

        It is an answer of the client for a collection, and one of `softkv_attention.lookup` for arrays.
        """
        return self._source.answer(self._question, self.temperature, self.null)

    @validate("temperature")
    def _valid_temperature(self, proposal: Any) -> float:
        """Return a proposed temperature, if it is one."""
        try:
            return check_temperature(proposal["value"])
        except ValueError as error:
            raise TraitError(str(error)) from None

    def _ask(self, change: Any) -> None:
        """Ask anew for another query, or for a null key of another name. A similarity is weighed in the picture."""
        if change.name == "null" and (not isinstance(change.new, str) or change.new == self._named):
            self._problem = ""
            return
        question = change.new if change.name == "query" else self._question
        named = self.null if isinstance(self.null, str) else self._named
        try:
            picture = self._source.picture(question, named)
        except (Error, ValueError) as error:
            self._problem = str(error)
            raise
        self._question, self._named, self._problem, self._picture = question, named, "", picture


def _split(values: Any) -> tuple[list[str] | None, Any]:
    """Return values as texts to show, and as numbers if they are."""
    if values is None:
        return None, None
    if isinstance(values, Sequence) and all(isinstance(value, str) for value in values):
        return list(values), None
    numbers = np.asarray(values, dtype=np.float32)
    if numbers.ndim != 2:
        raise ValueError(f"values must be n texts or [n, d_v], got {list(numbers.shape)}")
    more = ", …" if numbers.shape[1] > 3 else ""
    return [", ".join(f"{number:.3g}" for number in row[:3]) + more for row in numbers], numbers
