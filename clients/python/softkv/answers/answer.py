"""Results of queries: `Answer`, `Swept` and `Comparison`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypeAlias, TypedDict, overload

from softkv.answers.documents import Match, SweptMatch, parse_match, shorten
from softkv.answers.info import Background, Scalar, parse_background
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
from softkv.record import ALWAYS_SENT, ONE_OF, OR_NULL, VECTOR, Named, Record
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
    """Measures of how well the collection matches the query, and a verdict on them: one document, several, or none.

    docs/guide/asking.md explains each field.

    Attributes:
        verdict: `none`: the null key has at least half of all weight (in a calibrated collection, `none_from`), or
            no document passes the filter. Otherwise `one`: the heaviest document has more than half, summed over
            its keys; it need not answer. Otherwise `several`. With `min_confidence`, a verdict other than `none`
            is `one` if the first match has at least this `confidence`, else `several`.
        verdict_certain: whether the exact weights give the same verdict: false if the `total_variation` of the
            certificate is large enough to change it. A smaller `max_error` makes it certain.
        alike: whether the documents that share the weight say nearly the same; false unless the verdict is
            `several`. The first match and its copies then have more than half of all weight, and no document has it
            alone. The key of a copy has a cosine of 0.95 or more to that of the first match. The 128 heaviest keys
            are compared.
        null_weight: the weight of the null key, which means "none of these"; 0 without a null key.
        null_similarity: the similarity of the null key; None without a null key.
        log_partition: ln Σ exp(logit), including the null key; at temperature 0, the logarithm of the number of
            ties. None without keys to attend to, and for normalisers other than softmax.
        entropy: the entropy of the weights of the keys without the null key, in nats; 0 if no document passes.
        effective_documents: exp(entropy): the number of documents on which the answer rests. Each key of a document
            with several keys counts. 0 if no document passes.
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
    """A proven bound on how far the weights of this answer may differ from the exact ones.

    The page docs/operate/certificate.md explains it.

    Attributes:
        method: `exact`: every key is compared in float64. `quantised`: every key is compared as int8, and the best
            again in float64.
        total_variation: an upper bound of ½ Σ |weight − exact weight|, over every document and the null key.
        output_error: an upper bound of ‖output − exact output‖₂; None if the request does not include the output.
        reranked: the `depth` of `rerank`, if the request has it. The bounds hold for the logits with it.
    """

    method: Literal["exact", "quantised"]
    total_variation: float
    output_error: float | None
    reranked: int | None = None


class Coverage(Record):
    """The share of the collection that an answer was computed from, if documents were unavailable or not yet read.

    The page docs/guide/asking.md explains it.

    Attributes:
        documents: the number of available documents, whether they pass the filter or not.
        total: the number of all documents of the collection.
        max_missing_weight: an upper bound of the weight of all unavailable documents together, in the answer over
            all: 0 if none is missing, 1 if nothing is known of them. `certificate` holds for the answer over all.
    """

    documents: int
    total: int
    max_missing_weight: float


class FullText(Record, schema="FullTextAnswer"):
    """The contribution of full-text search to an answer: its factor, its ranking function, and the number of
    documents with a word of the query.

    Attributes:
        weight: λ, as used.
        ranking: the ranking of the database: bm25 in SQLite, ts_rank_cd in PostgreSQL.
        documents: the number of documents that can be attended to and contain one of the words, or of the terms of
            `full_text.query`.
    """

    weight: float
    ranking: Literal["bm25", "ts_rank_cd"]
    documents: int


class Vote(TypedDict):
    """One value of a field, and the total weight of the documents that have it.

    Attributes:
        value: a text, a number, true or false.
        weight: the share of this value in the weight of all documents that have the field.
    """

    value: Scalar
    weight: float


class QuantileAnswer(TypedDict):
    """A quantile of a field's numbers, by the weights of their documents.

    It is the smallest number such that at least this share of the weight lies on numbers up to it.

    Attributes:
        quantile: the requested quantile.
        value: the number; None if no document with weight has the field.
        at_least: a proven lower bound of the exact quantile.
        at_most: a proven upper bound of the exact quantile.
    """

    quantile: float
    value: float | None
    at_least: float | None
    at_most: float | None


class Read(Record, schema="ReadAnswer", sent={"how": "as"}):
    """The combined value of a metadata field: a mean, a vote or quantiles over all documents that have the field.

    `how` has the name `as` in the API.

    Attributes:
        how: `mean` and `quantile` use numbers; `vote` uses texts, numbers, true and false.
        value: the mean; the value with the largest weight; or the median, else the first requested quantile. None
            if no document with weight has the field.
        weight: the share of the weight of all documents that have the field, 0 to 1.
        deviation: for a mean: the weighted standard deviation around it.
        error: for a mean: its maximum distance from the exact mean. For a vote: the maximum error of each share.
            None if no bound is certain.
        votes: for a vote: at most 10 values, the heaviest first.
        rest_weight: for a vote: the share of all other values.
        quantiles: for quantiles: each requested one, in order.
    """

    field: str
    how: Literal["mean", "vote", "quantile"]
    value: Scalar
    weight: float
    deviation: Annotated[float | None, OR_NULL] = None
    error: Annotated[float | None, OR_NULL] = None
    votes: list[Vote] | None = None
    rest_weight: float | None = None
    quantiles: list[QuantileAnswer] | None = None


