"""The page of layers and estimators prints what it shows."""

from __future__ import annotations

from tests.examples import Page, run_python


def test_examples_of_the_page_print_their_comments() -> None:
    assert run_python(Page("docs/guide/layers.md"), "") == 4
