"""`softkv attend`: the table adds up, and programs get the service's own answer."""

from __future__ import annotations

import json
import re

import pytest

from softkv.commands.attend import NO_OPTIONS
from softkv.questions import Question
from softkv.record import fields_of
from tests.running import RunningService
from tests.service.commands.conftest import Softkv, command_runner
from tests.thorough import thorough

QUESTION = "machine learning"


@pytest.fixture(scope="module", autouse=True)
def library(service: RunningService) -> None:
    assert command_runner(service)("demo", "library").exit_code == 0


def weights(output: str) -> list[float]:
    """The weights of a table, which stand behind their bars."""
    return [float(numbers) for numbers in re.findall(r"^[█▉▊▋▌▍▎▏ #]{8} (\d\.\d{4})", output, re.MULTILINE)]


@pytest.mark.parametrize(
    "options", [[], ["--top-k", "3"], ["--top-k", "0"], ["-t", "0"], ["-t", "auto"], ["-t", "1e6"], ["--null", "0.5"]]
)
@pytest.mark.parametrize("null", [[], thorough(["--null", "false"]), thorough(["--null", "0.5"])])
def test_the_weights_that_are_shown_sum_to_one(softkv: Softkv, options: list[str], null: list[str]) -> None:
    shown = weights(softkv("attend", "library", QUESTION, *options, *null).stdout)
    assert sum(shown) == pytest.approx(1, abs=len(shown) * 5e-5)


def test_attend_shows_the_matching_document(softkv: Softkv) -> None:
    shown = softkv("attend", "library", QUESTION)
    assert shown.exit_code == 0
    assert "artificial intelligence" in shown.stdout
    assert "none of these" in shown.stdout
    assert "stands out: it has" in " ".join(shown.stdout.split())
    assert "of 110 documents" in shown.stdout


def test_every_option_reaches_the_service(softkv: Softkv) -> None:
    filter_ = {"field": "metadata.year", "operator": "<", "value": 1950}
    old = json.loads(
        softkv("attend", "library", QUESTION, "--filter", json.dumps(filter_), "--null", "-1.5", "--json").stdout
    )
    assert 0 < old["documents"] < 110
    assert all(match["metadata"]["year"] < 1950 for match in old["matches"])
    assert old["evidence"]["null_similarity"] == -1.5
    one = json.loads(softkv("attend", "library", QUESTION, "--normaliser", "one_hot", "--json").stdout)
    assert one["matches"][0]["weight"] == 1
    three = ["-t", "auto", "--effective-documents", "3", "--json"]
    answer = json.loads(softkv("attend", "library", QUESTION, *three).stdout)
    assert answer["evidence"]["effective_documents"] == pytest.approx(3, rel=0.01)


def test_words_and_a_bias_reach_the_service(softkv: Softkv) -> None:
    terms = [{"field": "metadata.year", "half_life": 50}, {"field": "metadata.shelf", "weights": {"science": 1}}]
    biases = [part for term in terms for part in ("--bias", json.dumps(term))]
    answer = json.loads(softkv("attend", "library", QUESTION, "--full-text", "0.1", *biases, "--json").stdout)
    assert (answer["full_text"]["weight"], answer["full_text"]["ranking"]) == (0.1, "bm25")
    best = answer["matches"][0]
    assert best["logit"] != pytest.approx(best["similarity"] / answer["temperature"], abs=1e-6)
    assert "full_text" not in json.loads(softkv("attend", "library", QUESTION, "--json").stdout)


def test_a_vector_can_ask(softkv: Softkv) -> None:
    ended = softkv("attend", "library", json.dumps([1.0] * 384), "--vector", "--json")
    assert json.loads(ended.stdout)["documents"] == 110
    narrow = softkv("attend", "library", "[1, 2, 3]", "--vector")
    assert narrow.exit_code == 1
    assert "384" in narrow.stderr


