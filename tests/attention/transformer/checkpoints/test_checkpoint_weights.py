"""The files of weights: in several parts, mapped into memory, damaged."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from softkv_attention.transformer import CheckpointError, arrays, load


def test_weights_may_lie_in_several_files(folder):
    whole = {name: np.array(array) for name, array in arrays(load(folder).model)}
    path = folder / "model.safetensors"
    tensors = load_file(path)
    names = sorted(tensors)
    files = {"one.safetensors": names[::2], "two.safetensors": names[1::2]}
    for file, part in files.items():
        save_file({name: tensors[name] for name in part}, folder / file)
    path.unlink()
    index = {"weight_map": {name: file for file, part in files.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    loaded = dict(arrays(load(folder).model))
    assert loaded.keys() == whole.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(loaded[name], array)


@pytest.mark.parametrize("weight_map", [None, {}, {"a": "../model.safetensors"}, {"a": "/etc/hosts"}])
def test_an_index_names_files_of_its_folder(folder, weight_map):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(CheckpointError, match="must map tensors to files of its folder"):
        load(folder)


def test_writing_to_a_parameter_does_not_change_the_file(folder):
    before = (folder / "model.safetensors").read_bytes()
    load(folder).model.embeddings.tokens[:] = 7
    assert (folder / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b'{"a": 7}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8000]}}',
        b'{"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [1000000000, 1000000000], "data_offsets": [0, 8]}}',
    ],
)
def test_a_damaged_header_is_named(folder, header):
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(CheckpointError, match="must be a safetensors file, got a damaged one"):
        load(folder)
