"""Token ids, as callers of other services send them → the text that they are."""

from collections.abc import Sequence

from tokenizers import Tokenizer

from service.encoding.errors import TokensError


class TokenDecoder:
    """Turns the token ids of one model back into text, and refuses ids that are another model's.

    Numbers do not say whose they are: a text in another tokeniser's ids would have an answer too, a
    meaningless one. So the special tokens that the model puts around every text are asked for.
    """

    def __init__(self, tokenizer: Tokenizer, name: str) -> None:
        """Copy the tokeniser of the model of that name."""
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._name = name
        self._vocabulary = self._tokenizer.get_vocab_size()
        empty = self._tokenizer.encode("").ids
        first = self._tokenizer.encode("a").ids
        after = next((i for i, (one, other) in enumerate(zip(first, empty, strict=False)) if one != other), len(empty))
        self._before, self._after = empty[:after], empty[after:]

    def decode(self, ids: Sequence[int]) -> str:
        """The text whose tokens, special ones included, are `ids`.

        Raises:
            TokensError: an id is out of range, the special tokens are missing, or no text has these tokens.
        """
        wrong = next((i for i in ids if not 0 <= i < self._vocabulary), None)
        if wrong is not None:
            raise TokensError(
                f"{self._name} has the tokens 0 to {self._vocabulary - 1}, got {wrong}: {self._advice()}", None
            )
        before, after = len(self._before), len(self._after)
        inner = list(ids[before : len(ids) - after])
        if [*self._before, *inner, *self._after] != list(ids):
            raise TokensError(
                f"wanted tokens as the tokenizer of {self._name} makes them, from {self._before} to {self._after}; "
                f"these are another's: {self._advice()}",
                None,
            )
        text = self._tokenizer.decode(inner, skip_special_tokens=False)
        if self._tokenizer.encode(text).ids != list(ids):
            raise TokensError(f"no text has these tokens ({text[:80]!r} has others): {self._advice()}", None)
        return text

    def _advice(self) -> str:
        return "send the text itself (LangChain: check_embedding_ctx_length=False)"
