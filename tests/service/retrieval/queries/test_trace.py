"""The options of a trace."""

from __future__ import annotations

import pytest

from service.retrieval import InvalidContent, TooLarge
from service.retrieval.queries import trace as module
from service.retrieval.queries import trace_text


def trace(encoder, text="a dog", *, layers=None, heads=None, arrays=("weights",)):
    return trace_text(encoder, text, None, layers=layers, heads=heads, causal=False, arrays=arrays)


def test_every_layer_and_head_that_the_model_lacks_is_pointed_at(encoder):
    with pytest.raises(InvalidContent) as refused:
        trace(encoder, layers=[0, 6, -7, -6])
    assert [flaw.pointer for flaw in refused.value.flaws] == ["/layers/1", "/layers/2"]
    with pytest.raises(InvalidContent) as refused:
        trace(encoder, heads=[12])
    assert [flaw.pointer for flaw in refused.value.flaws] == ["/heads/0"]


@pytest.mark.parametrize(
    ("arrays", "numbers"), [(["weights"], 16), (["weights", "logits"], 32), (["weights", "query"], 16 + 4 * 32)]
)
def test_the_numbers_of_the_answer_are_counted_before_they_are_made(encoder, monkeypatch, arrays, numbers):
    monkeypatch.setattr(module, "MAX_NUMBERS", 2 * 3 * numbers)
    traced = trace(encoder, layers=[0, 1], heads=[0, 1, 2], arrays=arrays)  # of the four tokens [CLS] a dog [SEP]
    assert sum(getattr(layer, name).size for layer in traced.layers for name in arrays) == 2 * 3 * numbers
    monkeypatch.setattr(module, "MAX_NUMBERS", 2 * 3 * numbers - 1)
    with pytest.raises(TooLarge, match=f"would hold {2 * 3 * numbers} numbers"):
        trace(encoder, layers=[0, 1], heads=[0, 1, 2], arrays=arrays)
