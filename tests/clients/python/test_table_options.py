"""The options of a table are one declaration, which every door reads."""

from __future__ import annotations

import inspect
import json

import pytest
import typer

from softkv.cli import program
from softkv.record import fields_of, sentence
from softkv.table_options import LISTS, Columns, Layout, TableOptions
from softkv.tables import open_table
from tests.examples import ROOT

FIELDS = fields_of(TableOptions)


def command_options():
    command = typer.main.get_command(program()).commands["load"]
    return {option.name: option for option in command.params if option.rich_help_panel == "Columns and ids"}


def query_parameters():
    route = json.loads((ROOT / "service/softkv_service/api/openapi.json").read_text())["paths"]["/v1/tables"]["post"]
    return {parameter["name"]: parameter for parameter in route["parameters"]}


def test_every_door_has_the_same_options():
    names = {field.name for field in FIELDS}
    assert set(command_options()) - names == {"ids"}
    assert set(query_parameters()) - names == {"file"}
    assert set(inspect.signature(open_table).parameters) - names == {"source", "ids"}
    assert names <= set(command_options()) & set(query_parameters()) & set(inspect.signature(open_table).parameters)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_door_says_the_words_of_an_option(field):
    option = command_options()[field.name]
    assert option.help.startswith(sentence(field.summary))
    assert option.show_default == (field.fallback or True)
    assert query_parameters()[field.name]["description"].startswith(sentence(field.words))
    assert f"{field.name}: {field.words}" in " ".join((open_table.__doc__ or "").split())


def test_a_table_has_the_options_of_its_columns_and_of_its_layout():
    assert TableOptions._names == (*Columns._names, *Layout._names)
    options = TableOptions(key="title", sheet="Books", ids="numbers.txt")
    alone = options.copy_with(**Layout()._fields())
    assert (alone.key, alone.sheet, alone.ids) == ("title", None, None)


def test_a_range_holds_at_the_command_and_in_a_request():
    assert (command_options()["header_row"].min, command_options()["header_row"].max) == (1, 1_000_000)
    schema = query_parameters()["header_row"]["schema"]
    assert (schema["minimum"], schema["maximum"]) == (1, 1_000_000)


def test_a_text_in_place_of_a_list_is_its_only_item(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,key,zip,note\n1,cats,01234,x\n")
    [row] = open_table(path, number="zip", skip="note")
    assert row.document == {"id": "1", "key": "cats", "metadata": {"zip": 1234}}
    assert {"number", "skip", "columns"} <= LISTS


def test_an_unknown_option_is_refused_by_name(tmp_path):
    with pytest.raises(TypeError, match=r"open_table\(\) got an unexpected keyword argument 'kye'"):
        open_table(tmp_path / "t.csv", kye="title")
