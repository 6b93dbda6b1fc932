"""An answer of `attend` on the terminal: where the weight went, and what the collection knew."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.commands.console import one_line, weight_bar

_BAR = 8


def show(answer: dict[str, Any], console: Console, answer_if: float | None = None) -> None:
    """Print an answer: a row a match, the rest and the null key, then the evidence.

    Args:
        answer_if: how sure the first match had to be, where that was asked.
    """
    console.print(_table(answer, console))
    console.print()
    console.print(_verdict(answer, answer_if))
    if (coverage := answer.get("coverage")) is not None and coverage["documents"] < coverage["of"]:
        console.print(_missing(coverage))
    console.print(_measures(answer, ascii_only=console.options.ascii_only))


def _table(answer: dict[str, Any], console: Console) -> Table:
    """Each match, then the rest and the null key, so that the weights that are shown sum to one."""

    def weight(of: float) -> Text:
        bar = weight_bar(of, _BAR, ascii_only=console.options.ascii_only)
        return Text.assemble((bar, "cyan"), f" {of:.4f}")

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, expand=True, header_style="dim")
    table.add_column("weight", no_wrap=True, width=_BAR + 7)
    table.add_column("similarity", no_wrap=True, justify="right", width=10)
    sure = any("confidence" in match for match in answer["matches"])
    if sure:
        table.add_column("sure", no_wrap=True, justify="right", width=6)
    table.add_column("id", no_wrap=True, overflow="ellipsis", max_width=min(console.width // 4, 40))
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


def _spoken(match: dict[str, Any]) -> str:
    """The key text, or the part of it that is most similar, where it was split."""
    part = match.get("part", {})
    return (match["key"] or "")[part.get("start") : part.get("end")]


def _verdict(answer: dict[str, Any], answer_if: float | None) -> Text:
    """Whether the collection knew, and why."""
    evidence = answer["evidence"]
    said, style = ("Answered", "bold green") if evidence["answered"] else ("Not answered", "bold yellow")
    if answer_if is not None and answer["matches"]:
        sure = answer["matches"][0]["confidence"]
        return Text.assemble((said, style), f": the first is right with {sure:.1%}, {answer_if:.1%} was wanted.")
    if evidence["null_similarity"] is not None:
        return Text.assemble((said, style), f": none of these has {evidence['null_weight']:.1%} of the weight.")
    there = "a document is" if evidence["answered"] else "no document is"
    return Text.assemble((said, style), f": {there} there to attend to.")


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
