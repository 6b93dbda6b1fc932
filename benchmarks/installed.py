"""Labelled questions of what may be installed: Debian's packages, manual pages, and WordNet.

Each is a set of short keys and of sentences that were written for the same things by the same people, for another
purpose. Sets of the kinds of `debian` and `wordnet` chose constants of the null key; `manual` chose none.

    debian     a package's short description; the first sentence of its long one, without the package's name
               (`apt-get -o Acquire::Languages=en update` brings them)
    manual     what NAME says of a page that is not of a function; the first sentence of its DESCRIPTION, without the
               page's names
    wordnet    the words of a meaning; its definition (`apt-get install wordnet-base`)
"""

from __future__ import annotations

import gzip
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.labelled import SENTENCES, WORDS, Labels, Pair

LISTS = Path("/var/lib/apt/lists")
READS_LISTS = Path("/usr/lib/apt/apt-helper")
PAGES = Path("/usr/share/man")
DICTIONARY = Path("/usr/share/wordnet")
GENERATED = "gcloud"
"""Thousands of pages whose description says the same as their name."""

UNRELATED = ("05", "13", "20")
"""WordNet's files of animals, of food and of plants, which are unrelated to computers."""

_NAME_SECTION = re.compile(r"^\.SH\s+\"?NAMES?\"?\s*\n(.*?)^\.S[HS]\b", re.MULTILINE | re.DOTALL | re.IGNORECASE)
_DESCRIPTION = re.compile(r"^\.SH\s+\"?DESCRIPTION\"?\s*\n(.*?)(?:^\.SH\b|\Z)", re.MULTILINE | re.DOTALL)
_FONT = re.compile(r"^\.(?:B|I|BR|RB|IR|RI|BI|IB|SM|SB)\s+", re.MULTILINE)
_PARAGRAPH = re.compile(r"^\.(?:PP|P|LP|sp|TP|IP|SS|RS|nf|EX)\b.*$", re.MULTILINE)
_MACRO = re.compile(r"^['.].*$", re.MULTILINE)
_ESCAPES = (
    (re.compile(r"\\f(?:\[[^]]*\]|\(..|.)|\\s[-+]?\d|\\[&|^/,%:]|\\\*(?:\(..|\[[^]]*\]|.)|\\\[[^]]*\]", re.DOTALL), ""),
    (re.compile(r"\\\((?:aq|cq|oq)"), "'"),
    (re.compile(r"\\\((?:lq|rq|dq)"), '"'),
    (re.compile(r"\\\((?:em|en|mi)|\\-"), "-"),
    (re.compile(r"\\(?:\(..|~| )"), " "),
    (re.compile(r"\\e"), r"\\"),
)


def debian() -> Labels | None:
    """Return Debian's packages; None if their long descriptions are not on this machine."""
    files = sorted(LISTS.glob("*_i18n_Translation-en*"))
    if not files or not READS_LISTS.exists():
        return None
    text = subprocess.run(
        [str(READS_LISTS), "cat-file", *map(str, files)], capture_output=True, text=True, check=True
    ).stdout
    return Labels.of(packages(text))


def packages(text: str) -> Iterator[Pair]:
    """The paragraphs of apt's descriptions."""
    for paragraph in text.split("\n\n"):
        name = re.search(r"^Package: (.+)$", paragraph, re.MULTILINE)
        description = re.search(r"^Description-en: (.+)\n((?: .*\n?)*)", paragraph, re.MULTILINE)
        if name is None or description is None:
            continue
        first, *_ = re.split(r"\n \.\n", description[2])
        yield Pair(name[1], description[1], question(first, re.split(r"[-+.]", name[1])))


def manual() -> Labels | None:
    """Return manual pages; None if this machine has none."""
    pages = [page for section in "1245678" for page in sorted((PAGES / f"man{section}").glob("*.gz"))]
    pairs = []
    for page in pages:
        if not page.name.startswith(GENERATED):
            source = gzip.decompress(page.read_bytes()).decode(errors="replace")
            pairs.append(pair_of_page(page.name.removesuffix(".gz"), source))
    return Labels.of(pair for pair in pairs if pair is not None) if pages else None


def pair_of_page(name: str, source: str) -> Pair | None:
    """Return the texts of NAME and DESCRIPTION; None unless the page has both, in the macros of `man`."""
    source = re.sub(r"\\\n", "", re.sub(r"^[.']?\\\".*\n", "", source, flags=re.MULTILINE))
    name_section, told = _NAME_SECTION.search(source), _DESCRIPTION.search(source)
    if name_section is None or told is None:
        return None
    names, dash, description = plain(name_section[1]).partition(" - ")
    first = next((text for part in _PARAGRAPH.split(told[1]) if (text := plain(part))), "")
    return Pair(name, description, question(first, re.split(r"[\s,]+", names))) if dash else None


def plain(source: str) -> str:
    """A piece of a manual page without its macros, on one line."""
    text = _MACRO.sub("", _FONT.sub("", source))
    for escape, meant in _ESCAPES:
        text = escape.sub(meant, text)
    return " ".join(text.replace('"', "").split())


def question(paragraph: str, names: Iterable[str]) -> str:
    """Return its first sentence without names; "" unless it is a sentence of a usual length."""
    text, *_ = SENTENCES.split(" ".join(paragraph.split()))
    for name in names:
        if len(name) > 1:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?:\(\w*\))?(?!\w)", "", text, flags=re.IGNORECASE)
    text = " ".join(text.split())
    fewest, longest = WORDS
    return text if fewest <= len(text.split()) <= longest else ""


def wordnet(files: Iterable[str] | None = None) -> Labels | None:
    """Return WordNet's meanings, from some lexicographers' files or all; None if it is not installed."""
    sources = [DICTIONARY / f"data.{part}" for part in ("noun", "verb", "adj", "adv")]
    if not all(source.exists() for source in sources):
        return None
    expected = None if files is None else set(files)
    lines = (line for source in sources for line in source.read_text(encoding="utf-8").splitlines())
    return Labels.of(meanings(lines, expected))


def meanings(lines: Iterable[str], expected: set[str] | None = None) -> Iterator[Pair]:
    """The meanings on lines as WordNet's data files have them."""
    for line in lines:
        if line.startswith(" "):
            continue
        data, _, gloss = line.partition(" | ")
        number, lexicographer, kind, count, *rest = data.split()
        if expected is not None and lexicographer not in expected:
            continue
        words = [re.sub(r"\(\w+\)$", "", word).replace("_", " ") for word in rest[: 2 * int(count, 16) : 2]]
        definition, *_ = re.split(r';\s*"', gloss.strip())
        yield Pair(f"{kind}{number}", ", ".join(words), question(definition, ()))


def installed() -> dict[str, Labels | None]:
    """The three sets, as far as they are on this machine."""
    return {"debian": debian(), "manual": manual(), "wordnet": wordnet()}
