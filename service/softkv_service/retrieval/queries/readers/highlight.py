"""The sentence of each match's key text that is most similar to the query."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, pairwise
from typing import ClassVar, TypeAlias

import numpy as np

from softkv_attention import SIMILARITIES
from softkv_service.encoding import TextRefused
from softkv_service.retrieval.collections import Collection, get_encoding_queue
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.encoded import Array
from softkv_service.retrieval.queries.readers.reader import Reader
from softkv_service.retrieval.queries.results import Match, Result
from softkv_service.scheduling import ARRAYS
from softkv_service.storage.records import CollectionRecord, TextSpan

MAX_SENTENCES = 1000
"""The most different sentences that are encoded for one request."""

# After a sign that ends a sentence and its closing quotes, before white space and the letter or digit `next`; after
# such a sign of Chinese, Japanese, Khmer or Burmese; at an empty line; at a space of Thai or Lao, which have no sign.
_END = re.compile(
    r"""(?<=[.!?…؟۔।])["'”“’»«)\]]*(?:(?!\n[^\S\n]*\n)\s)+(?=["'“„‘‚«»‹(\[¿¡]*(?P<next>[^\W_]))"""
    r"""|(?<=[。！？｡។။])(?![。！？｡។။])[」』”’）]*\s*|\n[^\S\n]*\n\s*"""
    r"""|(?<=[\u0e01-\u0e45\u0e47-\u0e4e\u0e81-\u0ec4\u0ec8-\u0ece\u0edc-\u0edf])\s+(?=[\u0e01-\u0e4e\u0e81-\u0ece\u0edc-\u0edf])"""
)
# Initials, and letters such as those of "z. B." and "г. Москва", are of any script.
_ABBREVIATION = re.compile(
    r"""(?:(?<![^\s("'“„«\[.-])[^\W\d_]|\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|cf|e\.g|i\.e|Fig|No|Nr|Vol|pp|ул|им))\.$"""
)


def split_sentences(text: str, span: TextSpan | None = None) -> list[TextSpan]:
    """Return the sentences of a text, or of a span of it, without the white space around them.

    >>> text = "Cats purr. Dr. Who barks! And then?"
    >>> [text[span.start : span.end] for span in split_sentences(text)]
    ['Cats purr.', 'Dr. Who barks!', 'And then?']
    """
    begin, end = (0, len(text)) if span is None else span
    cuts = [gap.end() for gap in _END.finditer(text, begin, end) if not _goes_on(gap)]
    spans = list[TextSpan]()
    for first, last in pairwise([begin, *cuts, end]):
        sentence = text[first:last]
        if content := sentence.strip():
            first += len(sentence) - len(sentence.lstrip())
            spans.append(TextSpan(first, first + len(content)))
    return spans


def _goes_on(gap: re.Match[str]) -> bool:
    """Return whether a sentence goes on after a gap: before a letter in lower case, or after an abbreviation."""
    following, start = gap["next"], gap.start()
    if following is None:
        return False
    return following.islower() or _ABBREVIATION.search(gap.string, max(gap.pos, start - 8), start) is not None


class HighlightReader(Reader):
    """A reader of the sentence of each match that is most similar to the query, also of the matches in groups.

    Of a document with several keys, sentences are those of the part that the most similar key encodes. Of several
    sentences that are equally similar, the first is taken.
    """

    name: ClassVar = "highlight"

    @classmethod
    def of(cls, record: CollectionRecord) -> HighlightReader:
        """Return the reader for a collection; raise InvalidContent if it has no encoder, which encodes sentences."""
        if record.settings.encoder is None:
            raise InvalidContent.at(
                "/include",
                f"a highlight is found by encoding sentences, and collection {record.name!r} has no encoder: leave "
                "highlight out",
            )
        return cls()

    async def complete(self, collection: Collection, results: list[Result]) -> list[Result]:
        """Return the results with the most similar sentence of the key text of each match.

        Args:
            collection: the collection, which has an encoder.
            results: the result of each query, with its vector and the texts of its matches.

        Raises:
            InvalidContent: the key texts have more than MAX_SENTENCES different sentences, or a provider refuses one.
            RetrievalError: the encoder is missing, or not ready.
        """
        sentences = await ARRAYS.run(_split_all, results)
        vectors = await _encode_sentences(collection, sentences)
        similarity = SIMILARITIES[collection.record.settings.similarity]

        def choose(query: Array, match: Match) -> Match:
            source = _source(match)
            if source is None or not (spans := sentences[source]):
                return match
            if len(spans) == 1:
                return replace(match, highlight=spans[0])
            keys = np.stack([vectors[source[0][span.start : span.end]] for span in spans]).astype(np.float64)
            similarities = similarity(np.asarray(query, dtype=np.float64)[None], keys)[0]
            return replace(match, highlight=spans[int(np.argmax(similarities))])

        def mark(result: Result) -> Result:
            change = partial(choose, result.query_vector)
            readings = [reading.change_matches(change) for reading in result.readings]
            return replace(result, matches=list(map(change, result.matches)), readings=readings)

        return await ARRAYS.run(lambda: list(map(mark, results)))


_Source: TypeAlias = tuple[str, TextSpan | None]
"""A key text, and the part of it that matched; None for all of it."""


def _split_all(results: Sequence[Result]) -> dict[_Source, list[TextSpan]]:
    """Return the sentences of the key text of each match."""
    matches = chain.from_iterable(result.all_matches for result in results)
    sources = dict.fromkeys(source for match in matches if (source := _source(match)) is not None)
    return {source: split_sentences(*source) for source in sources}


def _source(match: Match) -> _Source | None:
    """Return the key text of a match and the part of it that matched, if it was split; None without a key text."""
    if match.document is None or match.document.key is None:
        return None
    return match.document.key, None if match.spoke is None else match.spoke.part


async def _encode_sentences(
    collection: Collection, sentences: Mapping[_Source, Sequence[TextSpan]]
) -> dict[str, Array]:
    """Return the vector of each sentence of the key texts that have several."""
    several = ((key, span) for (key, _), spans in sentences.items() if len(spans) > 1 for span in spans)
    texts = list(dict.fromkeys(key[span.start : span.end] for key, span in several))
    if not texts:
        return {}
    if len(texts) > MAX_SENTENCES:
        raise InvalidContent.at(
            "/include",
            f"the key texts of the matches have {len(texts):,} sentences, and a request highlights among "
            f"{MAX_SENTENCES:,}: leave highlight out, or send fewer queries or a smaller top_k",
        )
    queue = await get_encoding_queue(collection.encoders, collection.record.settings)
    try:
        encoded = await queue.encode(texts, "document")
    except TextRefused as error:
        raise InvalidContent.of_texts(error, ["/include"] * len(texts)) from None
    return dict(zip(texts, encoded.vectors, strict=True))
