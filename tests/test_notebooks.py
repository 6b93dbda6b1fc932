"""The notebooks of the documentation run unchanged and print the stored outputs; their exercises check answers."""

from __future__ import annotations

import ast
import re

import pytest

from tests.examples import ROOT
from tools.notebook import BLANK, FILES, Notebook, assert_shows

CLIENT = ROOT / "docs" / "start" / "notebook.ipynb"
LESSON = ROOT / "docs" / "notebooks" / "attention-as-a-lookup.ipynb"
CHINESE = ROOT / "docs" / "zh" / "attention-as-a-lookup.ipynb"
TRAINING = [ROOT / "docs" / "notebooks" / f"{name}.ipynb" for name in ("fine-tuning", "memory-layer")]
"""Those that train with `softkv_attention.torch`, for a minute: tests/attention/test_torch_notebooks.py runs them."""
RIGHT = {LESSON: "Right. ", CHINESE: "正确。"}
OPEN = {LESSON: "Not answered yet", CHINESE: "还没有作答"}


def name(path):
    return path.relative_to(ROOT / "docs").as_posix()


def printed(outputs):
    return ["".join("".join(output.get("text", "")) for output in shown) for shown in outputs]


@pytest.mark.parametrize("path", [path for path in FILES if path not in TRAINING], ids=name)
def test_every_cell_prints_its_stored_output(path):
    notebook = Notebook(path)
    assert_shows(notebook, notebook.run())


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_notebook_is_valid_for_jupyter(path):
    notebook = Notebook(path)
    assert (notebook.content["nbformat"], notebook.content["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook.content["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[\w-]{1,64}", cell_id) for cell_id in ids)
    expected = {"code": {"execution_count", "outputs"}, "markdown": set()}
    for cell in notebook.content["cells"]:
        assert cell.keys() == {"cell_type", "id", "metadata", "source"} | expected[cell["cell_type"]]
    assert [cell["execution_count"] for cell in notebook.cells] == list(range(1, len(notebook.cells) + 1))


def test_the_client_notebook_shows_answers_a_table_and_plots():
    kinds = [kind for cell in Notebook(CLIENT).cells for output in cell["outputs"] for kind in output.get("data", ())]
    assert kinds.count("image/png") == 3
    assert kinds.count("text/html") == 4
    assert "#8c8c8c" in CLIENT.read_text(encoding="utf-8")


@pytest.fixture(params=[LESSON, CHINESE], ids=["english", "chinese"])
def lesson(request):
    return request.param


def test_an_exercise_without_an_answer_asks_for_one(lesson):
    notebook = Notebook(lesson)
    assert len(notebook.exercises) == 6
    for cell in notebook.cells:
        assert len(BLANK.findall("".join(cell["source"]))) == ("softkv" in cell["metadata"])
        if "softkv" in cell["metadata"]:
            assert cell["outputs"][0]["text"][0].startswith(OPEN[lesson])


def test_the_solutions_of_all_exercises_are_right(lesson):
    notebook = Notebook(lesson)
    texts = printed(notebook.run({cell: exercise["solution"] for cell, exercise in notebook.exercises.items()}))
    for cell, text in zip(notebook.cells, texts, strict=True):
        if cell["id"] in notebook.exercises:
            assert text.startswith(RIGHT[lesson])


def test_a_mistake_is_explained(lesson):
    notebook = Notebook(lesson)
    explained = set()
    for number, cell in enumerate(notebook.cells):
        for expression, words in notebook.exercises.get(cell["id"], {"mistakes": {}})["mistakes"].items():
            text = printed(notebook.run({cell["id"]: expression}, until=number))[number]
            assert words in text.splitlines()[0], expression
            explained.add(words)
    assert len(explained) > 15


def test_both_languages_have_the_same_code():
    cells = [Notebook(path).content["cells"] for path in (LESSON, CHINESE)]
    for english, chinese in zip(*cells, strict=True):
        assert [english[name] for name in ("id", "cell_type")] == [chinese[name] for name in ("id", "cell_type")]
        if english["cell_type"] == "code":
            assert shape("".join(english["source"])) == shape("".join(chinese["source"]))
            solutions = [cell["metadata"].get("softkv", {}).get("solution") for cell in (english, chinese)]
            assert solutions[0] == solutions[1]
        else:
            assert re.search(r"[一-鿿]", "".join(chinese["source"]))


def shape(source):
    """Return the syntax of a program without the texts of its strings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)
