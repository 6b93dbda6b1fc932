"""The drawings of the documentation: SVG files whose numbers are measured, in the colours of the workshop page.

python -m tools.pictures              # draws docs/pictures/*.svg from the numbers in tools/pictures.json
python -m tools.pictures --measure    # measures these numbers with a service and the lookup first

Each file is legible on light and dark pages: it has its own background, and follows the reader's colour scheme. Light
colours are attributes, so that a file has them where a content policy refuses its style.
"""

from __future__ import annotations

import json
import math
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from tools import ROOT

FOLDER = ROOT / "docs" / "pictures"
NUMBERS = Path(__file__).with_name("pictures.json")
STYLE = ROOT / "service" / "softkv_service" / "web" / "css" / "page.css"

WIDTH, SHOWN_WIDTH, MARGIN = 480, 600, 16
"""The width of a picture in its own units and in pixels of a page, and its margin in its own units."""

COLOURS = ("paper", "ink", "soft", "hair", "query", "key", "value", "weight")
WASHES = ("query-wash", "key-wash", "value-wash", "weight-wash")
FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

QUESTION, UNKNOWN = "pets that purr", "how do I renew my passport?"
TEMPERATURES = tuple(round(10 ** (-2.5 + 0.1 * step), 6) for step in range(36))
COLLECTION, SHARDED_DOCUMENTS, SERVERS, COPIES = 28, 24_000, 3, 2
"""A collection whose six shards are spread evenly over the servers."""


def palettes() -> tuple[dict[str, str], dict[str, str]]:
    """Return the colours of the workshop page by name, light and dark."""
    style = STYLE.read_text(encoding="utf-8")
    light, dark = style.index(":root, :host {"), style.index(':root[data-theme="dark"], :host')

    def colours(start: int) -> dict[str, str]:
        block = style[start : style.index("}", start)]
        return {name: colour for name, colour in re.findall(r"--([\w-]+): (#\w+)", block) if name in COLOURS + WASHES}

    return colours(light), colours(dark)


class Drawing:
    """An SVG picture, whose elements are added from back to front.

    Args:
        title: what the picture shows, for readers who do not see it.
        height: its height, in the units of `WIDTH`.
    """

    def __init__(self, title: str, height: float) -> None:
        self._title, self._height = title, height
        self._light, self._dark = palettes()
        self._elements: list[str] = []

    def text(
        self, x: float, y: float, content: str, kind: str = "ink", size: float = 14, anchor: str = "start"
    ) -> None:
        """Add a line of text; `x` and `y` are the start, middle or end of its baseline."""
        middle = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self._add(f'<text x="{x:g}" y="{y:g}" {self._look(kind)} font-size="{size:g}"{middle}>{escape(content)}</text>')

    def box(self, x: float, y: float, width: float, height: float, kind: str, radius: float = 4) -> None:
        """Add a rectangle with rounded corners."""
        bounds = f'x="{x:.4g}" y="{y:.4g}" width="{max(width, 0):.4g}" height="{height:.4g}"'
        self._add(f'<rect {bounds} rx="{radius:g}" {self._look(kind)}/>')

    def line(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Add a line through these points."""
        self._add(f'<polyline points="{_points(points)}" {self._look(f"{kind} line")}/>')

    def area(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Add a filled area with these corners."""
        self._add(f'<polygon points="{_points(points)}" {self._look(kind)}/>')

    def arrow(self, x: float, start: float, end: float) -> None:
        """Add an arrow downwards, or upwards if it ends above its start."""
        tip = 5 if end > start else -5
        self.line([(x, start), (x, end)], "soft")
        self.line([(x - 4, end - tip), (x, end), (x + 4, end - tip)], "soft")

    def svg(self) -> str:
        """Return the picture as a file."""
        size = f'width="{SHOWN_WIDTH}" height="{self._height * SHOWN_WIDTH / WIDTH:g}"'
        frame = f'viewBox="0 0 {WIDTH} {self._height:g}" {size}'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {frame} font-family="{FONT}" role="img">',
                f"<title>{escape(self._title)}</title>",
                f"<style>@media(prefers-color-scheme:dark){{{_rules(self._dark)}}}</style>",
                f'<rect width="{WIDTH}" height="{self._height:g}" rx="8" {self._look("paper")}/>',
                *self._elements,
                "</svg>",
                "",
            ]
        )

    def _look(self, kind: str) -> str:
        """Return the attributes for a colour and these words after it: line, dashed, bold, pale."""
        name, *words = kind.split()
        colour = self._light[name]
        if "line" in words:
            dashes = ' stroke-dasharray="4 3"' if "dashed" in words else ""
            return f'class="{name} line" fill="none" stroke="{colour}" stroke-width="1.5"{dashes}'
        weight = ' font-weight="600"' if "bold" in words else ""
        opacity = ' fill-opacity=".35"' if "pale" in words else ""
        return f'class="{name}" fill="{colour}"{weight}{opacity}'

    def _add(self, element: str) -> None:
        self._elements.append(element)


