"""Results of queries: `Answer`, `Swept` and `Comparison`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from softkv.answers.documents import Match, parse_match, shorten
from softkv.answers.info import Background, parse_background
from softkv.answers.rendering import (
    NONE_OF_THESE,
    bars_html,
    list_weights,
    match_text,
    summarise_verdict,
    table_html,
    to_arrow_table,
    to_data_frame,
)
from softkv.record import Record
from softkv.wire import decode_array

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from softkv.wire import Array


Verdict: TypeAlias = Literal["one", "several", "none"]
_MOST_TEMPERATURES = 8
"""In the table that a sweep is in a notebook."""


class Evidence(Record):
    """Measures of how well the collection answers the query, such as the weight of "none of these".

    docs/guide/asking.md explains each field.
    """

    verdict: Verdict
    verdict_certain: bool
    alike: bool
    null_weight: float
    null_similarity: float | None
    log_partition: float | None
    entropy: float
    effective_documents: float


class Certificate(Record):
    """A proven bound on how far the computed weights may differ from the exact ones.

    The page docs/operate/certificate.md explains it.
    """

    method: Literal["exact", "quantised"]
    total_variation: float
    output_error: float | None
    reranked: int | None = None


class Coverage(Record):
    """The share of the collection that an answer was computed from, if documents were unavailable or not yet read.

    The page docs/guide/asking.md explains it.
    """

    documents: int
    total: int
    max_missing_weight: float


class FullText(Record):
    """The contribution of full-text search to an answer: its factor, its ranking function, and the number of documents
    with a word of the query.
    """

    weight: float
    ranking: Literal["bm25", "ts_rank_cd"]
    documents: int


class Read(Record):
    """A metadata field aggregated over all documents by their weights; docs/guide/reading.md explains it.

    `how` has the name `as` in the API.
    """

    field: str
    how: Literal["mean", "vote", "quantile"]
    value: str | float | bool | None
    weight: float
    deviation: float | None = None
    error: float | None = None
    votes: list[dict[str, Any]] | None = None
    rest_weight: float | None = None
    quantiles: list[dict[str, Any]] | None = None


class Group(Record):
    """The documents that have one value of a metadata field, or a value in one range.

    Attributes:
        value: the value; the range as it was sent; None for the documents without the field.
        weight: the weight of all documents of the group together.
        documents: their number.
        matches: the best of them, with their weights in the whole answer.
    """

    value: str | float | bool | list[Any] | None
    weight: float
    documents: int
    matches: list[Match]


class GroupBy(Record):
    """The weight of an answer by groups of documents; docs/guide/grouping.md explains it.

    Attributes:
        field: the metadata field.
        groups: the heaviest groups.
        rest_weight: the weight of all documents in none of these groups, nor in those of earlier pages.
        error: the maximum error of these weights.
        next_cursor: the `cursor` of the next page of groups; None for the last page.
    """

    field: str
    groups: list[Group]
    rest_weight: float
    error: float
    next_cursor: str | None = None


class Answer(Sequence[Match]):
    """The answer to a query: its matches, ordered by weight.

    In a condition, an answer is true if its `verdict` is "one", so one document stands out.

    The weights of the matches, `rest_weight` and `null_weight` sum to one.

    Attributes:
        question: the query if it was a text, else None.
        request_id: the id of the request in the service's log.
        final: False for an intermediate answer of a stream, which covers a part of the collection.
        applied: the defaults of the collection that this answer has, because the question did not send its own; None
            without any.
    """

    applied: Mapping[str, Any] | None

    def __init__(
        self,
        content: Mapping[str, Any],
        *,
        question: str | None = None,
        request_id: str | None = None,
        final: bool = True,
    ) -> None:
        self._content = content
        self.question = question
        self.request_id = request_id
        self.final = final
        self.applied = content.get("applied")

    @cached_property
    def matches(self) -> list[Match]:
        """The returned documents with their weights."""
        return [parse_match(content) for content in self._content["matches"]]

    @property
    def verdict(self) -> Verdict:
        """ "one" if one document stands out, "several" if some share the weight, "none" if no document fits."""
        verdict: Verdict = self._content["evidence"]["verdict"]
        return verdict

    @property
    def reason(self) -> str:
        """Why the answer has its verdict, in two sentences; the service writes them."""
        return str(self._content.get("reason", ""))

    @property
    def best(self) -> Match | None:
        """The first match if the verdict is "one", else None."""
        return self.matches[0] if self and self.matches else None

    @property
    def rest_weight(self) -> float:
        """The total weight of all documents that pass the filter and are not among the matches."""
        return float(self._content["rest_weight"])

    @property
    def null_weight(self) -> float:
        """The weight of "none of these"."""
        return float(self._content["evidence"]["null_weight"])

    @property
    def complete(self) -> bool:
        """Whether the matches hold all of `top_p`; False if `top_k` cut some of them off."""
        return bool(self._content["complete"])

    @cached_property
    def evidence(self) -> Evidence:
        """Evidence of how well the collection answers the query."""
        return Evidence.read(self._content["evidence"])

    @cached_property
    def certificate(self) -> Certificate:
        """A bound on how far the weights may differ from those of the exact answer."""
        return Certificate.read(self._content["certificate"])

    @cached_property
    def coverage(self) -> Coverage | None:
        """The share of the collection that was read; None unless requested by `allow_missing`, or in a stream."""
        coverage = self._content.get("coverage")
        return None if coverage is None else Coverage.read(coverage)

    @cached_property
    def full_text(self) -> FullText | None:
        """The contribution of full-text search, or None if `full_text` was not requested."""
        content = self._content.get("full_text")
        return None if content is None else FullText.read(content)

    @cached_property
    def read(self) -> Read | list[Read] | None:
        """The aggregated metadata field, a list for a list of fields, or None if `read` was not requested."""
        read = self._content.get("read")
        if isinstance(read, list):
            return [Read.read(one, how=one["as"]) for one in read]
        return None if read is None else Read.read(read, how=read["as"])

    @cached_property
    def group_by(self) -> GroupBy | None:
        """The weight by groups of documents, or None if `group_by` was not requested."""
        content = self._content.get("group_by")
        if content is None:
            return None
        groups = [Group.read(group, matches=[*map(parse_match, group["matches"])]) for group in content["groups"]]
        return GroupBy.read(content, groups=groups)

    @cached_property
    def output(self) -> Array | None:
        """Σ weight · value vector, float32 [d_v], or None if `include` does not name it."""
        output = self._content.get("output")
        return None if output is None else decode_array(output)

    @property
    def temperature(self) -> float:
        """The temperature that was used."""
        return float(self._content["temperature"])

    @property
    def documents(self) -> int:
        """The number of documents that pass the filter and can be attended to."""
        return int(self._content["documents"])

    @property
    def keys(self) -> int:
        """The number of keys of the documents that pass the filter."""
        return int(self._content["keys"])

    @property
    def unknown_tokens(self) -> int | None:
        """The number of the query's tokens that the model does not know; None for a vector."""
        count: int | None = self._content.get("unknown_tokens")
        return count

    @property
    def warnings(self) -> list[str]:
        """The reason why the filter passes no document: the field does not exist, or has another type everywhere."""
        return list(self._content.get("warnings", ()))

    @property
    def collection(self) -> str | None:
        """The name of the collection that answered, if the question named an alias of it; else None."""
        name: str | None = self._content.get("collection")
        return name

    @property
    def took_ms(self) -> float:
        """The time that the service took for the answer, in milliseconds."""
        return float(self._content["took_ms"])

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """The weights of the matches, float64 [n], in their order."""
        import numpy as np

        return np.array([content["weight"] for content in self._content["matches"]], dtype=np.float64)

    @property
    def ids(self) -> list[str]:
        """The ids of the matches, in their order."""
        return [content["id"] for content in self._content["matches"]]

    @property
    def values(self) -> list[Any]:
        """The values of the matches, in their order."""
        return [match.value for match in self.matches]

    @property
    def above_null(self) -> list[Match]:
        """The matches that are more similar to the query than "none of these"; all matches without a null key."""
        level = self.evidence.null_similarity
        return [match for match in self.matches if level is None or match.similarity > level]

    @overload
    def __getitem__(self, index: int) -> Match: ...
    @overload
    def __getitem__(self, index: slice) -> list[Match]: ...
    def __getitem__(self, index: int | slice) -> Match | list[Match]:
        return self.matches[index]

    def __len__(self) -> int:
        return len(self._content["matches"])

    def __bool__(self) -> bool:
        return self.verdict == "one"

    def explain(self) -> str:
        """Return why the answer was given or not: its `reason` in two sentences, and each warning on a line of its own.

        The first sentence says where the weight lies. The second says how similar the best
        match is, and what labels say.

        Example:
            >>> print(answer.explain())
        """
        return "\n".join([self.reason, *self.warnings])

    def to_text(self) -> str:
        """Return the answer as a table of text: a line per weight, below it what was added to the logit, and the sum.

        Example:
            >>> print(answer.to_text())
        """
        return list_weights(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object that the service sent."""
        return dict(self._content)

    def to_pandas(self) -> pd.DataFrame:
        """Return the matches as a pandas DataFrame, with a row per match.

        Raises:
            ImportError: pandas is not installed.
        """
        return to_data_frame(self.rows())

    def to_arrow(self) -> pa.Table:
        """Return the matches as an Arrow table. Metadata, and values that are not texts, are encoded as JSON.

        Raises:
            ImportError: pyarrow is not installed.
        """
        return to_arrow_table(self.rows())

    def plot(self, axes: Any = None) -> Any:
        """Draw the weights as a bar chart with matplotlib, with "none of these" in grey.

        Args:
            axes: the axes to draw on; those of a new figure if left out.

        Returns:
            The axes.

        Raises:
            ImportError: matplotlib is not installed.

        Example:
            >>> answer.plot().figure.savefig("weights.png")
        """
        from softkv.answers.rendering import plot_bars as drawn

        return drawn([(name, weight, kind) for name, _, weight, kind in self._bars()], self.question, axes)

    def rows(self) -> list[dict[str, Any]]:
        """Return the matches as dicts with the requested fields."""
        names = ("id", "weight", "confidence", "similarity", "logit", "key", "value", "metadata")
        return [
            {name: getattr(match, name) for name in names if name in content}
            for match, content in zip(self.matches, self._content["matches"], strict=True)
        ]

    def __repr__(self) -> str:
        best = f", {shorten(self.ids[0], 32)} {self[0].weight:.3f}" if len(self) else ""
        count = f"{len(self)} of {self.documents:,} documents"
        return f"<Answer: {summarise_verdict(self)}, {count}{best}, null {self.null_weight:.3f}>"

    def _repr_html_(self) -> str:
        return bars_html(self._bars(), self.question, self.reason)

    def _bars(self) -> list[tuple[str, str, float, str]]:
        """Return (name, text, weight, kind) for each bar of the chart: the matches, all other documents, and "none of
        these".
        """
        rows = [(match.id, match_text(match), match.weight or 0.0, "match") for match in self.matches]
        other_count = self.documents - len(rows)
        if other_count > 0:
            rows.append((f"{other_count:,} others", "", self.rest_weight, "rest"))
        rows.append((NONE_OF_THESE, "", self.null_weight, "null"))
        return rows


class Swept:
    """The result of a sweep: the most similar documents, with their weights at several temperatures.

    Attributes:
        matches: the `top_k` most similar documents.
        documents: the number of documents that pass the filter.
        keys: the number of keys of the documents that pass the filter.
        unknown_tokens: the number of the query's tokens that the model does not know; None for a vector.
        warnings: the reason why the filter passes no document: the field does not exist, or has another type
            everywhere.
        applied: the defaults of the collection that this answer has, because the question did not send its own; None
            without any.
        collection: the name of the collection that answered, if the question named an alias of it; else None.
    """

    def __init__(
        self, content: Mapping[str, Any], *, question: str | None = None, request_id: str | None = None
    ) -> None:
        self._rows: list[Mapping[str, Any]] = content["temperatures"]
        self.matches: list[Match] = [parse_match(match_content) for match_content in content["matches"]]
        self.documents: int = content["documents"]
        self.keys: int = content["keys"]
        self.unknown_tokens: int | None = content.get("unknown_tokens")
        self.warnings: list[str] = list(content.get("warnings", ()))
        self.applied: Mapping[str, Any] | None = content.get("applied")
        self.collection: str | None = content.get("collection")
        self._added: Mapping[str, Any] | None = content.get("full_text")
        self.took_ms: float = content["took_ms"]
        self.question = question
        self.request_id = request_id

    @property
    def temperatures(self) -> NDArray[np.float64]:
        """The temperatures of the sweep, float64 [T]."""
        return self._column("temperature")

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """The weights of the matches at each temperature, [T, top_k]."""
        import numpy as np

        return np.array([row["weights"] for row in self._rows], dtype=np.float64).reshape(len(self._rows), -1)

    @property
    def rest_weights(self) -> NDArray[np.float64]:
        """The total weight of all other documents at each temperature, [T]."""
        return self._column("rest_weight")

    @property
    def null_weights(self) -> NDArray[np.float64]:
        """The weight of "none of these" at each temperature, [T]."""
        import numpy as np

        return np.array([row["evidence"]["null_weight"] for row in self._rows], dtype=np.float64)

    @cached_property
    def evidence(self) -> list[Evidence]:
        """Evidence of how well the collection answers the query, at each temperature."""
        return [Evidence.read(row["evidence"]) for row in self._rows]

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdict at each temperature: "one", "several" or "none"."""
        return [evidence.verdict for evidence in self.evidence]

    @property
    def full_text(self) -> FullText | None:
        """The contribution of full-text search, or None if `full_text` was not requested."""
        return None if self._added is None else FullText.read(self._added)

    @property
    def ids(self) -> list[str]:
        """The ids of the matches, in their order."""
        return [match.id for match in self.matches]

    def plot(self, axes: Any = None) -> Any:
        """Draw each weight over the temperature with matplotlib.

        Args:
            axes: the axes to draw on; those of a new figure if left out.

        Returns:
            The axes.

        Raises:
            ImportError: matplotlib is not installed.

        Example:
            >>> collection.sweep("pets that purr", [0.01, 0.1, 1.0]).plot()
        """
        from softkv.answers.rendering import plot_lines

        curves = [(name, self.weights[:, index], "match") for index, name in enumerate(self.ids)]
        if self.documents > len(curves):
            curves.append(("all others", self.rest_weights, "rest"))
        curves.append((NONE_OF_THESE, self.null_weights, "null"))
        return plot_lines(self.temperatures, curves, self.question, axes)

    def _repr_html_(self) -> str:
        step = -(-len(self._rows) // _MOST_TEMPERATURES)
        rows = self._rows[::step]
        lines = [
            [*(f"{row['weights'][i]:.4f}" for row in rows), match.id, match_text(match)]
            for i, match in enumerate(self.matches)
        ]
        rest, null = [row["rest_weight"] for row in rows], [row["evidence"]["null_weight"] for row in rows]
        if count := self.documents - len(lines):
            lines.append([*map("{:.4f}".format, rest), f"{count:,} others", ""])
        lines.append([*map("{:.4f}".format, null), NONE_OF_THESE, ""])
        return table_html([*(f"T = {row['temperature']:.3g}" for row in rows), "", ""], lines, self.question)

    def _column(self, name: str) -> NDArray[np.float64]:
        """Return one field of each temperature as an array [T]."""
        import numpy as np

        return np.array([row[name] for row in self._rows], dtype=np.float64)

    def __repr__(self) -> str:
        best = f", {shorten(self.ids[0], 32)}" if self.matches else ""
        return f"<Swept {len(self._rows)} temperatures, {len(self.matches)} of {self.documents:,} documents{best}>"


class SqlResult(Record):
    """The rows that an SQL statement found, with the statement and its parameters."""

    statement: str
    parameters: Mapping[str, Any]
    rows: list[Mapping[str, Any]]
    took_ms: float


class NearestDocuments(Record):
    """The most similar documents, without weights. The list is empty only if no document can be found."""

    matches: list[Match]
    documents: int
    took_ms: float


class Comparison(Record):
    """One query, answered by four methods on the same version of the documents.

    Attributes:
        applied: the defaults of the collection that the answers have, because the question did not send its own; None
            without any.
        collection: the name of the collection that answered, if the question named an alias of it; else None.
    """

    sql: SqlResult
    full_text: SqlResult
    top_k: NearestDocuments
    attention: Answer
    background: Background | None
    applied: Mapping[str, Any] | None = None
    collection: str | None = None


# Before Python 3.12, a cached property has one lock for all answers, which a forked process may find locked for ever.
for _member in (*vars(Answer).values(), *vars(Swept).values()):
    if isinstance(_member, cached_property):
        vars(_member)["lock"] = nullcontext()


def parse_comparison(content: Mapping[str, Any], question: str | None, request_id: str | None) -> Comparison:
    """Parse the response of a comparison."""
    nearest = content["top_k"]
    return Comparison(
        SqlResult.read(content["sql"]),
        SqlResult.read(content["full_text"]),
        NearestDocuments.read(nearest, matches=_parse_matches(nearest["matches"])),
        Answer(content["attention"], question=question, request_id=request_id),
        parse_background(content["background"]),
        content.get("applied"),
        content.get("collection"),
    )


def _parse_matches(contents: Sequence[Mapping[str, Any]]) -> list[Match]:
    return [parse_match(content) for content in contents]
