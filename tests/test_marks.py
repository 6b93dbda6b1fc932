"""Files that a mark leaves out are those without tests of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.marks import selects

MARKS = frozenset({"browser", "postgres", "thorough"})
FAST = "not (browser or postgres or thorough)"


@pytest.mark.parametrize(
    ("text", "expression", "selected"),
    [
        ("def test_a(): ...", FAST, True),
        ("def test_a(): ...", "thorough", False),
        ("pytestmark = pytest.mark.postgres", FAST, False),
        ("pytestmark = pytest.mark.postgres", "postgres and not thorough", True),
        ("pytestmark = [pytest.mark.timeout(9), pytest.mark.postgres]", FAST, False),
        ("@pytest.mark.postgres\ndef test_a(): ...", FAST, True),
        ("@pytest.mark.postgres\ndef test_a(): ...", "postgres", True),
        ("pytestmark = pytest.mark.postgres\n@pytest.mark.thorough\ndef test_a(): ...", "thorough", True),
        ("from tests.thorough import thorough", "thorough and not postgres", True),
        ("def test_a(): ...", "a_plugin_s_mark", True),
    ],
)
def test_a_file_is_left_out_where_none_of_its_tests_can_be_selected(tmp_path, text, expression, selected):
    path = tmp_path / "test_file.py"
    path.write_text(text)
    assert selects(expression, path, MARKS) == selected


def test_marks_count_that_come_from_conftest_or_from_the_folder():
    tests = Path(__file__).parent
    assert selects("thorough", tests / "test_house.py", MARKS)  # by tests/conftest.py
    assert not selects(FAST, tests / "browser/frame/test_frames.py", MARKS)