@pytest.mark.parametrize("width", ["60", "80", "200"])
def test_the_table_fits_the_terminal(softkv: Softkv, width: str) -> None:
    shown = softkv("attend", "library", QUESTION, COLUMNS=width).stdout
    assert max(map(len, shown.splitlines())) <= int(width)
    assert weights(shown)


def test_colours_are_for_terminals_that_want_them(softkv: Softkv) -> None:
    coloured = softkv("attend", "library", QUESTION, FORCE_COLOR="1", TERM="xterm-256color", NO_COLOR="")
    plain = softkv("attend", "library", QUESTION, FORCE_COLOR="1", TERM="xterm-256color", NO_COLOR="1")
    dumb = softkv("attend", "library", QUESTION, TERM="dumb")
    assert "\x1b[36m" in coloured.stdout
    assert "\x1b[36m" not in plain.stdout
    assert "\x1b" not in dumb.stdout


def test_attend_shows_the_defaults_of_the_collection(softkv: Softkv, service: RunningService) -> None:
    with service.client() as client:
        client.patch("/v1/collections/library", json={"defaults": {"top_k": 1, "include": ["output"]}})
        shown = softkv("attend", "library", QUESTION).stdout
        assert "Defaults of the collection: top_k 1." in shown
        assert "artificial intelligence" in shown
        assert "Defaults" not in softkv("attend", "library", QUESTION, "--ignore-defaults").stdout
        client.patch("/v1/collections/library", json={"defaults": None})


def test_the_command_has_the_options_of_the_client(softkv: Softkv) -> None:
    shown = " ".join(re.sub("[│╭╮╰╯─]", " ", softkv("attend", "--help", COLUMNS="400").stdout).split())
    for field in fields_of(Question):
        flag = "--" + field.name.replace("_", "-")
        assert (re.search(rf" {flag}\b", shown) is not None) is (field.name not in NO_OPTIONS), field.name
        if field.range.least is not None and field.range.most is not None:
            assert f"[{field.range.least}<=x<={field.range.most}]" in shown
    assert "set of matches that holds this share of the document weight; above 0." in shown
    assert "auto|lenient|strict|calibrated|false|X" in shown
    assert "answer rests on --effective-documents" in shown
    assert "DEPTH is 50 if left out" in shown
    assert "AS is mean, vote or quantile; repeat the option for more" in shown


@pytest.mark.parametrize(
    ("option", "value", "bound"),
    [
        ("--top-k", "-1", "greater than or equal to 0"),
        ("--diversity", "1.5", "less than or equal to 1"),
        ("--effective-documents", "0.5", "greater than or equal to 1"),
    ],
)
def test_a_number_out_of_the_range_of_a_question_is_refused_without_a_call(
    softkv: Softkv, option: str, value: str, bound: str
) -> None:
    ended = softkv("attend", "library", QUESTION, option, value)
    assert ended.exit_code == 2
    assert f"Input should be {bound}" in " ".join(re.sub("[│╭╮╰╯─]", " ", ended.stderr).split())


@pytest.fixture
def reranked(reranking_service: RunningService) -> Softkv:
    """Run a command against the service with a reranker."""
    return command_runner(reranking_service)


@pytest.mark.parametrize("value", ["pairs:20", ":20", '{"depth": 20}'])
def test_a_reranker_is_named_with_its_depth(reranked: Softkv, value: str) -> None:
    answer = json.loads(reranked("attend", "library", QUESTION, "--rerank", value, "--json").stdout)
    assert answer["certificate"]["reranked"] == 20


def test_the_table_has_a_column_of_the_reranker(reranked: Softkv, reranking_service: RunningService) -> None:
    shown = reranked("attend", "library", QUESTION, "--rerank", "pairs:3", "-k", "110", COLUMNS="120").stdout
    fields = {"query": QUESTION, "top_k": 110, "rerank": {"depth": 3}, "include": ["explanation"]}
    with reranking_service.client() as client:
        answer = client.post("/v1/collections/library/attend", json=fields).json()
    lines = [match["explanation"]["addends"][-1] for match in answer["matches"]]
    addends = [f"{line['addend']:+.3f}" for line in lines if line["logit"] is not None]
    assert re.findall(r"[+-]\d+\.\d{3}\b", shown) == addends
    assert len(addends) == 3
    assert "the best 3 reranked" in shown
    assert weights(shown) == pytest.approx(
        [*(match["weight"] for match in answer["matches"]), answer["evidence"]["null_weight"]], abs=1e-4
    )


