"""Made names are the same every time, and no text of a document says them."""

from __future__ import annotations

from benchmarks.codes import make_documents


def test_names_are_the_same_for_a_seed_and_in_no_text():
    named, others = make_documents(40, 6)
    assert (named, others) == make_documents(40, 6)
    assert named != make_documents(40, 6, seed=1)[0]
    assert (len(named), len({document.name for document in named})) == (40, 40)
    texts = [document.text for document in named] + others
    assert len(set(texts)) == len(texts) == 1180
    for document in named:
        assert len(set(document.questions)) == 6
        assert all(document.name in question for question in document.questions)
        assert not any(document.name.lower() in text.lower() for text in texts)
