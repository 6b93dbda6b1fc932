"""The temperature a model was trained at, as the model card in its folder says."""

from __future__ import annotations

import ast
import json
import math
import re
from pathlib import Path
from typing import Any

from service.encoding.temperature import Similarity

# A loss and its parameters, as sentence-transformers writes them into README.md: JSON since its third version,
# a Python literal before. What people write there in words is not read.
LOSS = re.compile(
    r"Loss\W+(?:<code>|`)(?:\w+\.)*(?P<name>\w+)(?:</code>\]\([^)\n]*\)|`) with (?:these )?parameters:\s*"
    r"```(?:json)?\n(?P<parameters>.*?)```",
    re.DOTALL,
)
# Losses that are a softmax over the similarities of a batch, and their parameter: 1/T, or T of cosines.
SCALED = (
    "MultipleNegativesRankingLoss",
    "MultipleNegativesSymmetricRankingLoss",
    "CachedMultipleNegativesRankingLoss",
    "CachedMultipleNegativesSymmetricRankingLoss",
)
TEMPERED = ("GISTEmbedLoss", "CachedGISTEmbedLoss")
SIMILARITIES: dict[object, Similarity] = {"cos_sim": "cosine", "pytorch_cos_sim": "cosine", "dot_score": "dot"}
PLAUSIBLE = (1e-4, 1e4)


def card_temperature(directory: Path) -> tuple[Similarity, float] | None:
    """The similarity that a model was trained with and its temperature; None where the card does not say one.

    A card may list several losses, of several data sets; they must agree.
    """
    try:
        card = (directory / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    said = {_temperature(found["name"], _parameters(found["parameters"])) for found in LOSS.finditer(card)} - {None}
    return said.pop() if len(said) == 1 else None


def _parameters(written: str) -> dict[str, Any]:
    try:
        parameters = json.loads(written)
    except ValueError:
        try:
            parameters = ast.literal_eval(written.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return {}
    return parameters if isinstance(parameters, dict) else {}


def _temperature(loss: str, parameters: dict[str, Any]) -> tuple[Similarity, float] | None:
    if loss in SCALED:
        compared, scale = parameters.get("similarity_fct"), _number(parameters.get("scale"))
        similarity = SIMILARITIES.get(compared) if isinstance(compared, str) else None
        return None if similarity is None or scale is None else (similarity, 1 / scale)
    if loss in TEMPERED:
        temperature = _number(parameters.get("temperature"))
        return None if temperature is None else ("cosine", temperature)
    return None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if PLAUSIBLE[0] <= value <= PLAUSIBLE[1] else None
