"""`softkv calibrate FILE`: calibrate the confidence of a collection's answers with labelled questions from a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from softkv.commands.command_line import (
    ApiKey,
    AsJSON,
    IdColumn,
    Misused,
    QueryColumn,
    Refused,
    Url,
    existing_source,
)
from softkv.settings import DEFAULT_URL

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

SHOWN = 10
"""The most judgements that do not count of which a sentence is shown."""

FIGURES = {
    "ece": "calibration error",
    "brier": "Brier",
    "log_loss": "log-loss",
    "label_loss": "label loss",
    "recall": "recall at 1",
    "mrr": "MRR",
    "one_right": "one stands out, the right one",
    "one_wrong": "one stands out, without an answer",
    "none_right": "none, without an answer",
    "none_wrong": "none, with an answer",
    "off_topic_none": "none, on made questions of other topics",
}


def calibrate(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="A table of questions and the ids of their answers, a folder of BEIR, or its qrels; - is stdin.",
            parser=existing_source,
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    *,
    collection: Annotated[
        str, typer.Option("-c", "--collection", help="The name of the collection.", show_default=False)
    ],
    source: Annotated[
        Literal["labels", "feedback"],
        typer.Option("--from", help="The origin of the questions: FILE, or what callers said."),
    ] = "labels",
    query_column: QueryColumn = "query",
    id_column: IdColumn = "id",
    apply: Annotated[
        bool, typer.Option("--apply", help="Keep the calibration if it gains on the held-out questions.")
    ] = False,
    rerank: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Fit the weight of this reranker, too.", show_default=False),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            help="With --rerank: how many documents it reads of each question.",
            show_default="50, of late 10",
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Turn weights into probabilities, by labelled questions.

    The calibration is fitted to some of the questions and measured on the
    others. Without --apply nothing is changed.

    In a line of JSON, a question is {"query": …, "id": …}, with id null if no
    document answers it.

    softkv calibrate questions.jsonl --collection library --apply
    softkv calibrate --from feedback --collection library --apply
    """
    from softkv.answers.calibration import describe_gain
    from softkv.commands.console import messages, output, write_json
    from softkv.commands.remote import connect

    if (file is None) == (source == "labels"):
        raise Misused("name the FILE of the questions, or say --from feedback without a file")
    questions, left_out = ({}, []) if file is None else read_labels(file, query_column, id_column)
    with connect(url, api_key) as client, _cite_locations([*questions]):
        sent = None if file is None else questions.values()
        second_look = None if rerank is None else {"model": rerank} | ({} if depth is None else {"depth": depth})
        report = vars(client.collection(collection).calibrate(sent, source=source, apply=apply, rerank=second_look))
    flaws = [(flaw["pointer"], flaw["detail"]) for flaw in report["left_out"]]
    show_left_out(unknown := _name_locations([*questions], flaws), messages())
    report["left_out"] = [*left_out, *unknown]
    if as_json:
        write_json(report)
        return
    console = output()
    console.print(_table(report))
    level, words = report["level"], report["full_text"]
    console.print(f"temperature {report['temperature']:.4g}, none of these at {level:.4g}, words {words:g}")
    if report["rerank"] is not None:
        model, depth, weight = (report["rerank"][name] for name in ("model", "depth", "weight"))
        console.print(f"{model} reads {depth} documents, its logit counts {weight:g}")
    gains = [describe_gain(FIGURES[name], figure) for name, figure in report["gained"].items()]
    console.print(", ".join(gains))
    console.print(report["summary"])
    if report["reason"] is not None:
        console.print(f"not kept, since it gains nothing: {report['reason']}")
    else:
        console.print("kept" if report["applied"] else "not kept: --apply keeps it")


def read_labels(file: Path, query_column: str, id_column: str | None) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the labelled questions of a file by their places, and the sentences that are shown of what does not count.

    Args:
        file: a table, a folder of BEIR, or its judgements.
        query_column, id_column: the columns of the questions, and of the ids of their answers; None without answers.

    Raises:
        CommandError: the file cannot be read.
    """
    from softkv.commands.console import messages
    from softkv.commands.remote import reading
    from softkv.tables import read_questions

    with reading():
        questions = read_questions(file, query=query_column, id=id_column)
    console = messages()
    for notice in questions.notices:
        console.print(notice)
    left_out = [f"{location}: {reason}" for location, reason in questions.left_out.items()]
    show_left_out(left_out, console)
    return questions.labelled, left_out


def show_left_out(sentences: Sequence[str], console: Console) -> None:
    """Print how many judgements do not count, and what is said of the first of them."""
    if sentences:
        console.print(f"{len(sentences):,} judgements do not count, the others do:\n{_shorten(sentences)}")


def _shorten(sentences: Sequence[str]) -> str:
    more = len(sentences) - SHOWN
    return "\n".join([*sentences[:SHOWN], *([f"and {more:,} more"] if more > 0 else [])])


def _name_locations(locations: Sequence[str], flaws: Iterable[tuple[str, str]]) -> list[str]:
    """Return a sentence for each flaw, with the place in the file of its question, if it is about one."""
    sentences = list[str]()
    for pointer, detail in flaws:
        match = re.match(r"/questions/(\d+)", pointer)
        sentences.append(detail if match is None else f"{locations[int(match[1])]}: {detail}")
    return sentences


@contextmanager
def _cite_locations(locations: Sequence[str]) -> Iterator[None]:
    """Within the block, name the place in the file in errors about a question, in place of its index."""
    import softkv

    try:
        yield
    except softkv.Invalid as error:
        if (sentences := _name_locations(locations, error.errors)) != [detail for _, detail in error.errors]:
            raise Refused(_shorten(sentences)) from None
        raise


def _table(report: Mapping[str, Any]) -> RenderableType:
    """Return a table with a row for each measure of quality, before and after the calibration, with standard errors."""
    from rich import box
    from rich.table import Table

    columns = {"as served": report["before"], "calibrated": report["after"]}
    if report["after_words"] is not None:
        columns["with words"] = report["after_words"]
    if report["after_reranked"] is not None:
        columns["reranked"] = report["after_reranked"]
    labels = report["labels"]
    table = Table(title=f"{labels['present']} questions with an answer, {labels['absent']} without", box=box.SIMPLE)
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for name, title in FIGURES.items():
        table.add_row(title, *(_figure(column[name]) for column in columns.values()))
    return table


def _figure(figure: Mapping[str, float | None]) -> str:
    value, error = figure["value"], figure["error"]
    return "–" if value is None or error is None else f"{value:.3f} ± {error:.3f}"
