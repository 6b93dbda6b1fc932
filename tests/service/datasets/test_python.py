from __future__ import annotations

import inspect
import shutil

import numpy as np
import pytest

from service.datasets.docstring import described, first_sentence, shortened


@pytest.fixture(scope="module")
def by_id(documents):
    return {document["id"]: document for document in documents["python"]}


def test_order_is_that_of_the_names(documents):
    names = [document["id"] for document in documents["python"]]
    assert names == sorted(names)


def test_key_is_name_and_first_sentence_and_value_signature_and_docstring(by_id):
    found = by_id["shutil.rmtree"]
    assert found["key"] == "shutil.rmtree: Recursively delete a directory tree."
    signature, rest = found["value"].split("\n\n", 1)
    assert signature == f"shutil.rmtree{inspect.signature(shutil.rmtree)}"
    assert inspect.getdoc(shutil.rmtree).startswith(rest.removesuffix("…"))
    assert found["metadata"] == {"module": "shutil", "kind": "function"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("len", "function"),
        ("open", "function"),
        ("random.random", "function"),
        ("str.split", "method"),
        ("ValueError", "exception"),
        ("os.path.join", "function"),
        ("array.array", "class"),
        ("collections.Counter", "class"),
        ("pathlib.PurePath.name", "property"),
        ("datetime.date.today", "method"),
        ("urllib.parse.quote", "function"),
        ("tempfile", "module"),
    ],
)
def test_things_stand_under_their_public_names(name, kind, by_id):
    assert by_id[name]["metadata"]["kind"] == kind


@pytest.mark.parametrize(
    "name",
    ["posixpath.join", "builtins.len", "array.ArrayType", "EnvironmentError", "io.open", "json.decoder.JSONDecoder"],
)
def test_second_names_are_left_out(name, by_id):
    assert name not in by_id


def test_what_acts_on_import_is_left_out(by_id):
    modules = {document["metadata"]["module"].split(".")[0] for document in by_id.values()}
    assert not modules & {"antigravity", "this", "idlelib", "turtledemo", "test", "lib2to3", "turtle", "tkinter"}


def test_no_value_depends_on_where_the_interpreter_put_things(by_id):
    assert not [name for name, document in by_id.items() if " at 0x" in document["value"].split("\n\n")[0]]


def test_values_are_what_the_encoder_reads(by_id, encoder):
    assert max(len(document["value"]) for document in by_id.values()) <= 600
    longest = sorted((document["value"] for document in by_id.values()), key=len)[-16:]
    assert np.median(encoder.encode(longest, "document").token_counts) < encoder.max_tokens


def test_a_temporary_directory_is_found(by_id, encoder):
    near = {"tempfile", "os", "shutil"}
    found = [document for document in by_id.values() if document["metadata"]["module"] in near]
    keys = encoder.encode([document["key"] for document in found], "document").vectors
    query = encoder.encode(["make a temporary directory"], "query").vectors[0]
    best = np.argsort(-(keys @ query) / np.linalg.norm(keys, axis=1))[:3]
    assert "tempfile.mkdtemp" in [found[i]["id"] for i in best]


@pytest.mark.parametrize(
    ("docstring", "text"),
    [
        ("D.update([E, ]**F) -> None.  Update D from E.", "Update D from E."),
        ("gethostname() -> string\n\nReturn the current host name.", "Return the current host name."),
        ("range(stop) -> range object\nrange(start, stop[, step]) -> range object\n\nReturn it.", "Return it."),
        ("random() -> x in the interval [0, 1).", "random() -> x in the interval [0, 1)."),
        ("Return f(x) where x -> 0.", "Return f(x) where x -> 0."),
        ("\n    Indented.\n\n        More.\n    ", "Indented.\n\n    More."),
        ("run(command)", ""),
        ("dict(mapping) -> new\n    pairs\nand", "dict(mapping) -> new\n    pairs\nand"),
        ("D.pop(k) -> v, remove the key and return it.", "D.pop(k) -> v, remove the key and return it."),
        ("getopt(args) -> opts, args\n\nParses them.", "Parses them."),
        ("R.count(value) -> integer -- return how many", "return how many"),
        ("close(): close the file", "close the file"),
    ],
)
def test_a_leading_signature_is_not_part_of_the_description(docstring, text):
    assert described(docstring) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One line.\nTwo.\n\nThree.", "One line."),
        ("Wraps\nover lines. Then more.", "Wraps over lines."),
        ("Uses e.g. a file, i.e. a path. Then more.", "Uses e.g. a file, i.e. a path."),
        ("No end\n\nnext", "No end"),
        ("word " * 100, ("word " * 39).strip() + "…"),
    ],
)
def test_first_sentence(text, sentence):
    assert first_sentence(text) == sentence


def test_shortened_cuts_between_words_and_says_so():
    assert shortened("one two three", 13) == "one two three"
    assert shortened("one two three", 12) == "one two…"
