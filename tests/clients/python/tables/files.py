"""Files as people make them, and the documents that they are by the terminal, the client and `POST /v1/tables`."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ODS = """<?xml version="1.0" encoding="UTF-8"?>
<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0" office:version="1.3">
<office:body><office:spreadsheet><table:table table:name="Data">{rows}</table:table></office:spreadsheet></office:body>
</office:document-content>"""
ODS_MIME = "application/vnd.oasis.opendocument.spreadsheet"
MANIFEST = f"""<?xml version="1.0" encoding="UTF-8"?>
<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" manifest:version="1.3">
<manifest:file-entry manifest:full-path="/" manifest:media-type="{ODS_MIME}"/>
<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>"""


@dataclass(frozen=True)
class Case:
    """A file, and what it is read as.

    Attributes:
        name: the name of the file.
        save: writes it.
        documents: what its rows become.
        notices: what is said, in order, as the client says it.
        options: the options of `open_table`.
    """

    name: str
    save: Callable[[Path], object]
    documents: Sequence[Mapping[str, Any]]
    notices: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content.encode())


def ods_cell(content: str, attributes: str = 'office:value-type="string"') -> str:
    return f"<table:table-cell {attributes}>{content}</table:table-cell>"


def save_ods(path: Path) -> None:
    """Write a sheet as LibreOffice writes it."""
    time = 'office:value-type="time" office:time-value='
    faulty = 'office:value-type="string" calcext:value-type="error" office:string-value="" table:formula="of:=1/0"'
    covered = '<table:covered-table-cell table:number-columns-repeated="1"/>'
    rows = [
        [ods_cell(f"<text:p>{name}</text:p>") for name in ("id", "key", "length", "n", "shelf")],
        [
            ods_cell("<text:p>a</text:p>"),
            ods_cell(
                "<text:p>cats purr<text:line-break/>dogs<text:tab/>bark</text:p>"
                "<text:p>two<text:s text:c='2'/>x</text:p>"
            ),
            ods_cell("<text:p>30:05:00</text:p>", f'{time}"PT30H05M00S"'),
            ods_cell("<text:p>1.5</text:p>", 'office:value-type="float" office:value="1.5"'),
            ods_cell("<text:p>top</text:p>"),
        ],
        [
            ods_cell("<text:p>b</text:p>"),
            ods_cell(
                "<text:p><text:ruby><text:ruby-base>猫</text:ruby-base><text:ruby-text>ねこ</text:ruby-text></text:ruby>"
                " <text:span>sleep</text:span></text:p>"
            ),
            ods_cell("<text:p>09:30:00</text:p>", f'{time}"PT09H30M00.5S"'),
            ods_cell("<text:p>#DIV/0!</text:p>", faulty),
            covered,
        ],
    ]
    content = "".join(f"<table:table-row>{''.join(row)}</table:table-row>" for row in rows)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", ODS_MIME)
        archive.writestr("META-INF/manifest.xml", MANIFEST)
        archive.writestr("content.xml", ODS.format(rows=content))


def save_workbook(path: Path) -> None:
    """Write a book whose first sheets are a chart and a hidden one, with a title above the table, by openpyxl."""
    from datetime import timedelta

    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Data"
    for row in (
        ["Report of the year"],
        [],
        ["id", "key", "expires", "shelf", "total"],
        ["a", "cats", "=TODAY()+30", "top", 1.5],
        ["b", "dogs", "#N/A", None, "=E4*2"],
        ["c", "mice", timedelta(days=30), None, "#DIV/0!"],
        ["d", "rats", "2101-01-31", "low", 3],
    ):
        sheet.append(row)
    sheet.merge_cells("D4:D6")
    book.create_sheet("Old", 0).sheet_state = "hidden"
    book.create_chartsheet("Picture", 0)
    book.save(path)


def save_prices(path: Path, **options: Any) -> None:
    frame = pd.DataFrame(
        {"id": ["a", "b", "c"], "key": ["x", "y", "z"], "price": [72.6, 9.99, 10], "zip": ["01234", "4", "5"]}
    )
    frame.to_csv(path, index=False, float_format="%.2f", **options)


PRICES = [
    {"id": "a", "key": "x", "metadata": {"price": 72.6, "zip": "01234"}},
    {"id": "b", "key": "y", "metadata": {"price": 9.99, "zip": "4"}},
    {"id": "c", "key": "z", "metadata": {"price": 10.0, "zip": "5"}},
]
ZIP = "column 'zip' stays text, since '01234' would not come back the same as a number; number='zip' makes it one"


def save_nested(path: Path) -> None:
    """Write columns of maps, of JSON, and of metadata as a text, by pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "id": ["a", "b"],
        "key": ["x", "y"],
        "tags": pa.array([[("n", 1), ("m", 2)], None], pa.map_(pa.string(), pa.int64())),
        "deep": pa.array([[{"of": [("n", 1)]}], []], pa.list_(pa.struct([("of", pa.map_(pa.string(), pa.int64()))]))),
        "metadata": ['{"page": 7}', None],
    }
    pq.write_table(pa.table(columns), path)


