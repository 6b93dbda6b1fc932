"""Errors that may occur while a model is loaded or texts are encoded."""

from __future__ import annotations

from collections.abc import Mapping


class EncodingError(Exception):
    """Base class of the encoder's errors; the message says what was expected, what came, and what to do."""


class ModelUnusable(EncodingError):
    """A model cannot be found, is not the one it claims to be, or cannot be loaded."""


class LibraryMissing(ModelUnusable):
    """A model needs a library that is not installed."""


class InvalidText(EncodingError):
    """The input is a text that no model can read.

    Attributes:
        position: the text's index in the list, from 0; None if the list itself is invalid.
    """

    def __init__(self, message: str, position: int | None) -> None:
        super().__init__(message)
        self.position = position


class InvalidTokens(InvalidText):
    """The token ids do not represent a text of the model."""


class Untraceable(EncodingError):
    """The layers of this model cannot be traced."""


class QueueClosed(EncodingError):
    """The queue accepts no texts: it has not been started, or the service is stopping."""


class ProviderUnavailable(EncodingError):
    """An encoder's provider could not be reached, refused the call, or sent an invalid answer.

    Attributes:
        retry_after: the number of seconds after which the provider asked to try again; None if it did not say.
        may_be_a_text: whether one of the texts may be the cause, so that the others may succeed without it.
    """

    def __init__(self, message: str, retry_after: float | None = None, *, may_be_a_text: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.may_be_a_text = may_be_a_text


class TextRefused(InvalidText):
    """An encoder's provider or a reranker refuses some texts, for example because they are too long.

    Attributes:
        messages: the reason of each refusal, by the index of the text in the list, from 0; at least one.
    """

    def __init__(self, messages: Mapping[int, str]) -> None:
        first = min(messages)
        more = len(messages) - 1
        also = f" It refused {more} more {'text' if more == 1 else 'texts'}." if more else ""
        super().__init__(messages[first] + also, first)
        self.messages = messages


class TokensUnknown(EncodingError):
    """An encoder behind a URL does not tell the tokens of a text, so they cannot be returned, counted or traced."""


class QueueOverfull(EncodingError):
    """More texts wait for an encoder than its queue takes."""
