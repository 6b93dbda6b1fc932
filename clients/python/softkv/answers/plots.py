"""Answers drawn with matplotlib, in the colours of its style; those of a notebook's bars are the client's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from softkv.answers.html import COLOURS
from softkv.answers.tables import wanted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LONGEST = 40
_WIDTH, _A_ROW, _AROUND = 6.4, 0.3, 1.1  # inches


def bars(rows: Sequence[tuple[str, float, str]], title: str | None, axes: Any) -> Any:
    """A bar for each (name, weight, kind), the first on top → the axes.

    Raises:
        ImportError: matplotlib is not installed.
    """
    if axes is None:
        axes = _own(_WIDTH, _A_ROW * len(rows) + _AROUND)
    names, weights, kinds = zip(*rows, strict=True)
    drawn = axes.barh(range(len(rows)), weights, color=[COLOURS[kind] for kind in kinds])
    axes.bar_label(drawn, fmt="%.3f", padding=3)
    axes.set_yticks(range(len(rows)), [_plain(name) for name in names])
    axes.invert_yaxis()
    axes.set(xlabel="weight", title=_plain(title or ""), xlim=(0, 1.2 * max(*weights, 1e-9)))
    return axes


def lines(
    temperatures: NDArray[np.float64],
    weights: Sequence[tuple[str, NDArray[np.float64], str]],
    title: str | None,
    axes: Any,
) -> Any:
    """A line for each (name, weights, kind) over the temperature → the axes.

    Raises:
        ImportError: matplotlib is not installed.
    """
    own = axes is None
    if own:
        axes = _own(8.0, 4.2)
    colours = _colours()
    matches = 0
    for name, each, kind in weights:
        how: dict[str, Any] = {"color": COLOURS.get(kind), "linestyle": "--" if kind == "rest" else "-"}
        if kind == "match":
            how["color"] = colours[matches % len(colours)]
            matches += 1
        axes.plot(temperatures, each, label=_plain(name), linewidth=2.5 if kind == "null" else 1.5, **how)
    if (temperatures > 0).all():
        axes.set_xscale("log")
    axes.set(xlabel="temperature", ylabel="weight", title=_plain(title or ""), ylim=(-0.02, 1.02))
    axes.legend(**({"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False} if own else {}))
    return axes


def _own(width: float, height: float) -> Any:
    pyplot = wanted("matplotlib.pyplot", "matplotlib")
    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]


def _colours() -> list[Any]:
    """Those that the style draws lines in; grey is for "none of these" alone."""
    matplotlib, colors = wanted("matplotlib", "matplotlib"), wanted("matplotlib.colors", "matplotlib")
    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key().get("color", ["C0"])
    coloured = [each for each in cycle if max(rgb := colors.to_rgb(each)) - min(rgb) > 0.1]
    return coloured or list(cycle)


def _plain(text: str) -> str:
    """A text in one line, not too long, in which $ begins no formula."""
    line = " ".join(text.split()).replace("$", r"\$")
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
