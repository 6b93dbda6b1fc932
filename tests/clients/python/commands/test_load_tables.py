"""Tables of every format at the terminal: files are loaded as their documents, with the options of the reader."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from softkv import Client
from tests.clients.python.tables.files import CASES, Case
from tests.running import RunningService
from tests.service.commands.conftest import Softkv

WIDTH = 4
NAMED = {"id": "nr", "key": "text", "vector": "embedding"}


def frame(n: int) -> pd.DataFrame:
    """A table of n documents whose columns have names of their own."""
    rng = np.random.default_rng(60)
    return pd.DataFrame(
        {
            "nr": np.arange(n),
            "text": [f"text {i}\nof two lines, and 猫" for i in range(n)],
            "embedding": rng.normal(size=(n, WIDTH)).astype(np.float32).tolist(),
            "price": np.arange(n) + 0.5,
            "open": np.arange(n) % 2 == 0,
            "zip": [f"{i:05}" for i in range(n)],
        }
    )


def as_lines(table: pd.DataFrame) -> list[str]:
    return [json.dumps(row) for row in table.to_dict("records")]


def save_hdf5(table: pd.DataFrame, path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name in table.columns:
            file[name] = table[name].tolist()


def save_spreadsheet(table: pd.DataFrame, path: Path) -> None:
    pytest.importorskip("python_calamine")
    pytest.importorskip("openpyxl")
    table.assign(embedding=table["embedding"].map(json.dumps)).to_excel(path, index=False)


SAVERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "csv": lambda table, path: table.to_csv(path, index=False),
    "csv.gz": lambda table, path: table.to_csv(path, index=False),
    "tsv": lambda table, path: table.to_csv(path, index=False, sep="\t", encoding="utf-16"),
    "ndjson": lambda table, path: path.write_text("\n".join(as_lines(table)), encoding="utf-8"),
    "json": lambda table, path: path.write_text(f"[{','.join(as_lines(table))}]", encoding="utf-8"),
    "parquet": lambda table, path: pq.write_table(pa.Table.from_pandas(table), path),
    "feather": lambda table, path: pyarrow.feather.write_feather(pa.Table.from_pandas(table), path),
    "xlsx": save_spreadsheet,
    "npz": lambda table, path: np.savez(path, **{name: np.array(table[name].tolist()) for name in table.columns}),
    "hdf5": save_hdf5,
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_is_loaded_as_its_documents(softkv: Softkv, service: RunningService, tmp_path: Path, case: Case) -> None:
    case.save(tmp_path / case.name)
    options = ["--encoder", "none"] if "key_vector" in case.documents[0] else []
    for name, parts in case.options.items():
        for part in parts if isinstance(parts, list) else [parts]:
            options += [f"--{name.replace('_', '-')}", *([] if part is True else [str(part)])]
    ended = softkv("load", str(tmp_path / case.name), "-c", "loaded", "--json", *options)
    with Client(service.url) as client:
        fields = ["key", "metadata", "key_vector"]
        stored = {document.id: document for document in client.collection("loaded").find(include=fields)}
        expires = {document.id: document.expires for document in stored.values()}
        client.collection("loaded").delete(case.documents[0]["id"])
        resumed = softkv("load", str(tmp_path / case.name), "-c", "loaded", "--resume", *options)
        assert resumed.exit_code == 0, resumed.stderr
        again = {document.id: document for document in client.collection("loaded").find(include=fields)}
        client.collection("loaded").drop()
    assert {id_: (one.key, one.metadata) for id_, one in again.items()} == {
        id_: (one.key, one.metadata) for id_, one in stored.items()
    }
    assert ended.exit_code == 0, ended.stderr
    for document in case.documents:
        one = stored[document["id"]]
        assert (one.key, one.metadata) == (document.get("key"), document.get("metadata", {}))
        assert one.key_vector.tolist() == document.get("key_vector", one.key_vector.tolist())
        assert (expires[one.id] is not None) == ("expires" in document)
    notices = json.loads(ended.stdout)["notices"]
    assert len(notices) == len(case.notices)
    for notice in notices:
        assert notice in ended.stderr.replace("\n", "")
    assert not any("_" in notice.partition("--")[2].split(" ")[0] for notice in notices)


def test_a_csv_of_a_spreadsheet_is_loaded(softkv: Softkv, service: RunningService, tmp_path: Path) -> None:
    path = tmp_path / "loaded.csv"
    text = "Nr;Question;Answer;open;until;embedding\r\n1;Wie spät?;zwölf;WAHR;;[1, 2]\r\n2;;x;FALSCH;2001-01-01;\r\n"
    path.write_bytes(text.encode("windows-1252"))
    options = ["--encoder", "none", "--id", "Nr", "--key", "Question", "--value", "Answer", "--expires", "until"]
    refused = softkv("load", str(path), *options)
    assert (refused.exit_code, "line 2 is not in utf-8" in " ".join(refused.stderr.split())) == (1, True)
    options += ["--charset", "windows-1252", "--delimiter", ";"]
    refused = softkv("load", str(path), *options, "--vector", "vectors")
    assert refused.exit_code == 1
    assert "no column 'vectors' for --vector" in " ".join(refused.stderr.split())
    ended = softkv("load", str(path), *options, "--vector", "embedding")
    assert ended.stdout == "loaded: 2 documents written, 1 has no key, 1 has expired\n", ended.stderr
    with Client(service.url) as client:
        (document,) = client.collection("loaded").find(include=["key", "value", "metadata"])
        assert (document.id, document.key, document.value) == ("1", "Wie spät?", "zwölf")
        client.collection("loaded").drop()
