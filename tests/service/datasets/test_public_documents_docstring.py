from __future__ import annotations

import pytest

from softkv_service.datasets.public_documents import first_sentence, shorten, strip_signatures


@pytest.mark.parametrize(
    ("docstring", "text"),
    [
        ("D.update([E, ]**F) -> None.  Update D from E.", "Update D from E."),
        ("gethostname() -> string\n\nReturn the current host name.", "Return the current host name."),
        ("range(stop) -> range object\nrange(start, stop[, step]) -> range object\n\nReturn it.", "Return it."),
        ("random() -> x in the interval [0, 1).", "random() -> x in the interval [0, 1)."),
        ("Return f(x) where x -> 0.", "Return f(x) where x -> 0."),
        ("\n    Indented.\n\n        More.\n    ", "Indented.\n\n    More."),
        ("run(command)", ""),
        ("dict(mapping) -> new\n    pairs\nand", "dict(mapping) -> new\n    pairs\nand"),
        ("D.pop(k) -> v, remove the key and return it.", "D.pop(k) -> v, remove the key and return it."),
        ("getopt(args) -> opts, args\n\nParses them.", "Parses them."),
        ("R.count(value) -> integer -- return how many", "return how many"),
        ("close(): close the file", "close the file"),
    ],
)
def test_a_leading_signature_is_not_part_of_the_description(docstring, text):
    assert strip_signatures(docstring) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One line.\nTwo.\n\nThree.", "One line."),
        ("Wraps\nover lines. Then more.", "Wraps over lines."),
        ("Uses e.g. a file, i.e. a path. Then more.", "Uses e.g. a file, i.e. a path."),
        ("No end\n\nnext", "No end"),
        ("word " * 100, ("word " * 39).strip() + "…"),
    ],
)
def test_first_sentence(text, sentence):
    assert first_sentence(text) == sentence


def test_shorten_cuts_between_words_with_an_ellipsis():
    assert shorten("one two three", 13) == "one two three"
    assert shorten("one two three", 12) == "one two…"
