"""A room in use: a presenter and phones in browsers, thirty that join at once, and a restart of the service amid it."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest

from tests.browser.conftest import PHONE
from tests.browser.reading import SETTLED, sideways, violations
from tests.running import RunningService
from tests.service.commands.conftest import Serving, serving
from tests.service.server.stopping import BUSY
from tests.waiting import until
from workshop.tests.browser.written import fixed, percent

LISTENERS, UPDATES = 30, 20
WITHIN_SECONDS = 1.0
SAID = {
    "en": {"one": "● One row stands out.", "several": "◐ Several rows share it.", "none": "○ Nothing here about that."},
    "zh": {"one": "● 一行脱颖而出。", "several": "◐ 几行分享权重。", "none": "○ 这里没有相关内容。"},
}
ENCODER = ("--encoder", "all-MiniLM-L6-v2", "--allow-anonymous", "read")


class Class(threading.Thread):
    """Thirty listeners, and when each of them heard of each row; it ends when all have heard the last event."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.heard: list[dict[str, float]] = [{} for _ in range(LISTENERS)]
        self.last = [""] * LISTENERS
        self._url = urlsplit(url)
        self.start()

    def run(self) -> None:
        async def all_of_them() -> None:
            await asyncio.gather(*(self._listen(i) for i in range(LISTENERS)))

        asyncio.run(all_of_them())

    async def _listen(self, i: int) -> None:
        """Listen without a library, so that this process has time for all listeners."""
        reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port)
        writer.write(f"GET {self._url.path} HTTP/1.1\r\nHost: {self._url.netloc}\r\nConnection: close\r\n\r\n".encode())
        async for sent in reader:
            line = sent.decode().strip()
            if line.startswith("event: "):
                self.last[i] = line.removeprefix("event: ")
            elif line.startswith("data: ") and self.last[i] in ("room", "row"):
                self.heard[i][json.loads(line.removeprefix("data: ")).get("id", "room")] = time.monotonic()
        writer.close()


@pytest.fixture
def started(tmp_path: Path, chromium: Any) -> Iterator[Any]:
    """Yield a function that starts the service, each time on the same port."""
    with ExitStack() as stack:
        port = "0"

        def start() -> Serving:
            nonlocal port
            running = stack.enter_context(serving(tmp_path, *ENCODER, "--port", port))
            port = running.url.rpartition(":")[2]
            until(
                lambda: httpx.get(f"{running.url}/readyz", timeout=60).status_code == 200,
                300,
                lambda: "it does not get ready",
            )
            return running

        yield start


def send(page: Any, name: str, **fields: str) -> None:
    for field, text in fields.items():
        page.fill(f"#{field.replace('_', '-')}", text)
    page.click(f"#send-{name}")
    page.wait_for_selector(f"#send-{name}:not([disabled]) + [role=status]:not(:empty)")


def faults(axe: Any, *pages: Any) -> list[str]:
    """Return what axe finds in pages, once nothing in them moves: what fades in has its contrast at the end."""
    found = []
    for page in pages:
        page.wait_for_function(SETTLED)
        found += violations(axe, page)
    return found