TWO: Any = [{"id": "a", "key": "cats"}, {"id": "b", "key": "dogs"}]
ROWS = "a\tcats\nb\tdogs\n"


def save_packed(path: Path) -> None:
    """Write a table packed by pandas, or in Zstandard by pyarrow."""
    import pyarrow as pa

    if path.suffix == ".zst":
        with pa.output_stream(path, compression="zstd") as file:
            file.write("".join(f"{json.dumps(document)}\n" for document in TWO).encode())
    else:
        pd.DataFrame(TWO).to_csv(path, index=False)


def save_zip(**files: str) -> Callable[[Path], object]:
    """Return what writes a zip of these files and of a folder, as a Mac packs them."""

    def save(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.mkdir("set")
            for name, content in files.items():
                archive.writestr(f"set/{name.replace('_', '.')}", content)
            archive.writestr("__MACOSX/._corpus.jsonl", "no JSON")

    return save


def save_shards(path: Path, ending: str = "parquet") -> None:
    """Write a file for each document, beside the state and a cache as the library datasets has them."""
    path.mkdir(exist_ok=True)
    names = [f"part-{number:05}-of-00002.{ending}" for number in range(2)]
    for name, document in zip(names, TWO, strict=True):
        frame = pd.DataFrame([document])
        frame.to_csv(path / name, index=False) if ending == "csv" else frame.to_parquet(path / name)
    (path / "cache-1f.parquet").write_bytes(b"of a map that was not saved")
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))


def as_json(value: Any) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps(value))


POINTS = [
    {"id": "a", "payload": {"document": "cats", "year": 1990, "key": "a"}, "vector": {"dense": [0.5, -1]}},
    {"id": "b", "payload": {"document": "dogs", "deep": {"secret": 1}}, "vector": {"dense": [1, 2]}, "shard_key": None},
]
SOURCES = [
    {"_index": "i", "_id": "a", "_score": 1.0, "_source": {"body": {"text": "cats"}, "tag": "x"}},
    {"_index": "i", "_id": "b", "_score": 1.0, "_source": {"body": {"text": "dogs"}}},
]


def word(name: str, *numbers: float) -> dict[str, Any]:
    return {"id": name, "key": name, "key_vector": np.float32(numbers).tolist()}


def save_words(path: Path) -> None:
    """Write words in binary: word2vec's own program has a line break after each vector, gensim has none."""
    end = b"\n" if path.suffix == ".bin" else b""
    words = [("cat", [0.5, -1]), ("猫", [1, 0.1])]
    lines = [word.encode() + b" " + np.array(vector, "<f4").tobytes() + end for word, vector in words]
    content = b"2 2\n" + b"".join(lines)
    path.write_bytes(content if end else gzip.compress(content))


def save_tensors(path: Path) -> None:
    """Write halves of floats and the ids beside them, by safetensors."""
    import torch
    from safetensors.torch import save_file

    halves = torch.tensor([[0.5, -1], [1, 2]], dtype=torch.bfloat16)
    save_file({"embeddings": halves, "n": torch.tensor([1, 2])}, path, {"of": "a model"})
    path.with_suffix(".ids.txt").write_text("a\nb\n")