class Group(Record):
    """The documents that have one value of a metadata field, or a value in one range.

    Attributes:
        value: the value of the field: a text, a number, true or false; the range as it was sent; None for the
            documents without the field.
        weight: the weight of all documents of the group together.
        documents: the number of documents of the group that pass the filter.
        matches: the best documents of the group, among all that pass, with their share of the whole answer.
    """

    value: str | int | float | bool | list[float | str | None] | None
    weight: float
    documents: int
    matches: list[Match]


class GroupBy(Record, schema="GroupByAnswer"):
    """The weight of the answer by groups of documents. With the null key's, the weights of all groups sum to one.

    Attributes:
        field: the metadata field.
        groups: the heaviest groups, without those of weight 0. Equal weights are in the order of their JSON.
        rest_weight: the weight of all documents that are in none of these groups, nor in those of earlier pages.
        error: the maximum error of the `weight` of each group and each of its matches, and of `rest_weight`.
        next_cursor: the `cursor` of the next page; None after the last group, and after 10,000 groups.
    """

    field: str
    groups: list[Group]
    rest_weight: float
    error: float
    next_cursor: Annotated[str | None, ALWAYS_SENT] = None


class AttendAnswer(TypedDict):
    """The answer to a query.

    The weights of all documents that pass the filter sum to one, together with that of the null key.

    That is: the weights of the matches + `rest_weight` + `null_weight` = 1. If no document passes and the null key
    is absent, all are 0.

    Attributes:
        matches: the matches in the order of weight, then similarity, then id.
        rest_weight: the weight of all other documents that pass, together.
        complete: false if `top_k` cut off matches that `top_p` needs.
        output: σ weight · value vector over all documents that pass, if `include` lists `output`.
        reason: the reason for the verdict, in two sentences for a person: where the weight lies; how similar the
            first match is, and what the labels of a calibration say about it. Without them it claims no
            probability.
        coverage: present with `allow_missing`.
        unknown_tokens: for a query that is a text: the number of its tokens that the model does not know. If it
            knows none of the tokens with a letter or a digit, the verdict is never `one`.
        full_text: the effect of `full_text`, if the request has it.
        read: the result of `read`; for a list of fields, a list of results in this order.
        group_by: the result of `group_by`.
        temperature: the requested temperature; for `"auto"`, the one that was found.
        documents: the number of documents that pass the filter and can be attended to.
        keys: the number of their keys: the n of the null key.
        warnings: a sentence for each ordering (`>`, `>=`, `<`, `<=`) of the filter with a type that some texts or
            numbers of its field do not have, or all of its values. If no document passes, also one for each
            comparison with a field that no document has, or that always has another type. Left out otherwise.
        applied: the defaults of the collection that this answer has, because the request did not send its own. Left
            out without any.
        collection: the name of the collection that answered, if an alias was named.
        took_ms: milliseconds in the service, including encoding.
    """

    matches: list[Annotated[Mapping[str, Any], Match]]
    rest_weight: float
    complete: bool
    output: NotRequired[Annotated[Array, VECTOR]]
    reason: str
    evidence: Annotated[Mapping[str, Any], Evidence]
    certificate: Annotated[Mapping[str, Any], Certificate]
    coverage: NotRequired[Annotated[Mapping[str, Any], Coverage]]
    unknown_tokens: NotRequired[int]
    full_text: NotRequired[Annotated[Mapping[str, Any], FullText]]
    read: NotRequired[Annotated[Annotated[Mapping[str, Any], Read] | list[Annotated[Mapping[str, Any], Read]], ONE_OF]]
    group_by: NotRequired[Annotated[Mapping[str, Any], GroupBy]]
    temperature: float
    documents: int
    keys: int
    warnings: NotRequired[list[str]]
    applied: NotRequired[Annotated[Mapping[str, Any], Named("Defaults")]]
    collection: NotRequired[str]
    took_ms: float


class AttendAnswers(TypedDict):
    """The answers to several queries, one for each of the request's `queries`.

    Attributes:
        results: the answers in the order of the queries, all computed from one version of the collection.
        applied: the defaults of the collection that this answer has, because the request did not send its own. Left
            out without any.
        collection: the name of the collection that answered, if an alias was named.
    """

    results: list[AttendAnswer]
    applied: NotRequired[Annotated[Mapping[str, Any], Named("Defaults")]]
    collection: NotRequired[str]


