"""The page's documents as they are sent: links under the digest, modules in one wave, first words in a language."""

from __future__ import annotations

import html
import json
import re

from service.api.assets import MEDIA_TYPES, Asset, Assets

LANGUAGES = ("en", "zh")  # of the page, as its files are named
WORDS = re.compile(r"""\s*"([\w.-]+)":\s*("(?:[^"\\]|\\.)*"),?""")
TERM = re.compile(r"\[(query|key|value|weight|code|b|number)\|([^\]]*)\]")
TAGS = {"code": "code", "b": "strong"}
FILLED = re.compile(r"""(<(\w+)[^>]* )data-words="([\w.]+)"([^>]*>)(?=</\2>)""")
PLACE = re.compile(r"""data-(\w+)="([^"]*)\"""")
MODULE = re.compile(r"""<(?:link rel="modulepreload" href|script type="module" src)="assets/([^"]+)\"""")
STYLE = r"""^ *<link rel="stylesheet" href="assets/(css/[\w.-]+)">\n"""
STYLES = re.compile(rf"(?:{STYLE}){{2,}}", re.MULTILINE)
PRELOAD = re.compile(r"""^ *<link rel="modulepreload"[^>]*>\n""", re.MULTILINE)
PREFERENCE = re.compile(r"([a-zA-Z]+)(?:-[\w-]+)?(?:\s*;\s*q=([01](?:\.\d{0,3})?))?")


def preferred(accept_language: str) -> str:
    """The page's language that a browser would have, by its Accept-Language; English where it would have neither."""
    best, most = "en", 0.0
    for part in accept_language.split(","):
        if (wanted := PREFERENCE.fullmatch(part.strip())) and wanted[1].lower() in LANGUAGES:
            weight = 1.0 if wanted[2] is None else float(wanted[2])
            if weight > most:
                best, most = wanted[1].lower(), weight
    return best


def document(assets: Assets, name: str, language: str) -> Asset:
    """A document of the page in a language.

    In its HTML, links into `assets/` are by the files' own paths; style sheets that follow one another are sent as one;
    `:language` stands for the language; an element with `data-words` gets the words of that name, its places filled by
    its other `data-` attributes, and the script `words` all words, since each file would have to be waited for; each
    module brings all that it imports.

    Raises:
        KeyError: it names words or modules that there are not.
        ValueError: there are words that cannot be read.
    """
    text = assets.text(name).replace(":language", language)
    words = _words(assets, language)
    # Of JSON, what could end a script's element: its text is no HTML.
    data = json.dumps(words, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    text = re.sub(r'(<script [^>]*id="words"[^>]*>)', lambda found: found[1] + data, text)
    text = FILLED.sub(lambda found: found[1].rstrip() + found[4] + _rich(_placed(words[found[3]], found[0])), text)
    text = STYLES.sub(lambda found: _joined(assets, name, found[0]), text, count=1)
    # After the opening question, which is asked by a script of its own, and is the longest to come.
    wave = "".join(
        f'  <link rel="modulepreload" href="assets/{each}" fetchpriority="low">\n'
        for each in assets.wave(MODULE.findall(text))
    )
    text = PRELOAD.sub("", text).replace("</head>", f"{wave}</head>", 1)
    text = re.sub(r"""((?:href|src)=")assets/""", rf"\1assets/{assets.digest}/", text)
    return Asset(text.encode(), "text/html; charset=utf-8")


def _joined(assets: Assets, name: str, links: str) -> str:
    """One link to a sheet of all of these, in their order."""
    sheets = [assets.files[path].content for path in re.findall(STYLE, links, re.MULTILINE)]
    assets.files[f"css/{name}.css"] = Asset(b"\n".join(sheets), MEDIA_TYPES[".css"])
    return f'  <link rel="stylesheet" href="assets/css/{name}.css">\n'


def _words(assets: Assets, language: str) -> dict[str, str]:
    """The page's words by their names, of the modules that a language's own brings together.

    Raises:
        ValueError: a line of them is none of a name and a text.
    """
    words: dict[str, str] = {}
    for name in assets.wave([f"js/words/{language}.js"]):
        for line in re.findall(r'^ *".*$', assets.text(name), re.MULTILINE):
            if (found := WORDS.fullmatch(line)) is None:
                raise ValueError(f'{name} has {line.strip()!r}: write "a.name": "and its text", on a line')
            words[found[1]] = json.loads(found[2])
    return words


def _placed(words: str, tag: str) -> str:
    """Words with their `{places}` filled by the `data-` attributes of a tag."""
    places = dict(PLACE.findall(tag))
    return re.sub(r"\{(\w+)\}", lambda found: html.unescape(places[found[1]]), words)


def _rich(words: str) -> str:
    """Words with their terms coloured, as the page's `rich` has them."""

    def marked(found: re.Match[str]) -> str:
        kind = found[1]
        return f"<{TAGS[kind]}>{found[2]}</{TAGS[kind]}>" if kind in TAGS else f'<span class="{kind}">{found[2]}</span>'

    return TERM.sub(marked, html.escape(words, quote=False))
