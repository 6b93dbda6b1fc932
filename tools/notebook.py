"""The notebooks of the documentation: their cells run one after another, and show what Jupyter would store.

python -m tools.notebook [FILE …]    # runs them, or all, and stores what their cells show now
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib import pyplot, rc_context, rcdefaults

from tools import ROOT

FILES = sorted((ROOT / "docs").rglob("*.ipynb"))
BLANK = re.compile(r"(?<== )\.\.\.$", re.MULTILINE)
"""The part of an exercise that a reader replaces by an expression."""
NUMBER = re.compile(r"(?<![\w#.])-?\d+(?:\.\d*)?(?:e[-+]?\d+)?")


class Notebook:
    """A notebook in nbformat 4.5.

    A cell with an exercise has metadata `softkv`: its `solution`, an expression, and `mistakes`, other expressions with
    the words of the check about each.

    Attributes:
        cells: those of code, each with its `source` and its `outputs`.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        self.cells = [cell for cell in self.content["cells"] if cell["cell_type"] == "code"]

    def run(self, expressions: dict[str, str] | None = None, *, until: int | None = None) -> list[list[dict[str, Any]]]:
        """Run all cells in one namespace → the outputs of each.

        Args:
            expressions: for exercises, by the ids of their cells.
            until: the index of the last cell to run.
        """
        names: dict[str, Any] = {"__name__": "__main__"}
        answers = expressions or {}
        with _log_as_before(), rc_context():
            rcdefaults()
            pyplot.switch_backend("agg")
            return [
                _shown(_filled(cell, answers.get(cell["id"])), number, names)
                for number, cell in enumerate(self.cells[: None if until is None else until + 1], start=1)
            ]

    def store(self, outputs: list[list[dict[str, Any]]]) -> None:
        """Write it with these outputs."""
        for number, (cell, shown) in enumerate(zip(self.cells, outputs, strict=True), start=1):
            cell["execution_count"], cell["outputs"] = number, shown
        self._file.write_text(json.dumps(self.content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @property
    def exercises(self) -> dict[str, dict[str, Any]]:
        """The solution and the mistakes of each exercise, by the ids of their cells."""
        return {cell["id"]: cell["metadata"]["softkv"] for cell in self.cells if "softkv" in cell["metadata"]}


@contextlib.contextmanager
def _log_as_before() -> Iterator[None]:
    """Restore the log of softkv, which a local service changes."""
    log = logging.getLogger("softkv")
    before = (log.handlers[:], log.level, log.propagate)
    yield
    log.handlers[:], log.level, log.propagate = before


def assert_shows(notebook: Notebook, outputs: list[list[dict[str, Any]]]) -> None:
    """Compare outputs with the stored ones.

    Numbers may differ by 0.2 %, or by one in the last decimal that is printed; pictures, by their mean difference.
    """
    for cell, shown in zip(notebook.cells, outputs, strict=True):
        source = "".join(cell["source"])
        assert [_parts(item).keys() for item in shown] == [_parts(output).keys() for output in cell["outputs"]], source
        for came, stored in zip(map(_parts, shown), map(_parts, cell["outputs"]), strict=True):
            for kind in stored:
                _assert_alike(kind, came[kind], stored[kind], source)


def _parts(output: dict[str, Any]) -> dict[str, Any]:
    return output.get("data", {}) | {name: output[name] for name in ("output_type", "name", "text") if name in output}


def _assert_alike(kind: str, came: Any, stored: Any, source: str) -> None:
    if kind == "image/png":
        one, other = (matplotlib.image.imread(io.BytesIO(base64.b64decode(item))) for item in (came, stored))
        assert one.shape == other.shape, source
        assert np.abs(one - other).mean() < 0.01, source
        return
    came, stored = "".join(came), "".join(stored)
    assert NUMBER.sub("N", came).split() == NUMBER.sub("N", stored).split(), source
    numbers = ([float(item) for item in NUMBER.findall(text)] for text in (came, stored))
    for number, expected, digits in zip(*numbers, NUMBER.findall(stored), strict=True):
        step = 10.0 ** -len(digits.partition(".")[2]) if "." in digits and "e" not in digits else 0.0
        assert number == pytest.approx(expected, rel=2e-3, abs=max(1.5e-3, 1.01 * step)), source


def _filled(cell: dict[str, Any], expression: str | None) -> str:
    """Return the source of a cell, with an expression in place of its blank."""
    source = "".join(cell["source"])
    return source if expression is None else BLANK.sub(lambda _: expression, source)


def _shown(source: str, number: int, names: dict[str, Any]) -> list[dict[str, Any]]:
    """Run one cell → what it prints, the value of an expression that ends it, and the figures that it drew."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, f"cell {number}", "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": _lines(printed.getvalue())})
    if value is not None and not source.rstrip().endswith(";"):
        data = {"text/plain": _lines(repr(value))}
        if hasattr(value, "_repr_html_"):
            data = {"text/html": _lines(value._repr_html_())} | data
        outputs.append({"data": data, "execution_count": number, "metadata": {}, "output_type": "execute_result"})
    for figure in map(pyplot.figure, pyplot.get_fignums()):
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=100, metadata={"Software": None})
        data = {"image/png": base64.b64encode(drawn.getvalue()).decode(), "text/plain": ["<Figure>"]}
        outputs.append({"data": data, "metadata": {}, "output_type": "display_data"})
        pyplot.close(figure)
    return outputs


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]) if len(sys.argv) > 1 else FILES:
        notebook = Notebook(path)
        notebook.store(notebook.run())
