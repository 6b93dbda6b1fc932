"""The blended swatch, number and pin, against the service's numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.browser.blending import attended, colour, compared, light, memory, near, shown, switched
from tests.browser.reading import checked, share, slide

STOPS = [0, 90, 135, 180, 260, 400]
LIGHTEST_PAPER, DARKEST_PAPER = "#fbfaf6", "#13151a"


def test_cold_picks_one_colour_and_hot_makes_the_mean_of_the_light(visit: Any) -> None:
    opened = visit("#scene=values&t=0&none=false")
    page = opened.page
    checked(page)
    question = memory(page)
    (nearest,) = [match for match in compared(opened.origin, question, 0, False)["matches"] if match["weight"] == 1]
    assert page.get_attribute("#output-node .swatch", "data-colour") == nearest["value"]
    slide(page, 400)
    assert checked(page) < 1e-9
    hot = compared(opened.origin, question, 1e300, False)["matches"]
    mean = [sum(m["weight"] * light(m["value"])[part] for m in hot) for part in range(3)]
    assert shown(page) == pytest.approx(mean, abs=1e-9)
    swatch = page.get_attribute("#output-node .swatch", "data-colour")
    assert near(swatch, colour(mean))
    plain = [round(sum(int(m["value"][position : position + 2], 16) for m in hot) / len(hot)) for position in (1, 3, 5)]
    assert not near(swatch, "#" + "".join(f"{part:02x}" for part in plain)), "blended as numbers, not as light"


@pytest.mark.parametrize(("theme", "paper"), [("light", LIGHTEST_PAPER), ("dark", DARKEST_PAPER)])
def test_what_did_not_answer_is_paper(visit: Any, theme: str, paper: str) -> None:
    opened = visit(f"#scene=values&t=0.3&theme={theme}")
    page = opened.page
    checked(page)
    attention = compared(opened.origin, memory(page), 0.3)
    null_weight = attention["evidence"]["null_weight"]
    assert 0.2 < null_weight < 0.8
    sums = [sum(m["weight"] * light(m["value"])[part] for m in attention["matches"]) for part in range(3)]
    painted = [part + null_weight * ground for part, ground in zip(sums, light(paper), strict=True)]
    assert near(page.get_attribute("#output-node .swatch", "data-colour"), colour(painted))
    drawn = page.evaluate("getComputedStyle(document.querySelector('#output-node .swatch')).backgroundColor")
    assert near("#" + "".join(f"{int(part):02x}" for part in drawn[4:-1].split(",")), colour(painted))
    assert page.locator("#output-node .blended").inner_text() == colour([part / (1 - null_weight) for part in sums])
    assert share(page.locator("#output-words").inner_text().split()[0]) == pytest.approx(1 - null_weight, abs=0.006)
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
    question = memory(page)
    read = {
        "colour": light,
        "number": lambda text: [float(text.removeprefix("€ "))],
        "place": lambda text: [float(part) for part in text.split(",")],
    }[kind]
    values = [read(row["value"]) for row in question["rows"]]
    for stop in STOPS:
        attention = compared(opened.origin, question, slide(page, stop))
        assert checked(page) < 1e-9
        assert shown(page) == pytest.approx(attended(opened.origin, question, values, attention), abs=1e-6), stop


def test_a_number_says_what_came_out_and_the_mean_of_what_answered(visit: Any) -> None:
    opened = visit("#scene=values")
    page = switched(opened, "number")
    for stop in STOPS:
        attention = compared(opened.origin, memory(page), slide(page, stop))
        checked(page)
        null_weight = attention["evidence"]["null_weight"]
        total = sum(m["weight"] * float(m["value"].removeprefix("€ ")) for m in attention["matches"])
        assert page.locator("#output-node .blended").inner_text() == f"€\u00a0{total:.2f}"
        text = page.locator("#output-words").inner_text()
        assert text.endswith(f"€\u00a0{total / (1 - null_weight):.2f}") if null_weight > 0 else text == ""


def test_the_pin_stands_at_the_mean_of_what_answered(visit: Any) -> None:
    opened = visit("#scene=values")
    page = switched(opened, "place")
    for stop in STOPS:
        attention = compared(opened.origin, memory(page), slide(page, stop))
        checked(page)
        null_weight = attention["evidence"]["null_weight"]
        where = [
            sum(m["weight"] * float(m["value"].split(",")[part]) for m in attention["matches"]) / (1 - null_weight)
            for part in range(2)
        ]
        assert page.locator("#output-node .blended").inner_text() == f"{where[0]:.2f}, {where[1]:.2f}"
        assert f"{where[0]:.2f}, {where[1]:.2f}" in page.get_attribute(".map", "aria-label")
        assert float(page.get_attribute(".map .pin path", "opacity")) == pytest.approx(1 - null_weight, abs=1e-9)
    pins = page.locator(".map .pins circle")
    assert pins.count() == len(memory(page)["rows"])
    slide(page, 0)
    nearest = compared(opened.origin, memory(page), 0)["matches"][0]["id"]
    pin = page.locator(".map .pin path").get_attribute("d")
    across, down = (float(pins.nth(int(nearest)).get_attribute(name)) for name in ("cx", "cy"))
    assert [float(part) for part in pin[1 : pin.index("l")].split(",")] == pytest.approx([across, down], abs=1e-6)


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