class Answer(Sequence[Match]):
    """The answer to a query: its matches, ordered by weight.

    In a condition, an answer is true if its `verdict` is "one": one document stands out, whether it answers or not.

    The weights of the matches, `rest_weight` and `null_weight` sum to one.

    Attributes:
        question: the query if it was a text, else None.
        request_id: the id of the request in the service's log.
        applied: the defaults of the collection that this answer has, because the question did not send its own; None
            without any.
    """

    applied: Mapping[str, Any] | None

    def __init__(
        self,
        content: AttendAnswer,
        *,
        question: str | None = None,
        request_id: str | None = None,
    ) -> None:
        self._content = content
        self.question = question
        self.request_id = request_id
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
        """The first match if the verdict is "one", else None. It stands out, which does not say that it answers."""
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
        """The share of the collection that was read; None unless requested by `allow_missing`."""
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
            return [Read.read(one) for one in read]
        return None if read is None else Read.read(read)

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


class AtTemperature(TypedDict):
    """The answer of a sweep at one of its temperatures: the weights of the matches, and the rest.

    Attributes:
        weights: the weights of the `matches`, in their order.
        rest_weight: the weight of all other documents that pass, together.
    """

    temperature: float
    weights: list[float]
    rest_weight: float
    evidence: Annotated[Mapping[str, Any], Evidence]


class SweepAnswer(TypedDict):
    """The result of a sweep: the most similar documents, and the weight of each document at each temperature.

    Attributes:
        temperatures: the answers in the order of the requested temperatures.
        unknown_tokens: for a query that is a text: the number of its tokens that the model does not know. If it
            knows none of the tokens with a letter or a digit, the verdict is never `one`.
        full_text: the effect of `full_text`, if the request has it.
        documents: the number of documents that pass the filter and can be attended to.
        keys: the number of their keys.
        warnings: a sentence for each ordering (`>`, `>=`, `<`, `<=`) of the filter with a type that some texts or
            numbers of its field do not have, or all of its values. If no document passes, also one for each
            comparison with a field that no document has, or that always has another type. Left out otherwise.
        applied: the defaults of the collection that this answer has, because the request did not send its own. Left
            out without any.
        collection: the name of the collection that answered, if an alias was named.
    """

    matches: list[Annotated[Mapping[str, Any], SweptMatch]]
    temperatures: list[AtTemperature]
    unknown_tokens: NotRequired[int]
    full_text: NotRequired[Annotated[Mapping[str, Any], FullText]]
    documents: int
    keys: int
    warnings: NotRequired[list[str]]
    applied: NotRequired[Annotated[Mapping[str, Any], Named("Defaults")]]
    collection: NotRequired[str]
    took_ms: float


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

    def __init__(self, content: SweepAnswer, *, question: str | None = None, request_id: str | None = None) -> None:
        self._rows = content["temperatures"]
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

    def _column(self, name: Literal["temperature", "rest_weight"]) -> NDArray[np.float64]:
        """Return one field of each temperature as an array [T]."""
        import numpy as np

        return np.array([row[name] for row in self._rows], dtype=np.float64)

    def __repr__(self) -> str:
        best = f", {shorten(self.ids[0], 32)}" if self.matches else ""
        return f"<Swept {len(self._rows)} temperatures, {len(self.matches)} of {self.documents:,} documents{best}>"


class SQLRow(TypedDict):
    """A row that an SQL statement returned."""

    id: str
    key: str | None
    value: Any


class SqlResult(Record, schema="SQLAnswer"):
    """The rows that an SQL statement found, with the statement and its parameters.

    Attributes:
        statement: the SQL statement as it was run, with named parameters.
        parameters: the values of the parameters. Numbers beyond 64 bits are compared as bytes, and bytes are
            written as in SQL: X'0A'.
    """

    statement: str
    parameters: Mapping[str, Any]
    rows: list[SQLRow]
    took_ms: float


class NearestDocuments(Record, schema="TopKAnswer"):
    """The most similar documents, without weights. The list is empty only if no document can be found.

    Attributes:
        documents: the number of documents compared.
    """

    matches: list[Annotated[Match, SweptMatch]]
    documents: int
    took_ms: float


class Comparison(Record, schema="CompareAnswer"):
    """One query, answered by four methods on the same version of the documents.

    Attributes:
        sql: the answer of SQL's `=` on the key: the question must equal the whole text.
        full_text: the answer of the full-text search of the database: the words of the question, quoted and joined
            by OR. SQLite ranks by bm25; PostgreSQL ranks by ts_rank_cd, which ignores how rare a word is.
        background: the basis of the null key of this question, if it has a name. Its `mean` and `deviation`, and
            those of `at_most` and `at_least`, give the null similarity at any temperature.
        applied: the defaults of the collection that this answer has, because the request did not send its own. Left
            out without any.
        collection: the name of the collection that answered, if the question named an alias of it; else None.
    """

    sql: SqlResult
    full_text: SqlResult
    top_k: NearestDocuments
    attention: Annotated[Answer, AttendAnswer]
    background: Background | None
    applied: Annotated[Mapping[str, Any], Named("Defaults")] | None = None
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
