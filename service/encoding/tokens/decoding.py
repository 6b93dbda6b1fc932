"""Token ids, as callers of other services send them → the text that they are."""

from __future__ import annotations

from collections.abc import Sequence

from service.encoding.errors import TokensError
from service.encoding.tokens.tokens import ModelTokenizer

ADVICE = "send the text itself (LangChain: check_embedding_ctx_length=False)"


def decode(tokenizer: ModelTokenizer, ids: Sequence[int]) -> str:
    """The text whose tokens, special ones included, are `ids`.

    Numbers do not say whose they are: a text in another tokeniser's ids would have an answer too, a
    meaningless one. So the special tokens that the model puts around every text are asked for.

    Raises:
        TokensError: an id is out of range, the special tokens are missing, or no text has these tokens.
    """
    library, given = tokenizer.library, list(ids)
    vocabulary = library.get_vocab_size()
    wrong = next((i for i in given if not 0 <= i < vocabulary), None)
    if wrong is not None:
        raise TokensError(f"the model's tokens are 0 to {vocabulary - 1}, got {wrong}: {ADVICE}", None)
    around = library.encode("a").ids
    before, after = around[: tokenizer.before], around[len(around) - tokenizer.after :]
    inner = given[len(before) : len(given) - len(after)]
    if given != [*before, *inner, *after]:
        raise TokensError(
            f"wanted tokens as the model's own tokenizer makes them, from {before} to {after}; "
            f"these are another's: {ADVICE}",
            None,
        )
    text = library.decode(inner, skip_special_tokens=False)
    if library.encode(text).ids != given:
        raise TokensError(f"no text has these tokens ({text[:80]!r} has others): {ADVICE}", None)
    return text
