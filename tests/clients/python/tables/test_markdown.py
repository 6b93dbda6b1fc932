"""Pages in Markdown: a document for each section, with the path of its headings as its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from softkv import Invalid
from softkv.tables import open_table
from softkv.tables.markdown import cut

PAGE = """\
---
title: left out
---
Before all.

# Backups

## Make one ##

```sh
# no heading
softkv backup
```

### In S3

Name a bucket.

## Restore it, *fast*

Stop the service.
    # code of four spaces

# Backups
#hashtag
"""


def test_a_section_has_the_headings_around_it() -> None:
    sections = [(section.line, section.headings, section.anchor) for section in cut(PAGE.splitlines())]
    assert sections == [
        (1, (), ""),
        (8, ("Backups", "Make one"), "make-one"),
        (15, ("Backups", "Make one", "In S3"), "in-s3"),
        (19, ("Backups", "Restore it, *fast*"), "restore-it-fast"),
        (24, ("Backups",), "backups-1"),
    ]


def test_no_line_of_a_text_is_lost() -> None:
    texts = [section.text.strip() for section in cut(PAGE.splitlines())]
    assert texts == [
        "Before all.",
        "```sh\n# no heading\nsoftkv backup\n```",
        "Name a bucket.",
        "Stop the service.\n    # code of four spaces",
        "#hashtag",
    ]


@pytest.mark.parametrize(
    ("page", "headings"),
    [
        ("~~~\n# a\n```\n# b\n~~~\n# c\nd", [(), ("c",)]),
        ("````\n```\n# a\n````\n# b\nc", [(), ("b",)]),
        ("```py\n# a\n```py\n# b\n```\n# c\nd", [(), ("c",)]),
        ("### deep\na\n# top\nb\n### deep\nc", [("deep",), ("top",), ("top", "deep")]),
        ("# a\n---\nb", [("a",)]),
        ("# a\n## b\n", []),
        ("", []),
    ],
)
def test_code_and_levels(page: str, headings: list[tuple[str, ...]]) -> None:
    assert [section.headings for section in cut(page.splitlines())] == headings


def test_a_page_loads_without_options(tmp_path: Path) -> None:
    (tmp_path / "backups.md").write_text(PAGE.replace("\n", "\r\n"), encoding="utf-8-sig", newline="")
    documents = [row.document for row in open_table(tmp_path / "backups.md")]
    assert documents[0] == {"id": "backups.md", "key": "backups.md", "value": "Before all."}
    assert documents[2] == {"id": "backups.md#in-s3", "key": "Backups > Make one > In S3", "value": "Name a bucket."}


def test_pages_of_a_pattern_are_one_table_whose_keys_may_have_the_texts(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.md").write_text(f"# Title\n\nText of {name}.\n")
    documents = [row.document for row in open_table(tmp_path / "*.md", key="key,value")]
    assert documents == [
        {"id": "a.md#title", "key": "Title\nText of a.", "value": "Text of a.", "metadata": {"key": "Title"}},
        {"id": "b.md#title", "key": "Title\nText of b.", "value": "Text of b.", "metadata": {"key": "Title"}},
    ]


def test_a_page_of_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_bytes("# Größe\n\ngroß".encode("latin-1"))
    with pytest.raises(Invalid, match="is not UTF-8"):
        list(open_table(tmp_path / "page.md"))
