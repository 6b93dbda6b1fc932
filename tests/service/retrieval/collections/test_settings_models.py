"""The model that a name means, and the model that a collection's texts need."""

from __future__ import annotations

import asyncio

import pytest

from service.encoding import Encoders, LoadingEncoder, ModelUnusable
from service.retrieval import EncoderMissing, EncoderUnavailable, ModelNotFound
from service.retrieval.collections import find_model, get_encoding_queue, get_known_facts
from service.storage import CollectionSettings


def settings(encoder, precision="float32"):
    return CollectionSettings("cosine", 0.05, encoder=encoder, precision=precision)


def refuse():
    raise ModelUnusable("there is none")


@pytest.mark.parametrize("named", [None, "small", "sentence-transformers/small"])
def test_a_model_goes_by_its_name_with_and_without_its_organisation(named):
    loading = LoadingEncoder("small", refuse)
    assert find_model(Encoders([loading]), named) is loading


def test_another_name_or_no_model_at_all_is_refused():
    with pytest.raises(ModelNotFound, match="this service runs small, model is 'large'"):
        find_model(Encoders([LoadingEncoder("small", refuse)]), "large")
    with pytest.raises(ModelNotFound, match="without a model"):
        find_model(Encoders(), None)


def test_a_failed_encoder_is_unavailable_with_its_reason():
    async def run():
        loading = LoadingEncoder("small", refuse)
        await loading.start()
        assert get_known_facts(Encoders([loading]), settings("small")) is None
        await get_encoding_queue(Encoders([loading]), settings("small"))

    with pytest.raises(EncoderUnavailable, match="'small' is not ready: there is none"):
        asyncio.run(run())


def test_a_collection_wants_the_model_and_the_precision_that_it_was_encoded_with(encoder):
    async def run():
        loading = LoadingEncoder(encoder.name, lambda: encoder)
        await loading.start()
        assert (await get_encoding_queue(Encoders([loading]), settings(encoder.name))).encoder is encoder
        assert get_known_facts(Encoders([loading]), settings(encoder.name)) is loading.facts is not None
        refusals = []
        for model_settings in (settings("another"), settings(encoder.name, "bfloat16")):
            assert get_known_facts(Encoders([loading]), model_settings) is None
            with pytest.raises(EncoderMissing) as refused:
                await get_encoding_queue(Encoders([loading]), model_settings)
            refusals.append(str(refused.value))
        await loading.close()
        return refusals

    other, rough = asyncio.run(run())
    assert "encoded by 'another'" in other
    assert "PRECISION=bfloat16" in rough
