"""Several files of one format as one table: those of a folder, or those that a pattern names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from softkv.tables.content import Content, MixedColumn, NumberedRow, own_file, unreadable
from softkv.tables.packing import ending_of

_STATE, _SPLITS = "state.json", "dataset_dict.json"  # of the library datasets
_INDICES = ("_indices_files", "_indices_data_files")
_OF_CHROMA = "chroma.sqlite3"
_CACHED = "cache-"
"""The beginning of the names of files that datasets keeps beside its own: results of map and filter."""
_SPLIT = re.compile(r"(.+)-\d+-of-\d+\.\w+")
_FORMATS = ((".parquet", ".pq"), (".arrow", ".feather"), (".jsonl", ".ndjson"), (".csv", ".tsv", ".tab"))
"""The endings of shards by format; of a folder with several, the first one is read."""
_ALONE = (".json", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".lance", ".npy", ".npz", ".h5ad", ".safetensors")
"""The endings of tables that are not read as shards."""
_OF_DATASETS = (_STATE, _SPLITS, "dataset_info.json", "dataset_infos.json")
_SHOWN = 5


def find_shards(path: Path) -> list[Path]:
    """Return the files of a folder or of a pattern, in the order of their names; none for another path.

    Of a folder, they are those that the library datasets lists in it, or all of one format.

    Raises:
        Invalid: the folder has no shards, has several sets of them, or one is a link to another folder.
    """
    if path.is_dir() and path.suffix != ".lance":
        return _of_folder(path)
    if path.exists() or "*" not in path.name:
        return []
    named = sorted(file.name for file in path.parent.glob(path.name) if not file.is_dir())
    if not named:
        raise unreadable(path, "is a pattern of no file")
    return [file for name in named if (file := own_file(path.parent, name))]


def _of_folder(folder: Path) -> list[Path]:
    if own_file(folder, _SPLITS):
        parts = [part.name for part in folder.iterdir() if part.is_dir()]
        raise unreadable(folder, f"is a folder for each split, {_list_names(parts)}: name one of them")
    names = {file.name for file in folder.iterdir() if not file.name.startswith((".", "_"))}
    if state := own_file(folder, _STATE):
        with suppress(ValueError, TypeError, KeyError):
            described = json.loads(state.read_bytes())
            names &= {file["filename"] for file in described["_data_files"]}
            if any(described.get(name) for name in _INDICES):
                raise unreadable(folder, "has a choice of rows beside them: save it again with flatten_indices()")
    else:
        names = {name for name in names if not name.startswith(_CACHED)} or names
    groups = [sorted(name for name in names if ending_of(Path(name)) in endings) for endings in _FORMATS]
    shards = next(filter(None, groups), [])
    if not shards and own_file(folder, _OF_CHROMA):
        raise unreadable(folder, "is a folder of chroma: save what its collection.get(include=[…]) returns as .json")
    if not shards:
        folders = [f"{part.name}/" for part in folder.iterdir() if part.is_dir() and not part.name.startswith(".")]
        advice = f"name a file, or one of its folders, {_list_names(folders)}" if folders else "name a file"
        raise unreadable(folder, f"has no corpus.jsonl as of BEIR, nor Parquet, Arrow, NDJSON or CSV: {advice}")
    splits = {match[1] for name in shards if (match := _SPLIT.fullmatch(name))}
    if len(splits) > 1:
        raise unreadable(
            folder, f"has several splits, {_list_names(splits)}: name the files of one, as {min(splits)}-*"
        )
    return [file for name in shards if (file := own_file(folder, name))]


def describe_omitted(folder: Path, shards: Iterable[Path]) -> list[str]:
    """Return the notices about tables of a folder whose format is not that of its shards, and about its folders."""
    taken = {shard.name for shard in shards}
    entries = [file for file in folder.iterdir() if not file.name.startswith((".", "_", _CACHED))]
    folders = [f"{file.name}/" for file in entries if file.is_dir() and file.suffix not in _ALONE]
    endings = {*_ALONE, *(ending for format_ in _FORMATS for ending in format_)}
    names = {file.name for file in entries if ending_of(file) in endings and f"{file.name}/" not in folders}
    names -= {*taken, *_OF_DATASETS}
    notices = [f"left out, since their format is another: {_list_names(names)}"] if names else []
    return [*notices, *([f"left out, since they are folders: {_list_names(folders)}"] if folders else [])]


def _list_names(names: Iterable[str]) -> str:
    first = sorted(names)
    return ", ".join(first[:_SHOWN]) + (", …" if len(first) > _SHOWN else "")


def join(paths: list[Path], read: Callable[[Path], Content]) -> Content:
    """Return the rows of several files as one table; a file is open only while its rows are read.

    Columns may come in another order. A file without a byte has no rows.

    Raises:
        Invalid: the files have other columns.
    """
    paths = [path for path in paths if path.is_dir() or path.stat().st_size] or paths
    first, total = read(paths[0]), 0
    notices, mixed = dict[str, None](), dict[str, MixedColumn]()
    kinds = dict[str, str]()
    for path in paths:
        content = read(path)
        if _order_columns(content.columns) != _order_columns(first.columns):
            expected, came = (", ".join(part.columns or ()) or "objects without columns" for part in (first, content))
            advice = f"give them the columns of {paths[0].name}, {expected}, or load each alone"
            raise unreadable(path, f"has other columns than {paths[0].name}, {came}: {advice}")
        total += 0 if content.total is None else content.total
        notices |= dict.fromkeys(content.notices)
        for column, kind in content.kinds.items():
            if kinds.setdefault(column, kind) != kind:
                notices[f"column {column!r} has {kind} in {path.name}, and {kinds[column]} in files before it"] = None
        mixed = {**content.mixed, **mixed}

    def rows() -> Iterator[NumberedRow]:
        number = 0
        for path in paths:
            for _, cells in read(path).rows():
                number += 1
                yield number, cells

    counted = None if first.total is None else total
    return replace(first, rows=rows, total=counted, unit="row", mixed=mixed, notices=[*notices], matrix=None)


def _order_columns(columns: Sequence[str] | None) -> list[str] | None:
    """Return the names of columns in an order of their own; None for objects without columns."""
    return None if columns is None else sorted(columns)
