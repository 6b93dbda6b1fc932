"""Sentences of a text: cut where a reader would, in time that grows with the text alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softkv_service.retrieval.queries.readers.highlight import split_sentences
from softkv_service.storage.records import TextSpan


def sentences(text: str, span: TextSpan | None = None) -> list[str]:
    return [text[sentence.start : sentence.end] for sentence in split_sentences(text, span)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n ", []),
        ("one alone", ["one alone"]),
        ("  A cat.  It purrs!\nWhy? ", ["A cat.", "It purrs!", "Why?"]),
        ("Pi is 3.14 here. See v2.0 of it.", ["Pi is 3.14 here.", "See v2.0 of it."]),
        ("Dr. Who met J. Smith, e.g. Anna. They spoke.", ["Dr. Who met J. Smith, e.g. Anna.", "They spoke."]),
        ('"Stop!" He ran. (Fast.) Then…', ['"Stop!"', "He ran.", "(Fast.)", "Then…"]),
        ("wrapped\nlines stay one\n\nparagraphs do not", ["wrapped\nlines stay one", "paragraphs do not"]),
        ("etc. and so on", ["etc. and so on"]),
        ("我是猫。「还没有名字！」真的？？是。", ["我是猫。", "「还没有名字！」", "真的？？", "是。"]),
        ("Это кот. Он спит.", ["Это кот.", "Он спит."]),
        ("¿Qué? ¡Sí! 2 gatos.", ["¿Qué?", "¡Sí!", "2 gatos."]),
        ("Он жил в г. москва. Потом уехал.", ["Он жил в г. москва.", "Потом уехал."]),
        ("А. С. Пушкин жил в г. Москва. Да.", ["А. С. Пушкин жил в г. Москва.", "Да."]),
        ("C'est l'art. état d'âme. É. Zola écrit.", ["C'est l'art. état d'âme.", "É. Zola écrit."]),
        ("Das ist bzw. über uns. „Öl?“ fragt sie.", ["Das ist bzw. über uns.", "„Öl?“ fragt sie."]),
        ("Es sei „z. B. Äpfel.“ »Ja!«", ["Es sei „z. B. Äpfel.“", "»Ja!«"]),
        ("To np. łatwe. Łódź.", ["To np. łatwe.", "Łódź."]),
        ("Το τέλος κ.λπ. έγινε. Ύστερα όχι.", ["Το τέλος κ.λπ. έγινε.", "Ύστερα όχι."]),
        ("यह घर है। वह बड़ा है।", ["यह घर है।", "वह बड़ा है।"]),
        ("هل تفهم؟ نعم.", ["هل تفهم؟", "نعم."]),
        ("A vitamin C.\n\nthen", ["A vitamin C.", "then"]),
        ("แมวชอบนอน มันนอน 12 ชั่วโมง ต่างๆ กัน", ["แมวชอบนอน", "มันนอน 12 ชั่วโมง", "ต่างๆ กัน"]),
        ("ແມວນອນ ໝາແລ່ນ", ["ແມວນອນ", "ໝາແລ່ນ"]),
        ("ឆ្មាដេក។ឆ្កែរត់។", ["ឆ្មាដេក។", "ឆ្កែរត់។"]),
        ("ကြောင်အိပ်သည်။ခွေးပြေးသည်။", ["ကြောင်အိပ်သည်။", "ခွေးပြေးသည်။"]),
    ],
)
def test_a_text_is_cut_into_its_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_span_has_the_sentences_within_it() -> None:
    text = "One. Two is longer. Three."
    assert sentences(text, TextSpan(5, 19)) == ["Two is longer."]
    assert sentences(text, TextSpan(9, 26)) == ["is longer.", "Three."]


@given(st.lists(st.sampled_from(["A", "b", ".", "!", " ", "\n", "。", "」", '"', "(", "Dr"])).map("".join))
def test_sentences_are_disjoint_and_have_every_sign(text: str) -> None:
    spans = split_sentences(text)
    assert all(left.end <= right.start for left, right in pairwise(spans))
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())
    assert all(sentence == sentence.strip() != "" for sentence in sentences(text))


@pytest.mark.parametrize("unit", [" ", "\n", "\n ", ". ", ".", '."', "。", "。」", '"', ". (", "A."])
def test_a_long_text_of_signs_is_cut_in_one_pass(unit: str) -> None:
    """With a number of steps that grew with the square of the length, this would take hours."""
    text = "a." + unit * (400_000 // len(unit))
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())
