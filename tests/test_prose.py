"""The code is in plain English: what `python -m tools.prose` counts may only fall."""

from __future__ import annotations

import pytest

from tests.examples import Page
from tools.documentation.pages import OF_WALLS, sources
from tools.prose import (
    PACKAGES,
    PATTERNS,
    ROOT,
    count,
    marked_script_comments,
    marked_test_names,
    marks_of,
    marks_of_page,
    paragraphs,
    python_files,
)

LIMITS = {
    "attention": (0.1, 8, 0.2, 0.2, 0.1, 9.3, 6.5),
    "service": (0, 6, 0.5, 0.5, 0.5, 9.0, 8.1),
    "clients": (0, 3, 0.5, 0.5, 0.5, 9.5, 7.0),
    "extensions": (0, 3, 0.5, 0.5, 0.5, 8.5, 8.6),
    "workshop": (0, 6, 0.5, 0.5, 0.5, 12.0, 8.1),
    "benchmarks": (144, 138, 0.5, 0.1, 0.1, 11.5, 9.3),
}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_reads_no_worse_than_its_limits(package):
    counts = count(python_files(ROOT / package))
    *rates, lines = counts.rates().items()
    above = [
        f"{name}: {rate:.1f}, at most {limit}"
        for (name, rate), limit in zip(rates, LIMITS[package], strict=True)
        if rate > limit
    ]
    assert above == [], "\n".join(counts.lines)
    assert lines[1] > 0


def test_comments_of_page_scripts_are_plain():
    assert marked_script_comments() == []


# The name of a test is a sentence: the thing, and what holds of it.
MAX_MARKED_TEST_NAMES = 0


def test_names_of_tests_are_plain_sentences():
    folders = [ROOT / "tests", *(ROOT / folder / "tests" for folder in OF_WALLS)]
    files = [path for folder in folders for path in python_files(folder) if path.name.startswith("test_")]
    assert len(files) > 500
    marked = marked_test_names(files)
    assert len(marked) <= MAX_MARKED_TEST_NAMES, "\n".join(marked)


SCRIPTS = [
    ROOT / "Makefile",
    ROOT / ".ci" / "run",
    ROOT / ".ci" / "tier",
    *sorted((ROOT / ".github" / "workflows").iterdir()),
    *(path for path in sorted((ROOT / "docker").iterdir()) if path.suffix == ".yaml" or "Dockerfile" in path.name),
]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_comments_of_scripts_are_plain(path):
    marked = [f"{line}: {marks_of(text)}: {text}" for line, text in paragraphs(path) if marks_of(text)]
    assert marked == []


TOP = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docker/README.md", "attention/README.md")
OF_A_WALL = (path for folder in ("extensions", "workshop") for path in (ROOT / folder).glob("**/*.md"))
FILES = {*(path for path in sources() if path.suffix == ".md"), *OF_A_WALL}
PAGES = [Page(name) for name in (*TOP, *(str(path.relative_to(ROOT)) for path in sorted(FILES)))]
MAX_WORDS = 2_500
# The documentation of httpx, starlette and datasette has at most 2 of a kind in 10,000 words.
MAX_MARKS = 1.0


def test_pages_read_like_those_of_admired_projects():
    marks = [(mark, page.name) for page in PAGES for mark in marks_of_page(page.text)]
    words = sum(len(page.text.split()) for page in PAGES)
    for pattern in PATTERNS:
        of_pattern = [f"{name}: {mark}" for mark, name in marks if mark.startswith(pattern)]
        assert len(of_pattern) <= MAX_MARKS * words / 10_000, "\n".join(of_pattern)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_read_in_one_sitting(page):
    assert page.words <= MAX_WORDS


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("Return None if the cache is empty.", []),
        ("What a scan is asked for, and what it brings home.", ["clause", "comes to"]),
        ("Refuse who would get no place.", ["who"]),
        ("None where it does not.", ["where"]),
        ("Where there is none, the mask is none.", ["is no", "clause", "where"]),
        ("The mask is True where a row passes.", []),
        ("Of so much total variation.", ["so many", "clause"]),
        ("The service is told to stop.", ["told"]),
        ("Drop values of views that are no longer current.", []),
    ],
)
def test_marks_of_a_private_language_are_recognised(text, marks):
    assert marks_of(text) == marks
