"""The demo collections, each written for this project or made at run time from what is installed."""

from __future__ import annotations

from service.datasets.demos import DEMOS, Demo
