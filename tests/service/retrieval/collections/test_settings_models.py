"""The model that a name means, and the model that a collection's texts need."""

from __future__ import annotations

import asyncio

import pytest

from softkv_service.encoding import Encoders, LoadingEncoder, ModelUnusable
from softkv_service.retrieval import EncoderUnavailable
from softkv_service.retrieval.collections import get_encoding_queue, get_known_facts
from softkv_service.storage.records import CollectionSettings


def settings(encoder, precision="float32"):
    return CollectionSettings("cosine", 0.05, encoder=encoder, precision=precision)


def refuse():
    raise ModelUnusable("there is none")


def test_a_failed_encoder_is_unavailable_with_its_reason():
    async def run():
        loading = LoadingEncoder("small", refuse)
        await loading.start()
        assert get_known_facts(Encoders([loading]), settings("small")) is None
        await get_encoding_queue(Encoders([loading]), settings("small"))

    with pytest.raises(EncoderUnavailable, match="'small' is not ready: there is none"):
        asyncio.run(run())
