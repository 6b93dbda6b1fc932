"""`softkv calibrate`: a table of what labelled questions gain, and what is wrong with a file by its lines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from softkv.commands.calibrate import read_labels
from tests.browser.explore.test_calibrate import SUBJECTS
from tests.browser.explore.test_calibrate import labelled as labelled_texts
from tests.running import RunningService
from tests.service.commands.conftest import Softkv


@pytest.fixture
def labelled(softkv: Softkv, tmp_path: Path) -> Path:
    """80 questions to a collection of 40 keys, half near one of them."""
    random = np.random.default_rng(0)
    keys = random.normal(size=(80, 8))
    rows = ({"id": str(i), "key_vector": key.tolist()} for i, key in enumerate(keys[:40]))
    (tmp_path / "keys.ndjson").write_text("\n".join(map(json.dumps, rows)))
    made = softkv("load", str(tmp_path / "keys.ndjson"), "--collection", "compass", "--encoder", "none")
    assert made.exit_code == 0, made.stderr
    queries = (keys[i] + 0.3 * random.normal(size=8) for i in range(80))
    lines = ({"query": query.tolist(), "id": str(i) if i < 40 else None} for i, query in enumerate(queries))
    path = tmp_path / "labelled.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    return path


def test_a_table_shows_before_and_after_and_json_has_all_of_it(softkv: Softkv, labelled: Path) -> None:
    shown = softkv("calibrate", str(labelled), "-c", "compass")
    assert shown.exit_code == 0, shown.stderr
    assert "40 questions with an answer, 40 without" in shown.stdout
    assert "as served" in shown.stdout
    assert "not kept: --apply keeps it" in shown.stdout
    report = json.loads(softkv("calibrate", str(labelled), "-c", "compass", "--apply", "--json").stdout)
    assert report["labels"] == {"present": 40, "absent": 40}
    assert f"{report['after']['log_loss']['value']:.3f}" in shown.stdout
    assert report["applied"] == any(gain["value"] > gain["error"] for gain in report["gained"].values())


@pytest.mark.parametrize(("line", "says"), [("{", "line 2 of"), ('{"id": "a"}', "is not a question")])
def test_an_invalid_line_is_named(softkv: Softkv, tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "labelled.jsonl"
    path.write_text(f'{{"query": "a", "id": null}}\n{line}\n')
    refused = softkv("calibrate", str(path), "-c", "compass")
    assert refused.exit_code == 1
    assert says in refused.stderr


@pytest.mark.parametrize("begins", ["", "\ufeff"])
def test_only_line_feeds_end_a_line(softkv: Softkv, labelled: Path, begins: str) -> None:
    # Separators that are lines to Python, and no others, may stand in a text.
    path = labelled.with_name("separated.jsonl")
    path.write_text(begins + '{"query": "a\u2028b\x85c", "id": null}\n' + labelled.read_text(), encoding="utf-8")
    refused = softkv("calibrate", str(path), "-c", "compass")
    assert refused.exit_code == 1
    assert f"line 1 of {path}: the query is a text" in refused.stderr


def test_judgements_that_do_not_count_are_counted_and_named_by_line(softkv: Softkv, labelled: Path) -> None:
    expected = json.loads(softkv("calibrate", str(labelled), "-c", "compass", "--json").stdout)
    gone = [json.dumps({"query": [1.0] * 8, "ids": [f"gone{i}", "lost"]}) for i in range(8)]
    labelled.write_text("\n\n" + "\n".join([labelled.read_text().strip(), *gone[:4], "{", *gone[4:]]) + "\n")
    sentences = [
        f"line {line} of {labelled}: no document with a key has the id {identity!r}: correct the id, or leave it out"
        for i, line in enumerate([83, 84, 85, 86, 88, 89, 90, 91])
        for identity in (f"gone{i}", "lost")
    ]
    shown = softkv("calibrate", str(labelled), "-c", "compass", "--json")
    assert shown.exit_code == 0, shown.stderr
    told = "".join(shown.stderr.split())
    assert f"1judgementsdonotcount,theothersdo:line87of{labelled}:itisnotJSON" in told
    assert (
        "".join("".join(["16 judgements do not count, the others do:", *sentences[:10], "and 6 more"]).split()) in told
    )
    report = json.loads(shown.stdout)
    assert report["left_out"][1:] == sentences
    assert report["labels"] == expected["labels"]
    assert report["after"] == expected["after"]


def test_notices_of_a_table_of_questions_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.tsv"
    path.write_text('query\tid\n"Hello" she said\t1\n', encoding="utf-8")
    questions, _ = read_labels(path, "query", "id")
    assert [question["query"] for question in questions.values()] == ['"Hello" she said']
    printed = " ".join(capsys.readouterr().err.split())
    assert "since line 2 is not quoted; open_table(…, quoting='csv') takes them off" in printed


def test_an_answer_says_how_sure_it_is(softkv: Softkv, labelled: Path) -> None:
    softkv("calibrate", str(labelled), "-c", "compass", "--apply")  # a test before may have kept the same
    question = json.dumps(json.loads(labelled.read_text().splitlines()[0])["query"])
    answer = json.loads(softkv("attend", "compass", question, "--vector", "--json").stdout)
    sure = f"{answer['matches'][0]['confidence']:.0%}".replace("%", " %")
    for least, message in ((0.01, "is sure enough: it has"), (1.0, "No document is sure enough: ")):
        shown = softkv("attend", "compass", question, "--vector", "--min-confidence", str(least))
        text = " ".join(shown.stdout.split())
        assert message in text
        assert f"it is right with a probability of {sure} ({100 * least:.0f} % was asked for)" in text
        assert "sure" in shown.stdout.splitlines()[0]


def test_late_interaction_reads_ten_documents_unless_the_command_says_otherwise(
    softkv: Softkv, service: RunningService, tmp_path: Path
) -> None:
    wall, file = "/v1/collections/subjects", tmp_path / "labels.jsonl"
    file.write_text("".join(f"{json.dumps(question)}\n" for question in labelled_texts()))
    with service.client() as client:
        client.put(wall, json={}).raise_for_status()
        documents = [{"id": subject, "key": f"a book about {subject}"} for subject in SUBJECTS]
        client.post(f"{wall}/documents", json={"documents": documents}).raise_for_status()
        try:
            for options, depth in (([], 10), (["--depth", "5"], 5)):
                shown = softkv("calibrate", str(file), "-c", "subjects", "--rerank", "late", *options).stdout
                assert f"late reads {depth} documents, its logit counts " in " ".join(shown.split())
        finally:
            client.delete(wall)


def test_the_questions_may_follow_from_feedback(softkv: Softkv, labelled: Path) -> None:
    for arguments in ([], [str(labelled), "--from", "feedback"]):
        misused = softkv("calibrate", *arguments, "-c", "compass")
        assert misused.exit_code == 2
        assert "name the FILE of the questions" in misused.stderr
    few = softkv("calibrate", "--from", "feedback", "-c", "compass")
    assert few.exit_code == 1
    assert "from feedback follow 0 questions with an answer" in few.stderr
