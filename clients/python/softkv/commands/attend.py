"""`softkv attend COLLECTION "text"`: ask one question, and show the weights of the documents."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

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


NAMED_NULLS = ("auto", "lenient", "strict", "calibrated")


def _weight(text: str) -> float | str:
    return text if text == "auto" else _number(text, "a number, or auto")


def _null(text: str) -> float | str | bool:
    if text in ("false", "none"):
        return False
    return text if text in NAMED_NULLS else _number(text, f"{', '.join(NAMED_NULLS)}, false or a similarity")


def attend(
    collection: Annotated[str, typer.Argument(help="The collection to ask.", show_default=False)],
    text: Annotated[
        str, typer.Argument(help="The question (a JSON list of numbers with --vector).", show_default=False)
    ],
    temperature: Annotated[
        Any,
        typer.Option("-t", "--temperature", parser=_temperature, metavar="X|auto", help="0 looks up, large averages."),
    ] = None,
    effective_documents: Annotated[
        float | None, typer.Option(help="The number of effective documents, with --temperature auto.")
    ] = None,
    top_k: Annotated[int | None, typer.Option("-k", "--top-k", help="The number of matches to show.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Show the matches that hold this share of the weight.")] = None,
    null: Annotated[
        Any,
        typer.Option(
            parser=_null,
            metavar="auto|lenient|strict|calibrated|false|X",
            help="The similarity of the null key, “none of these”.",
        ),
    ] = None,
    filter_: Annotated[
        Any,
        typer.Option("--filter", parser=json_object, metavar="JSON", help="Only documents that pass this filter."),
    ] = None,
    normaliser: Annotated[
        str | None, typer.Option(help="softmax, sparsemax, entmax15 or one_hot.", show_default=False)
    ] = None,
    max_error: Annotated[float | None, typer.Option(help="The largest error that the answer may have.")] = None,
    full_text: Annotated[
        Any,
        typer.Option(
            parser=_weight, metavar="X|auto", help="Add this weight times its full-text rank to a document's logit."
        ),
    ] = None,
    bias: Annotated[
        list[Any] | None,
        typer.Option(parser=json_object, metavar="JSON", help="Add this bias term; may be given several times."),
    ] = None,
    min_confidence: Annotated[
        float | None, typer.Option(help="The confidence at which the first match stands out, if calibrated.")
    ] = None,
    conformal: Annotated[
        float | None, typer.Option(help="Show the set with the right document at this probability, if calibrated.")
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Answer even if some documents are unavailable.")
    ] = False,
    vector: Annotated[bool, typer.Option("--vector", help="The question is a vector.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Ask a collection: normalised weights over every document, and the evidence behind them.

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
    }
    question = _vector(text) if vector else text
    with connect(url, api_key) as client:
        answer = client.collection(collection).attend(question, **options).to_dict()
    if as_json:
        write_json(answer)
        return
    show_answer(answer, output(), min_confidence)


def _vector(text: str) -> list[float]:
    try:
        vector = json.loads(text)
    except ValueError:
        vector = None
    numbers = isinstance(vector, list) and all(type(number) in (int, float) for number in vector)
    if not vector or not numbers:
        raise typer.BadParameter(f"with --vector the question is a JSON list of numbers, got {text!r}")
    return list(vector)
