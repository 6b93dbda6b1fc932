"""Recent embeddings of one model, so that a text that is asked again costs nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock

from service.encoding.encoded import EncodedText
from service.encoding.texts import Purpose

TEXTS = 8192  # 12 MB of vectors at width 384, and at most as much again for the texts
TEXT_CHARACTERS = 1024

Key = tuple[Purpose, str]


class EmbeddingCache:
    """The texts encoded last, at most `texts` of at most `text_characters` each; any thread may ask.

    New texts pass through one half. Only those asked for again move to the other, so a bulk upload, in
    which no text comes twice, does not drive out what is in use.
    """

    def __init__(self, texts: int = TEXTS, text_characters: int = TEXT_CHARACTERS) -> None:
        self._room = texts // 2
        self._text_characters = text_characters
        self._passing: OrderedDict[Key, EncodedText] = OrderedDict()
        self._in_use: OrderedDict[Key, EncodedText] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._passing) + len(self._in_use)

    def find(self, texts: Iterable[str], purpose: Purpose) -> dict[str, EncodedText]:
        """Those of the texts that are known; they now count as in use."""
        with self._lock:
            return {text: known for text in texts if (known := self._use((purpose, text))) is not None}

    def keep(self, encoded: Mapping[str, EncodedText], purpose: Purpose) -> None:
        """Remember texts, as far as they are short enough; the vectors are copied."""
        with self._lock:
            for text, answer in encoded.items():
                key = (purpose, text)
                if len(text) <= self._text_characters and key not in self._in_use:
                    self._put(self._passing, key, answer._replace(vector=answer.vector.copy()))

    def _use(self, key: Key) -> EncodedText | None:
        known = self._in_use.pop(key, None) or self._passing.pop(key, None)
        if known is not None:
            self._put(self._in_use, key, known)
        return known

    def _put(self, half: OrderedDict[Key, EncodedText], key: Key, answer: EncodedText) -> None:
        half[key] = answer
        half.move_to_end(key)
        while len(half) > self._room:
            half.popitem(last=False)
