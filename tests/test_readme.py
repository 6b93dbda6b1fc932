"""The README is short, and begins with what runs the service; its examples are those of `test_docs.py`."""

from __future__ import annotations

from tests.examples import Page

README = Page("README.md")


def test_it_is_short_and_its_first_command_is_in_the_first_screen():
    lines = README.text.splitlines()
    assert len(lines) <= 180
    assert lines.index("git clone … softkv && cd softkv && make run") < 25


def test_it_shows_answers_and_says_how_it_is_tested():
    languages = [language for language, _ in README.blocks]
    assert languages.count("json") >= 2
    assert languages.count("python") >= 1
    assert "`make test`" in README.text
