"""Faults planted into the indexes of other stores, for `softkv check-index` to find.

`cut_links` edits the files of a chroma that is stopped. `UNINDEXED` is SQL for pgvector.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

# The header of hnswlib's index, behind a version of chroma's own: offset of the links, capacity, elements, bytes of an
# element, offset of its label, offset of its vector, highest level, entry point, most links above and at level 0.
HEADER = struct.Struct("<i6QiIQQ")

UNINDEXED = """
CREATE TEMPORARY TABLE moved AS SELECT * FROM {table} WHERE {condition};
DELETE FROM {table} WHERE {condition};
UPDATE pg_index SET indisready = false WHERE indexrelid = '{index}'::regclass;
INSERT INTO {table} SELECT * FROM moved;
UPDATE pg_index SET indisready = true WHERE indexrelid = '{index}'::regclass;
"""
"""Writes the rows that pass a condition anew while an index is not updated, so that it lacks them."""


def cut_links(folder: Path, share: float, seed: int = 0) -> int:
    """Remove every link to some elements from the HNSW of a chroma's only collection, and return how many.

    Their vectors and their own links stay, so only a search cannot get to them.

    Args:
        folder: that of the `PersistentClient`, which no process has open.
        share: of the elements.
        seed: of the choice.
    """
    (header_file,) = folder.glob("*/header.bin")
    segment = header_file.parent
    fields = HEADER.unpack_from(header_file.read_bytes())
    _, _, _, count, size, _, _, _, entry, most_above, most = fields
    isolated = np.zeros(count, dtype=np.bool_)
    chosen = np.random.default_rng(seed).choice(count, round(share * count), replace=False)
    isolated[chosen[chosen != entry]] = True
    level_0 = segment / "data_level0.bin"
    content = np.fromfile(level_0, dtype=np.uint8)
    elements = content[: count * size].reshape(count, size)
    links = elements[:, : 4 * (most + 1)].copy().view("<u4")
    for row in links:
        _drop(row, isolated)
    elements[:, : 4 * (most + 1)] = links.view(np.uint8)
    content.tofile(level_0)
    upper_file = segment / "link_lists.bin"
    upper = np.fromfile(upper_file, dtype="<u4")
    position = 0
    for _ in range(count):
        words = int(upper[position]) // 4
        position += 1
        for start in range(position, position + words, most_above + 1):
            _drop(upper[start : start + most_above + 1], isolated)
        position += words
    upper.tofile(upper_file)
    return int(isolated.sum())


def _drop(row: np.ndarray, isolated: np.ndarray) -> None:
    """Remove links to isolated elements from a list, whose first word has the number of links in its lower half."""
    number = int(row[0]) & 0xFFFF
    links = row[1 : number + 1][~isolated[row[1 : number + 1]]]
    row[1 : len(links) + 1] = links
    row[len(links) + 1 : number + 1] = 0
    row[0] = (int(row[0]) & 0xFFFF0000) | len(links)