def _rules(palette: dict[str, str]) -> str:
    fills = "".join(f".{name}{{fill:{colour}}}.{name}.line{{stroke:{colour}}}" for name, colour in palette.items())
    return f"{fills}.line.line{{fill:none}}"


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.4g},{y:.4g}" for x, y in points)


def _percent(weight: float) -> str:
    return f"{weight:.0%}" if weight >= 0.01 else f"{weight:.1%}"


def draw_temperature(numbers: dict[str, Any]) -> str:
    """Draw how the weights of one question change with the temperature, as areas that sum to one."""
    sweep = numbers["sweep"]
    drawing = Drawing("How the weights of one question change with the temperature", 356)
    left, right, top, bottom = 56, WIDTH - MARGIN, 80, 280
    low, high = math.log10(TEMPERATURES[0]), math.log10(TEMPERATURES[-1])

    def x(temperature: float) -> float:
        return left + (right - left) * (math.log10(temperature) - low) / (high - low)

    def y(share: float) -> float:
        return bottom - (bottom - top) * share

    xs = [x(temperature) for temperature in TEMPERATURES]
    first = [y(best) for best in sweep["first"]]
    documents = [y(1 - null) for null in sweep["null"]]
    drawing.text(MARGIN, 26, f"“{QUESTION}”", "query bold", 15)
    drawing.text(MARGIN, 46, f"shares of the weight, for each temperature, of {numbers['documents']} books", "soft", 13)
    drawing.box(left, top, right - left, bottom - top, "hair pale", 0)
    drawing.area([*zip(xs, documents, strict=True), (right, bottom), (left, bottom)], "weight pale")
    drawing.area([*zip(xs, first, strict=True), (right, bottom), (left, bottom)], "weight")
    for share in (0, 0.5, 1):
        drawing.text(left - 8, y(share) + 5, f"{share:.0%}", "soft", 13, "end")
    for temperature in (0.01, 0.1, 1, 10):
        if temperature <= TEMPERATURES[-1]:
            drawing.line([(x(temperature), bottom), (x(temperature), bottom + 5)], "soft")
            drawing.text(x(temperature), bottom + 20, f"{temperature:g}", "soft", 13, "middle")
    drawing.text(left + 10, bottom - 48, "best match:", "paper bold")
    drawing.text(left + 10, bottom - 30, "“cats”", "paper bold")
    drawing.text(right - 10, bottom - 30, f"the other {numbers['documents'] - 1} books", "ink", 14, "end")
    drawing.text(right - 10, top + 34, "none of these", "ink", 14, "end")
    here = x(numbers["temperature"])
    drawing.line([(here, top - 16), (here, bottom + 5)], "ink dashed")
    label = f"at {numbers['temperature']:g}, “cats” has {_percent(numbers['best'])}"
    drawing.text(here + 8, top - 6, label, "ink bold", 13)
    drawing.text(left, bottom + 44, "a lookup:", "ink bold", 13)
    drawing.text(left, bottom + 62, "the best match has all", "soft", 13)
    drawing.text(right, bottom + 44, "an average:", "ink bold", 13, "end")
    drawing.text(right, bottom + 62, "all books weigh alike", "soft", 13, "end")
    drawing.text((left + right) / 2, bottom + 44, "temperature", "soft", 13, "middle")
    return drawing.svg()


