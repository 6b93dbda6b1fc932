"""The answer to a question: who has how much of the weight, and how much the collection knew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from softkv.answers.document import short
from softkv.answers.explained import NONE_OF_THESE, explained, in_short, told, verdict
from softkv.answers.html import bars
from softkv.answers.match import Match, match
from softkv.answers.tables import arrow_table, data_frame
from softkv.record import Record, Renaming
from softkv.wire.vectors import incoming

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from softkv.wire.vectors import Array

Verdict: TypeAlias = Literal["one", "several", "none"]
GAVE_WAY = {
    "answered": "answered gave way to verdict: write answer.verdict != 'none', or bool(answer) for one document that "
    "stands out"
}
"""What to write in place of what an answer had."""


class Evidence(Record):
    """How much the collection knew; docs/asking.md tells of each."""

    _instead = GAVE_WAY

    verdict: Verdict
    verdict_certain: bool
    null_weight: float
    null_similarity: float | None
    log_partition: float | None
    entropy: float
    effective_documents: float


class Certificate(Record):
    """A proven bound on the distance to the exact answer; docs/certificate.md tells of it."""

    method: Literal["exact", "quantised"]
    total_variation: float
    output_error: float | None


class Coverage(Record):
    """Of how much of the collection an answer was made; docs/asking.md tells of it."""

    documents: int
    of: int
    missing_weight_at_most: float


class FullText(Record):
    """What the words of a question added: its weight, what ranks, how many documents had one of them."""

    weight: float
    ranking: Literal["bm25", "ts_rank_cd"]
    documents: int


class Read(Record):
    """What a field came to over all documents; docs/reading.md tells of it. `how` is `as` on the wire."""

    field: str
    how: Literal["mean", "vote", "quantile"]
    value: str | float | bool | None
    weight: float
    deviation: float | None = None
    error: float | None = None
    votes: list[dict[str, Any]] | None = None
    rest_weight: float | None = None
    quantiles: list[dict[str, Any]] | None = None


class Answer(Renaming, Sequence[Match]):
    """The matches, by weight; true where one document stands out: where the `verdict` is "one".

    The weights of the matches, `rest_weight` and `null_weight` sum to one.

    Attributes:
        question: the query, where it was a text.
        request_id: the request's name in the service's log.
        final: False of what a stream tells on the way, of a part of the collection.
    """

    _instead = GAVE_WAY

    def __init__(
        self,
        content: Mapping[str, Any],
        *,
        question: str | None = None,
        request_id: str | None = None,
        final: bool = True,
        min_confidence: float | None = None,
    ) -> None:
        self._content = content
        self.question = question
        self.request_id = request_id
        self.final = final
        self._min_confidence = min_confidence

    @cached_property
    def matches(self) -> list[Match]:
        """The documents that are named."""
        return [match(each) for each in self._content["matches"]]

    @property
    def verdict(self) -> Verdict:
        """Whether one document stands out, several share the weight, or none is about that."""
        verdict: Verdict = self._content["evidence"]["verdict"]
        return verdict

    @property
    def best(self) -> Match | None:
        """The first match, where it stands out; else None."""
        return self.matches[0] if self and self.matches else None

    @property
    def rest_weight(self) -> float:
        """What all other documents that pass weigh together."""
        return float(self._content["rest_weight"])

    @property
    def null_weight(self) -> float:
        """What "none of these" weighs."""
        return float(self._content["evidence"]["null_weight"])

    @property
    def complete(self) -> bool:
        """False where `top_k` came before `top_p` was reached."""
        return bool(self._content["complete"])

    @cached_property
    def evidence(self) -> Evidence:
        """How much the collection knew."""
        return Evidence.read(self._content["evidence"])

    @cached_property
    def certificate(self) -> Certificate:
        """How far all this is from the exact answer at most."""
        return Certificate.read(self._content["certificate"])

    @cached_property
    def coverage(self) -> Coverage | None:
        """Of how much of the collection it was made: where `allow_missing` asked for that, and of a stream's part."""
        coverage = self._content.get("coverage")
        return None if coverage is None else Coverage.read(coverage)

    @cached_property
    def full_text(self) -> FullText | None:
        """What words added, where `full_text` asked for that."""
        added = self._content.get("full_text")
        return None if added is None else FullText.read(added)

    @cached_property
    def read(self) -> Read | None:
        """What a field came to, where `read` asked for it."""
        read = self._content.get("read")
        return None if read is None else Read.read(read, how=read["as"])

    @cached_property
    def output(self) -> Array | None:
        """Σ weight · value vector, float32 [d_v], where `include` asked for it."""
        output = self._content.get("output")
        return None if output is None else incoming(output)

    @property
    def temperature(self) -> float:
        """The one that was used."""
        return float(self._content["temperature"])

    @property
    def documents(self) -> int:
        """How many pass the filter and can be attended to."""
        return int(self._content["documents"])

    @property
    def keys(self) -> int:
        """How many keys these have."""
        return int(self._content["keys"])

    @property
    def unknown_tokens(self) -> int | None:
        """How many tokens of the question the model does not know; None where it is a vector."""
        count: int | None = self._content.get("unknown_tokens")
        return count

    @property
    def warnings(self) -> list[str]:
        """Why the filter passes no document: no document has the field, or all have another type there."""
        return list(self._content.get("warnings", ()))

    @property
    def took_ms(self) -> float:
        """Milliseconds in the service."""
        return float(self._content["took_ms"])

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Of the matches, in their order."""
        import numpy as np

        return np.array([each["weight"] for each in self._content["matches"]], dtype=np.float64)

    @property
    def ids(self) -> list[str]:
        """Of the matches, in their order."""
        return [each["id"] for each in self._content["matches"]]

    @property
    def values(self) -> list[Any]:
        """Of the matches, in their order."""
        return [each.value for each in self.matches]

    @property
    def above_null(self) -> list[Match]:
        """The matches more similar to the query than "none of these"; all of them where there is no null key."""
        level = self.evidence.null_similarity
        return [each for each in self.matches if level is None or each.similarity > level]

    @overload
    def __getitem__(self, place: int) -> Match: ...
    @overload
    def __getitem__(self, place: slice) -> list[Match]: ...
    def __getitem__(self, place: int | slice) -> Match | list[Match]:
        return self.matches[place]

    def __len__(self) -> int:
        return len(self._content["matches"])

    def __bool__(self) -> bool:
        return self.verdict == "one"

    def explain(self) -> str:
        """Who has how much of the weight, a line each, which add up to one; the verdict and why; what was added."""
        return "\n".join([explained(self, self._min_confidence), *self.warnings])

    def to_dict(self) -> dict[str, Any]:
        """As it came over the wire."""
        return dict(self._content)

    def to_pandas(self) -> pd.DataFrame:
        """The matches as a DataFrame, a row each."""
        return data_frame(self.rows())

    def to_arrow(self) -> pa.Table:
        """The matches as a table of Arrow's; values that are no texts, and metadata, as JSON."""
        return arrow_table(self.rows())

    def plot(self, axes: Any = None) -> Any:
        """Draw a bar for each weight, with matplotlib, that of "none of these" in grey → its axes.

        Args:
            axes: to draw on; left out, those of a figure of its own.

        Raises:
            ImportError: matplotlib is not installed.
        """
        from softkv.answers.plots import bars as drawn

        return drawn([(name, weight, kind) for name, _, weight, kind in self._bars()], self.question, axes)

    def rows(self) -> list[dict[str, Any]]:
        """The matches as objects, with the fields that were asked for."""
        names = ("id", "weight", "confidence", "similarity", "logit", "key", "value", "metadata")
        return [
            {name: getattr(found, name) for name in names if name in content}
            for found, content in zip(self.matches, self._content["matches"], strict=True)
        ]

    def __repr__(self) -> str:
        best = f", {short(self.ids[0], 32)} {self[0].weight:.3f}" if len(self) else ""
        named = f"{len(self)} of {self.documents:,} documents"
        return f"<Answer: {in_short(self)}, {named}{best}, null {self.null_weight:.3f}>"

    def _repr_html_(self) -> str:
        return bars(self._bars(), self.question, verdict(self, self._min_confidence))

    def _bars(self) -> list[tuple[str, str, float, str]]:
        """(name, what it says, weight, kind) of each share of the weight."""
        rows = [(each.id, told(each), each.weight or 0.0, "match") for each in self.matches]
        others = self.documents - len(rows)
        if others > 0:
            rows.append((f"{others:,} others", "", self.rest_weight, "rest"))
        rows.append((NONE_OF_THESE, "", self.null_weight, "null"))
        return rows
