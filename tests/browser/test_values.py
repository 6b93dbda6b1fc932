"""Values that can be seen: what kind they are, and the blended swatch, number and pin against the service's numbers."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.reading import checked, module, share, sideways, slide, weights

SMALL_PROJECTOR = (1024, 768)
STOPS = [0, 90, 135, 180, 260, 400]
LIGHTEST_PAPER, DARKEST_PAPER = "#fbfaf6", "#13151a"
KIND = "({valuesOf}, rows) => valuesOf({tail: null, rows}).kind"
HOSTILE = {
    "markup": ["<img src=x onerror='window.hurt=1'>", "#f7d51d"],
    "not hexadecimal": ["#12345g", "#f7d51d"],
    "too few digits": ["#fff", "#f7d51d"],
    "beyond the pole": ["91, 200", "48.86, 2.35"],
    "beyond the date line": ["48.86, 180.01", "48.86, 2.35"],
    "an exponent": ["1e999", "2"],
    "not a number": ["NaN", "2"],
    "infinite": ["Infinity", "2"],
    "other units": ["€ 3.20", "$ 2.80"],
    "one without its unit": ["12 min", "15"],
    "a comma for a point": ["3,20 €", "2,80 €"],
    "too long": ["9" * 400, "2"],
    "a number in a sentence": ["Water at 80 °C, two minutes.", "60 g to the litre, four minutes."],
    "nothing written": ["", "2"],
    "kinds mixed": ["#f7d51d", "€ 3.20"],
    "script in the unit": ["3 <b>", "4 <b>"],
}
WRITTEN = {
    "colour": ["#f7d51d", "#0B4F7A"],
    "number": [
        ["€ 3.20", "€ 12"],
        ["12 min", "90 min"],
        ["1,250", "7"],
        ["−4 °C", "+3 °C"],
        ["US$ 5", "US$ 7.5"],
        ["3 元", "4.5 元"],
    ],
    "place": [["48.86, 2.35", "-33.87, 151.21"], ["90, -180", "−90，180"]],
}


def light(colour: str) -> list[float]:
    """#rrggbb → linear light, written once more: IEC 61966-2-1."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]


def colour(components: list[float]) -> str:
    shares = [part * 12.92 if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055 for part in components]
    return "#" + "".join(f"{round(share * 255):02x}" for share in shares)


def near(one: str, other: str) -> bool:
    """Whether no component differs by more than what rounding may turn."""
    return all(abs(int(one[at : at + 2], 16) - int(other[at : at + 2], 16)) <= 1 for at in (1, 3, 5))


def own(values: list[str], **more: str) -> str:
    """A permalink of rows with these values."""
    rows = [{"id": f"row-{i}", "key": f"card {i}", "value": value} for i, value in enumerate(values)]
    said = "".join(f"&{name}={text}" for name, text in more.items())
    return f"#scene=values&query=card&rows={quote(json.dumps(rows))}{said}"


def memory(page: Any) -> dict[str, Any]:
    """The rows and the question that the page shows."""
    pairs = zip(
        *([f.input_value() for f in page.locator(f".rows .{n}-text").all()] for n in ("key", "value")), strict=True
    )
    rows = [{"id": str(i), "key": key, "value": value} for i, (key, value) in enumerate(pairs)]
    return {"query": page.locator("#question").input_value(), "rows": rows}


def compared(origin: str, asked: dict[str, Any], temperature: float, null: Any = "auto") -> dict[str, Any]:
    body = {**asked, "temperature": temperature, "null": null, "top_k": 100}
    answer = httpx.post(f"{origin}/v1/compare", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["attention"])


