"""The tables of a question agree with sums over documents, one after the other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softkv_service.retrieval.calibration import DocumentKeys, ProfileBuilder, Profiles

NAMES = "abcdefgh"


def profile(
    similarities: list[float], owners: list[int], relevant: dict[int, float], right: list[int], own_temperature: float
) -> Profiles:
    profiling = ProfileBuilder(own_temperature, len(similarities))
    rows = sorted(relevant)
    ranks = np.array(rows, dtype=np.int64), np.array([relevant[row] for row in rows])
    documents = DocumentKeys.of(np.array(owners))
    answers = np.array(right, dtype=np.int64)
    by_id = documents.by_id(np.array(similarities), answers, lambda rows: [NAMES[row] for row in rows.tolist()])
    profiling.add(np.array(similarities), documents, ranks, answers, by_id)
    return profiling.build()


def test_profiles_at_one_temperature_are_a_column_of_the_tables():
    profiles = profile([0.5, 0.4, 0.1], [0, 1, 2], {1: 3.0}, [1], 0.05)
    one = profiles.at(float(profiles.temperatures[7]))
    assert one.temperatures.tolist() == [profiles.temperatures[7]]
    assert one.own_index == 0
    for name in ("log_partition", "best", "right", "rank"):
        assert (getattr(one, name)[:, :, 0] == getattr(profiles, name)[:, :, 7]).all()
    assert (one.present == profiles.present).all()


@given(
    similarities=st.lists(st.sampled_from([-0.5, 0.0, 0.25, 0.5, 0.9]), min_size=8, max_size=8),
    several=st.booleans(),
    relevant=st.dictionaries(st.integers(0, 7), st.floats(0.1, 20), max_size=6),
    right=st.sets(st.sampled_from([0, 2, 4, 6]), min_size=1),
    own=st.sampled_from([0.02, 0.05, 1.0]),
)
def test_every_cell_of_a_profile_matches_its_definition(similarities, several, relevant, right, own):
    owners = [0, 0, 2, 2, 4, 4, 6, 6] if several else list(range(8))
    profiles = profile(similarities, owners, relevant, sorted(right), own)
    assert profiles.temperatures[profiles.own_index] == own
    for t in (0, 9, profiles.own_index, len(profiles.temperatures) - 1):
        temperature = float(profiles.temperatures[t])
        for i, share in enumerate(profiles.words):
            masses = dict.fromkeys(owners, 0.0)
            peak = max(similarities) / temperature
            for similarity, owner in zip(similarities, owners, strict=True):
                masses[owner] += math.exp(similarity / temperature - peak + share * relevant.get(owner, 0.0))
            logs = {owner: math.log(mass) + peak for owner, mass in masses.items() if mass}
            cell = 0, i, t
            whole = math.log(sum(masses.values())) + peak
            assert profiles.log_partition[cell] == pytest.approx(whole, rel=1e-9, abs=1e-9)
            assert profiles.best[cell] == pytest.approx(max(logs.values()), rel=1e-9, abs=1e-9)
            best = max(logs.get(row, -math.inf) for row in right)
            if best > -math.inf:
                both = math.log(sum(masses[row] for row in right)) + peak
                assert profiles.right[cell] == pytest.approx(both, rel=1e-9, abs=1e-9)
                above = sum(log > best + 1e-9 for log in logs.values())
                equal = sorted(NAMES[row] for row, log in logs.items() if abs(log - best) <= 1e-9)
                mine = min(NAMES[row] for row in right if abs(logs.get(row, -math.inf) - best) <= 1e-9)
                # If sums of several keys agree within rounding, either may be first.
                assert above + 1 <= profiles.rank[cell] <= above + len(equal)
                if not several and not relevant:
                    assert profiles.rank[cell] == above + 1 + equal.index(mine)


def test_a_question_of_very_many_rare_words_has_finite_tables():
    profiles = profile([0.1, 0.9, *[0.0] * 6], list(range(8)), {0: 40_000.0}, [1], 0.05)
    last = len(profiles.words) - 1
    assert np.isfinite(profiles.log_partition).all()
    assert profiles.log_partition[0, last, profiles.own_index] == pytest.approx(0.2 * 40_000 + 2)
    assert profiles.rank[0, :, profiles.own_index].tolist() == [1, *[2] * last]


def test_a_question_without_an_answer_has_no_rank():
    profiles = profile([0.1] * 8, list(range(8)), {}, [], 0.05)
    assert not profiles.present[0]
    assert np.isinf(profiles.rank).all()
    assert np.isneginf(profiles.right).all()
