"""The words of a question, as leave-one-out finds them."""

from __future__ import annotations

import pytest

from softkv_service.retrieval.queries.leave_one_out import WORD


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Don’t my 3 well-fed cats purr?", ["Don’t", "my", "3", "well-fed", "cats", "purr"]),
        ("हिन्दी में पुस्तकालय", ["हिन्दी", "में", "पुस्तकालय"]),
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("un cafe\u0301 noir", ["un", "cafe\u0301", "noir"]),
        ("注意力 is all", ["注", "意", "力", "is", "all"]),
    ],
)
def test_a_word_has_its_vowel_signs_and_accents(question: str, words: list[str]) -> None:
    assert WORD.findall(question) == words
