"""A file gives its own bytes alone: none of another file, no objects, and no rows that it does not hold."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import softkv
from softkv.tables import open_table, read_questions
from tests.clients.python.tables import here
from tests.clients.python.tables.outside import REFUSED, SECRET, UNREAD, save_folder, unpickled

pytest.importorskip("h5py")
pytest.importorskip("python_calamine")
HERE = pytest.mark.parametrize("open_", [open_table, here.open_table], ids=["process", "here"])


@pytest.fixture
def other(tmp_path: Path) -> Path:
    (tmp_path / "other").write_text(SECRET)
    return tmp_path / "other"


@HERE
@pytest.mark.parametrize("kind", REFUSED)
def test_a_reference_is_refused(tmp_path: Path, other: Path, kind: str, open_: Callable[..., Any]) -> None:
    name, save, says = REFUSED[kind]
    save(tmp_path / name, other)
    with pytest.raises(softkv.Invalid, match=says) as refused:
        list(open_(tmp_path / name))
    assert SECRET not in str(refused.value)
    assert not unpickled(tmp_path / name).exists()


@HERE
@pytest.mark.parametrize("kind", UNREAD)
def test_a_reference_is_not_followed(tmp_path: Path, other: Path, kind: str, open_: Callable[..., Any]) -> None:
    name, save, document = UNREAD[kind]
    save(tmp_path / name, other)
    assert [row.document for row in open_(tmp_path / name)] == [document]
    assert not unpickled(tmp_path / name).exists()


@HERE
def test_a_link_out_of_a_folder_is_refused(tmp_path: Path, other: Path, open_: Callable[..., Any]) -> None:
    for name, rows_of in [
        ("corpus.jsonl", lambda folder: list(open_(folder))),
        ("queries.jsonl", lambda folder: read_questions(folder).labelled),
        ("qrels/test.tsv", lambda folder: read_questions(folder).labelled),
    ]:
        folder = tmp_path / Path(name).stem
        save_folder(folder, name, other)
        with pytest.raises(softkv.Invalid, match="is a link out of"):
            rows_of(folder)
        (folder / name).unlink()
        (tmp_path / f"other-{Path(name).name}").rename(folder / "own")
        (folder / name).symlink_to(folder / "own")
        assert len(rows_of(folder)) == 1
    (tmp_path / "own.csv").write_text("id,key\na,b\n")
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "one.csv").symlink_to(tmp_path / "own.csv")
    for named in (tmp_path / "shards", tmp_path / "shards" / "*.csv"):
        with pytest.raises(softkv.Invalid, match=r"one\.csv is a link out of"):
            open_(named)
    folder = tmp_path / "vectors"
    folder.mkdir()
    np.save(folder / "two.npy", np.eye(2))
    (tmp_path / "ids.txt").write_text("a\nb\n")
    (folder / "two.ids.txt").symlink_to(tmp_path / "ids.txt")
    with pytest.raises(softkv.Invalid, match=r"two\.ids\.txt is a link out of"):
        open_(folder / "two.npy")
    assert [row.id for row in open_(folder / "two.npy", ids=tmp_path / "ids.txt")] == ["a", "b"]
    (tmp_path / "named.npy").symlink_to(folder / "two.npy")  # the caller names this link
    assert [row.id for row in open_(tmp_path / "named.npy")] == ["0", "1"]


def _bin(path: Path) -> None:
    path.write_bytes(struct.pack("<II", 2**32 - 1, 0))


def _npy(path: Path, shape: tuple[int, ...] = (2**40, 0), kind: str = "<f4") -> None:
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})


def _npz(path: Path) -> None:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "|S0", "fortran_order": False, "shape": (2**40,)})
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("id.npy", content.getvalue())


def _hdf5(**options: Any) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        import h5py

        with h5py.File(path, "w") as file:
            file.create_dataset("train", dtype="f4", **options)

    return save


def _nulls(path: Path) -> None:
    table = pa.table({"id": pa.nulls(2**20)})
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)


def _runs(path: Path) -> None:
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2**30], pa.int32()), pa.array(["a"]))
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, pa.schema({"id": runs.type})) as writer:
        writer.write_batch(pa.record_batch([runs], names=["id"]))


UNHELD: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "no width of fbin": ("t.fbin", _bin, "4,294,967,295 rows of 'key_vector', and no bytes of them"),
    "no head of fbin": ("t.u8bin", lambda path: path.write_bytes(b"1234"), "it has 4 bytes"),
    "no width of npy": ("t.npy", _npy, "1,099,511,627,776 rows of 'key_vector', and no bytes"),
    "short npy": ("t.npy", lambda path: _npy(path, (2**40, 4)), "is not a file in .npy format"),
    "no width of npz": ("t.npz", _npz, "1,099,511,627,776 rows of 'id', and no bytes"),
    "no width of fvecs": ("t.fvecs", lambda path: path.write_bytes(bytes(8)), "its first vector has width 0"),
    "no width of hdf5": ("t.h5", _hdf5(shape=(2**40, 0)), "1,099,511,627,776 rows of 'key_vector', and no bytes"),
    "no bytes of hdf5": ("t.h5", _hdf5(shape=(2**40, 4)), "holds 0 of the 17,592,186,044,416 bytes of 'train'"),
    "no chunks of hdf5": ("t.h5", _hdf5(shape=(2**40, 4), chunks=(2**20, 4)), "holds 0 of the 1,048,576 chunks"),
    "nulls of Parquet": ("t.parquet", _nulls, "no cells for its 1,048,576 rows"),
    "nulls of Arrow": ("t.arrow", _nulls, "no cells for its 1,048,576 rows"),
    "runs of Arrow": ("t.feather", _runs, "no cells for its 1,073,741,824 rows"),
}


@HERE
@pytest.mark.parametrize("kind", UNHELD)
def test_rows_that_a_file_does_not_hold_are_refused(tmp_path: Path, kind: str, open_: Callable[..., Any]) -> None:
    name, save, says = UNHELD[kind]
    save(tmp_path / name)
    with pytest.raises(softkv.Invalid, match=says):
        open_(tmp_path / name)


def test_hdf5_of_every_layout_is_read_if_the_file_holds_it(tmp_path: Path) -> None:
    import h5py

    vectors = np.arange(600, dtype="f4").reshape(200, 3)
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file.create_dataset("train", data=vectors, chunks=(64, 2), compression="gzip", shuffle=True)
        file["contiguous"] = vectors[:, 0]
        file["texts"] = [f"text {number}" for number in range(200)]
        file.create_dataset("fixed", data=np.array([b"ab"] * 200))
        file.create_dataset("grown", data=np.arange(200), maxshape=(None,), chunks=(7,))
    read = [row.document for row in here.open_table(tmp_path / "t.h5")]
    assert [document["key_vector"].tolist() for document in read] == vectors.tolist()
    assert read[7]["metadata"] == {"contiguous": 21.0, "texts": "text 7", "fixed": "ab", "grown": 7}


NO_TEXT = {"base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "undefined", "uu_codec", "zlib_codec"}


@pytest.mark.parametrize("charset", ["latin-9000", "hex", "a\0b", "\udc80", "os.path", *sorted(NO_TEXT)])
def test_an_unknown_charset_is_named(tmp_path: Path, charset: str) -> None:
    (tmp_path / "t.csv").write_text("id,key\na,b\n")
    with pytest.raises(softkv.Invalid, match="there is no charset"):
        here.open_table(tmp_path / "t.csv", charset=charset)


def test_questions_may_repeat_an_id(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("query,id\n01,a\n2.50,a\n")
    questions = list(read_questions(tmp_path / "t.csv").labelled.values())
    assert questions == [{"query": "01", "id": "a"}, {"query": "2.50", "id": "a"}]