def test_the_table_names_late_interaction(softkv: Softkv, service: RunningService) -> None:
    shown = softkv("attend", "library", QUESTION, "--rerank", "late", "-k", "12", COLUMNS="120").stdout
    fields = {"query": QUESTION, "top_k": 12, "rerank": {"model": "late"}, "include": ["explanation"]}
    with service.client() as client:
        answer = client.post("/v1/collections/library/attend", json=fields).json()
    lines = [match["explanation"]["addends"][-1] for match in answer["matches"]]
    addends = [f"{line['addend']:+.3f}" for line in lines if line["words"] is not None]
    assert re.findall(r"[+-]\d+\.\d{3}\b", shown) == addends
    assert len(addends) == 10
    assert shown.split("\n")[0].split() == ["weight", "similarity", "words", "id", "key,", "value"]
    assert "the best 10 compared word by word" in shown


def test_groups_have_a_table_of_their_own(softkv: Softkv) -> None:
    options = ["-k", "0", "-t", "0.2", "--group-by", "metadata.language:2"]
    shown = softkv("attend", "library", "pets that purr", *options, COLUMNS="120").stdout
    rows = [line.split() for line in shown.splitlines()]
    assert ["weight", "documents", "metadata.language", "best", "documents"] in rows
    of_groups = [row[1:4] for row in rows if row[3:4] in (["en"], ["fr"])]
    assert of_groups == [["0.4778", "76", "en"], ["0.0241", "6", "fr"]]
    assert "gorillas-in-the-mist" in shown
    assert "0.1232             all other values" in shown
    years = '{"field": "metadata.year", "ranges": [[null, 1900], [1900, 1950], [1950, null]]}'
    ranges = softkv("attend", "library", "pets that purr", "-k", "0", "--group-by", years, COLUMNS="120").stdout
    assert all(name in ranges for name in ("below 1900", "1900 to below 1950", "from 1950"))
    missing = softkv("attend", "library", "pets that purr", "--group-by", "metadata.none", COLUMNS="120").stdout
    assert "without this field" in missing


def test_fields_are_read_below_the_table(softkv: Softkv) -> None:
    fields = ["metadata.year:mean", '{"field": "metadata.year", "as": "quantile", "quantiles": [0.1, 0.9]}']
    reads = [part for field in [*fields, "metadata.language:vote"] for part in ("--read", field)]
    shown = softkv("attend", "library", "pets that purr", "-t", "0.2", *reads, COLUMNS="200").stdout
    assert re.search(r"^mean of metadata.year: [\d.]+ ± [\d.]+$", shown, re.MULTILINE)
    assert "quantile of metadata.year: 1776 (1776 at 0.1, 2001 at 0.9)" in shown
    assert re.search(r"^vote of metadata.language: en \(en 76.4%, fr 3.9%", shown, re.MULTILINE)
    alone = json.loads(softkv("attend", "library", "pets that purr", "--read", fields[0], "--json").stdout)
    assert alone["read"]["as"] == "mean"


def test_an_object_that_is_invalid_json_is_refused(softkv: Softkv) -> None:
    ended = softkv("attend", "library", QUESTION, "--group-by", '{"field"')
    assert ended.exit_code == 2
    assert "expected a JSON object" in ended.stderr


@pytest.mark.parametrize("option", ["--temperature", "--null", "--full-text"])
@pytest.mark.parametrize("value", ["warm", "nan", "inf"])
def test_an_option_refuses_a_value_that_is_not_a_number(softkv: Softkv, option: str, value: str) -> None:
    ended = softkv("attend", "library", QUESTION, option, value)
    assert ended.exit_code == 2
    assert "expected a number, or auto" in ended.stderr
