"""`softkv attend COLLECTION "text"`: ask one question, and show the weights of the documents."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal

import typer

from softkv.commands.command_line import ApiKey, AsJSON, Url, json_object
from softkv.settings import DEFAULT_URL


def _number(text: str, expected: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise typer.BadParameter(f"expected {expected}, got {text!r}")
    return number


def _temperature(text: str) -> float | str:
    return text if text == "auto" else _number(text, "a number of at least 0, or auto")


WEIGHTS, SHOWN = "Weights", "Matches"
"""Two groups of options in the help."""

NAMED_NULLS = ("auto", "lenient", "strict", "calibrated")


def _weight(text: str) -> float | str:
    return text if text == "auto" else _number(text, "a number, or auto")


def _null(text: str) -> float | str | bool:
    if text in ("false", "none"):
        return False
    return text if text in NAMED_NULLS else _number(text, f"{', '.join(NAMED_NULLS)}, false or a similarity")


def attend(
    collection: Annotated[str, typer.Argument(help="The name of the collection.", show_default=False)],
    text: Annotated[
        str, typer.Argument(help="The question; with --vector, a JSON list of numbers.", show_default=False)
    ],
    temperature: Annotated[
        Any,
        typer.Option(
            "-t",
            "--temperature",
            parser=_temperature,
            metavar="X|auto",
            help="Near 0 the best match has all weight; larger values share it among more documents.",
            rich_help_panel=WEIGHTS,
        ),
    ] = None,
    effective_documents: Annotated[
        float | None,
        typer.Option(
            help="With --temperature auto: the number of documents on which the answer rests.", rich_help_panel=WEIGHTS
        ),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option("-k", "--top-k", help="Show this number of matches.", rich_help_panel=SHOWN)
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help="Show the matches that have this share of the weight together.", rich_help_panel=SHOWN),
    ] = None,
    null: Annotated[
        Any,
        typer.Option(
            parser=_null,
            metavar="auto|lenient|strict|calibrated|false|X",
            help="The similarity of the null key, “none of these”; false for no null key.",
            rich_help_panel=WEIGHTS,
        ),
    ] = None,
    filter_: Annotated[
        Any,
        typer.Option(
            "--filter", parser=json_object, metavar="JSON", help="Ask only the documents that pass this filter."
        ),
    ] = None,
    normaliser: Annotated[
        Literal["softmax", "sparsemax", "entmax15", "one_hot"] | None,
        typer.Option(
            help="The function that turns logits into weights.", show_default="softmax", rich_help_panel=WEIGHTS
        ),
    ] = None,
    max_error: Annotated[
        float | None, typer.Option(help="The largest proven error of the weights.", rich_help_panel=WEIGHTS)
    ] = None,
    full_text: Annotated[
        Any,
        typer.Option(
            parser=_weight,
            metavar="X|auto",
            help="Add X times the full-text rank of a document to its logit.",
            rich_help_panel=WEIGHTS,
        ),
    ] = None,
    bias: Annotated[
        list[Any] | None,
        typer.Option(
            parser=json_object,
            metavar="JSON",
            help="Add this bias term to the logits; repeat the option for more.",
            rich_help_panel=WEIGHTS,
        ),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            help="The confidence from which the first match stands out, in a calibrated collection.",
            rich_help_panel=SHOWN,
        ),
    ] = None,
    conformal: Annotated[
        float | None,
        typer.Option(
            help="Show the matches that include the right document with this probability, in a calibrated collection.",
            rich_help_panel=SHOWN,
        ),
    ] = None,
    ignore_defaults: Annotated[
        bool, typer.Option("--ignore-defaults", help="Ask without the defaults of the collection.")
    ] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Answer even if some documents cannot be read now.")
    ] = False,
    vector: Annotated[bool, typer.Option("--vector", help="The question is a vector, not a text.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Ask a collection a question.

    Every document gets a weight, and so does “none of these”; the weights sum
    to 1. The verdict says what they mean: one document stands out, several
    share the weight, or nothing here is about that.

    softkv attend python "make a temporary directory"
    """
    from softkv.commands.console import output, show_answer, write_json
    from softkv.commands.remote import connect

    options: dict[str, Any] = {
        "temperature": temperature,
        "effective_documents": effective_documents,
        "top_k": top_k,
        "top_p": top_p,
        "null": null,
        "where": filter_,
        "normaliser": normaliser,
        "max_error": max_error,
        "full_text": full_text,
        "bias": bias or None,
        "min_confidence": min_confidence,
        "conformal": conformal,
        "allow_missing": allow_missing or None,
        "ignore_defaults": ignore_defaults,
        "include": None if as_json else ("key", "value", "metadata"),
    }
    question = _vector(text) if vector else text
    with connect(url, api_key) as client:
        answer = client.collection(collection).attend(question, **options).to_dict()
    if as_json:
        write_json(answer)
        return
    show_answer(answer, output())


def _vector(text: str) -> list[float]:
    try:
        vector = json.loads(text)
    except ValueError:
        vector = None
    numbers = isinstance(vector, list) and all(type(number) in (int, float) for number in vector)
    if not vector or not numbers:
        raise typer.BadParameter(f"with --vector the question is a JSON list of numbers, got {text!r}")
    return list(vector)
