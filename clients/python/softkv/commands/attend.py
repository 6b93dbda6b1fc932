"""`softkv attend COLLECTION "text"`: ask one question, and show the weights of the documents.

Its options are the fields of `softkv.questions.Question`: their types, ranges and words.
"""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer

from softkv.commands.command_line import ApiKey, AsJSON, Url, json_object
from softkv.questions import ABOUT_DOCUMENTS, ABOUT_MATCHES, Question
from softkv.record import Record, RecordField, fields_of, sentence
from softkv.settings import DEFAULT_URL

SHOWN_FIELDS = ("key", "value", "metadata")
"""The fields of a match that the table shows."""
NO_OPTIONS = ("query", "queries", "include", "vector_format")
"""The fields of a question that the command sets by itself."""
LETTERS = {"temperature": "-t", "top_k": "-k"}
SHORT_FORMS = {"rerank": ("model", "depth"), "read": ("field", "as"), "group_by": ("field", "groups")}
"""The fields of an object that may be written as `A:B`."""


def attend(
    collection: Annotated[str, typer.Argument(help="The name of the collection.", show_default=False)],
    text: Annotated[
        str, typer.Argument(help="The question; with --vector, a JSON list of numbers.", show_default=False)
    ],
    vector: Annotated[bool, typer.Option("--vector", help="The question is a vector, not a text.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
    ignore_defaults: Annotated[
        bool, typer.Option("--ignore-defaults", help="Ask without the defaults of the collection.")
    ] = False,
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
    chosen["where"], chosen["ignore_defaults"] = chosen.pop("filter", None), ignore_defaults
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
    """Yield the parameters of the command: its own, and one for each field of a question that it has."""
    collection, text, *flags, _ = inspect.signature(attend, eval_str=True).parameters.values()
    yield from (collection, text)
    for field in fields_of(Question):
        if field.name not in NO_OPTIONS:
            kind, settings = _command_option(field, SHORT_FORMS.get(field.name, ()))
            panel = "Matches" if ABOUT_MATCHES in field.marks else "Weights"
            names = [LETTERS[field.name]] if field.name in LETTERS else []
            typed = typer.Option(
                *names,
                _flag(field.name),
                help=f"{'; '.join((sentence(_say(field.summary)), *_more(field)))}.",
                show_default=_say(field.fallback) or True,
                rich_help_panel=None if ABOUT_DOCUMENTS in field.marks else panel,
                **settings,
            )
            yield inspect.Parameter(
                field.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=Annotated[kind, typed]
            )
    yield from flags


def _more(field: RecordField) -> Iterator[str]:
    """Yield what the help adds to the words of a field: bounds that typer does not show, and of the form `A:B`, B."""
    if field.range.above is not None:
        yield f"above {field.range.above}"
    if field.name in SHORT_FORMS:
        name = SHORT_FORMS[field.name][1]
        part = next(part for part in fields_of(_record_in(field.type)) if part.sent == name)
        choices = get_args(part.type) if get_origin(part.type) is Literal else ()
        yield (
            f"{name.upper()} is {', '.join(choices[:-1])} or {choices[-1]}"
            if choices
            else (f"{name.upper()} is {part.fallback} if left out")
        )
    if _is_list(field.type):
        yield "repeat the option for more"


def _record_in(kind: Any) -> type[Record]:
    """Return the record that a value of a type is."""
    return next(member for member in _members(kind) if isinstance(member, type) and issubclass(member, Record))


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _say(words: str) -> str:
    """Return words about fields as words about options: named by their flags, and with the values of the command."""
    flagged = re.sub(r"`(\w+)`", lambda name: _flag(name[1]) if name[1] in Question._names else name[1], words)
    return flagged.replace("`", "").replace("False", "false")


def _command_option(field: RecordField, short: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """Return the type of an option of the command, and the arguments of `typer.Option` that read a value from text.

    Args:
        field: a field of a question, whose type is such as `float | Literal["auto"] | None`.
        short: the fields of an object that may be written as `A:B`.
    """
    alternatives = [member for member in _members(field.type) if member is not type(None)]
    words = [word for member in alternatives if get_origin(member) is Literal for word in get_args(member)]
    if bool in alternatives:
        return bool | None, {}
    is_object = any(member is Any or _is_object(member) for member in alternatives)
    if float in alternatives and (words or is_object):
        shown = [str(word).lower() for word in words]
        return Any, {
            "parser": _number_or_word(dict(zip(shown, words, strict=True)), is_object=is_object),
            "metavar": "|".join([*shown, "X", *(["JSON"] if is_object else [])]),
        }
    if not is_object:
        return field.type, {"min": field.range.least, "max": field.range.most}
    metavar = "".join([f"{short[0].upper()}[:{short[1].upper()}]|" if short else "", "JSON"])
    parser = _object_or_fields(short) if short else json_object
    return (list[Any] | None if _is_list(field.type) else Any), {"parser": parser, "metavar": metavar}


def _is_object(member: Any) -> bool:
    return get_origin(member) is Mapping or (isinstance(member, type) and issubclass(member, Record))


def _is_list(kind: Any) -> bool:
    return any(get_origin(member) is Sequence for member in _members(kind))


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
