"""The answer to a question: who has how much of the weight, and how much the collection knew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from softkv.answers.documents import Match, parse_match, shorten
from softkv.answers.info import Background, parse_background
from softkv.answers.rendering import (
    NONE_OF_THESE,
    bars_html,
    describe_verdict,
    explain_answer,
    match_text,
    summarise_verdict,
    to_arrow_table,
    to_data_frame,
)
from softkv.record import Record, RenamedAttributes
from softkv.wire import decode_array

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from softkv.wire import Array


Verdict: TypeAlias = Literal["one", "several", "none"]
REMOVED_ATTRIBUTES = {
    "answered": "answered gave way to verdict: write answer.verdict != 'none', or bool(answer) for one document that "
    "stands out"
}
"""What to write in place of what an answer had."""


class Evidence(Record):
    """How much the collection knew; docs/asking.md tells of each."""

    _instead = REMOVED_ATTRIBUTES

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


class Answer(RenamedAttributes, Sequence[Match]):
    """The matches, by weight; true where one document stands out: where the `verdict` is "one".

    The weights of the matches, `rest_weight` and `null_weight` sum to one.

    Attributes:
        question: the query, where it was a text.
        request_id: the request's name in the service's log.
        final: False of what a stream tells on the way, of a part of the collection.
    """

    _instead = REMOVED_ATTRIBUTES

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
        return [parse_match(each) for each in self._content["matches"]]

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
        return None if output is None else decode_array(output)

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
        return "\n".join([explain_answer(self, self._min_confidence), *self.warnings])

    def to_dict(self) -> dict[str, Any]:
        """As it came over the wire."""
        return dict(self._content)

    def to_pandas(self) -> pd.DataFrame:
        """The matches as a DataFrame, a row each."""
        return to_data_frame(self.rows())

    def to_arrow(self) -> pa.Table:
        """The matches as a table of Arrow's; values that are no texts, and metadata, as JSON."""
        return to_arrow_table(self.rows())

    def plot(self, axes: Any = None) -> Any:
        """Draw a bar for each weight, with matplotlib, that of "none of these" in grey → its axes.

        Args:
            axes: to draw on; left out, those of a figure of its own.

        Raises:
            ImportError: matplotlib is not installed.
        """
        from softkv.answers.rendering import plot_bars as drawn

        return drawn([(name, weight, kind) for name, _, weight, kind in self._bars()], self.question, axes)

    def rows(self) -> list[dict[str, Any]]:
        """The matches as objects, with the fields that were asked for."""
        names = ("id", "weight", "confidence", "similarity", "logit", "key", "value", "metadata")
        return [
            {name: getattr(found, name) for name in names if name in content}
            for found, content in zip(self.matches, self._content["matches"], strict=True)
        ]

    def __repr__(self) -> str:
        best = f", {shorten(self.ids[0], 32)} {self[0].weight:.3f}" if len(self) else ""
        named = f"{len(self)} of {self.documents:,} documents"
        return f"<Answer: {summarise_verdict(self)}, {named}{best}, null {self.null_weight:.3f}>"

    def _repr_html_(self) -> str:
        return bars_html(self._bars(), self.question, describe_verdict(self, self._min_confidence))

    def _bars(self) -> list[tuple[str, str, float, str]]:
        """(name, what it says, weight, kind) of each share of the weight."""
        rows = [(each.id, match_text(each), each.weight or 0.0, "match") for each in self.matches]
        others = self.documents - len(rows)
        if others > 0:
            rows.append((f"{others:,} others", "", self.rest_weight, "rest"))
        rows.append((NONE_OF_THESE, "", self.null_weight, "null"))
        return rows