@pytest.mark.thorough
def test_a_class_plays_and_the_service_is_restarted_in_the_middle(started: Any, visit: Any, axe: Any) -> None:
    running = started()
    presenting = visit("room?projector=1", (1024, 768), running.url)
    projector = presenting.page
    assert violations(axe, projector) == []
    projector.click("#open")
    code = projector.locator("#letters").inner_text()
    joined = visit(f"room?code={code}&lang=zh", PHONE, running.url)
    phone = joined.page
    room = f"{running.url}/v1/rooms/{code}"
    listening = Class(f"{room}/events")
    until(lambda: all(listening.heard), 120, lambda: "not all listen")

    sent: dict[str, float] = {}
    with httpx.Client(timeout=60) as client:
        for i in range(UPDATES):
            sent[f"row-{i}"] = time.monotonic()
            client.put(f"{room}/rows/row-{i}", json={"key": f"a thing of number {i}", "value": "of no use"})
            time.sleep(0.1)
        until(
            lambda: all(sent.keys() <= heard.keys() for heard in listening.heard),
            120,
            lambda: "not all hear of all rows",
        )
        delays = sorted(heard[row] - time for heard in listening.heard for row, time in sent.items())
        assert len(delays) == LISTENERS * UPDATES
        assert delays[int(0.95 * len(delays))] <= WITHIN_SECONDS + BUSY, delays[-10:]

        send(phone, "row", row_key="cats", row_value="<b>They purr</b>")
        projector.locator(".memory .key", has_text="cats").wait_for()
        assert projector.locator(".memory b").count() == 0
        assert projector.locator(".memory li").count() == phone.locator(".memory li").count() == UPDATES + 1
        send(phone, "question", own_query="a kitten")
        projector.click(".chips button")
        phone.fill(".finding input", "cats")
        phone.locator(".choice", has_text="cats").click()
        projector.locator(".guesses", has_text="1").wait_for()
        assert faults(axe, projector, phone) == []
        assert max(sideways(projector), sideways(phone)) <= 0
        assert projector.locator("svg.threads").count() == phone.locator(".bars").count() == 0

        projector.click("#reveal")
        phone.wait_for_selector(".bars")
        rows = client.get(room).json()["rows"]
        compared = client.post(f"{running.url}/v1/compare", json={"query": "a kitten", "rows": rows}).json()
        best = compared["attention"]["matches"][0]
        assert best["key"] == "cats"
        assert phone.locator(".bar-of.won .weight").inner_text() == percent(best["weight"])
        settled(projector)
        assert shares(projector)["cats"] == percent(best["weight"])
        assert drawn_weights(projector)[0] == pytest.approx(best["weight"], abs=1e-9)
        verdict = compared["attention"]["evidence"]["verdict"]
        assert projector.locator(".verdict").inner_text() == SAID["en"][verdict]
        assert phone.locator(".verdict").inner_text() == SAID["zh"][verdict]
        assert phone.locator("#mine").inner_text() == "你猜对了。 你的行赢了。"
        assert faults(axe, projector, phone) == []
        projector.click("#why")
        projector.wait_for_selector(".moved")
        assert faults(axe, projector, phone) == []

    projector.context.set_offline(True)
    running.process.send_signal(signal.SIGTERM)
    stopped = time.monotonic()
    listening.join(60)
    assert time.monotonic() - stopped < 3 + BUSY
    assert set(listening.last) == {"problem"}
    phone.locator("#notice .notice").wait_for()
    running.process.wait(60)
    started()
    phone.locator("#notice", has_text=f"房间 {code} 不在了").wait_for()
    assert not phone.locator("#send-row").is_visible()
    assert phone.locator(".memory li").count() == UPDATES + 1
    projector.context.set_offline(False)
    projector.locator("#notice", has_text=f"open again with its {UPDATES + 1} rows").wait_for()
    phone.wait_for_selector("#notice:empty", state="attached")
    assert projector.locator("#letters").inner_text() == code
    assert projector.locator(".memory li").count() == phone.locator(".memory li").count() == UPDATES + 1
    assert projector.input_value("#query") == "a kitten"  # to be asked once more
    projector.click("#ask")
    projector.click("#reveal")
    phone.wait_for_selector(".bars")
    phone.locator(".bar-of.won.own").wait_for()
    projector.click("#close")
    projector.click("#close")
    projector.wait_for_selector("#open")
    phone.locator("#notice", has_text="这个房间已经结束").wait_for()
    for one in (presenting, joined):  # a browser logs its unanswered requests, and the closed room
        one.errors[:] = [
            error for error in one.errors if "ERR_" not in error and "404" not in error and "503" not in error
        ]


ROWS = {
    "iced lemonade": "cold and sour",
    "a cup of hot cocoa": "sweet, with milk",
    "my cat": "She purrs.",
    "a bicycle": "It has two wheels.",
    "a woollen scarf": "knitted",
}
QUERY = "something warm to drink"


def settled(projector: Any) -> None:
    """Wait until the picture has grown, the knob rests, and the service has been asked for its own weights."""
    projector.wait_for_selector("#checking[data-state=agreed]", state="attached")
    projector.locator(".threads .share:not(:empty)").first.wait_for(state="attached")


