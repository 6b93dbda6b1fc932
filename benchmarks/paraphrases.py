"""Questions of users to a support desk in many wordings, made at run time: what each asks for is known.

A request is a thing to do with an object, as in "cancel my subscription". Other requests share one of the two, so
that a cache by meaning can mistake them.
"""

from __future__ import annotations

from typing import NamedTuple

ACTIONS = (
    ("reset", "restore the original"),
    ("cancel", "put an end to"),
    ("change", "edit"),
    ("download", "save a copy of"),
    ("delete", "get rid of"),
    ("share", "give my colleague access to"),
    ("print", "get on paper"),
    ("find", "locate"),
    ("pay for", "settle the bill for"),
    ("renew", "extend"),
    ("translate", "get in another language"),
    ("check", "verify"),
    ("move", "transfer"),
    ("insure", "get insurance for"),
)
OBJECTS = (
    ("password", "login secret"),
    ("subscription", "membership"),
    ("delivery address", "address for parcels"),
    ("invoice", "bill of last month"),
    ("account", "user profile"),
    ("calendar", "list of appointments"),
    ("photo album", "collection of pictures"),
    ("phone number", "mobile number"),
    ("router", "wifi box"),
    ("contract", "agreement"),
    ("train ticket", "rail ticket"),
    ("hotel booking", "room reservation"),
    ("tax return", "tax declaration"),
    ("blog post", "article on my blog"),
    ("spreadsheet", "table of figures"),
    ("newsletter", "mailing list"),
    ("playlist", "list of songs"),
    ("medical record", "health file"),
    ("library card", "card of the library"),
    ("thesis", "dissertation"),
    ("driving licence", "driver's license"),
    ("bicycle", "bike"),
    ("washing machine", "washer"),
    ("backup", "safety copy"),
    ("gift card", "voucher"),
    ("savings plan", "plan for saving money"),
    ("garden plot", "piece of garden"),
    ("rental car", "hired car"),
    ("web site", "homepage"),
    ("email signature", "text under my emails"),
)
WORDINGS = (
    "how do I {} my {}?",
    "how can I {} my {}",
    "I want to {} my {}",
    "what is the way to {} my {}?",
    "please help me {} my {}",
    "is it possible to {} my {}?",
    "where do I {} my {}?",
    "can you tell me how to {} my {}",
    "steps to {} my {}",
    "I would like to {} my {}, what now?",
    "I need to {} my {} today",
    "hi, quick question: how to {} my {}?",
)
ACTIONS_OF_AN_OBJECT = 6


class Asked(NamedTuple):
    """A question, and the number of what it asks for."""

    text: str
    request: int


def make_questions() -> list[Asked]:
    """Return each wording of each request once."""
    questions = []
    for second, objects in enumerate(OBJECTS):
        for first in range(second, second + ACTIONS_OF_AN_OBJECT):
            actions = ACTIONS[first % len(ACTIONS)]
            for i, wording in enumerate(WORDINGS):
                # Each wording of a request has another choice of synonyms than the one before.
                action, thing = actions[i % 2], objects[i // 2 % 2]
                questions.append(Asked(wording.format(action, thing), second * len(ACTIONS) + first % len(ACTIONS)))
    return questions
