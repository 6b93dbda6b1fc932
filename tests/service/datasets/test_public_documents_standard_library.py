from __future__ import annotations

import inspect
import shutil

import pytest


@pytest.fixture(scope="module")
def by_id(documents):
    return {document["id"]: document for document in documents["python"]}


def test_order_is_that_of_the_names(documents):
    names = [document["id"] for document in documents["python"]]
    assert names == sorted(names)


def test_key_is_name_and_first_sentence_and_value_signature_and_docstring(by_id):
    document = by_id["shutil.rmtree"]
    assert document["key"] == "shutil.rmtree: Recursively delete a directory tree."
    signature, rest = document["value"].split("\n\n", 1)
    assert signature == f"shutil.rmtree{inspect.signature(shutil.rmtree)}"
    assert inspect.getdoc(shutil.rmtree).startswith(rest.removesuffix("…"))
    assert document["metadata"] == {"module": "shutil", "kind": "function"}


KINDS = {
    "function": {"len", "open", "random.random", "os.path.join", "urllib.parse.quote"},
    "method": {"str.split", "datetime.date.today"},
    "class": {"array.array", "collections.Counter"},
    "exception": {"ValueError"},
    "property": {"pathlib.PurePath.name"},
    "module": {"tempfile"},
}


def test_things_stand_under_their_public_names_alone(by_id):
    for kind, names in KINDS.items():
        assert names <= {name for name, document in by_id.items() if document["metadata"]["kind"] == kind}
    assert not by_id.keys() & {"posixpath.join", "builtins.len", "array.ArrayType", "EnvironmentError", "io.open"}


def test_modules_that_act_on_import_are_left_out(by_id):
    modules = {document["metadata"]["module"].split(".")[0] for document in by_id.values()}
    assert not modules & {"antigravity", "this", "idlelib", "turtledemo", "test", "lib2to3", "turtle", "tkinter"}


def test_no_value_depends_on_where_the_interpreter_put_things(by_id):
    assert not [name for name, document in by_id.items() if " at 0x" in document["value"].split("\n\n")[0]]
