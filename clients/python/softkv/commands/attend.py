"""`softkv attend COLLECTION "text"`: ask one question, and show the weights of the documents.

Its options are those of `Collection.attend`, from `softkv.calls.queries.AttendOptions`.
"""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer

from softkv.calls.queries import ATTEND_OPTIONS, Option, option_type
from softkv.commands.command_line import ApiKey, AsJSON, Url, json_object
from softkv.settings import DEFAULT_URL

SHOWN_FIELDS = ("key", "value", "metadata")
"""The fields of a match that the table shows."""


def attend(
    collection: Annotated[str, typer.Argument(help="The name of the collection.", show_default=False)],
    text: Annotated[
        str, typer.Argument(help="The question; with --vector, a JSON list of numbers.", show_default=False)
    ],
    vector: Annotated[bool, typer.Option("--vector", help="The question is a vector, not a text.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
    **options: Any,
) -> None:
    """Ask a collection a question.

    Every document gets a weight, and so does “none of these”; the weights sum
    to 1. The verdict says what they mean: one document stands out, several
    share the weight, or nothing here is about that. It also says if those that
    share it say nearly the same.

    softkv attend python "make a temporary directory"
    """
    from softkv.commands.console import output, show_answer, write_json
    from softkv.commands.remote import connect

    chosen = {name: _single(value) for name, value in options.items() if value is not None}
    addends = ["explanation"] if "rerank" in chosen else []
    chosen["include"] = None if as_json else [*SHOWN_FIELDS, *addends]
    question = _vector(text) if vector else text
    with connect(url, api_key) as client:
        answer = client.collection(collection).attend(question, **chosen).to_dict()
    if as_json:
        write_json(answer)
        return
    show_answer(answer, output())


def _single(value: Any) -> Any:
    """Return the only item of an option that may be repeated and was not; any other value unchanged."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _vector(text: str) -> list[float]:
    try:
        vector = json.loads(text)
    except ValueError:
        vector = None
    numbers = isinstance(vector, list) and all(type(number) in (int, float) for number in vector)
    if not vector or not numbers:
        raise typer.BadParameter(f"with --vector the question is a JSON list of numbers, got {text!r}")
    return list(vector)


def _parameters() -> Iterator[inspect.Parameter]:
    """Yield the parameters of the command: its own, and one for each option of `Collection.attend` that it has."""
    collection, text, *flags, _ = inspect.signature(attend, eval_str=True).parameters.values()
    yield from (collection, text)
    for name, option in ATTEND_OPTIONS.items():
        if option.group is not None:
            kind, settings = _command_option(option_type(name), option.short)
            group = None if option.group == "Options" else option.group
            names = option.flags or ("--" + name.replace("_", "-"),)
            typed = typer.Option(*names, help=_help(option), rich_help_panel=group, **settings)
            yield inspect.Parameter(
                name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=Annotated[kind, typed]
            )
    yield from flags


def _help(option: Option) -> str:
    """Return the meaning of an option as a sentence in which other options are named by their flags."""
    meaning = option.command_meaning or option.meaning
    flagged = re.sub(r"`(\w+)`", lambda name: "--" + name[1].replace("_", "-"), meaning)
    return flagged[0].upper() + flagged[1:]


def _command_option(type_: Any, short: Sequence[str] = ()) -> tuple[Any, dict[str, Any]]:
    """Return the type of an option of the command, and the arguments of `typer.Option` that read a value from text.

    Args:
        type_: the type of the argument in Python, such as `float | Literal["auto"] | None`.
        short: the fields of an object that may be written as `A:B`.
    """
    alternatives = [member for member in _members(type_) if member is not type(None)]
    words = [word for member in alternatives if get_origin(member) is Literal for word in get_args(member)]
    if bool in alternatives:
        return bool | None, {}
    shapes = {getattr(get_origin(member), "__name__", "") for member in alternatives}
    is_object = "Mapping" in shapes
    if float in alternatives and (words or is_object):
        shown = [str(word).lower() for word in words]
        return Any, {
            "parser": _number_or_word(dict(zip(shown, words, strict=True)), is_object=is_object),
            "metavar": "|".join([*shown, "X", *(["JSON"] if is_object else [])]),
        }
    if words or (len(alternatives) == 1 and not is_object):
        return type_, {}
    metavar = "".join([f"{short[0].upper()}[:{short[1].upper()}]|" if short else "", "JSON"])
    parser = _object_or_fields(short) if short else json_object
    return (list[Any] | None if "Sequence" in shapes else Any), {"parser": parser, "metavar": metavar}


def _members(type_: Any) -> tuple[Any, ...]:
    """Return the alternatives of a union, or the type alone if it is not a union."""
    return get_args(type_) if get_origin(type_) in (Union, UnionType) else (type_,)


def _object_or_fields(names: Sequence[str]) -> Callable[[str], dict[str, Any]]:
    """Return a parser that reads a JSON object, or the values of these fields between colons; a field may be empty."""

    def value(text: str) -> dict[str, Any]:
        if text.lstrip().startswith("{"):
            return json_object(text)
        parts = zip(names, text.rsplit(":", len(names) - 1), strict=False)
        return {name: int(part) if part.isdecimal() else part for name, part in parts if part}

    return value


def _number_or_word(words: dict[str, Any], *, is_object: bool = False) -> Callable[[str], Any]:
    """Return a parser that reads a finite number, the value of a word, or if it may be one, a JSON object."""
    values = words | ({"none": False} if "false" in words else {})

    def value(text: str) -> Any:
        if text in values:
            return values[text]
        if is_object and text.lstrip().startswith("{"):
            return json_object(text)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise typer.BadParameter(f"expected a number, or {', '.join(words)}, got {text!r}")
        return number

    return value


attend.__signature__ = inspect.Signature([*_parameters()])  # type: ignore[attr-defined]