def shares(projector: Any) -> dict[str, str]:
    """Return the percentages that the picture tells, by key."""
    read = """() => Object.fromEntries([...document.querySelectorAll('.threads .row')]
        .filter((row) => row.querySelector('.share').textContent)
        .map((row) => [row.querySelector('.key-text').textContent, row.querySelector('.share').textContent]))"""
    return cast(dict[str, str], projector.evaluate(read))


def drawn_weights(projector: Any) -> list[float]:
    """Return the weights that the threads are as thick as, in the picture's order, "none of these" last."""
    read = "() => [...document.querySelectorAll('.threads .thread')].map((thread) => Number(thread.dataset.weight))"
    return cast(list[float], projector.evaluate(read))


def drag(projector: Any, share: float) -> None:
    """Drag the upper handle of the knob to a share of its way, in steps as a hand does."""
    handle, track = (projector.locator(f".knob {part}").first.bounding_box() for part in (".handle", ".track"))
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    projector.mouse.move(x, y)
    projector.mouse.down()
    projector.mouse.move(x, track["y"] + (1 - share) * track["height"] / 2, steps=12)
    projector.mouse.up()


def test_five_phones_play_a_whole_room(site: RunningService, visit: Any, axe: Any) -> None:
    projector = visit("room").page
    projector.click("#open")
    code = projector.locator("#letters").inner_text()
    phones = [visit(f"room?code={code.lower()}", PHONE).page for _ in ROWS]
    projector.locator(".listeners", has_text="5 phones are in the room").wait_for()
    for phone, (key, value) in zip(phones, ROWS.items(), strict=True):
        send(phone, "row", row_key=key, row_value=value)
        projector.locator(".memory .key", has_text=key).wait_for()
    projector.wait_for_selector(".flying", state="detached")

    send(phones[4], "question", own_query=QUERY)
    projector.locator(".chips button", has_text=QUERY).click()
    for phone in phones[:3]:
        phone.locator(".choice", has_text="a cup of hot cocoa").click()
    phones[3].locator(".choice", has_text="none of these").click()
    phones[4].locator(".choice", has_text="iced lemonade").click()
    projector.locator(".guesses", has_text="5 have guessed").wait_for()

    projector.click("#reveal")
    for phone in phones:
        phone.wait_for_selector(".bars")
    settled(projector)
    assert projector.locator("#right").inner_text() == "1 of 5 guessed it."
    assert phones[4].locator("#mine").inner_text().startswith("You guessed it.")
    phones[4].reload()
    phones[4].wait_for_selector(".bars")
    assert phones[4].locator("#mine").inner_text().startswith("You guessed it."), "a phone keeps its guess"
    assert phones[0].locator("#mine").inner_text().endswith("Your row won.")
    assert faults(axe, projector, phones[0]) == []
    check_knob(projector, phones, site, code)
    check_why(projector, phones[1], site, code, axe)
    assert sideways(projector) <= 0
    projector.fill("#query", "平静的海是什么颜色")
    projector.click("#ask")
    projector.locator("#notice", has_text="The encoder reads English only.").wait_for()
    projector.fill("#query", QUERY)
    projector.click("#ask")
    projector.wait_for_selector("#notice:empty", state="attached")


