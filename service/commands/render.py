"""An answer of `attend` on the terminal: where the weight went, and what the collection knew."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.commands.console import one_line, weight_bar

_BAR, _GAP = 8, 2
SAID = {
    "one": ("One document stands out", "bold green"),
    "several": ("Several share it: here they are", "bold cyan"),
    "none": ("Nothing here about that", "bold yellow"),
}
"""What each verdict is for a person, and how it is drawn."""


def show(answer: dict[str, Any], console: Console, min_confidence: float | None = None) -> None:
    """Print an answer: a row a match, the rest and the null key, then the evidence.

    Args:
        min_confidence: how sure the first match had to be, where that was asked.
    """
    console.print(_table(answer, console))
    console.print()
    console.print(_verdict(answer, min_confidence))
    if (coverage := answer.get("coverage")) is not None and coverage["documents"] < coverage["of"]:
        console.print(_missing(coverage))
    console.print(_measures(answer, ascii_only=console.options.ascii_only))


def _table(answer: dict[str, Any], console: Console) -> Table:
    """Each match, then the rest and the null key, so that the weights that are shown sum to one."""

    def weight(of: float) -> Text:
        bar = weight_bar(of, _BAR, ascii_only=console.options.ascii_only)
        return Text.assemble((bar, "cyan"), f" {of:.4f}")

    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, expand=True, header_style="dim")
    table.add_column("weight", no_wrap=True, width=_BAR + 7)
    table.add_column("similarity", no_wrap=True, justify="right", width=10)
    sure = any("confidence" in match for match in answer["matches"])
    if sure:
        table.add_column("sure", no_wrap=True, justify="right", width=6)
    table.add_column("id", no_wrap=True, overflow="ellipsis", max_width=_id_width(answer, console.width, sure))
    table.add_column("key, value", no_wrap=True, overflow="ellipsis", ratio=1)
    for match in answer["matches"]:
        key, value = one_line(_spoken(match)), one_line(match["value"])
        described = Text(key)
        if value != key:
            described.append("\n" if key else "").append(value, style="dim")
        table.add_row(
            weight(match["weight"]),
            f"{match['similarity']:.4f}",
            *([f"{match['confidence']:.1%}"] if sure else []),
            Text(one_line(match["id"]), "bold"),
            described,
        )
    blank = [""] * (1 + sure)
    others = answer["documents"] - len(answer["matches"])
    if others:
        table.add_row(weight(answer["rest_weight"]), "", *blank, Text(f"the other {others:,} documents", "dim italic"))
    evidence = answer["evidence"]
    if evidence["null_similarity"] is not None:
        similarity = f"{evidence['null_similarity']:.4f}"
        table.add_row(weight(evidence["null_weight"]), similarity, *blank, Text("none of these", "dim italic"))
    return table


def _id_width(answer: dict[str, Any], width: int, sure: bool) -> int:
    """A quarter of the line for an id, or what its texts leave of it."""
    texts = [one_line(text) for match in answer["matches"] for text in (_spoken(match), match["value"])]
    others = _BAR + 7 + 10 + (6 + _GAP if sure else 0) + 3 * _GAP
    left = width - others - max((cell_len(text) for text in texts), default=0)
    return max(min(width // 4, 40), left)


def _spoken(match: dict[str, Any]) -> str:
    """The key text, or the part of it that is most similar, where it was split."""
    part = match.get("part", {})
    return (match["key"] or "")[part.get("start") : part.get("end")]


def _verdict(answer: dict[str, Any], min_confidence: float | None) -> Text:
    """Which of the three the answer says, in words, and by what."""
    evidence, matches = answer["evidence"], answer["matches"]
    said, style = SAID[evidence["verdict"]]
    null = evidence["null_similarity"] is not None
    share = f"{evidence['null_weight']:.1%}"
    if not answer["documents"]:
        why = "No document is there to attend to."
    elif evidence["verdict"] == "none":
        why = f"“None of these” has {share}."
    elif _unread(answer, min_confidence):
        why = "The model knows no word of the question."
    elif min_confidence is not None and matches:
        why = f"The first is right with {matches[0]['confidence']:.1%}, {min_confidence:.1%} was wanted."
    elif matches:
        beside = f", “none of these” {share}" if null else ""
        why = f"The first has {matches[0]['weight']:.1%}{beside}."
    else:
        why = f"“None of these” has {share}." if null else ""
    certain = "" if evidence["verdict_certain"] else " That is within its error; a smaller --max-error settles it."
    return Text.assemble((f"{said}.", style), f" {why}{certain}".rstrip())


def _unread(answer: dict[str, Any], min_confidence: float | None) -> bool:
    """Whether the first match would stand out if the model knew a word of the question."""
    if answer["evidence"]["verdict"] != "several" or not answer.get("unknown_tokens") or not answer["matches"]:
        return False
    first = answer["matches"][0]
    return bool(first["weight"] > 0.5 if min_confidence is None else first["confidence"] >= min_confidence)


def _missing(coverage: dict[str, Any]) -> Text:
    """How many documents could not be asked, and what they may weigh."""
    missing, most = coverage["of"] - coverage["documents"], coverage["missing_weight_at_most"]
    return Text.assemble(
        (f"{missing:,} of {coverage['of']:,} documents missing", "bold yellow"),
        f": they have {most:.1%} of all weight at most.",
    )


def _measures(answer: dict[str, Any], *, ascii_only: bool) -> Text:
    """What the answer rests on, in one line."""
    evidence = answer["evidence"]
    effective, log_partition = evidence["effective_documents"], evidence["log_partition"]
    rests = "" if effective is None else f"rests on {effective:,.1f} of "
    measures = [f"{rests}{answer['documents']:,} documents"]
    if log_partition is not None:
        measures.append(f"log-partition {log_partition:.2f}")
    measures += [f"T {answer['temperature']:.4g}", f"{answer['took_ms']:.1f} ms"]
    return Text((" | " if ascii_only else " · ").join(measures), "dim")
