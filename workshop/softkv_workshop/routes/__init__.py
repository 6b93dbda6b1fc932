"""The routes of rooms and of the lab, whose refusals they describe."""

from __future__ import annotations

from softkv_service.api.problems.table import add_refusals
from softkv_workshop.refusals import ERRORS, REFUSALS

add_refusals(REFUSALS, ERRORS)