def attended(origin: str, asked: dict[str, Any], values: list[list[float]], attention: dict[str, Any]) -> list[float]:
    """The output over the texts' own vectors, with the numbers as values."""

    def encoded(texts: list[str], purpose: str) -> Any:
        body = {"texts": texts, "purpose": purpose}
        return httpx.post(f"{origin}/v1/encode", json=body, timeout=60).json()["embeddings"]

    answer = httpx.post(
        f"{origin}/v1/attend",
        json={
            "query": encoded([asked["query"]], "query"),
            "key": encoded([row["key"] for row in asked["rows"]], "document"),
            "value": values,
            "similarity": "cosine",
            "temperature": attention["temperature"],
            "null": attention["evidence"]["null_similarity"],
        },
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    (output,) = answer.json()["output"]
    return list(output)


def shown(page: Any) -> list[float]:
    """The output's numbers, as the node has them."""
    return [float(part) for part in (page.get_attribute("#output-node", "data-vector") or "").split()]


def switched(opened: Any, kind: str) -> Any:
    """The scene with the rows of a kind, compared with the service."""
    opened.page.click(f"#set-{kind}")
    opened.page.wait_for_selector(f"#set-{kind}[aria-pressed=true]")
    opened.settle()
    checked(opened.page)
    return opened.page


@pytest.mark.parametrize("values", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_does_not_fit_makes_texts_of_all(visit: Any, values: list[str]) -> None:
    opened = visit(own(values))
    page = opened.page
    page.wait_for_selector("#output-node[data-kind=text]")
    assert page.get_attribute("#output-node", "data-vector") == ""
    assert [field.input_value() for field in page.locator(".rows .value-text").all()] == values
    assert page.evaluate("window.hurt") is None
    assert page.locator(".picture img, .picture b, .arithmetic img, .arithmetic b").count() == 0
    assert checked(page) < 1e-9


def test_what_fits_is_a_colour_a_number_or_a_place(visit: Any) -> None:
    page = visit("lesson.html").page
    for kind, groups in WRITTEN.items():
        for values in groups if isinstance(groups[0], list) else [groups]:
            rows = [{"value": value, "masked": False} for value in values]
            assert module(page, "/js/values.js", KIND, rows) == kind, values
            assert module(page, "/js/values.js", KIND, [*rows, {"value": "a text", "masked": True}]) == kind, values
            assert module(page, "/js/values.js", KIND, [*rows, {"value": "a text", "masked": False}]) == "text", values
    assert module(page, "/js/values.js", KIND, [{"value": "#f7d51d", "masked": True}]) == "text"


def test_cold_picks_one_colour_and_hot_makes_the_mean_of_the_light(visit: Any) -> None:
    opened = visit("#scene=values&t=0&none=false")
    page = opened.page
    checked(page)
    asked = memory(page)
    (nearest,) = [match for match in compared(opened.origin, asked, 0, False)["matches"] if match["weight"] == 1]
    assert page.get_attribute("#output-node .swatch", "data-colour") == nearest["value"]
    slide(page, 400)
    assert checked(page) < 1e-9
    hot = compared(opened.origin, asked, 1e300, False)["matches"]
    mean = [sum(m["weight"] * light(m["value"])[part] for m in hot) for part in range(3)]
    assert shown(page) == pytest.approx(mean, abs=1e-9)
    swatch = page.get_attribute("#output-node .swatch", "data-colour")
    assert near(swatch, colour(mean))
    plain = [round(sum(int(m["value"][at : at + 2], 16) for m in hot) / len(hot)) for at in (1, 3, 5)]
    assert not near(swatch, "#" + "".join(f"{part:02x}" for part in plain)), "blended as numbers, not as light"


@pytest.mark.parametrize(("theme", "paper"), [("light", LIGHTEST_PAPER), ("dark", DARKEST_PAPER)])
def test_what_did_not_answer_is_paper(visit: Any, theme: str, paper: str) -> None:
    opened = visit(f"#scene=values&t=0.3&theme={theme}")
    page = opened.page
    checked(page)
    attention = compared(opened.origin, memory(page), 0.3)
    none = attention["evidence"]["null_weight"]
    assert 0.2 < none < 0.8
    sums = [sum(m["weight"] * light(m["value"])[part] for m in attention["matches"]) for part in range(3)]
    painted = [part + none * ground for part, ground in zip(sums, light(paper), strict=True)]
    assert near(page.get_attribute("#output-node .swatch", "data-colour"), colour(painted))
    drawn = page.evaluate("getComputedStyle(document.querySelector('#output-node .swatch')).backgroundColor")
    assert near("#" + "".join(f"{int(part):02x}" for part in drawn[4:-1].split(",")), colour(painted))
    assert page.locator("#output-node .blended").inner_text() == colour([part / (1 - none) for part in sums])
    assert share(page.locator("#output-words").inner_text().split()[0]) == pytest.approx(1 - none, abs=0.006)
    page.fill("#question", "xq")
    page.select_option("#none", json.dumps(0.9999))
    opened.settle()
    slide(page, 0)
    checked(page)
    assert page.get_attribute("#output-node .swatch", "data-colour") == paper
    assert page.locator("#output-words").inner_text() == "nothing answered"


@pytest.mark.parametrize("kind", ["colour", "number", "place"])
def test_the_output_is_the_services(visit: Any, kind: str) -> None:
    """At several temperatures: what is shown is what the service answers for the texts' vectors and these numbers."""
    opened = visit("#scene=values")
    page = switched(opened, kind)
    asked = memory(page)
    read = {
        "colour": light,
        "number": lambda text: [float(text.removeprefix("€ "))],
        "place": lambda text: [float(part) for part in text.split(",")],
    }[kind]
    values = [read(row["value"]) for row in asked["rows"]]
    for stop in STOPS:
        attention = compared(opened.origin, asked, slide(page, stop))
        assert checked(page) < 1e-9
        assert shown(page) == pytest.approx(attended(opened.origin, asked, values, attention), abs=1e-6), stop


def test_a_number_says_what_came_out_and_the_mean_of_what_answered(visit: Any) -> None:
    opened = visit("#scene=values")
    page = switched(opened, "number")
    for stop in STOPS:
        attention = compared(opened.origin, memory(page), slide(page, stop))
        checked(page)
        none = attention["evidence"]["null_weight"]
        total = sum(m["weight"] * float(m["value"].removeprefix("€ ")) for m in attention["matches"])
        assert page.locator("#output-node .blended").inner_text() == f"€ {total:.2f}"
        said = page.locator("#output-words").inner_text()
        assert said.endswith(f"€ {total / (1 - none):.2f}") if none > 0 else said == ""


def test_the_pin_stands_at_the_mean_of_what_answered(visit: Any) -> None:
    opened = visit("#scene=values")
    page = switched(opened, "place")
    for stop in STOPS:
        attention = compared(opened.origin, memory(page), slide(page, stop))
        checked(page)
        none = attention["evidence"]["null_weight"]
        where = [
            sum(m["weight"] * float(m["value"].split(",")[part]) for m in attention["matches"]) / (1 - none)
            for part in range(2)
        ]
        assert page.locator("#output-node .blended").inner_text() == f"{where[0]:.2f}, {where[1]:.2f}"
        assert f"{where[0]:.2f}, {where[1]:.2f}" in page.get_attribute(".map", "aria-label")
        assert float(page.get_attribute(".map .pin path", "opacity")) == pytest.approx(1 - none, abs=1e-9)
    pins = page.locator(".map .pins circle")
    assert pins.count() == len(memory(page)["rows"])
    slide(page, 0)
    nearest = compared(opened.origin, memory(page), 0)["matches"][0]["id"]
    pin = page.locator(".map .pin path").get_attribute("d")
    across, down = (float(pins.nth(int(nearest)).get_attribute(name)) for name in ("cx", "cy"))
    assert [float(part) for part in pin[1 : pin.index("l")].split(",")] == pytest.approx([across, down], abs=1e-6)


def test_editing_a_colour_moves_the_output_alone_and_before_the_service_answers(visit: Any) -> None:
    opened = visit("#scene=values")
    page = opened.page
    checked(page)
    before, swatch, blended = weights(page), page.get_attribute("#output-node .swatch", "data-colour"), shown(page)
    page.route("**/v1/**", lambda route: None)
    field = page.locator(".rows .value-cell input.swatch").nth(2)
    assert field.input_value() == "#0b4f7a"
    field.fill("#ff0000")
    assert page.locator(".rows .value-text").nth(2).input_value() == "#ff0000"
    assert page.get_attribute("#output-node .swatch", "data-colour") != swatch
    share_of = compared(opened.origin, {**memory(page)}, 0.05)["matches"]
    weight = next(m["weight"] for m in share_of if m["value"] == "#ff0000")
    moved = [b + weight * (new - old) for b, new, old in zip(blended, light("#ff0000"), light("#0b4f7a"), strict=True)]
    assert shown(page) == pytest.approx(moved, abs=1e-9)
    assert weights(page) == before
    page.unroute("**/v1/**")
    page.locator(".rows .value-text").nth(0).fill("yellow")
    page.wait_for_selector("#output-node[data-kind=text]")
    assert page.locator(".rows .value-cell input.swatch").nth(0).is_hidden()
    opened.settle()
    assert checked(page) < 1e-9


def test_a_masked_row_counts_for_nothing(visit: Any) -> None:
    opened = visit(own(["#ff0000", "#0000ff", "no colour"], t="inf", none="false", masked='["row-2"]'))
    page = opened.page
    assert checked(page) < 1e-9
    assert page.get_attribute("#output-node .swatch", "data-colour") == colour([0.5, 0, 0.5])


def test_of_texts_the_nearest_stored_value_is_named(visit: Any) -> None:
    opened = visit("#scene=library")
    page = opened.page
    checked(page)
    page.wait_for_selector("#output-nearest:not(:empty)")
    body = {"query": "books about felines", "top_k": 12, "include": ["output", "value_vector", "value"]}
    answer = httpx.post(f"{opened.origin}/v1/collections/library/attend", json=body).json()

    def cosine(one: list[float], other: list[float]) -> float:
        dot = sum(a * b for a, b in zip(one, other, strict=True))
        return float(dot / (sum(a * a for a in one) * sum(b * b for b in other)) ** 0.5)

    near = {m["value"]: cosine(m["value_vector"], answer["output"]) for m in answer["matches"]}
    best = max(near, key=lambda value: near[value])
    assert page.locator("#output-nearest").inner_text().replace("\n", " ") == best
    assert f"{near[best]:.2f}" in page.locator("#output-words").inner_text()
    assert page.locator("#output-node .barcode").is_visible()


def test_the_sum_is_written_out_with_the_real_numbers(visit: Any) -> None:
    opened = visit("#scene=values")
    for kind, width in (("colour", 3), ("number", 1), ("place", 2)):
        page = switched(opened, kind)
        lines = [
            [
                cell.replace("−", "-")
                for cell in page.locator(".arithmetic tbody tr").nth(i).locator("td").all_inner_texts()
            ]
            for i in range(page.locator(".arithmetic tbody tr").count())
        ]
        terms, total = lines[:-1], lines[-1]
        assert [line[0] for line in terms] == ["", *["+"] * (len(terms) - 1)]
        assert {line[2] for line in terms} == {"×"}
        assert total[2] == "="
        assert sum(float(line[1]) for line in terms) == pytest.approx(1, abs=0.004)
        for part in range(3, 3 + width):
            added = sum(float(line[1]) * float(line[part]) for line in terms)
            largest = max(abs(float(line[part])) for line in terms)
            assert added == pytest.approx(float(total[part]), abs=0.001 * largest * len(terms))
        assert shown(page) == pytest.approx([float(cell) for cell in total[3 : 3 + width]], abs=6e-5)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("size", [SMALL_PROJECTOR, PROJECTOR, PHONE])
def test_the_output_can_be_read(visit: Any, size: tuple[int, int], language: str) -> None:
    large = "1" if size == SMALL_PROJECTOR else "0"
    opened = visit(f"#scene=values&lang={language}&projector={large}", size)
    for kind in ("colour", "number", "place"):
        page = switched(opened, kind)
        assert sideways(page) <= 0
        node = page.locator("#output-node").bounding_box()
        for part in page.locator("#output-node > :not([hidden])").all():
            box = part.bounding_box()
            if box is None:
                continue
            assert box["x"] >= node["x"] - 0.5
            assert box["x"] + box["width"] <= node["x"] + node["width"] + 0.5
            assert part.evaluate("(one) => one.scrollWidth - one.clientWidth") <= 0
        letters = page.locator("#output-node .blended").evaluate("(one) => parseFloat(getComputedStyle(one).fontSize)")
        assert letters >= (15 if size == SMALL_PROJECTOR else 12)
        if kind == "place" and size != SMALL_PROJECTOR:
            assert page.locator(".map").bounding_box()["width"] >= 200
        if kind == "colour":
            assert page.locator("#output-node .swatch").bounding_box()["width"] >= 60
