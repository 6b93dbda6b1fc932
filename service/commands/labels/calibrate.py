"""`softkv calibrate FILE`: labelled questions from a file → how sure a collection's answers may be."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.errors import Refused
from service.commands.options import ApiKey, AsJSON, Url, existing_file
from service.networks import DEFAULT_URL

if TYPE_CHECKING:
    from rich.console import RenderableType

FIGURES = {
    "ece": "calibration error",
    "brier": "Brier",
    "log_loss": "log-loss",
    "label_loss": "label loss",
    "recall": "recall at 1",
    "mrr": "MRR",
    "one_right": "one stands out, the right one",
    "one_wrong": "one stands out, without an answer",
    "coverage": "in the set of 0.9",
}


def calibrate(
    file: Annotated[
        Path,
        typer.Argument(
            help='A question a line: {"query": …, "id": …}, id null where there is no answer; - is standard input.',
            parser=existing_file,
            metavar="FILE",
            show_default=False,
        ),
    ],
    collection: Annotated[str, typer.Option("-c", "--collection", help="The collection to ask.", show_default=False)],
    apply: Annotated[bool, typer.Option("--apply", help="Keep what was fitted, where it gains.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Fit to labelled questions how sure an answer may be, and see what that gains on others.

    softkv calibrate questions.jsonl --collection library --apply
    """
    from service.commands.console import output, write_json
    from service.commands.remote.connection import connected

    questions = _questions(file)
    with connected(url, api_key) as client, _by_line(file, [*questions]):
        found = vars(client.collection(collection).calibrate(questions.values(), apply=apply))
    if as_json:
        write_json(found)
        return
    console = output()
    console.print(_table(found))
    level, words = found["level"], found["full_text"]
    console.print(f"temperature {found['temperature']:.4g}, none of these at {level:.4g}, words {words:g}")
    fell = [f"{FIGURES[name]} fell by {_figure(figure)}" for name, figure in found["gained"].items()]
    console.print(", ".join(fell))
    if found["reason"] is not None:
        console.print(f"no gain, so it is not to be kept: {found['reason']}")
    else:
        console.print("kept" if found["applied"] else "not kept: --apply keeps it")


@contextmanager
def _by_line(file: Path, numbers: Sequence[int]) -> Iterator[None]:
    """What is wrong with a question is told of its line."""
    import softkv

    try:
        yield
    except softkv.Invalid as error:
        for pointer, detail in error.errors:
            if place := re.match(r"/questions/(\d+)", pointer):
                raise Refused(f"line {numbers[int(place[1])]} of {file}: {detail}") from None
        raise


def _questions(file: Path) -> dict[int, dict[str, Any]]:
    """By the number of its line."""
    try:
        text = (sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"{file} is not UTF-8: {error}") from None
    questions = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            question = json.loads(line)
        except ValueError as error:
            raise Refused(f"line {number} of {file} is not JSON: {error}") from None
        if not isinstance(question, dict) or "query" not in question:
            raise Refused(f'line {number} of {file} is no question: wanted {{"query": …, "id": …}}')
        questions[number] = question
    return questions


def _table(found: Mapping[str, Any]) -> RenderableType:
    """A row a figure, before and after, each with its standard error."""
    from rich import box
    from rich.table import Table

    columns = {"as served": found["before"], "calibrated": found["after"]}
    if found["after_words"] is not None:
        columns["with words"] = found["after_words"]
    labels = found["labels"]
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
