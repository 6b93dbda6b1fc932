"""The base of all widgets: the module and the styles that `python -m tools.page` bundles from the page's sources."""

from __future__ import annotations

from pathlib import Path

import anywidget
from traitlets import Unicode

BUILT = Path(__file__).parent / "built"


class PageWidget(anywidget.AnyWidget):
    """A widget that draws a picture of the page, in a shadow root. It loads nothing from any network."""

    _esm = BUILT / "widget.js"
    _style = Unicode((BUILT / "widget.css").read_text(encoding="utf-8")).tag(sync=True)
    _view = Unicode().tag(sync=True)
