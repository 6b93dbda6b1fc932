"""A document of the page as one file with its style, scripts, texts and data, so that nothing has to be fetched.

A document in a frame with `sandbox="allow-scripts"`, or opened from a disk, has an opaque origin and cannot load
modules from its folder. So each module is a `data:` URL in the document's import map. Modules import each other by
their paths, since relative names do not work from such a URL.
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
PARENT_URL, FONTS_URL = 'url("../', 'url("fonts/'
OMITTED = ("vendor/swagger-ui/", "js/docs.js")
# Characters that may stay unescaped in a URL; a line break may not.
_PLAIN = " !$&'()*+,-./:;=?@[]^_`{|}~"
_STATIC = re.compile(r"""(^\s*(?:import|export)\b[^"'()]*["'])(\.[^"']+)(["'])""", re.MULTILINE)
_DYNAMIC = re.compile(r"""(\bimport\(["'`])(\.[^"'`]+)(["'`]\))""")
_PRELOAD = re.compile(r"""^ *<link rel="modulepreload"[^>]*>\n""", re.MULTILINE)
_STYLE = re.compile(r"""<link rel="stylesheet" href="assets/\w+/([^"]+)"([^>]*)>""")
_CLASSIC = re.compile(r"""<script src="assets/\w+/([^"]+)"></script>""")
_MODULE = re.compile(r"""<script type="module" src="assets/\w+/([^"]+)"></script>""")
_ICON = re.compile(r"""href="assets/\w+/([\w./-]+\.svg)\"""")


def bundle(assets: Assets, name: str, exported: dict[str, Any] | None) -> str:
    """Return one of the page's documents as a self-contained file.

    Args:
        assets: the page's files.
        name: `index.html`, or another document.
        exported: the recorded answers, or None for a document that asks no questions.
    """
    text = render_page(assets, name, "en").content.decode()
    text = _PRELOAD.sub("", text)
    text = text.replace("<html ", '<html data-exported data-fonts="fonts/' + FONTS + '" ', 1)
    text = _STYLE.sub(lambda match: _style(assets, match[1], match[2]), text)
    text = _CLASSIC.sub(lambda match: f"<script>\n{_inline(assets.text(match[1]))}\n</script>", text)
    text = _ICON.sub(lambda match: f'href="{html.escape(_data_url(assets.text(match[1]), "image/svg+xml"))}"', text)
    return _MODULE.sub(lambda match: _scripts(assets, match[1], exported), text)


def fonts(assets: Assets) -> dict[str, bytes]:
    """Return the font files by their paths in the folder `fonts`."""
    return {
        path: file.content for path, file in assets.files.items() if path == FONTS or path.startswith("vendor/plex/")
    }


def _style(assets: Assets, path: str, attributes: str) -> str:
    """Return a style sheet as an element; it loads the fonts from the folder beside the document."""
    return f"<style{attributes}>\n{assets.text(path).replace(PARENT_URL, FONTS_URL)}\n</style>"


def _scripts(assets: Assets, start: str, exported: dict[str, Any] | None) -> str:
    """Return the script elements of a page in a single file, as HTML.

    These are an import map with all modules of the page, the exported data, and a script that imports the start module.

    Args:
        assets: the files of the page.
        start: the path of the module that starts the page.
        exported: the data that the page shows without a service; None for no data.
    """
    modules = {
        ROOT + path: _data_url(_resolve_imports(path, file.content.decode()), "text/javascript")
        for path, file in assets.files.items()
        if path.endswith(".js") and not path.startswith(OMITTED)
    }
    data = "" if exported is None else f'<script type="application/json" id="exported">{_json(exported)}</script>\n  '
    return (
        f'<script type="importmap">{_json({"imports": modules})}</script>\n  {data}'
        f'<script type="module">import "{ROOT}{start}";</script>'
    )


def _resolve_imports(path: str, text: str) -> str:
    """Return a module that imports others by their paths in the page's folder."""

    def resolve(match: re.Match[str]) -> str:
        return f"{match[1]}{ROOT}{posixpath.normpath(posixpath.join(posixpath.dirname(path), match[2]))}{match[3]}"

    return _DYNAMIC.sub(resolve, _STATIC.sub(resolve, text))


def _data_url(text: str, media_type: str) -> str:
    return f"data:{media_type};charset=utf-8,{quote(text, safe=_PLAIN)}"


def _json(content: Any) -> str:
    """Return JSON that cannot end the script element around it."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _inline(text: str) -> str:
    return text.replace("</script", "<\\/script")
