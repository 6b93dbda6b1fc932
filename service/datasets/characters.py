"""Unicode characters by their names, from the interpreter's own `unicodedata`."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

from service.datasets.code_points import BLOCKS

# Invisible format controls (text direction and the like): as a value they would disturb the page they are shown on.
_UNSHOWN = {"Cf", "Zl", "Zp"}


def characters() -> Iterator[dict[str, Any]]:
    """Every named character of the blocks in BLOCKS: key its name in lower case, value the character.

    Letters of living alphabets, punctuation, currency, arrows, mathematics, shapes, music, games and
    all emoji. Left out are the names that say nothing to a reader: generated ones (CJK ideographs,
    Hangul syllables), catalogue numbers (hieroglyphs, cuneiform, braille) and the large syllabaries.
    """
    for block, (first, last) in BLOCKS.items():
        for codepoint in range(first, last + 1):
            character = chr(codepoint)
            name = unicodedata.name(character, "")
            category = unicodedata.category(character)
            if name and category not in _UNSHOWN:
                yield {
                    "id": f"U+{codepoint:04X}",
                    "key": name.lower(),
                    "value": character,
                    "metadata": {"codepoint": codepoint, "category": category, "block": block},
                }
