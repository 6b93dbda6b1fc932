"""Writing a batch of lines: the good ones all or none, the bad ones named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.retrieval.collections.catalogue import Catalogue
from service.retrieval.documents.documents import upsert
from service.retrieval.documents.prepare import SentDocument
from service.retrieval.errors import Flaw, InvalidContent


@dataclass(frozen=True)
class Uploaded:
    """What became of a batch: how many were written, which were cut, and the flaws of each refused line."""

    upserted: int
    truncated: list[str]
    refused: dict[int, list[Flaw]]


async def upload(catalogue: Catalogue, name: str, lines: Mapping[int, SentDocument]) -> Uploaded:
    """Write the documents of these lines, without those that have a flaw.

    Raises:
        RetrievalError: no such collection, or no encoder for a text; nothing of the batch is written.
    """
    good, refused = dict(lines), dict[int, list[Flaw]]()
    while good:
        try:
            written = await upsert(catalogue, name, list(good.values()), [f"/{number}" for number in good])
        except InvalidContent as error:
            flawed = _by_line(error)
            if not flawed.keys() & good.keys():
                raise
            refused |= flawed
            good = {number: document for number, document in good.items() if number not in flawed}
        else:
            return Uploaded(len(good), written.truncated, refused)
    return Uploaded(0, [], refused)


def _by_line(error: InvalidContent) -> dict[int, list[Flaw]]:
    flaws: dict[int, list[Flaw]] = {}
    for flaw in error.flaws:
        line, _, rest = flaw.pointer.removeprefix("/").partition("/")
        if line.isdecimal():
            flaws.setdefault(int(line), []).append(Flaw(f"/{rest}" if rest else "", flaw.detail))
    return flaws