def check_knob(projector: Any, phones: list[Any], site: RunningService, code: str) -> None:
    """The presenter drags the knob: the picture, the phones and the service have the same weights at each end."""
    own = [phone.locator(".bar-of.own .weight") for phone in phones]
    before = [weight.inner_text() for weight in own]
    drag(projector, 1)
    for phone in phones:
        phone.locator(".shown", has_text="The presenter holds T = ∞.").wait_for()
    equal = percent(1 / (len(ROWS) + 1))  # "none of these" is one key more
    assert [weight.inner_text() for weight in own] == [equal] * len(ROWS)
    assert drawn_weights(projector) == pytest.approx([1 / 6] * 6)
    assert projector.locator(".won-words").inner_text() == f"All 5 rows weigh the same: {equal} each."
    for shown in (projector, *phones):
        assert shown.locator(".verdict").inner_text() == "◐ The question no longer matters: this is an average."
    for phone in phones:
        assert phone.locator(".bar-of .weight").all_inner_texts() == [equal] * (len(ROWS) + 1)
        assert phone.locator(".bar-of.won").count() == 0
    settled(projector)

    drag(projector, 0)
    for phone in phones:
        phone.locator(".shown", has_text=re.compile(r"The presenter holds T = 0\.(?!\d)")).wait_for()
    assert [weight.inner_text() for weight in own] == ["100%", *["0%"] * 4]
    assert drawn_weights(projector)[0] == 1
    settled(projector)

    projector.focus(".knob")
    projector.keyboard.press("PageUp")
    settled(projector)
    with site.client() as client:
        question = client.get(f"/v1/rooms/{code}").json()["question"]
        until(lambda: client.get(f"/v1/rooms/{code}").json()["question"]["shown_temperature"] > 0)
        body = {
            "query": QUERY,
            "rows": client.get(f"/v1/rooms/{code}").json()["rows"],
            "temperature": client.get(f"/v1/rooms/{code}").json()["question"]["shown_temperature"],
            "null": question["answer"]["null_similarity"],
        }
        attention = client.post("/v1/compare", json=body).json()["attention"]
    expected = [*(match["weight"] for match in attention["matches"]), attention["evidence"]["null_weight"]]
    assert drawn_weights(projector) == pytest.approx(expected, abs=1e-6)
    late = phones[0].context.new_page()  # who comes late sees the same
    late.goto(phones[0].url)
    until(lambda: late.locator(".bar-of .weight").count() > 0)
    assert late.locator(".bar-of .weight").all_inner_texts() == phones[0].locator(".bar-of .weight").all_inner_texts()
    assert [weight.inner_text() for weight in own] != before


def check_why(projector: Any, phone: Any, site: RunningService, code: str, axe: Any) -> None:
    """The wrong example is explained: of its four words, "drink" moved iced lemonade most."""
    projector.click("#why")
    projector.wait_for_selector("#why-told[data-row]")
    with site.client() as client:
        words = client.post(f"/v1/rooms/{code}/words", json={"question": 2}).json()
    read = "(items) => items.map((item) => [item.querySelector('.word').textContent, Number(item.dataset.moved)])"
    shown = projector.eval_on_selector_all(".moved li", read)
    assert [word for word, _ in shown] == [word["text"] for word in words["words"]] == QUERY.split()
    moved = [words["similarity"] - word["similarity"] for word in words["words"]]
    assert [amount for _, amount in shown] == pytest.approx(moved)
    size = "(items) => items.map((item) => parseFloat(getComputedStyle(item.querySelector('.word')).fontSize))"
    sizes = projector.eval_on_selector_all(".moved li", size)
    assert max(sizes) == sizes[3] == 2.25 * min(sizes)
    rest = words["words"][3]["similarity"]
    sentence = (
        "“drink” did most: without it, the similarity of “iced lemonade” falls from "
        f"{fixed(words['similarity'])} to {fixed(rest)}."
    )
    assert projector.locator(".because").inner_text().startswith(sentence)
    assert violations(axe, projector) == []
    projector.select_option("#why-row", label="a cup of hot cocoa")
    projector.locator("#why-told h2", has_text="a cup of hot cocoa").wait_for()
    phone.click("#why")  # whose row is the cocoa
    phone.select_option("#why-row", label="a cup of hot cocoa")
    phone.locator("#why-told h2", has_text="a cup of hot cocoa").wait_for()
    assert phone.locator(".because").inner_text() == projector.locator(".because").inner_text()


