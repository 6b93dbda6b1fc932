"""Fixtures of all tests of the widgets."""

from __future__ import annotations

from tests.integrations.notebooks import chromium, lab, lab_folder, marimo, visit

__all__ = ["chromium", "lab", "lab_folder", "marimo", "visit"]