class Swept:
    """The same matches at every temperature, best first, and what each weighs there.

    Attributes:
        matches: the `top_k` best by similarity.
        documents: how many pass the filter.
        keys: how many keys these have.
        unknown_tokens: how many tokens of the question the model does not know; None where it is a vector.
        warnings: why the filter passes no document: no document has the field, or all have another type there.
    """

    def __init__(
        self, content: Mapping[str, Any], *, question: str | None = None, request_id: str | None = None
    ) -> None:
        self._at: list[Mapping[str, Any]] = content["temperatures"]
        self.matches: list[Match] = [parse_match(each) for each in content["matches"]]
        self.documents: int = content["documents"]
        self.keys: int = content["keys"]
        self.unknown_tokens: int | None = content.get("unknown_tokens")
        self.warnings: list[str] = list(content.get("warnings", ()))
        self._added: Mapping[str, Any] | None = content.get("full_text")
        self.took_ms: float = content["took_ms"]
        self.question = question
        self.request_id = request_id

    @property
    def temperatures(self) -> NDArray[np.float64]:
        """As they were asked for, [T]."""
        return self._column("temperature")

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Of the matches at each temperature, [T, top_k]."""
        import numpy as np

        return np.array([each["weights"] for each in self._at], dtype=np.float64).reshape(len(self._at), -1)

    @property
    def rest_weights(self) -> NDArray[np.float64]:
        """Of all other documents at each temperature, [T]."""
        return self._column("rest_weight")

    @property
    def null_weights(self) -> NDArray[np.float64]:
        """Of "none of these" at each temperature, [T]."""
        import numpy as np

        return np.array([each["evidence"]["null_weight"] for each in self._at], dtype=np.float64)

    @cached_property
    def evidence(self) -> list[Evidence]:
        """How much the collection knew, at each temperature."""
        return [Evidence.read(each["evidence"]) for each in self._at]

    @property
    def verdicts(self) -> list[Verdict]:
        """What the weights say at each temperature: whether one document stands out, several share it, or none does."""
        return [each.verdict for each in self.evidence]

    @property
    def full_text(self) -> FullText | None:
        """What words added, where `full_text` asked for that."""
        return None if self._added is None else FullText.read(self._added)

    @property
    def ids(self) -> list[str]:
        """Of the matches, in their order."""
        return [each.id for each in self.matches]

    def plot(self, axes: Any = None) -> Any:
        """Draw every weight over the temperature, with matplotlib → its axes.

        Args:
            axes: to draw on; left out, those of a figure of its own.

        Raises:
            ImportError: matplotlib is not installed.
        """
        from softkv.answers.rendering import plot_lines

        named = [(name, self.weights[:, place], "match") for place, name in enumerate(self.ids)]
        if self.documents > len(named):
            named.append(("all others", self.rest_weights, "rest"))
        named.append((NONE_OF_THESE, self.null_weights, "null"))
        return plot_lines(self.temperatures, named, self.question, axes)

    def _column(self, name: str) -> NDArray[np.float64]:
        import numpy as np

        return np.array([each[name] for each in self._at], dtype=np.float64)

    def __repr__(self) -> str:
        best = f", {shorten(self.ids[0], 32)}" if self.matches else ""
        return f"<Swept {len(self._at)} temperatures, {len(self.matches)} of {self.documents:,} documents{best}>"


class SqlResult(Record):
    """What SQL found: the statement as it was run, and the rows that the database answered."""

    statement: str
    parameters: Mapping[str, Any]
    rows: list[Mapping[str, Any]]
    took_ms: float


class NearestDocuments(Record):
    """The nearest documents by similarity, without weights: always some."""

    matches: list[Match]
    documents: int
    took_ms: float


class Comparison(Record):
    """One question, asked four ways of one version of the documents."""

    sql: SqlResult
    full_text: SqlResult
    top_k: NearestDocuments
    attention: Answer
    background: Background | None


def parse_comparison(content: Mapping[str, Any], question: str, request_id: str | None) -> Comparison:
    """A comparison from the wire."""
    nearest = content["top_k"]
    return Comparison(
        SqlResult.read(content["sql"]),
        SqlResult.read(content["full_text"]),
        NearestDocuments.read(nearest, matches=_parse_matches(nearest["matches"])),
        Answer(content["attention"], question=question, request_id=request_id),
        parse_background(content["background"]),
    )


def _parse_matches(given: Sequence[Mapping[str, Any]]) -> list[Match]:
    return [parse_match(each) for each in given]