def test_a_wrong_code_differs_from_the_code_of_an_ended_room(site: RunningService, visit: Any) -> None:
    opened = visit("room?code=ZZZZ")
    page = opened.page
    page.locator("#code-wrong", has_text="No room ZZZZ: check the letters.").wait_for()
    assert page.locator(".joined").count() == 0
    with site.client() as client:
        room = client.post("/v1/rooms", json={"rows": [{"key": "cats"}]}).json()
        over = client.post("/v1/rooms", json={}).json()
        client.delete(f"/v1/rooms/{over['code']}", headers={"X-Room-Secret": over["secret"]})
        page.fill("#code", over["code"])
        page.click("#join")
        page.locator("#code-wrong", has_text=f"Room {over['code']} is over. Ask for the code of a new one.").wait_for()
        page.fill("#code", room["code"])
        page.keyboard.press("Enter")
        page.locator(".memory .key", has_text="cats").wait_for()
        client.delete(f"/v1/rooms/{room['code']}", headers={"X-Room-Secret": room["secret"]})
    page.locator("#notice", has_text="This room is over.").wait_for()
    assert not page.locator("#send-row").is_visible()
    opened.errors[:] = [error for error in opened.errors if "404" not in error]  # a browser logs them


@pytest.mark.parametrize(("size", "least"), [((1280, 720), 14), ((1024, 768), 21.9), ((1920, 1080), 14)])
def test_thirty_rows_stay_in_sight_when_they_answer(
    site: RunningService, visit: Any, size: tuple[int, int], least: float
) -> None:
    with site.client() as client:
        room = client.post("/v1/rooms", json={"rows": [{"key": f"thing {i}"} for i in range(29)]}).json()
        path, secret = f"/v1/rooms/{room['code']}", {"X-Room-Secret": room["secret"]}
        client.put(f"{path}/rows/cats", json={"key": "cats"})
        client.post(f"{path}/questions", json={"query": "a kitten"}, headers=secret)
        presenting = visit("lesson.html", size)
        kept = {**room, "rows": []}
        presenting.page.evaluate("(room) => sessionStorage.setItem('softkv-room', JSON.stringify(room))", kept)
        projector = presenting.go(f"room?code={room['code']}&projector={int(size[0] == 1024)}")
        projector.click("#reveal")
        settled(projector)
        rows = projector.locator(".threads .row")
        assert rows.count() == 31
        named = projector.locator(".threads .key-text").all_text_contents()
        first = int(projector.locator(".threads-of").get_attribute("data-named"))
        assert 3 <= first <= 8
        best = client.get(path).json()["question"]["answer"]["matches"][:first]
        keys = {row["id"]: row["key"] for row in client.get(path).json()["rows"]}
        assert named[:-1] == [keys[match["id"]] for match in best]
        assert "none of these".startswith(named[-1].rstrip("…"))
        boxes = [rows.nth(i).bounding_box() for i in range(31)]
        assert all(box["y"] >= 0 and box["y"] + box["height"] <= size[1] for box in boxes)
        assert sideways(projector) <= 0
        for temperature in (0, 1e300):
            client.put(f"{path}/temperature", json={"question": 1, "temperature": temperature}, headers=secret)
            settled(projector)
            percentages = [
                box for share in projector.locator(".threads .share:visible").all() if (box := share.bounding_box())
            ]
            assert all(one["y"] + one["height"] <= two["y"] + 2 for one, two in pairwise(percentages))
            size_of = "(texts) => texts.map((text) => parseFloat(getComputedStyle(text).fontSize))"
            assert min(projector.eval_on_selector_all(".threads .key-text, .threads .share", size_of)) >= least