def draw_answer(numbers: dict[str, Any]) -> str:
    """Draw the answers to two questions as bars: a document stands out, or “none of these” does."""
    drawing = Drawing("A question that a book answers, and one that none of 110 books answers", 196)
    left, right = MARGIN, WIDTH - MARGIN
    start, widest = left + 112, right - left - 160
    for top, question in ((0, numbers["known"]), (96, numbers["unknown"])):
        drawing.text(left, top + 28, f"“{question['text']}”", "query bold", 15)
        rows = (("first", "best book", "weight"), ("rest", "109 others", "key"), ("null", "none of these", "ink"))
        for number, (name, label, kind) in enumerate(rows):
            y, weight = top + 38 + 18 * number, question["weights"][name]
            drawing.text(left, y + 11, label, "ink", 13)
            drawing.box(start, y, widest * weight, 13, kind, 0)
            drawing.text(start + widest * weight + 6, y + 11, _percent(weight), "ink bold", 13)
    return drawing.svg()


def draw_null_key(numbers: dict[str, Any]) -> str:
    """Draw the similarities of two questions to every key and to the null key, and the weights that follow."""
    drawing = Drawing("Two questions to 110 books, and what “none of these” weighs in each", 352)
    left, right = MARGIN, WIDTH - MARGIN
    low, high = -0.15, 0.65

    def x(similarity: float) -> float:
        return left + (right - left) * (similarity - low) / (high - low)

    for start, question in ((0, numbers["known"]), (178, numbers["unknown"])):
        drawing.text(left, start + 28, f"“{question['text']}”", "query bold", 15)
        strip = start + 66
        drawing.line([(left, strip + 14), (right, strip + 14)], "hair")
        for similarity in question["similarities"]:
            drawing.line([(x(similarity), strip - 4), (x(similarity), strip + 14)], "key")
        null = x(question["null_similarity"])
        drawing.line([(null, strip - 14), (null, strip + 20)], "ink")
        drawing.text(null + 6, strip - 8, "none of these", "ink bold", 13)
        drawing.text(left, strip + 32, "each line is a book: left far from the question, right near it", "soft", 13)
        bar, weights = strip + 48, question["weights"]
        edge = float(left)
        for name, kind, label in (
            ("first", "weight", "paper bold"),
            ("rest", "weight pale", "ink"),
            ("null", "hair", "ink bold"),
        ):
            width = (right - left) * weights[name]
            drawing.box(edge, bar, width, 24, kind, 0)
            text = {"first": "best match", "rest": "other books", "null": "none of these"}[name]
            if width > 120:
                drawing.text(edge + 8, bar + 17, f"{text} {_percent(weights[name])}", label, 13)
            edge += width
        if weights["first"] > 0.5:
            others = f"other books {_percent(weights['rest'])}, none of these {_percent(weights['null'])}"
            drawing.text(right, bar + 41, others, "soft", 13, "end")
        else:
            others = f"best match {_percent(weights['first'])}, other books {_percent(weights['rest'])}"
            drawing.text(left, bar + 41, others, "soft", 13)
    drawing.line([(left, 178), (right, 178)], "hair")
    return drawing.svg()


