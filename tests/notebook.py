"""The notebook of the client's page: its cells run one after another, and what each shows, as Jupyter would store it.

python -m tests.notebook    # runs it, and stores what its cells show now
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

from matplotlib import pyplot, rc_context, rcdefaults

from tests.examples import ROOT

FILE = ROOT / "docs" / "start" / "notebook.ipynb"


class Notebook:
    """A notebook in nbformat 4.5.

    Attributes:
        cells: those of code, each with its `source` and its `outputs`.
    """

    def __init__(self, file: Path = FILE) -> None:
        self._file = file
        self.content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        self.cells = [cell for cell in self.content["cells"] if cell["cell_type"] == "code"]

    def run(self) -> list[list[dict[str, Any]]]:
        """Run all cells in one place → the outputs of each."""
        names: dict[str, Any] = {"__name__": "__main__"}
        with rc_context():
            rcdefaults()
            pyplot.switch_backend("agg")
            return [_shown("".join(cell["source"]), number, names) for number, cell in enumerate(self.cells, start=1)]

    def store(self, outputs: list[list[dict[str, Any]]]) -> None:
        """Write it with these outputs."""
        for number, (cell, shown) in enumerate(zip(self.cells, outputs, strict=True), start=1):
            cell["execution_count"], cell["outputs"] = number, shown
        self._file.write_text(json.dumps(self.content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


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
    notebook = Notebook(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE)
    notebook.store(notebook.run())