def test_a_presenter_in_a_lesson_releases_rows_from_the_teacher_s_window(
    site: RunningService, visit: Any, axe: Any
) -> None:
    presenting = visit("room?lesson")
    projector = presenting.page
    assert (
        projector.evaluate("document.querySelector('#open').compareDocumentPosition(document.querySelector('#code'))")
        == 4
    )
    projector.wait_for_selector(".lesson-bar .clock")
    projector.keyboard.press("PageDown")
    code = projector.locator("#letters").inner_text()
    assert violations(axe, projector) == []
    assert projector.locator("#hold").is_checked()
    phone = visit(f"room?code={code}", PHONE).page
    assert phone.locator("a", has_text="Lesson plan").count() == 0
    phone.fill("#row-by", "Anna")
    for key in ("dogs", "cats"):
        send(phone, "row", row_key=key, row_value="")
        assert phone.locator("#send-row + [role=status]").inner_text() == "The presenter looks at it first."
    send(phone, "question", own_query="a kitten")
    projector.locator(".holding summary", has_text="3 wait").wait_for()
    assert not projector.locator(".held").is_visible()
    assert projector.locator(".chips li").count() == projector.locator(".memory li").count() == 0

    with projector.expect_popup() as popup:
        projector.click("#teacher")
    teacher = popup.value
    teacher.locator(".room", has_text="Anna: cats").wait_for()
    assert "Scan the code" in teacher.locator(".say").inner_text()
    assert violations(axe, teacher) == []
    teacher.locator(".waits li", has_text="dogs").get_by_text("Remove").click()
    teacher.locator(".waits li", has_text="cats").get_by_text("Release").click()
    projector.locator(".memory li", has_text="cats · Anna").wait_for()
    phone.locator(".memory li", has_text="cats").wait_for()
    phone.locator("#send-row + [role=status]", has_text="It is in the memory.").wait_for()
    teacher.reload()
    teacher.locator(".waits li", has_text="a kitten").get_by_text("Ask it").click()
    phone.locator(".choice", has_text="cats").click()
    projector.reload()
    teacher.locator(".room", has_text="1 guess").wait_for()
    teacher.click("#reveal")
    phone.locator(".bar-of.won", has_text="cats").wait_for()
    teacher.locator(".room", has_text="answered").wait_for()
    projector.fill("#query", "a puppy")
    projector.keyboard.press("Enter")
    projector.wait_for_selector("#reveal")
    projector.keyboard.press("PageDown")
    settled(projector)
    assert sum(drawn_weights(projector)) == pytest.approx(1)
    teacher.uncheck("#hold")
    projector.wait_for_selector("#hold:not(:checked)", state="attached")
    teacher.click("#forward")
    projector.wait_for_url("**/?lesson*")
    teacher.locator(".part", has_text="What if nothing fits?").wait_for()
    assert teacher.locator(".room").is_hidden()
    teacher.keyboard.press("PageUp")
    projector.wait_for_url("**/room?lesson*")
    teacher.locator(".room", has_text="a puppy").wait_for()


def test_a_phone_says_that_it_is_offline_and_comes_back(site: RunningService, visit: Any) -> None:
    with site.client() as client:
        room = client.post("/v1/rooms", json={"rows": [{"key": "cats"}]}).json()
        opened = visit(f"room?code={room['code']}", PHONE)
        phone = opened.page
        phone.locator(".memory li", has_text="cats").wait_for()
        phone.context.set_offline(True)
        phone.locator("#notice", has_text="Offline").wait_for(timeout=15_000)
        client.put(f"/v1/rooms/{room['code']}/rows/dogs", json={"key": "dogs"})
        phone.context.set_offline(False)
        phone.locator(".memory li", has_text="dogs").wait_for()
        phone.wait_for_selector("#notice:empty", state="attached")
    opened.errors[:] = [error for error in opened.errors if "ERR_" not in error]


def test_a_phone_finds_one_of_thirty_rows(site: RunningService, visit: Any) -> None:
    with site.client() as client:
        room = client.post(
            "/v1/rooms", json={"rows": [{"key": f"thing {i}"} for i in range(29)] + [{"key": "a cat"}]}
        ).json()
        secret = {"X-Room-Secret": room["secret"]}
        client.post(f"/v1/rooms/{room['code']}/questions", json={"query": "a kitten"}, headers=secret)
    phone = visit(f"room?code={room['code']}", PHONE).page
    choices = phone.locator(".choice")
    choices.nth(8).wait_for()
    before = choices.all_inner_texts()
    assert (len(before), before[-1]) == (9, "none of these")
    phone.click("#others")
    assert set(choices.all_inner_texts()) & set(before) == {"none of these"}
    phone.fill("#find", "CAT")
    assert choices.all_inner_texts() == ["a cat", "none of these"]
    choices.first.click()
    phone.fill("#find", "")
    assert phone.locator('.choice[aria-pressed="true"]').inner_text() == "a cat"