def draw_certificate(numbers: dict[str, Any]) -> str:
    """Draw the weight of the best match with its proven bound, at three temperatures around one half."""
    drawing = Drawing("The weight of the best match, and the interval in which the exact weight is proven to lie", 284)
    left, right, top = 96, WIDTH - 136, 72
    low, high = 0.42, 0.58

    def x(weight: float) -> float:
        return left + (right - left) * (weight - low) / (high - low)

    drawing.text(MARGIN, 26, "weight of the best match of 20,000", "ink bold", 15)
    drawing.text(MARGIN, 46, "the band holds the exact weight, proven from 8-bit codes", "soft", 13)
    bottom = top + 3 * 44
    drawing.line([(x(0.5), top - 14), (x(0.5), bottom + 4)], "ink dashed")
    for row, answer in enumerate(numbers["certificates"]):
        y = top + 44 * row + 18
        start, end = x(answer["weight"] - answer["bound"]), x(answer["weight"] + answer["bound"])
        drawing.line([(left, y), (right, y)], "hair")
        drawing.box(start, y - 10, end - start, 20, "weight pale", 3)
        drawing.line([(x(answer["weight"]), y - 10), (x(answer["weight"]), y + 10)], "weight")
        drawing.text(left - 10, y + 5, f"T = {answer['temperature']:g}", "soft", 13, "end")
        drawing.text(right + 10, y - 2, f"verdict {answer['verdict']}", "ink bold", 13)
        drawing.text(right + 10, y + 14, "certain" if answer["certain"] else "not certain", "soft", 13)
    for weight in (0.45, 0.5, 0.55):
        drawing.text(x(weight), bottom + 20, f"{weight:.0%}", "soft", 13, "middle")
    drawing.text(MARGIN, bottom + 48, "Above one half, the best match stands out. Here the middle band", "soft", 13)
    drawing.text(MARGIN, bottom + 66, "reaches over the half, so its verdict may be wrong.", "soft", 13)
    return drawing.svg()


def draw_query(numbers: dict[str, Any]) -> str:
    """Draw the way of a query: from a text over similarities and weights to values and a verdict."""
    drawing = Drawing("The way of a query: text, vector, similarities, weights, values, verdict", 458)
    left, right = MARGIN, WIDTH - MARGIN
    middle = WIDTH / 2
    drawing.box(left, 14, right - left, 34, "query-wash")
    drawing.text(left + 12, 36, f"“{QUESTION}”", "query bold", 15)
    drawing.text(right - 12, 36, "query", "query", 13, "end")
    drawing.arrow(middle, 52, 74)
    drawing.text(middle + 12, 68, "the encoder makes a vector", "soft", 13)
    drawing.box(left, 78, right - left, 34, "query-wash")
    width = (right - left - 24) / len(numbers["vector"])
    largest = max(abs(number) for number in numbers["vector"])
    for index, number in enumerate(numbers["vector"]):
        height = 13 * abs(number) / largest
        drawing.box(left + 12 + index * width, 95 - (height if number > 0 else 0), width * 0.7, height, "query", 0)
    drawing.arrow(middle, 116, 138)
    drawing.text(middle + 12, 132, "compared with every key", "soft", 13)
    keys, similarities, weights, values = left, 126, 206, 296
    for x, label, kind in (
        (keys, "key", "key"),
        (similarities, "similarity", "key"),
        (weights, "weight", "weight"),
        (values, "value", "value"),
    ):
        drawing.text(x + (8 if kind == "value" or label == "key" else 0), 158, label, f"{kind} bold", 13)
    top = 168
    for match in numbers["matches"]:
        drawing.box(keys, top, 100, 38, "key-wash")
        drawing.text(keys + 8, top + 24, match["key"], "key", 13)
        drawing.text(similarities + 6, top + 24, f"{match['similarity']:.2f}", "key", 13)
        drawing.box(weights, top + 4, max(80 * match["weight"], 1.5), 13, "weight", 1)
        drawing.text(weights, top + 33, _percent(match["weight"]), "weight", 13)
        drawing.box(values, top, right - values, 38, "value-wash")
        title, author = match["value"].rsplit(", ", 1)
        drawing.text(values + 8, top + 16, title if len(title) < 22 else f"{title[:20].rstrip()}…", "value", 13)
        drawing.text(values + 8, top + 32, author, "value", 13)
        top += 44
    evidence = numbers["evidence"]
    for name, similarity, weight in (
        (f"{numbers['documents'] - len(numbers['matches'])} others", None, evidence["rest_weight"]),
        ("none of these", evidence["null_similarity"], evidence["null_weight"]),
    ):
        drawing.text(keys + 8, top + 18, name, "soft", 13)
        if similarity is not None:
            drawing.text(similarities + 6, top + 18, f"{similarity:.2f}", "soft", 13)
        drawing.box(weights, top + 6, max(80 * weight, 1.5), 13, "weight", 1)
        drawing.text(weights + max(80 * weight, 1.5) + 8, top + 18, _percent(weight), "weight", 13)
        top += 26
    drawing.text(values + 8, top - 16, "weights = softmax", "soft", 13)
    drawing.text(values + 8, top, f"(similarity ÷ {numbers['temperature']:g})", "soft", 13)
    drawing.arrow(middle, top + 8, top + 30)
    drawing.text(middle + 12, top + 24, "the weights sum to 1", "soft", 13)
    drawing.box(left, top + 36, right - left, 52, "weight-wash")
    drawing.text(left + 12, top + 57, "verdict: one document stands out", "weight bold", 14)
    bound = f"{evidence['total_variation']:.0e}".replace("e-0", "e-")
    drawing.text(left + 12, top + 77, f"certificate: no share of the weight is off by more than {bound}", "weight", 13)
    return drawing.svg()


