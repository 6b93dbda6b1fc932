"""Files of each format that name another file, and hold no secret themselves: what a reader may answer is refused."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SECRET = "secret-of-another-file"
"""The content of the file that each of these names."""

_SHEET = """<?xml version="1.0"?>{doctype}
<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>
<row r="1"><c r="A1" t="inlineStr"><is><t>id</t></is></c><c r="B1" t="inlineStr"><is><t>key</t></is></c></row>
<row r="2"><c r="A2" t="inlineStr"><is><t>a</t></is></c>{cell}</row></sheetData></worksheet>"""
_BOOK = """<?xml version="1.0"?>
<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
 xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">
<sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets>
<externalReferences><externalReference r:id="rId2"/></externalReferences></workbook>"""
_RELATIONS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}'
)
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_ODS = """<?xml version="1.0"?>{doctype}
<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:xlink="http://www.w3.org/1999/xlink">
<office:body><office:spreadsheet>
<table:table table:name="S">{source}{rows}</table:table>
</office:spreadsheet></office:body></office:document-content>"""


_MANIFEST = """<?xml version="1.0"?>
<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>"""


def _doctype(other: Path) -> str:
    return f'<!DOCTYPE any [<!ENTITY other SYSTEM "{other.as_uri()}">]>'


def _relation(kind: str, target: str, number: int = 1) -> str:
    mode = ' TargetMode="External"' if "//" in target else ""
    return f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}"{mode}/>'


def save_xlsx(path: Path, cells: str, doctype: str = "", other: Path | None = None, sheet: str | None = None) -> None:
    """Write a workbook of one sheet, whose first row has the columns id and key; it may link to another workbook."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        types = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        file.writestr(
            "[Content_Types].xml",
            f'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">{types}'
            '<Default Extension="xml" ContentType="application/xml"/></Types>',
        )
        file.writestr(
            "_rels/.rels", _RELATIONS.format(_relation("officeDocument", "xl/workbook.xml") + "</Relationships>")
        )
        file.writestr("xl/workbook.xml", _BOOK)
        links = _relation("worksheet", "worksheets/sheet1.xml") + _relation("externalLink", "externalLinks/1.xml", 2)
        file.writestr("xl/_rels/workbook.xml.rels", _RELATIONS.format(links + "</Relationships>"))
        file.writestr("xl/worksheets/sheet1.xml", sheet or _SHEET.format(doctype=doctype, cell=cells))
        if other is not None:
            link = f'<?xml version="1.0"?><externalLink xmlns="{_OFFICE}"><externalBook r:id="rId1"/></externalLink>'
            file.writestr("xl/externalLinks/1.xml", link)
            target = _RELATIONS.format(_relation("externalLinkPath", other.as_uri()) + "</Relationships>")
            file.writestr("xl/externalLinks/_rels/1.xml.rels", target)


def _xlsx_link(path: Path, other: Path) -> None:
    save_xlsx(path, "<c r='B2'><f>[1]Sheet1!$A$1</f><v>7</v></c>", other=other)


def _xlsx_entity(path: Path, other: Path) -> None:
    save_xlsx(path, "<c r='B2' t='inlineStr'><is><t>&other;</t></is></c>", doctype=_doctype(other))


def _ods(path: Path, cell: str, **parts: str) -> None:
    def row(*texts: str) -> str:
        cells = (
            f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>' for text in texts
        )
        return f"<table:table-row>{''.join(cells)}</table:table-row>"

    with zipfile.ZipFile(path, "w") as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        file.writestr("META-INF/manifest.xml", _MANIFEST)
        file.writestr(
            "content.xml",
            _ODS.format(**{"doctype": "", "source": "", "rows": row("id", "key") + row("a", cell)} | parts),
        )


def _ods_entity(path: Path, other: Path) -> None:
    _ods(path, "&other;", doctype=_doctype(other))


def _ods_link(path: Path, other: Path) -> None:
    _ods(path, "x", source=f'<table:table-source xlink:href="{other.as_uri()}" table:mode="copy-results-only"/>')


