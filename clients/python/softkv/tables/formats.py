"""The formats of tables: for each its endings, its reader, and the library that reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from softkv.tables import arrays, arrow, hdf5, markdown, objects, sheets, words
from softkv.tables.content import Content, unreadable
from softkv.tables.packing import PACKED_ENDINGS, ZSTANDARD, File, ending_of


class Format(NamedTuple):
    """A format.

    Attributes:
        endings: of the names of its files.
        read: returns the content of a file.
        library: the module that reads it, imported before the process may open the file alone; empty if none.
        is_streamed: whether it is read from its first byte to its last, so that it may be packed.
    """

    endings: tuple[str, ...]
    read: Callable[[File], Content]
    library: str = ""
    is_streamed: bool = False


FORMATS = (
    Format((".ndjson", ".jsonl"), objects.read_lines_of_json, is_streamed=True),
    Format((".json",), objects.read_array_of_json, is_streamed=True),
    Format((".csv", ".tsv", ".tab"), sheets.read_delimited, is_streamed=True),
    Format((".md", ".markdown"), markdown.read_markdown, is_streamed=True),
    Format((".parquet", ".pq"), arrow.read_parquet, "pyarrow.parquet"),
    Format((".arrow", ".feather"), arrow.read_arrow_file, "pyarrow.parquet"),
    Format((".lance",), arrow.read_lance, "lance"),
    Format((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), sheets.read_spreadsheet, "python_calamine"),
    Format((".npy", ".npz", ".safetensors", ".fvecs", ".bvecs", ".fbin", ".u8bin", ".i8bin"), arrays.read_arrays),
    Format((".hdf5", ".h5", hdf5.ANNDATA, hdf5.MATLAB), hdf5.read_hdf5, "h5py"),
    Format((".vec", ".txt"), words.read_words, is_streamed=True),
    Format((".bin",), words.read_binary_words, is_streamed=True),
)
BY_ENDING = {ending: format_ for format_ in FORMATS for ending in format_.endings}
_UNPACK = "unpack it, and load the files in it"
_ARRAYS = "to unpickle it would run code: save its vectors as .safetensors or .npy, and its ids as .ids.txt beside it"
_INDEX = "an index has no texts: save its vectors as .npy, and their ids as .ids.txt beside it"

_ADVICE = {
    **dict.fromkeys((".tar", ".tgz", ".7z", ".rar", ".lz4"), _UNPACK),
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib"), _ARRAYS),
    **dict.fromkeys((".index", ".faiss", ".usearch", ".ann", ".hnsw"), _INDEX),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3", ".duckdb"), "export its table as .csv or .ndjson"),
    ".nc": "save its variables as Parquet by xarray and pandas",
    ".doc": "save its table as .csv or .xlsx",
}
"""The advice for files of other endings."""


def read_file(file: File) -> Content:
    """Return the content of a file by its ending.

    Raises:
        Invalid: the ending is unknown, the content does not match it, or the format cannot be packed.
    """
    format_ = BY_ENDING.get(file.ending)
    if format_ is None:
        advice = _ADVICE.get(file.ending, "convert or rename it")
        holding = "" if file.path.name == file.name else f"holds {file.name}, which "
        raise unreadable(file.path, f"{holding}ends in none of {' '.join((*BY_ENDING, *PACKED_ENDINGS))}: {advice}")
    if file.is_packed and not format_.is_streamed:
        raise unreadable(file.path, "is packed, as which only texts are read: unpack it")
    return format_.read(file)


def libraries_of(path: Path) -> list[str]:
    """Return the modules that read a file, which its reader needs before it may open the file alone."""
    format_ = BY_ENDING.get(ending_of(path))
    unpacking = "pyarrow" if path.suffix.lower() == ZSTANDARD else ""
    return [library for library in (unpacking, format_.library if format_ else "") if library]