def draw_shards(numbers: dict[str, Any]) -> str:
    """Draw which servers hold the shards of a collection, and which copies one question reads."""
    drawing = Drawing("Six shards in two copies on three servers: a question reads one copy of each", 388)
    left, right, gap = MARGIN, WIDTH - MARGIN, 12
    width = (right - left - (SERVERS - 1) * gap) / SERVERS
    drawing.box(left, 14, right - left, 48, "query-wash")
    drawing.text(left + 12, 34, "softkv serve", "query bold", 14)
    drawing.text(left + 12, 53, "asks the servers, and merges their weights", "query", 13)
    shards = numbers["shards"]
    for index, server in enumerate(numbers["servers"]):
        x = left + index * (width + gap)
        drawing.arrow(x + width / 2 - 14, 66, 92)
        drawing.arrow(x + width / 2 + 14, 92, 66)
        drawing.box(x, 96, width, 178, "key-wash")
        drawing.text(x + width / 2, 117, server, "ink bold", 13, "middle")
        y = 128.0
        for shard in shards:
            if server not in shard["servers"]:
                continue
            read = shard["servers"][0] == server
            drawing.box(x + 10, y, width - 20, 26, "key" if read else "paper")
            label = f"{shard['first']:,}–{shard['last']:,}"
            drawing.text(x + width / 2, y + 18, label, "paper bold" if read else "key", 13, "middle")
            y += 34
        drawing.arrow(x + width / 2, 302, 278)
    drawing.box(left, 306, right - left, 34, "value-wash")
    drawing.text(left + 12, 328, f"PostgreSQL: all {SHARDED_DOCUMENTS:,} documents", "value bold", 14)
    drawing.box(left, 354, 16, 16, "key", 3)
    drawing.text(left + 24, 367, "rows read for this question", "soft", 13)
    drawing.box(left + 222, 354, 16, 16, "key-wash", 3)
    drawing.box(left + 225, 357, 10, 10, "paper", 2)
    drawing.text(left + 246, 367, "their second copy", "soft", 13)
    return drawing.svg()


DRAWINGS: dict[str, Callable[[dict[str, Any]], str]] = {
    "temperature": draw_temperature,
    "answer": draw_answer,
    "null-key": draw_null_key,
    "certificate": draw_certificate,
    "query": draw_query,
    "shards": draw_shards,
}
"""The pictures by the names of their files."""


def draw(numbers: dict[str, Any]) -> dict[str, str]:
    """Return the content of each file by its name."""
    return {f"{name}.svg": function(numbers) for name, function in DRAWINGS.items()}


def measure() -> dict[str, Any]:
    """Return the numbers of all pictures, measured with a service that has the demo collection `library`."""
    return {**_measure_library(), "certificates": _measure_certificates(), **place_shards()}


