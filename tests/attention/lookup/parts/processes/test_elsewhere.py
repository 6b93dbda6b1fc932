"""A part that another process scans: what comes of it is what a scan here would have found."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup import Question
from attention.lookup.parts.gathered import Wanted
from attention.lookup.parts.joined import Joined
from attention.lookup.parts.processes.elsewhere import ScannedElsewhere
from attention.lookup.parts.processes.process import ProcessLostError
from attention.lookup.quantised import part_of


@pytest.fixture
def part(processes, memory_of):
    view = memory_of(processes).view
    split = processes.split(view)
    return ScannedElsewhere(split.parts[1], None, view.facts)


def asked(queries):
    wanted = Wanted(queries, [4] * 4, listed=512, most=64, temperatures=np.full(4, 0.1))
    return wanted, np.full(4, 0.3, dtype=np.float32)


def gathered(part, queries):
    return part.gathering(*asked(queries))()


def test_a_view_with_processes_is_asked_in_parts(processes, memory_of, queries):
    part = part_of(memory_of(processes).view, Question(queries[0], 0.1))
    assert isinstance(part, Joined)
    assert [type(each) for each, _ in part._parts] == [ScannedElsewhere] * 2


@pytest.mark.parametrize("answering", [True, False])
def test_it_gathers_the_same_wherever_that_is_done(part, queries, monkeypatch, answering):
    def lost(*_):
        raise ProcessLostError("it has ended")

    expected = part.gather(*asked(queries))
    if not answering:
        monkeypatch.setattr(part._process, "ask", lost)
    found = gathered(part, queries)
    for name in ("similarities", "known", "starts", "errors", "thresholds"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_an_answer_that_is_lost_on_its_way_is_made_here(part, queries, monkeypatch):
    def begun(*_):
        def waited():
            raise ProcessLostError("it has ended")

        return waited

    expected = gathered(part, queries)
    monkeypatch.setattr(part._process, "ask", begun)
    np.testing.assert_array_equal(gathered(part, queries).similarities, expected.similarities)
