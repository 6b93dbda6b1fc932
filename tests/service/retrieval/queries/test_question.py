"""From options to the core's question; what a query may be."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from softkv_service.retrieval.options import Options
from softkv_service.schemas.attend import AttendRequest

QUERY = np.array([3, 4], np.float32)


def test_the_wire_has_every_option_under_its_name():
    """The route copies them by name; its clock, and what it includes, decide on the others."""
    assert {field.name for field in fields(Options)} - AttendRequest.model_fields.keys() == {
        "now",
        "defaults",
        "output",
        "reads",
        "explained",
        "highlight",
        "searched",
    }
