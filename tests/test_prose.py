"""The code is in plain English: what `python -m tests.prose` counts may only fall."""

from __future__ import annotations

import pytest

from tests.prose import PACKAGES, ROOT, count, marks_of, python_files

LIMITS = {
    "attention": (1, 8, 0.2, 0.2, 0.1, 9.0, 6.5),
    "service": (0.5, 6, 0.5, 0.5, 0.5, 9.0, 8.1),
    "clients/python": (0, 3, 0.5, 0.5, 0.5, 9.0, 6.5),
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


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("Return None if the cache is empty.", []),
        ("What a scan is asked for, and what it brings home.", ["clause", "comes to"]),
        ("Refuse who would get no place.", ["who"]),
        ("None where it does not.", ["where"]),
        ("Where there is none, none is kept.", ["is no", "clause", "where"]),
        ("The mask is True where a row passes.", []),
        ("Of so much total variation.", ["so many", "clause"]),
        ("The service is told to stop.", ["told"]),
        ("Drop values of views that are no longer current.", []),
    ],
)
def test_marks_of_a_private_language_are_recognised(text, marks):
    assert marks_of(text) == marks
