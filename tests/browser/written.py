"""How the page writes numbers, written once more: what it shows is compared with what the API says by these."""

from __future__ import annotations


def percent(share: float) -> str:
    """A share of one; 0 % and 100 % only where it is just that."""
    if share in (0, 1):
        return f"{share:.0%}"
    hundredths = share * 100
    if hundredths < 0.1:
        return "<0.1%"
    if hundredths > 99.9:
        return ">99.9%"
    return f"{hundredths:.{1 if hundredths < 10 or hundredths > 99 else 0}f}%"


def fixed(number: float, decimals: int = 2) -> str:
    """With a real minus, and none before a zero."""
    text = f"{abs(number):.{decimals}f}"
    return f"−{text}" if number < 0 and float(text) else text


def effective(documents: float) -> str:
    """How many documents an answer rests on."""
    return fixed(documents, 1 if documents < 10 else 0)


def level(similarity: float) -> str:
    """The null's similarity."""
    return fixed(similarity, 4 if 0.995 <= similarity < 1 else 2)
