"""Labelled questions of what is installed: packages, manual pages and WordNet, as their files have them."""

from __future__ import annotations

from benchmarks.installed import meanings, packages, pair_of_page, plain, question
from benchmarks.labelled import Labels, Pair

DESCRIPTIONS = """\
Package: tuna-meter
Description-md5: 0
Description-en: measures tuna
 The tuna-meter is an instrument that weighs
 fish of every size on a boat. It beeps.
 .
 Another paragraph.

Package: anchor
Description-en: heavy thing
 Too short.
"""
PAGE = r"""
.\" A comment.
.TH FISH 1
.SH NAME
fish, fishes \- count \fIfish\fR in a \(lqpond\(rq
.SH SYNOPSIS
.B fish
.SH DESCRIPTION
.PP
.B fish
reads a pond from standard input
and prints how many fish it has. Ponds are \-\-round.
.SH BUGS
None.
"""
DATA = r"""  1 This software
02512053 05 n 02 fish 0 aquatic_vertebrate 0 001 @ 01471682 n 0000 | any of the cold vertebrates with scales; "a fish"
00001740 00 a 01 able(p) 0 000 | having the means
"""


def test_a_question_about_a_package_leaves_out_its_name():
    first, second = packages(DESCRIPTIONS)
    assert first == Pair(
        "tuna-meter", "measures tuna", "The - is an instrument that weighs fish of every size on a boat."
    )
    assert second == Pair("anchor", "heavy thing", "")


def test_a_question_about_a_page_leaves_out_its_names():
    pair = pair_of_page("fish.1", PAGE)
    assert pair is not None
    assert pair.key == "count fish in a pond"
    assert pair.question == "reads a pond from standard input and prints how many it has."


def test_a_page_without_a_description_is_skipped():
    assert pair_of_page("fish.1", PAGE.replace("DESCRIPTION", "USAGE")) is None
    assert pair_of_page("fish.1", PAGE.replace(r"\-", ",")) is None


def test_macros_and_escapes_are_not_text():
    page = ".BR printf (3)\n.in 8\nsays\\ \\(aqfine\\(aq \\*(lqhere\\*(rq\\&.\n"
    assert plain(page) == "printf (3) says 'fine' here."


def test_a_meaning_is_its_words_and_its_definition():
    fish, able = meanings(DATA.splitlines())
    assert fish == Pair("n02512053", "fish, aquatic vertebrate", "any of the cold vertebrates with scales")
    assert able == Pair("a00001740", "able", "")
    assert [pair.key for pair in meanings(DATA.splitlines(), {"00"})] == ["able"]


def test_a_sentence_of_an_unusual_length_is_not_used():
    assert question("This one is too short.", ()) == ""
    assert question("word " * 41, ()) == ""


def test_keys_that_are_alike_are_one_document():
    labels = Labels.of([Pair("a", "fish", "what swims in water"), Pair("b", "fish", "another"), Pair("c", "bird", "")])
    assert labels == Labels({"c": "bird", "a": "fish"}, {"what swims in water": ("a",)})
