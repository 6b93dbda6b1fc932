"""The demo collections. Each is written for this project, or made at run time from the Python installation."""

from __future__ import annotations

from softkv_service.datasets.demos import DEMOS, ENGLISH, Demo
