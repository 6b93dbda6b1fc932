"""Messages of Ray in one line."""

from __future__ import annotations

from softkv_cluster.errors import describe_version_mismatch

MISMATCH = """Version mismatch: The cluster was started with:
    Ray: 2.60.0
    Python: 3.11.2
This process on node 10.0.0.2 was started with:
    Ray: 2.60.0
    Python: 3.11.7
"""


def test_other_versions_are_named_in_one_line() -> None:
    assert describe_version_mismatch("auto", MISMATCH) == (
        "the Ray cluster at auto runs Ray 2.60.0 with Python 3.11.2, this machine Ray 2.60.0 with Python 3.11.7: use "
        "the same Ray and Python, down to the patch release"
    )


def test_another_message_stays() -> None:
    assert describe_version_mismatch("auto", "Could not find any running Ray instance.") is None
