"""How many tokens a text has, and how many of them the model does not know."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

TEXTS_AT_ONCE = 256  # a tokenised text takes some 100 bytes a token: bulk uploads are counted in slices


@dataclass(frozen=True, slots=True, eq=False)
class TokenCounts:
    """What a tokeniser makes of n texts, without any limit on their length.

    Attributes:
        total: int64 [n], the tokens of each text, special ones included.
        unknown: int64 [n], those among them that the vocabulary lacks.
    """

    total: NDArray[np.int64]
    unknown: NDArray[np.int64]


class TokenCounter:
    """Counts tokens with a copy of a model's tokeniser that neither truncates nor pads."""

    def __init__(self, tokenizer: Tokenizer, unknown_token: int | None) -> None:
        """Copy the tokeniser; `unknown_token` is the id it gives what it does not know, if there is one."""
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._unknown_token = unknown_token

    def count(self, texts: Sequence[str]) -> TokenCounts:
        """Count the tokens of each text; a word longer than the tokeniser's limit is one unknown token."""
        total = np.zeros(len(texts), dtype=np.int64)
        unknown = np.zeros(len(texts), dtype=np.int64)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            # The batch call releases the GIL, so the event loop goes on while a megabyte is read.
            encodings = self._tokenizer.encode_batch_fast(list(texts[start : start + TEXTS_AT_ONCE]))
            for position, encoding in enumerate(encodings, start):
                total[position] = len(encoding)
                unknown[position] = self._count_unknown(encoding.ids, encoding.special_tokens_mask)
        return TokenCounts(total, unknown)

    def _count_unknown(self, ids: list[int], special: list[int]) -> int:
        if self._unknown_token not in ids:
            return 0
        # Some models use one id for "unknown" and for the end of a text; the latter is no unknown token.
        return int(np.sum((np.asarray(ids) == self._unknown_token) & (np.asarray(special) == 0)))
