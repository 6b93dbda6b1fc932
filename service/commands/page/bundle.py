"""A document of the page as one file: style, scripts, words and data in it, so that nothing has to be fetched.

A document in a frame with `sandbox="allow-scripts"`, or opened from a disk, has an origin of its own and may load no
module from beside it. So each module is an address `data:` in the document's import map, and names others by their
paths, since nothing is relative to such an address.
"""

from __future__ import annotations

import html
import json
import posixpath
import re
from typing import Any
from urllib.parse import quote

from service.api.routes.page import Assets, render_page

ROOT = "softkv/"
FONTS = "css/fonts.css"
UP, BESIDE = 'url("../', 'url("fonts/'
LEFT_OUT = ("vendor/swagger-ui/", "js/docs.js")
# What may stand in an address as it is; a line break may not.
_PLAIN = " !$&'()*+,-./:;=?@[]^_`{|}~"
_STATIC = re.compile(r"""(^\s*(?:import|export)\b[^"'()]*["'])(\.[^"']+)(["'])""", re.MULTILINE)
_DYNAMIC = re.compile(r"""(\bimport\(["'`])(\.[^"'`]+)(["'`]\))""")
_PRELOAD = re.compile(r"""^ *<link rel="modulepreload"[^>]*>\n""", re.MULTILINE)
_STYLE = re.compile(r"""<link rel="stylesheet" href="assets/\w+/([^"]+)"([^>]*)>""")
_CLASSIC = re.compile(r"""<script src="assets/\w+/([^"]+)"></script>""")
_MODULE = re.compile(r"""<script type="module" src="assets/\w+/([^"]+)"></script>""")
_ICON = re.compile(r"""href="assets/\w+/([\w./-]+\.svg)\"""")


def bundled(assets: Assets, name: str, exported: dict[str, Any] | None) -> str:
    """One of the page's documents as a file of its own.

    Args:
        assets: the page's files.
        name: `index.html`, or another document.
        exported: the answers that come along; None for a document that asks nothing.
    """
    text = render_page(assets, name, "en").content.decode()
    text = _PRELOAD.sub("", text)
    text = text.replace("<html ", '<html data-exported data-fonts="fonts/' + FONTS + '" ', 1)
    text = _STYLE.sub(lambda found: _style(assets, found[1], found[2]), text)
    text = _CLASSIC.sub(lambda found: f"<script>\n{_inline(assets.text(found[1]))}\n</script>", text)
    text = _ICON.sub(lambda found: f'href="{html.escape(_address(assets.text(found[1]), "image/svg+xml"))}"', text)
    return _MODULE.sub(lambda found: _scripts(assets, found[1], exported), text)


def fonts(assets: Assets) -> dict[str, bytes]:
    """The fonts' files, by their paths in the folder `fonts`."""
    return {
        path: file.content for path, file in assets.files.items() if path == FONTS or path.startswith("vendor/plex/")
    }


def _style(assets: Assets, path: str, attributes: str) -> str:
    """A sheet of styles in the document, which finds the fonts beside it."""
    return f"<style{attributes}>\n{assets.text(path).replace(UP, BESIDE)}\n</style>"


def _scripts(assets: Assets, start: str, exported: dict[str, Any] | None) -> str:
    """The import map, the data, and a module that starts the others."""
    modules = {
        ROOT + path: _address(_by_paths(path, file.content.decode()), "text/javascript")
        for path, file in assets.files.items()
        if path.endswith(".js") and not path.startswith(LEFT_OUT)
    }
    data = "" if exported is None else f'<script type="application/json" id="exported">{_json(exported)}</script>\n  '
    return (
        f'<script type="importmap">{_json({"imports": modules})}</script>\n  {data}'
        f'<script type="module">import "{ROOT}{start}";</script>'
    )


def _by_paths(path: str, text: str) -> str:
    """A module that names others by their paths in the page's folder."""

    def named(found: re.Match[str]) -> str:
        return f"{found[1]}{ROOT}{posixpath.normpath(posixpath.join(posixpath.dirname(path), found[2]))}{found[3]}"

    return _DYNAMIC.sub(named, _STATIC.sub(named, text))


def _address(text: str, media_type: str) -> str:
    return f"data:{media_type};charset=utf-8,{quote(text, safe=_PLAIN)}"


def _json(content: Any) -> str:
    """JSON that cannot end the script that it stands in."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _inline(text: str) -> str:
    return text.replace("</script", "<\\/script")
