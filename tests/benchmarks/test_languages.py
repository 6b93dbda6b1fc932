"""The questions in eight languages are complete, and messages come from the catalogues of a wheel."""

from __future__ import annotations

import struct
from zipfile import ZipFile

from benchmarks.languages import LANGUAGES, messages, read_subjects


def test_every_subject_is_there_in_every_language_in_words_of_its_own():
    subjects = read_subjects()
    with_documents = [subject for subject in subjects if subject.documents]
    assert (len(with_documents), len(subjects)) == (20, 25)
    texts = [text for subject in subjects for kind in (subject.questions, subject.documents) for text in kind.values()]
    assert len(set(texts)) == len(texts) == len(LANGUAGES) * 45
    for subject in subjects:
        assert tuple(subject.questions) == LANGUAGES
        assert tuple(subject.documents) in (LANGUAGES, ())


def catalogue(texts):
    """Return texts by their English ones as a file of gettext."""
    at, tables, body = 28 + 16 * len(texts), [b"", b""], b""
    for column in (0, 1):
        for pair in sorted(texts.items()):
            encoded = pair[column].encode()
            tables[column] += struct.pack("<II", len(encoded), at + len(body))
            body += encoded + b"\0"
    return struct.pack("<7I", 0x950412DE, 0, len(texts), 28, 28 + 8 * len(texts), 0, 0) + b"".join(tables) + body


def test_messages_are_sentences_that_every_catalogue_translates(tmp_path):
    sentence, half, short = "Please enter a valid number.", "This one has no translation.", "Save"
    with ZipFile(tmp_path / "package.whl", "w") as archive:
        for name, texts in (
            (
                "de",
                {
                    "": "Content-Type: text/plain; charset=UTF-8\n",
                    sentence: "Eine Zahl bitte.",
                    half: "So.",
                    short: "Ab",
                },
            ),
            ("zh_Hans", {"": "Content-Type: text/plain; charset=UTF-8\n", sentence: "请输入数字。", short: "存"}),
        ):
            archive.writestr(f"package/locale/{name}/LC_MESSAGES/package.mo", catalogue(texts))
    found = messages(tmp_path / "package.whl", ("en", "de", "zh"))
    assert found == {sentence: {"en": sentence, "de": "Eine Zahl bitte.", "zh": "请输入数字。"}}
