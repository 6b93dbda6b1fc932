"""Unicode characters by their names, from `unicodedata` of the interpreter."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

BLOCKS: dict[str, tuple[int, int]] = {  # name: first and last code point
    "Basic Latin": (0x0000, 0x007F),
    "Latin-1 Supplement": (0x0080, 0x00FF),
    "Latin Extended-A": (0x0100, 0x017F),
    "Latin Extended-B": (0x0180, 0x024F),
    "IPA Extensions": (0x0250, 0x02AF),
    "Spacing Modifier Letters": (0x02B0, 0x02FF),
    "Combining Diacritical Marks": (0x0300, 0x036F),
    "Greek and Coptic": (0x0370, 0x03FF),
    "Cyrillic": (0x0400, 0x04FF),
    "Armenian": (0x0530, 0x058F),
    "Hebrew": (0x0590, 0x05FF),
    "Arabic": (0x0600, 0x06FF),
    "Devanagari": (0x0900, 0x097F),
    "Bengali": (0x0980, 0x09FF),
    "Tamil": (0x0B80, 0x0BFF),
    "Thai": (0x0E00, 0x0E7F),
    "Georgian": (0x10A0, 0x10FF),
    "Cherokee": (0x13A0, 0x13FF),
    "Ogham": (0x1680, 0x169F),
    "Runic": (0x16A0, 0x16FF),
    "Latin Extended Additional": (0x1E00, 0x1EFF),
    "General Punctuation": (0x2000, 0x206F),
    "Superscripts and Subscripts": (0x2070, 0x209F),
    "Currency Symbols": (0x20A0, 0x20CF),
    "Letterlike Symbols": (0x2100, 0x214F),
    "Number Forms": (0x2150, 0x218F),
    "Arrows": (0x2190, 0x21FF),
    "Mathematical Operators": (0x2200, 0x22FF),
    "Miscellaneous Technical": (0x2300, 0x23FF),
    "Control Pictures": (0x2400, 0x243F),
    "Enclosed Alphanumerics": (0x2460, 0x24FF),
    "Box Drawing": (0x2500, 0x257F),
    "Block Elements": (0x2580, 0x259F),
    "Geometric Shapes": (0x25A0, 0x25FF),
    "Miscellaneous Symbols": (0x2600, 0x26FF),
    "Dingbats": (0x2700, 0x27BF),
    "Miscellaneous Mathematical Symbols-A": (0x27C0, 0x27EF),
    "Supplemental Arrows-A": (0x27F0, 0x27FF),
    "Supplemental Arrows-B": (0x2900, 0x297F),
    "Miscellaneous Mathematical Symbols-B": (0x2980, 0x29FF),
    "Supplemental Mathematical Operators": (0x2A00, 0x2AFF),
    "Miscellaneous Symbols and Arrows": (0x2B00, 0x2BFF),
    "Glagolitic": (0x2C00, 0x2C5F),
    "Supplemental Punctuation": (0x2E00, 0x2E7F),
    "Kangxi Radicals": (0x2F00, 0x2FDF),
    "CJK Symbols and Punctuation": (0x3000, 0x303F),
    "Hiragana": (0x3040, 0x309F),
    "Katakana": (0x30A0, 0x30FF),
    "Yijing Hexagram Symbols": (0x4DC0, 0x4DFF),
    "Musical Symbols": (0x1D100, 0x1D1FF),
    "Mathematical Alphanumeric Symbols": (0x1D400, 0x1D7FF),
    "Mahjong Tiles": (0x1F000, 0x1F02F),
    "Domino Tiles": (0x1F030, 0x1F09F),
    "Playing Cards": (0x1F0A0, 0x1F0FF),
    "Enclosed Alphanumeric Supplement": (0x1F100, 0x1F1FF),
    "Miscellaneous Symbols and Pictographs": (0x1F300, 0x1F5FF),
    "Emoticons": (0x1F600, 0x1F64F),
    "Ornamental Dingbats": (0x1F650, 0x1F67F),
    "Transport and Map Symbols": (0x1F680, 0x1F6FF),
    "Alchemical Symbols": (0x1F700, 0x1F77F),
    "Geometric Shapes Extended": (0x1F780, 0x1F7FF),
    "Supplemental Arrows-C": (0x1F800, 0x1F8FF),
    "Supplemental Symbols and Pictographs": (0x1F900, 0x1F9FF),
    "Chess Symbols": (0x1FA00, 0x1FA6F),
    "Symbols and Pictographs Extended-A": (0x1FA70, 0x1FAFF),
    "Symbols for Legacy Computing": (0x1FB00, 0x1FBFF),
}

# Invisible format controls, such as text direction: as values they would disturb the page with them.
_UNSHOWN = {"Cf", "Zl", "Zp"}


def characters() -> Iterator[dict[str, Any]]:
    """Yield a document for every named character of the blocks in BLOCKS.

    Its key is the name in lower case, its value the character.

    The blocks have letters of living alphabets, punctuation, currency, arrows, mathematics, shapes, music, games and
    all emoji. They leave out names that mean nothing to a reader: generated names (CJK ideographs, Hangul syllables),
    catalogue numbers (hieroglyphs, cuneiform, braille) and the large syllabaries.
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
