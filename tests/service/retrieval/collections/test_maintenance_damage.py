"""The damage of a collection, as one line, until it is repaired by a write."""

from __future__ import annotations

import pytest

from softkv_attention.lookup import SealedError
from softkv_service.retrieval import CollectionUnsound
from softkv_service.retrieval.collections.maintenance import Damage
from softkv_service.storage.errors import DocumentDamaged


def test_three_are_named_and_the_others_counted():
    damage = Damage("c", ValueError)
    assert damage.report() == []
    for row in range(5):
        damage.note(DocumentDamaged(row, f"d{row}", vectors=False))
    damage.note(DocumentDamaged(0, "d0", vectors=False))  # once more
    (line,) = damage.report()
    assert line.startswith("collection c: document 'd0', row 0 is damaged")
    assert "'d2'" in line
    assert "'d3'" not in line
    assert line.endswith(", and 2 more")


def test_damaged_vectors_make_every_weight_wrong_until_they_are_gone():
    damage = Damage("c", ValueError)
    damage.note(DocumentDamaged(1, None, vectors=False))
    damage.require_sound_keys()
    damage.note(DocumentDamaged(2, None, vectors=True))
    with pytest.raises(CollectionUnsound, match="vectors of 1 documents fail: row 2"):
        damage.require_sound_keys()
    damage.forget([2])
    damage.require_sound_keys()
    assert len(damage.report()) == 1


def test_a_damaged_file_is_reported_as_a_file_and_not_as_a_document(tmp_path):
    def told(path):
        return LookupError(f"{path.name} was told")

    damage = Damage("c", told)
    with pytest.raises(LookupError, match="one was told"), damage.recording():
        raise SealedError(tmp_path / "one", "is not what was written")
    assert damage.report() == []
    with pytest.raises(DocumentDamaged), damage.recording():
        raise DocumentDamaged(3, None, vectors=False)
    assert len(damage.report()) == 1