def save_cells(path: Path) -> None:
    """Write cells as AnnData 0.12 writes them, with missing annotations; its own package is not needed for that."""
    import h5py
    from scipy import sparse

    matrix = np.array([[0.5, 0, -1], [0, 0, 3], [0, 2, 0]], "f4")
    with h5py.File(path, "w") as file:
        if path.stem == "array":
            file["X"] = matrix
        else:
            packed = sparse.csr_matrix(matrix) if path.stem == "csr_matrix" else sparse.csc_matrix(matrix)
            for part in ("data", "indices", "indptr"):
                file[f"X/{part}"] = getattr(packed, part)
            file["X"].attrs.update({"encoding-type": path.stem, "shape": matrix.shape})
        file["obs/cell"] = ["a", "b", "c"]
        file["obs/type/categories"], file["obs/type/codes"] = ["B", "T"], np.array([1, -1, 0], "i1")
        file["obs/score"] = [0.5, 1, np.nan]
        file["obs/n/values"], file["obs/n/mask"] = [1, 2, 3], [False, True, False]
        file["obs/uns/x"] = 1
        file["obs"].attrs["_index"] = "cell"


def save_matlab(path: Path) -> None:
    """Write a matrix of two rows as MATLAB 7.3 does: by its columns, behind a head of its own."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        file["x"] = np.arange(1.0, 7).reshape(2, 3).T
        file["year"], file["name"] = np.array([[1.0, 2]]), np.array([[97, 98]], "u2")
        for name, kind in (("x", "double"), ("year", "double"), ("name", "char")):
            file[name].attrs["MATLAB_class"] = np.bytes_(kind)
    with path.open("r+b") as head:
        head.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")
    path.with_suffix(".ids.txt").write_text("a\nb\n")


def save_projector(path: Path) -> None:
    """Write vectors and their names as TensorFlow's Embedding Projector takes them, by NumPy."""
    np.savetxt(path, [[0.5, -1], [2, 1e-9]], delimiter="\t")
    path.with_suffix(".ids.txt").write_text("cat\ndog\n")


