"""Key texts that are longer than the encoder reads → their parts, each of which becomes a key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.encoding import Encoder, LoadingEncoder
from service.retrieval.collections import get_encoding_queue
from service.retrieval.errors import Flaw, InvalidContent
from service.scheduling import TEXTS
from service.storage import CollectionRecord, TextSpan

MAX_KEYS = 10_000
"""That one document may have."""

OVERLAP_DIVISOR = 8  # of so many tokens of a part one is the part's before too, where nothing is said


@dataclass(frozen=True)
class Split:
    """How a key text is to be split.

    Attributes:
        tokens: of a part, as the encoder counts them, special ones included; None for as many as it reads.
        overlap: how many of them a part shares with the one before it; None for an eighth.
    """

    tokens: int | None = None
    overlap: int | None = None


async def split_texts(
    encoder: LoadingEncoder | None, record: CollectionRecord, texts: Mapping[str, tuple[str, Split]]
) -> dict[str, tuple[TextSpan, ...]]:
    """The parts of each text that is longer than one, by where its document stands in the request.

    Args:
        texts: by these pointers.

    Raises:
        InvalidContent: a split that the encoder cannot do, or into too many parts; or it is not the collection's.
        EncoderUnavailable: it is still loading, or has failed.
    """
    if not texts:
        return {}
    model = (await get_encoding_queue(encoder, record.settings)).encoder
    alike = defaultdict[Split, list[str]](list)
    for at, (_, split) in texts.items():
        alike[split].append(at)
    flaws = [
        Flaw(f"{at}/split{flaw.pointer}", flaw.detail)
        for split, pointers in alike.items()
        if (flaw := _flaw(model, split))
        for at in pointers
    ]
    if flaws:
        raise InvalidContent(flaws)
    found: dict[str, tuple[TextSpan, ...]] = {}
    for split, pointers in alike.items():
        some = [texts[at][0] for at in pointers]
        spans = await TEXTS.run(model.windows, some, *_numbers(model, split), MAX_KEYS, "document")
        found |= {at: tuple(TextSpan(*span) for span in each) for at, each in zip(pointers, spans, strict=True)}
    _refuse_too_many(found)
    return {at: parts for at, parts in found.items() if len(parts) > 1}


def _numbers(model: Encoder, split: Split) -> tuple[int, int]:
    """Tokens and overlap, with what was left out."""
    tokens = split.tokens or model.max_tokens or 0
    return tokens, tokens // OVERLAP_DIVISOR if split.overlap is None else split.overlap


def _flaw(model: Encoder, split: Split) -> Flaw | None:
    most = model.max_tokens
    if split.tokens is None and most is None:
        return Flaw("/tokens", f"{model.name} reads texts of any length: say how many tokens a part has")
    tokens, overlap = _numbers(model, split)
    least = tokens - model.room(tokens, "document") + 1
    if tokens < least or (most is not None and tokens > most):
        upto = "" if most is None else f" and at most {most}, as many as it reads"
        return Flaw("/tokens", f"a part for {model.name} has at least {least} tokens{upto}; got {tokens}")
    if overlap > tokens - least:
        return Flaw("/overlap", f"parts of {tokens} tokens can share at most {tokens - least}, got {overlap}")
    return None


def _refuse_too_many(found: Mapping[str, Sequence[TextSpan]]) -> None:
    flaws = [
        Flaw(
            f"{at}/split",
            f"the text would be split into more parts than the {MAX_KEYS} that a document has at most: "
            "send it as several documents, or let parts have more tokens, or share fewer",
        )
        for at, parts in found.items()
        if not parts
    ]
    if flaws:
        raise InvalidContent(flaws)
