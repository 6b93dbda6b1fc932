"""A type checker accepts correct uses of the client and reports mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.type_checking import check_typed


@pytest.mark.thorough
def test_a_type_checker_knows_results_and_rejects_wrong_arguments():
    check_typed(Path(__file__).with_name("typed.py"), mistakes=5)