CASES = [
    *(Case(f"packed.{ending}", save_packed, TWO) for ending in ("csv.bz2", "csv.xz", "csv.zip", "ndjson.zst")),
    Case(
        "scifact.zip",
        save_zip(
            corpus_jsonl='{"_id": "a", "title": "On", "text": "cats"}\n', queries_jsonl='{"_id": "q", "text": "?"}\n'
        ),
        [{"id": "a", "key": "On cats", "metadata": {"title": "On"}}],
    ),
    Case("two.zip", save_zip(a_csv="id,key\n", b_csv="id,key\na,cats\nb,dogs\n"), TWO, options={"member": "set/b.csv"}),
    Case(
        "qdrant.json",  # of its route for scrolling
        as_json({"result": {"points": POINTS, "next_page_offset": None}, "status": "ok", "time": 0.1}),
        [{**TWO[0], "key_vector": [0.5, -1], "metadata": {"year": 1990, "key": "a"}}, {**TWO[1], "key_vector": [1, 2]}],
        options={"key": "payload.document", "vector": "vector.dense", "skip": ["payload.deep.secret"]},
    ),
    Case(
        "elastic.json",
        as_json({"took": 1, "hits": {"total": {"value": 2}, "hits": SOURCES}}),
        [{**TWO[0], "metadata": {"tag": "x"}}, TWO[1]],
        options={"id": "_id", "key": "_source.body.text", "skip": ["_index", "_score"]},
    ),
    Case(
        "bulk.ndjson",
        text('{"index": {"_id": "a"}}\n{"text": "cats", "year": 1}\n{"create": {"_id": "b"}}\n{"text": "dogs"}\n'),
        [{**TWO[0], "metadata": {"year": 1}}, TWO[1]],
        options={"id": "_id", "key": "text"},
    ),
    Case(
        "chroma.json",  # of its method get
        as_json(
            {
                "ids": ["a", "b"],
                "embeddings": [[0.5, -1], [1, 2]],
                "documents": ["cats", "dogs"],
                "data": None,
                "metadatas": [{"year": 1}, None],
                "included": ["documents"],
            }
        ),
        [{**TWO[0], "key_vector": [0.5, -1], "metadata": {"year": 1}}, {**TWO[1], "key_vector": [1, 2]}],
        options={"key": "document", "vector": "embedding"},
    ),
    Case(
        "milvus.json",
        as_json({"rows": [{"id": 1, "text": "cats"}]}),
        [{"id": "1", "key": "cats"}],
        options={"key": "text"},
    ),
    Case(
        "pinecone.json",  # of its method fetch
        as_json({"vectors": {"a": {"values": [0.5, -1], "metadata": {"text": "cats", "n": 1}}}, "namespace": ""}),
        [{**TWO[0], "key_vector": [0.5, -1], "metadata": {"n": 1}}],
        options={"key": "metadata.text", "vector": "values"},
    ),
    Case(
        "pinecone.parquet",
        lambda path: pd.DataFrame([{"id": "a", "values": [0.5, -1], "metadata": {"text": "cats", "n": 1}}]).to_parquet(
            path
        ),
        [{**TWO[0], "key_vector": [0.5, -1], "metadata": {"n": 1}}],
        options={"key": "metadata.text", "vector": "values"},
    ),
    Case(
        "one.safetensors",
        save_tensors,
        [
            {"id": "a", "key_vector": [0.5, -1], "metadata": {"n": 1}},
            {"id": "b", "key_vector": [1, 2], "metadata": {"n": 2}},
        ],
    ),
    *(
        Case(
            f"{kind}.h5ad",
            save_cells,
            [
                {"id": "a", "key_vector": [0.5, 0, -1], "metadata": {"type": "T", "score": 0.5, "n": 1}},
                {"id": "b", "key_vector": [0, 0, 3], "metadata": {"score": 1}},
                {"id": "c", "key_vector": [0, 2, 0], "metadata": {"type": "B", "n": 3}},
            ],
            ["left out, since they are of other types: uns"],
        )
        for kind in ("csr_matrix", "csc_matrix", "array")
    ),
    Case(
        "matlab.mat",
        save_matlab,
        [
            {"id": "a", "key_vector": [1, 2, 3], "metadata": {"year": 1}},
            {"id": "b", "key_vector": [4, 5, 6], "metadata": {"year": 2}},
        ],
        ["left out, since they have other lengths or types than the vectors: name"],
        {"vector": "x"},
    ),
    Case(
        "fasttext.vec",  # with a space at the end of each line, as fastText has it
        text("3 2\ncat 0.5 -1 \nnew york 0.25 1e-1 \n猫 1 2 \n"),
        [word("cat", 0.5, -1), word("new york", 0.25, 0.1), word("猫", 1, 2)],
    ),
    Case("glove.txt", text("the 0.5 -1\n. . 0.25 2\n"), [word("the", 0.5, -1), word(". .", 0.25, 2)]),
    Case("word2vec.bin", save_words, [word("cat", 0.5, -1), word("猫", 1, 0.1)]),
    Case("gensim.bin.gz", save_words, [word("cat", 0.5, -1), word("猫", 1, 0.1)]),
    Case("shards", save_shards, TWO),
    Case("part*.csv", lambda path: save_shards(path.parent, "csv"), TWO),
    Case("collection.tsv", text(ROWS), TWO, options={"columns": ["id,key"]}),
    Case(
        "numbered.tsv",
        text(ROWS),
        TWO,
        ["columns 1, 2 have no names, so their numbers are their names"],
        {"no_header": True, "id": "1", "key": "2"},
    ),
    Case(
        "bare.xlsx",
        lambda path: pd.DataFrame(TWO).to_excel(path, index=False, header=False),
        TWO,
        options={"no_header": True, "columns": ["id", "key"]},
    ),
    Case(
        "projector.tsv",
        save_projector,
        [{"id": "cat", "key_vector": [0.5, -1.0]}, {"id": "dog", "key_vector": [2.0, float(np.float32(1e-9))]}],
        options={"no_header": True},
    ),
    Case(
        "nested.parquet",
        save_nested,
        [
            {"id": "a", "key": "x", "metadata": {"tags": {"n": 1, "m": 2}, "deep": [{"of": {"n": 1}}], "page": 7}},
            {"id": "b", "key": "y", "metadata": {"deep": []}},
        ],
    ),
    Case(
        "prices.csv",
        save_prices,
        PRICES,
        ["column 'price' has 3 numbers, and '72.60' is stored as 72.6; text_column='price' keeps texts", ZIP],
    ),
    Case(
        "texts.csv",
        save_prices,
        [
            {"id": "a", "key": "x", "metadata": {"price": "72.60", "zip": 1234}},
            {"id": "b", "key": "y", "metadata": {"price": "9.99", "zip": 4}},
            {"id": "c", "key": "z", "metadata": {"price": "10.00", "zip": 5}},
        ],
        options={"text_column": ["price"], "number": ["zip"]},
    ),
    Case(
        "dates.csv",
        text("id,key,since,expires\na,x,07.09.2024,1.12.2101\nb,y,,2101-01-31\n"),
        [
            {"id": "a", "key": "x", "metadata": {"since": "2024-09-07"}, "expires": "2101-12-01T00:00:00Z"},
            {"id": "b", "key": "y", "expires": "2101-01-31T00:00:00Z"},
        ],
        options={"date": "%d.%m.%Y"},
    ),
    Case(
        "literal.tsv",
        text('id\tkey\n1\t"Hello" she said\n2\t"unbalanced start\n3\tplain\n4\tends with"\n5\t5\'10" tall\n'),
        [
            {"id": "1", "key": '"Hello" she said'},
            {"id": "2", "key": '"unbalanced start'},
            {"id": "3", "key": "plain"},
            {"id": "4", "key": 'ends with"'},
            {"id": "5", "key": "5'10\" tall"},
        ],
        ["its quotation marks are part of its cells, since line 2 is not quoted; quoting='csv' takes them off"],
    ),
    Case(
        "swallowed.tsv",
        text('id\tkey\n1\ta\n2\t"starts here\n3\tends here"\n4\tb\n'),
        [
            {"id": "1", "key": "a"},
            {"id": "2", "key": '"starts here'},
            {"id": "3", "key": 'ends here"'},
            {"id": "4", "key": "b"},
        ],
        ["its quotation marks are part of its cells, since line 3 is not quoted; quoting='csv' takes them off"],
    ),
    Case("blank.tsv", text('id\tkey\n\n1\t"x"\n2\ty\n'), [{"id": "1", "key": "x"}, {"id": "2", "key": "y"}]),
    Case(
        "pandas.tsv",
        lambda path: pd.DataFrame({"id": ["1", "2"], "key": ['say "hi"', "two\nlines\tand a tab"]}).to_csv(
            path, sep="\t", index=False
        ),
        [{"id": "1", "key": 'say "hi"'}, {"id": "2", "key": "two\nlines\tand a tab"}],
    ),
    Case("marks.csv", text('id,key\n1,"quoted"\n'), [{"id": "1", "key": '"quoted"'}], options={"quoting": "none"}),
    Case(
        "book.xlsx",
        save_workbook,
        [
            {"id": "a", "key": "cats", "metadata": {"shelf": "top", "total": 1.5}},
            {"id": "b", "key": "dogs"},
            {"id": "d", "key": "rats", "metadata": {"shelf": "low", "total": 3}, "expires": "2101-01-31T00:00:00Z"},
        ],
        [
            "only its sheet 'Data' is read, not Picture (without cells), Old (hidden); sheet=… names another",
            "cells with an error, or with a formula that has no value, count as empty (2 of column 'expires', 2 of "
            "column 'total'): open the file in a spreadsheet program and save it",
            "of merged cells, only the first has the value, and the others are empty (2 of column 'shelf')",
        ],
        {"header_row": 3},
    ),
    Case(
        "sheet.ods",
        save_ods,
        [
            {
                "id": "a",
                "key": "cats purr\ndogs\tbark\ntwo  x",
                "metadata": {"length": 108300.0, "n": 1.5, "shelf": "top"},
            },
            {"id": "b", "key": "猫 sleep", "metadata": {"length": 34200.5}},
        ],
        [
            "cells with an error, or with a formula that has no value, count as empty (1 of column 'n'): open the "
            "file in a spreadsheet program and save it",
            "of merged cells, only the first has the value, and the others are empty (1 of column 'shelf')",
        ],
    ),
]