def _measure_library() -> dict[str, Any]:
    from tests.running import RunningService

    with (
        tempfile.TemporaryDirectory() as data,
        RunningService(data_dir=Path(data), demo=("library",)) as running,
        running.client() as client,
    ):
        running.wait_until_ready()

        def post(call: str, **fields: Any) -> Any:
            return client.post(f"/v1/{call}", json=fields).raise_for_status().json()

        known, unknown = (
            post("collections/library/attend", query=text, top_k=1000, include=["key", "value"])
            for text in (QUESTION, UNKNOWN)
        )
        swept = post("collections/library/sweep", query=QUESTION, top_k=1, temperatures=TEMPERATURES)["temperatures"]
        vector = post("encode", texts=[QUESTION], purpose="query")["embeddings"][0]
    evidence = known["evidence"]

    def strip(text: str, answer: dict[str, Any]) -> dict[str, Any]:
        weights = [match["weight"] for match in answer["matches"]]
        null = answer["evidence"]["null_weight"]
        return {
            "text": text,
            "similarities": [round(match["similarity"], 3) for match in answer["matches"]],
            "null_similarity": round(answer["evidence"]["null_similarity"], 3),
            "weights": {
                name: round(weight, 4)
                for name, weight in (("first", weights[0]), ("rest", sum(weights[1:])), ("null", null))
            },
        }

    return {
        "documents": known["documents"],
        "temperature": known["temperature"],
        "best": round(known["matches"][0]["weight"], 4),
        "sweep": {
            "first": [round(one["weights"][0], 4) for one in swept],
            "null": [round(one["evidence"]["null_weight"], 4) for one in swept],
        },
        "known": strip(QUESTION, known),
        "unknown": strip(UNKNOWN, unknown),
        "vector": [round(number, 3) for number in vector[:64]],
        "matches": [
            {
                "key": match["key"],
                "value": match["value"],
                "similarity": round(match["similarity"], 4),
                "weight": round(match["weight"], 4),
            }
            for match in known["matches"][:3]
        ],
        "evidence": {
            "rest_weight": round(sum(match["weight"] for match in known["matches"][3:]), 4),
            "null_weight": round(evidence["null_weight"], 4),
            "null_similarity": round(evidence["null_similarity"], 4),
            "total_variation": float(f"{known['certificate']['total_variation']:.0e}"),
        },
    }


def _measure_certificates() -> list[dict[str, Any]]:
    """Return three answers of the lookup from 8-bit codes, with their bounds, whose best weights are near one half."""
    from softkv_attention.lookup import Memory, attend

    keys = np.random.default_rng(0).standard_normal((20_000, 64)).astype(np.float32)
    memory = Memory.of(keys / np.linalg.norm(keys, axis=1, keepdims=True))
    query = keys[0] / np.linalg.norm(keys[0])
    answers = []
    for temperature in (0.095, 0.0927, 0.09):
        answer = attend(query, memory, temperature=temperature, top_k=1)
        answers.append(
            {
                "temperature": temperature,
                "weight": round(float(answer.weights[0]), 4),
                "bound": round(answer.certificate.total_variation, 4),
                "verdict": answer.verdict.stands,
                "certain": answer.verdict.certain,
            }
        )
    return answers


def place_shards() -> dict[str, Any]:
    """Return the servers of a cluster, and on which of them the shards of a collection are."""
    from softkv_cluster.service import choose_servers, place_shard, shard_starts, shard_stop

    servers = choose_servers(None, (), SERVERS)
    return {
        "servers": list(servers),
        "shards": [
            {
                "first": max(first, 1),
                "last": min(shard_stop(first) - 1, SHARDED_DOCUMENTS),
                "servers": list(place_shard(COLLECTION, first, servers, COPIES)),
            }
            for first in shard_starts(SHARDED_DOCUMENTS + 1)
        ],
    }


def main() -> None:
    """Draw all pictures; with --measure, measure their numbers first."""
    if "--measure" in sys.argv[1:]:
        lines = [f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in measure().items()]
        NUMBERS.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")
    for name, content in draw(json.loads(NUMBERS.read_text(encoding="utf-8"))).items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
