"""A second implementation of the page's numbers and verdicts, to compare the page with the API."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal


def fixed(number: float, decimals: int = 2) -> str:
    """Format a number with a real minus sign, and none before zero; a half rounds away from zero, as in `toFixed`."""
    text = str(abs(Decimal(number)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))
    return f"−{text}" if number < 0 and float(text) else text


def percent(share: float) -> str:
    """Format a share of one in per cent; 0 % and 100 % only if it is exact."""
    if share in (0, 1):
        return f"{share:.0%}"
    hundredths = share * 100
    if hundredths < 0.1:
        return "<0.1%"
    if hundredths > 99.9:
        return ">99.9%"
    return f"{fixed(hundredths, 1 if hundredths < 10 or hundredths > 99 else 0)}%"


def effective(documents: float) -> str:
    """Format the effective number of documents of an answer."""
    return fixed(documents, 1 if documents < 10 else 0)


def level(similarity: float) -> str:
    """The null's similarity."""
    return fixed(similarity, 4 if 0.995 <= similarity < 1 else 2)
