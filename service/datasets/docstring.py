"""What a docstring says first, without the signature that many written in C begin with."""

from __future__ import annotations

import inspect
import re

# "D.update([E, ]**F) -> None.  Update D from …", "socket(family=AF_INET, …) -> socket object"
_SIGNATURE = re.compile(
    r"""\A[\w.]+\([^\n]*?\)                                        # a name and its parameters
        (?:[ ]*-{1,2}>[ ]*                                         # what it returns: a tuple, or at most four words,
            (?:\([^)\n]*\)|[^\s.(-][^\s.(]*(?:[ ][^\s.(-][^\s.(]*){0,3}))?      # since more describe what it does
        (?:\.?[ ]*(?:\n(?![ ])|\Z)|[.:][ ]+|[ ]+-+[ ]+)            # the end of the line, or of the clause
    """,
    re.VERBOSE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\"'`])")


def described(docstring: str) -> str:
    """The docstring without leading signatures, its indentation cleaned.

    Where nothing follows them but they tell what comes back, they are the description, and stay:
    "random() -> x in the interval [0, 1)." Parameters alone describe nothing: then it is empty.
    """
    whole = inspect.cleandoc(docstring).strip()
    text = whole
    while (cut := _SIGNATURE.sub("", text, count=1).strip()) != text:
        text = cut
    return text or (whole if "->" in whole else "")


def first_sentence(text: str, limit: int = 200) -> str:
    """The first sentence of the first paragraph, on one line, at most `limit` characters."""
    paragraph = " ".join(text.split("\n\n", 1)[0].split())
    return shortened(_SENTENCE_END.split(paragraph, maxsplit=1)[0], limit)


def shortened(text: str, limit: int) -> str:
    """The text, cut between words where it is longer than `limit` characters, and then marked with an ellipsis."""
    if len(text) <= limit:
        return text
    return text[: limit - 1].rsplit(maxsplit=1)[0] + "…"
