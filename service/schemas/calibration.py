"""What a collection keeps of labelled questions, on the wire."""

from __future__ import annotations

from pydantic import Field

from service.schemas.wire import Wire


class Labels(Wire):
    """How many questions had an answer, and had none."""

    present: int
    absent: int


class KeptCalibration(Wire):
    """What a collection keeps of a calibration."""

    version: int = Field(description="Of what is kept.")
    documents: int = Field(description="How many the collection had.")
    encoder: str | None = Field(description="What its texts were encoded with.")
    temperature: float
    level: float = Field(description="The null key weighs as much as n keys of this similarity.")
    full_text: float = Field(description="λ, what a rank in full text is worth in logits; 0 where words gain nothing.")
    labels: Labels
    outgrown: bool = Field(
        description="Whether the collection has more than twice or less than half of these documents by now, or "
        "another temperature or encoder: then calibrate it anew."
    )
