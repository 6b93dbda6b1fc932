"""`trace`: where each token of a text looks within the encoder, in a few kilobytes."""

from __future__ import annotations

from typing import Any

from service.mcp.library import Library
from service.mcp.schema import boolean, fixed_object, integer, list_of, number, text
from service.mcp.tool import Tool

MOST_CHARACTERS = 2000
MOST_TOKENS, MOST_TARGETS = 48, 3


async def trace(library: Library, text: str) -> dict[str, Any]:
    """The last layer's attention, its heads averaged, the strongest of each token."""
    found = await library.client.trace(text)
    weights = found.attention[-1].mean(axis=0)  # [i, j]
    tokens = [
        {
            "token": token.text,
            "attends_to": [
                {"token": found.tokens[at].text, "position": int(at), "weight": round(float(row[at]), 4)}
                for at in (-row).argsort(kind="stable")[:MOST_TARGETS]
            ],
        }
        for token, row in list(zip(found.tokens, weights, strict=True))[:MOST_TOKENS]
    ]
    return {
        "model": found.model,
        "layer": found.layers[-1],
        "heads": len(found.heads),
        "tokens": tokens,
        "cut": len(found.tokens) > MOST_TOKENS,
    }


TARGET = fixed_object({"token": text(), "position": integer("From 0."), "weight": number("0 to 1.")})
TRACE = Tool(
    name="trace",
    title="Look into the encoder",
    description=(
        "Show how the model that encodes texts reads one: its tokens, and to which others each attends most in the "
        "last layer, averaged over the heads. Use it only where the user wants to see attention at work."
    ),
    input=fixed_object({"text": text("A sentence or two.", minLength=1, maxLength=MOST_CHARACTERS)}),
    output=fixed_object(
        {
            "model": text(),
            "layer": integer("From 0."),
            "heads": integer("How many were averaged."),
            "tokens": list_of(
                fixed_object({"token": text(), "attends_to": list_of(TARGET, f"The {MOST_TARGETS} strongest.")}),
                f"The first {MOST_TOKENS}.",
            ),
            "cut": boolean("Whether the text has more tokens."),
        }
    ),
    run=trace,
)