def _external_storage(path: Path, other: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        size = other.stat().st_size
        file.create_dataset("train", (2, size // 2), "u1", external=[(str(other), 0, size)])


def _external_link(path: Path, other: Path) -> None:
    import h5py

    with h5py.File(other.with_suffix(".h5"), "w") as file:
        file["vectors"] = np.frombuffer(SECRET.encode(), "u1").reshape(2, -1)
    with h5py.File(path, "w") as file:
        file["train"] = h5py.ExternalLink(str(other.with_suffix(".h5")), "vectors")


def _soft_link(path: Path, _: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["folder/vectors"] = np.eye(2)
        file["train"] = h5py.SoftLink("/folder/vectors")


def _virtual_set(path: Path, other: Path) -> None:
    import h5py

    _external_link(path, other)
    layout = h5py.VirtualLayout((2, 11), "u1")
    layout[:] = h5py.VirtualSource(str(other.with_suffix(".h5")), "vectors", (2, 11))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("train", layout)


def _beside_the_vectors(kind: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
    """Return a file with sound vectors and a further data set of another kind."""

    def save(path: Path, other: Path) -> None:
        import h5py

        kind(path, other)
        with h5py.File(path, "r+") as file:
            file.move("train", "names")
            file["train"] = np.eye(2)

    return save


def _parquet_of_parts(path: Path, other: Path) -> None:
    parts: list[pq.FileMetaData] = []
    pq.write_table(pa.table({"id": [SECRET]}), other.with_suffix(".parquet"), metadata_collector=parts)
    parts[0].set_file_path(other.with_suffix(".parquet").name)
    parts[0].write_metadata_file(path)


class Unpickled:
    """An object whose unpickling would write a file."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def __reduce__(self) -> tuple[object, ...]:
        return open, (self._path, "w")


def unpickled(path: Path) -> Path:
    """Return the file that exists if the objects of a file were unpickled."""
    return path.with_name("unpickled")


def _objects(path: Path, _: Path) -> None:
    np.save(path, np.array([[Unpickled(unpickled(path))]], object))


def _objects_in_npz(path: Path, _: Path) -> None:
    np.savez(path, id=np.array([Unpickled(unpickled(path))], object))


def _extension(path: Path, _: Path) -> None:
    names = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Unpickled(unpickled(path))),
    }
    fields = [pa.field("id", pa.string(), metadata=names), ("key", pa.string())]
    table = pa.table({"id": ["a"], "key": ["cats"]}, pa.schema(fields))
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)


def _names_of_members(path: Path, other: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.array(["a", "b"]))
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("id.npy", content.getvalue())
        link = zipfile.ZipInfo("key.npy")
        link.external_attr = 0o120777 << 16  # a symbolic link
        file.writestr(link, str(other))


REFUSED: dict[str, tuple[str, Callable[[Path, Path], None], str]] = {
    "external storage": ("t.h5", _external_storage, "names other files for the rows of 'train'"),
    "external storage of a companion": (
        "t.h5",
        _beside_the_vectors(_external_storage),
        "names other files for the rows of 'names'",
    ),
    "external link": ("t.hdf5", _external_link, "has a link in place of 'train'"),
    "external link of a companion": ("t.h5", _beside_the_vectors(_external_link), "has a link in place of 'names'"),
    "soft link": ("t.h5", _soft_link, "has a link in place of 'train'"),
    "virtual set": ("t.h5", _virtual_set, "names other files for the rows of 'train'"),
    "parts of Parquet": ("t.parquet", _parquet_of_parts, "says that its rows are in"),
    "objects": ("t.npy", _objects, "holds an array of Python.s objects, which need pickle"),
    "objects in an archive": ("t.npz", _objects_in_npz, "holds an array of Python.s objects, which need pickle"),
    "link in an archive": ("t.npz", _names_of_members, "is not a file in .npz format"),
    "entity in xlsx": ("t.xlsx", _xlsx_entity, "is not a spreadsheet"),
    "entity in ods": ("t.ods", _ods_entity, "is not a spreadsheet"),
}
"""By the kind of reference: the name of the file, what writes it, and what its refusal says."""


def _name_in_a_zip(path: Path, other: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{other}/../{other.name}.csv", "id,key\na,cats\n")


UNREAD: dict[str, tuple[str, Callable[[Path, Path], None], dict[str, str]]] = {
    "name of a file in a zip": ("t.zip", _name_in_a_zip, {"id": "a", "key": "cats"}),
    "link of xlsx": ("t.xlsx", _xlsx_link, {"id": "a", "key": "7"}),
    "link of ods": ("t.ods", _ods_link, {"id": "a", "key": "x"}),
    "type of Parquet that was pickled": ("t.parquet", _extension, {"id": "a", "key": "cats"}),
    "type of Arrow that was pickled": ("t.arrow", _extension, {"id": "a", "key": "cats"}),
}
"""By the kind of reference: the name of the file, what writes it, and the document that the file itself has."""


def save_folder(folder: Path, link: str, other: Path) -> None:
    """Write a folder of BEIR whose file `link` is a link to another file."""
    contents = {
        "corpus.jsonl": json.dumps({"_id": "a", "text": "cats"}),
        "queries.jsonl": json.dumps({"_id": "q", "text": "pets"}),
        "qrels/test.tsv": "q\ta\t1",
    }
    (folder / "qrels").mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_text(content)
    target = other.with_name(f"other-{Path(link).name}")
    (folder / link).rename(target)
    (folder / link).symlink_to(target)
