"""A document of the page as one file with its style, scripts, texts and data, so that nothing has to be fetched.

A document in a frame with `sandbox="allow-scripts"`, or opened from a disk, has an opaque origin and cannot load
modules. Its scripts are classic ones, which may stand in the document itself.
"""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import quote

from service.api.routes.page import LANGUAGES, Assets, in_script, render_page

FONTS = "css/fonts.css"
PARENT_URL, FONTS_URL = 'url("../', 'url("assets/'
# Characters that may stay unescaped in a URL; a line break may not.
_PLAIN = " !$&'()*+,-./:;=?@[]^_`{|}~"
_BASE = re.compile(r"""data-assets="assets/\w+/\"""")
_STYLE = re.compile(r"""<link rel="stylesheet" href="assets/\w+/([^"]+)"([^>]*)>""")
_SCRIPT = re.compile(r"""<script src="assets/\w+/([^"]+)"( defer)?></script>""")
_WORDS = re.compile(r"""<script [^>]*class="words"[^>]*data-document="(\w+)"[^>]*>""")
_ICON = re.compile(r"""href="assets/\w+/([\w./-]+\.svg)\"""")


def bundle(assets: Assets, name: str, exported: dict[str, Any] | None) -> str:
    """Return one of the page's documents as a self-contained file.

    Args:
        assets: the page's files.
        name: `scenes.html`, or another document.
        exported: the recorded answers, or None for a document that asks no questions.
    """
    first, *others = LANGUAGES
    for language in others:
        render_page(assets, name, language)
    text = render_page(assets, name, first).content.decode()
    text = _BASE.sub('data-exported data-assets="assets/"', text)
    text = _STYLE.sub(lambda match: _style(assets, match[1], match[2]), text)
    text = _ICON.sub(lambda match: f'href="{html.escape(_data_url(assets.text(match[1]), "image/svg+xml"))}"', text)
    scripts = (
        [] if exported is None else [f'<script type="application/json" id="exported">{in_script(exported)}</script>']
    )
    if match := _WORDS.search(text):
        for language in others:
            words = assets.text(f"words/{match[1]}.{language}.json")
            scripts.append(f'<script type="application/json" class="words" lang="{language}">{words}</script>')

    def inline(match: re.Match[str]) -> str:
        script = f"<script>\n{_inline(assets.text(match[1]))}\n</script>"
        if match[2] is None:
            return script
        scripts.append(script)  # at the end, where the elements are that it looks for
        return ""

    text = text.replace('href="scenes"', 'href="scenes.html"')
    head, body, end = _SCRIPT.sub(inline, text).rpartition("</body>")
    return "\n".join((head.rstrip(), *scripts, body + end))


def fonts(assets: Assets) -> dict[str, bytes]:
    """Return the font files by their paths in the folder `assets`."""
    return {
        path: file.content for path, file in assets.files.items() if path == FONTS or path.startswith("vendor/plex/")
    }


def _style(assets: Assets, path: str, attributes: str) -> str:
    """Return a style sheet as an element; it loads the fonts from the folder beside the document."""
    return f"<style{attributes}>\n{assets.text(path).replace(PARENT_URL, FONTS_URL)}\n</style>"


def _data_url(text: str, media_type: str) -> str:
    return f"data:{media_type};charset=utf-8,{quote(text, safe=_PLAIN)}"


def _inline(text: str) -> str:
    return text.replace("</script", "<\\/script")
