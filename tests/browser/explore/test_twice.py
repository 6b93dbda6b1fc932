"""The second look at the best documents of a question: the box, what it sends, and the words that met."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.browser.conftest import PHONE
from tests.browser.explore.conftest import LATE, Explore
from tests.browser.explore.test_calibrate import SUBJECTS, labelled
from tests.browser.explore.test_tasks import ASKED, QUESTION, fill, first_is, shown
from tests.checkpoints import write_cross_encoder
from tests.running import RunningService

if TYPE_CHECKING:
    from playwright.sync_api import Page

WALL = "/v1/collections/books"
SENT = "() => JSON.parse(document.querySelector('#code').textContent)"


def weights(client: httpx.Client, **fields: Any) -> Any:
    """Return what `shown` has of an answer of the service."""
    matches = client.post(f"{WALL}/attend", json={"query": QUESTION, "include": [], **fields}).json()["matches"]
    return pytest.approx({match["id"]: match["weight"] for match in matches}, abs=1e-9)


def has(page: Page, text: str, count: int = 1) -> None:
    """Wait until the call as JSON has a text, or has it no more."""
    page.wait_for_function(
        "([text, count]) => document.querySelector('#code').textContent.split(text).length === count + 1",
        arg=[text, count],
    )


def test_a_question_is_looked_at_twice_unless_the_box_is_off(explore: Explore, writer: httpx.Client) -> None:
    fill(writer)
    page = explore(ASKED).page
    first_is(page, "b1")
    page.click("#code-json")
    assert page.is_checked("#twice")
    assert page.locator("#twice-by").is_hidden()  # there is one way
    assert page.evaluate(SENT)["rerank"] == LATE["rerank"]
    assert shown(page) == weights(writer, **LATE)
    assert "looked twice at 5 documents, word by word" in page.inner_text(".notes")
    page.click("#twice")
    has(page, '"rerank": null')
    page.wait_for_function("() => !document.querySelector('.notes').textContent.includes('twice')")
    assert page.evaluate(SENT) == {"query": QUESTION, "rerank": None}
    assert shown(page) == weights(writer, rerank=None) != weights(writer, **LATE)
    page.click("#code-python")
    has(page, 'ignore_defaults=["rerank"]')
    assert "twice=0" in page.url
    again = explore(page.url[page.url.index("#") :]).page
    first_is(again, "b1")
    assert not again.is_checked("#twice")
    assert shown(again) == shown(page)
    again.click("#hold")  # both settings side by side are told apart
    again.click("#twice")
    again.wait_for_function("() => document.querySelector('#compared')?.textContent.includes('Look twice: by words')")
    assert "Look twice: –" in again.inner_text("#compared")


def test_the_box_waits_at_temperature_0_and_is_hidden_where_words_cannot_be_compared(
    explore: Explore, writer: httpx.Client
) -> None:
    fill(writer)
    cold = explore(f"{ASKED}&t=0").page
    first_is(cold, "b1")
    assert cold.locator("#twice").is_disabled()
    assert cold.locator(".twice").get_attribute("title").startswith("At temperature 0 ")
    box_before = cold.locator("#hold").bounding_box()
    assert shown(cold) == weights(writer, temperature=0)
    cold.click("#temperature-own")
    cold.wait_for_selector("#twice:checked:enabled")
    assert cold.locator("#hold").bounding_box() == box_before
    writer.put("/v1/collections/vectors", json={"encoder": None, "dimension": 2}).raise_for_status()
    writer.put("/v1/collections/vectors/documents/a", json={"key_vector": [1, 0]}).raise_for_status()
    writer.put("/v1/collections/near", json={"similarity": "gaussian"}).raise_for_status()
    writer.put("/v1/collections/near/documents/a", json={"key": "cats"}).raise_for_status()
    for where in ("vectors&q=1, 0", "near&q=cats"):
        page = explore(f"#collection={where}&twice=late").page
        page.wait_for_selector("#results .match[data-id=a]")
        assert page.locator("#twice").is_hidden()


def test_a_very_long_question_is_looked_at_once(explore: Explore, writer: httpx.Client) -> None:
    fill(writer)
    page = explore("#collection=books").page
    page.fill("#question", "cats " * 2001)
    page.click("#ask")
    page.wait_for_selector("#results .match[data-id]")
    assert page.locator("#twice").is_disabled()
    assert page.inner_text("#twice-told") == "A question of more than 10,000 characters is looked at once."


def test_a_calibration_without_it_keeps_its_confidences(explore: Explore, writer: httpx.Client) -> None:
    writer.put(WALL, json={"late": False}).raise_for_status()
    rows = [{"id": subject, "key": f"a book about {subject}"} for subject in SUBJECTS]
    writer.post(f"{WALL}/documents", json={"documents": rows}).raise_for_status()
    questions = {"questions": labelled(), "apply": True}
    assert writer.post(f"{WALL}/calibrate", json=questions).json()["reason"] is None
    writer.patch(WALL, json={"late": True}).raise_for_status()
    page = explore("#collection=books&q=buying tea").page
    page.wait_for_selector("#results .match[data-id=tea]")
    assert not page.is_checked("#twice")
    assert "right with probability" in page.inner_text("#results .match[data-id=tea]")
    page.check("#twice")
    page.wait_for_function("() => document.querySelector('.notes').textContent.includes('twice')")
    assert "twice=late" in page.url
    assert "right with probability" not in page.inner_text("#results")


def test_a_service_with_a_reranker_has_a_choice(explore: Explore, tmp_path: Path) -> None:
    model, file = write_cross_encoder(tmp_path / "pairs"), tmp_path / "encoders.toml"
    file.write_text(f'[encoders.minilm]\nmodel = "all-MiniLM-L6-v2"\n[rerankers.pairs]\nmodel = "{model}"\n')
    with RunningService(data_dir=tmp_path / "data", encoders=file) as service, service.client() as client:
        service.wait_until_ready()
        fill(client)
        page = explore(ASKED, origin=service.url).page
        first_is(page, "b1")
        page.click("#code-json")
        assert page.input_value("#twice-by") == "late"
        assert shown(page) == weights(client, **LATE)
        page.select_option("#twice-by", "1")
        has(page, '"depth": 50')
        page.wait_for_function("() => document.querySelector('.notes').textContent.includes('a second model read 5')")
        assert shown(page) == weights(client, rerank={"depth": 50})
        assert "twice=1" in page.url
        page.uncheck("#twice")
        has(page, '"rerank": null')
        cold = explore(f"{ASKED}&t=0&twice=1", origin=service.url).page
        first_is(cold, "b1")
        assert cold.is_checked("#twice")
        assert cold.locator("#twice-by").is_hidden()


@pytest.mark.parametrize("size", [PHONE, (1280, 900)], ids=["phone", "desk"])
def test_the_words_that_met_are_joined_by_threads(
    explore: Explore, writer: httpx.Client, size: tuple[int, int]
) -> None:
    fill(writer)
    # A character beyond 16 bits before the words: the service counts it as one.
    key = "😺 All that a young cat wants from the people of its house is food, warmth and a long sleep after lunch"
    writer.put(f"{WALL}/documents/long", json={"key": key}).raise_for_status()
    page = explore(f"{ASKED}&doc=long", size).page
    page.wait_for_selector("#words-met svg path")
    asked = {"query": QUESTION, "include": ["explanation"], **LATE}
    matches = writer.post(f"{WALL}/attend", json=asked).json()["matches"]
    (line,) = (match["explanation"]["addends"][-1] for match in matches if match["id"] == "long")
    pairs = line["pairs"]
    assert page.locator("#words-met li").all_text_contents() == [
        f"{pair['word']} found {pair['found']}, cosine {pair['cosine']:.2f}" for pair in pairs
    ]
    assert page.locator("#words-met .query").all_text_contents() == [pair["word"] for pair in pairs]
    assert page.locator("#words-met .over").all_text_contents() == [f"{pair['cosine']:.2f}" for pair in pairs]
    found = {pair["start"]: pair["found"] for pair in pairs}
    assert page.locator("#words-met text.key").all_text_contents() == [found[start] for start in sorted(found)]
    assert page.locator("#words-met path").count() == len(pairs)
    # Each thread ends at the word that was found, and no text leaves the picture.
    ends = page.evaluate(
        """() => {
          const keys = [...document.querySelectorAll('#words-met text.key')];
          const words = keys.map((one) => [one.textContent, one.getBBox()]);
          return [...document.querySelectorAll('#words-met path')].map((path) => {
            const { x, y } = path.getPointAtLength(path.getTotalLength());
            const isAt = (box) => x >= box.x && x <= box.x + box.width && Math.abs(y - box.y) <= 8;
            return words.find(([, box]) => isAt(box))?.[0];
          });
        }"""
    )
    assert ends == [pair["found"] for pair in pairs]
    assert page.evaluate(
        """() => { const svg = document.querySelector('#words-met svg');
          const all = svg.getBoundingClientRect();
          return [...svg.querySelectorAll('text')].every((text) => {
            const box = text.getBoundingClientRect();
            return box.left >= all.left - 1 && box.right <= all.right + 1 && box.bottom <= all.bottom + 1;
          }) && document.documentElement.scrollWidth <= window.innerWidth; }"""
    )
    assert page.locator("#words-met svg").get_attribute("width") is not None
    page.keyboard.press("Escape")


def test_the_steps_of_late_interaction_add_up(explore: Explore, writer: httpx.Client) -> None:
    fill(writer)
    vectors = writer.post(
        "/v1/encode", json={"texts": ["keeping cats", "what a cat needs"], "purpose": "document"}
    ).json()
    several = {"key": "keeping cats / what a cat needs", "key_vectors": vectors["embeddings"]}
    writer.put(f"{WALL}/documents/several", json=several).raise_for_status()
    for identifier in ("b2", "several"):
        page = explore(f"{ASKED}&words=0.1&doc={identifier}").page
        page.wait_for_selector("#sum")
        lines = [row.inner_text().split("\t") for row in page.locator("#sum tr").all()]
        logit, names = float(lines[1][1]), []
        for name, text in lines[2:]:
            number = float(text.translate({ord("−"): "-", ord(" "): "", ord("÷"): ""}))
            if name == "logit":
                assert number == pytest.approx(logit, abs=4e-3)
                break
            names.append(name)
            logit = logit / number if "÷" in text else logit + number
        assert ("its other keys" in names) is (identifier == "several")
        assert any(name.startswith("words that met, mean cosine") for name in names)
        assert any(name.startswith("and shifted") for name in names)
        rest = {name: float(text.replace("−", "-").replace(" ", "")) for name, text in lines if name.startswith("ln")}
        assert rest["ln of the weight"] == pytest.approx(logit + rest["ln of the sum over all"], abs=5e-3)


def test_an_ellipsis_stands_for_the_rest_of_a_long_key(explore: Explore, writer: httpx.Client) -> None:
    fill(writer)
    key = f"{'Of many other things. ' * 12}A cat needs milk. {'And of others. ' * 12}"
    writer.put(f"{WALL}/documents/long", json={"key": key}).raise_for_status()
    page = explore("#collection=books&q=cat milk&doc=long").page
    page.wait_for_selector("#words-met svg path")
    texts = page.locator("#words-met text.between").all_text_contents()
    assert texts[0] == texts[-1] == "…"
    assert page.locator("#words-met text.key").all_text_contents() == ["cat", "milk"]
