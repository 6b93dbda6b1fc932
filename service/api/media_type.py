"""The media type of a request's body, read in one place (RFC 9110, 8.3)."""

from __future__ import annotations

import re

from starlette.datastructures import Headers

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
QUOTED = r'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
# Possessive throughout: what has been read once is not read again, however long the header.
WELL_FORMED = re.compile(rf"({TOKEN}/{TOKEN})(?:[ \t]*+;[ \t]*+(?:{TOKEN}=(?:{TOKEN}|{QUOTED}))?+)*+[ \t]*+")


def media_type(headers: Headers) -> str:
    """`type/subtype` in lower case, without parameters; empty where there is none, several or a malformed one."""
    declared = headers.getlist("content-type")
    found = WELL_FORMED.fullmatch(declared[0].strip(" \t")) if len(declared) == 1 else None
    return found[1].lower() if found else ""


def is_json(kind: str) -> bool:
    """Whether a media type is JSON's or one built on it."""
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
