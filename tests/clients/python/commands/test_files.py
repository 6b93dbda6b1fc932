"""What the commands write to files."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from softkv.commands.files import ExportHead

SETTINGS = {
    "similarity": "cosine",
    "dimension": 2,
    "value_dimension": None,
    "encoder": None,
    "value_from": "value",
    "defaults": {"top_k": 5},
    "expire_after": None,
    "late": True,
}


@pytest.mark.parametrize(
    ("temperature", "null", "settings_kept"),
    [
        (0.3, "strict", {"temperature": 0.3, "null": "strict"}),
        (0.3, False, {"temperature": 0.3, "null": False}),
        (0.062, "calibrated", {}),
    ],
)
def test_settings_of_a_calibration_are_left_out(temperature, null, settings_kept):
    head = ExportHead.of(SimpleNamespace(name="c", **SETTINGS, temperature=temperature, null=null))
    assert head.settings == {
        "similarity": "cosine",
        "dimension": 2,
        "encoder": None,
        "value_from": "value",
        "defaults": {"top_k": 5},
        "late": True,
        **settings_kept,
    }
