"""PromQL, read as far as it names things: which series an expression asks for, and by which labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

TOKEN = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*")|(?P<range>\[[^\]]*\])|(?P<number>\d+(?:\.\d+)?\w*)|(?P<word>[A-Za-z_:][\w:]*)'
    r"|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/^%<>=(){},])|(?P<space>\s+)"
)
GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
FUNCTIONS = {
    "abs", "sum", "rate", "increase", "histogram_quantile", "min", "max", "avg", "count", "label_values", "absent",
    "predict_linear", "delta", "topk", "clamp_min", "changes",
}  # fmt: skip
WORDS = {"and", "or", "unless", "bool", "offset"}


@dataclass(frozen=True)
class Matcher:
    """A label, how it is compared, and with what."""

    label: str
    sign: str
    value: str


@dataclass(frozen=True)
class Selector:
    """A series that an expression asks for."""

    metric: str
    matchers: tuple[Matcher, ...]


@dataclass(frozen=True)
class Expression:
    """The metrics of an expression, and the labels that it groups by."""

    selectors: tuple[Selector, ...]
    grouped: frozenset[str]


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"no PromQL that these tests know, at {text[position:]!r}")
        position = match.end()
        if match.lastgroup != "space":
            yield str(match.lastgroup), match[0]


def read(text: str) -> Expression:
    """Read an expression.

    Raises:
        ValueError: it has a sign, a function or a word that is not known here, or its brackets do not close.
    """
    tokens = [*_tokens(text), ("end", "")]
    selectors, grouped, depth, i = [], set[str](), 0, 0
    while (kind := tokens[i][0]) != "end":
        word, following = tokens[i][1], tokens[i + 1][1]
        i += 1
        if kind == "word" and word in GROUPING and following == "(":
            end = tokens.index(("sign", ")"), i)
            grouped |= {token for of, token in tokens[i:end] if of == "word"}
            i = end + 1
        elif kind == "word" and following == "(":
            if word not in FUNCTIONS:
                raise ValueError(f"no function {word} is known: {text}")
        elif kind == "word" and word not in WORDS and word not in FUNCTIONS:
            matchers = []
            if following == "{":
                end = tokens.index(("sign", "}"), i)
                inner = [token for token in tokens[i + 1 : end] if token[1] != ","]
                for (_, label), (_, sign), (of, value) in zip(inner[::3], inner[1::3], inner[2::3], strict=True):
                    if of != "string":
                        raise ValueError(f"{label} is compared with {value}: {text}")
                    matchers.append(Matcher(label, sign, value[1:-1]))
                i = end + 1
            selectors.append(Selector(word, tuple(matchers)))
        depth += {"(": 1, ")": -1}.get(word, 0) if kind == "sign" else 0
        if depth < 0:
            raise ValueError(f"a bracket closes that was not open: {text}")
    if depth:
        raise ValueError(f"a bracket does not close: {text}")
    return Expression(tuple(selectors), frozenset(grouped))
