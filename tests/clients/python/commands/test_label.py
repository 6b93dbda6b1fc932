"""`softkv label`: labels from a keyboard or a pipe, undone and resumed, in the collection's feedback."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from softkv import Client
from tests.running import RunningService
from tests.service.commands.conftest import COMMAND, Softkv

BOOKS = {"cats": "a book about cats", "ships": "a book about ships", "bread": "baking" + " loaves and" * 60}
QUESTIONS = ["pets that purr", "sailing the sea", "loaves from the oven", "the moons of Jupiter"]


@pytest.fixture
def client(service: RunningService) -> Iterator[Client]:
    """A client of a service that has a collection of books, without feedback."""
    with Client(service.url) as client:
        books = client.collection("to-label")
        books.create(exist_ok=True)
        books.upsert({"id": id_, "key": key} for id_, key in BOOKS.items())
        yield client
        books.drop()


@pytest.fixture
def questions(tmp_path: Path) -> str:
    path = tmp_path / "questions.txt"
    path.write_text("\n".join(QUESTIONS) + f"\n\n{QUESTIONS[0]}\n")
    return str(path)


def labels(client: Client) -> list[tuple[object, str | None, bool]]:
    return [(record.query, record.id, record.right) for record in client.collection("to-label").feedback()]


def test_each_label_is_sent_and_a_second_run_asks_the_other_questions(
    softkv: Softkv, client: Client, questions: str
) -> None:
    first = softkv("label", "to-label", questions, input="1\ns\n2 1\n")
    assert first.exit_code == 0, first.stderr
    assert "1 of 4: pets that purr" in first.stdout
    match = client.collection("to-label").attend(QUESTIONS[0])[0]
    assert f"  1  {match.weight:.4f}  a book about cats" in first.stdout
    assert f"baking{' loaves and' * 35} loaves a…" in " ".join(first.stdout.split())
    assert "4 of 4: the moons of Jupiter" in first.stdout
    assert "to-label: 2 questions labelled now, 2 in all" in first.stdout
    ids = [match.id for match in client.collection("to-label").attend(QUESTIONS[2])]
    assert labels(client) == [(QUESTIONS[0], "cats", True), (QUESTIONS[2], ids[1], True), (QUESTIONS[2], ids[0], True)]
    second = softkv("label", "to-label", questions, "-k", "1", input="0\nn\n")
    assert "2 of 4 questions have a label already" in second.stdout
    assert "1 of 2: sailing the sea" in second.stdout
    assert "1, n nothing fits, s skip, q quit: " in second.stdout
    assert "to-label: 2 questions labelled now, 4 in all" in second.stdout
    assert labels(client)[3:] == [(QUESTIONS[1], None, True), (QUESTIONS[3], None, True)]
    done = softkv("label", "to-label", questions, input="")
    assert "nothing fits" not in done.stdout


def test_undo_deletes_the_label_and_asks_again(softkv: Softkv, client: Client, questions: str) -> None:
    client.collection("to-label").give_feedback([{"query": QUESTIONS[1], "id": "bread", "right": False}])
    shown = softkv("label", "to-label", questions, input="u\n1\n1,2\ns\nu\nu\nn\nq\n")
    assert shown.exit_code == 0, shown.stderr
    assert "wanted 1 to 3, n nothing fits, s skip, q quit, got 'u'" in shown.stdout
    assert "to-label: 2 questions labelled now, 2 in all" in shown.stdout
    # What another caller said of the question stays.
    assert labels(client) == [(QUESTIONS[1], "bread", False), (QUESTIONS[0], "cats", True), (QUESTIONS[1], None, True)]


@pytest.mark.parametrize("typed", ["4", "01", "1x", "yes", ""])
def test_another_key_is_refused_and_the_valid_ones_are_named(
    softkv: Softkv, client: Client, questions: str, typed: str
) -> None:
    shown = softkv("label", "to-label", questions, input=f"{typed}\nq\n")
    assert f"wanted 1 to 3, n nothing fits, s skip, q quit, got '{typed}'" in shown.stdout
    assert labels(client) == []


def test_a_question_that_the_service_refuses_is_left_out(softkv: Softkv, client: Client, tmp_path: Path) -> None:
    (tmp_path / "questions.txt").write_text(f"{QUESTIONS[0]}\n养猫\n{QUESTIONS[1]}\n", encoding="utf-8")
    shown = softkv("label", "to-label", str(tmp_path / "questions.txt"), input="1\nu\nn\nn\n")
    assert "left out: Expected a question with something to read, got '养猫'" in shown.stdout
    assert "2 of 2: sailing the sea" in shown.stdout
    assert labels(client) == [(QUESTIONS[0], None, True), (QUESTIONS[1], None, True)]


def test_a_question_whose_label_the_service_refuses_is_left_out(softkv: Softkv, client: Client, tmp_path: Path) -> None:
    """A question may be longer than one that feedback takes: it has an answer, and no label."""
    long = "pets that purr " * 670
    (tmp_path / "questions.txt").write_text(f"{QUESTIONS[0]}\n{long}\n{QUESTIONS[1]}\n")
    shown = softkv("label", "to-label", str(tmp_path / "questions.txt"), input="1\n1\nn\n")
    assert shown.exit_code == 0, shown.stderr
    assert "left out: " in shown.stdout
    assert "a question has at most 10000: send the question" in " ".join(shown.stdout.split())
    assert "2 of 2: sailing the sea" in shown.stdout
    assert "to-label: 2 questions labelled now, 2 in all" in shown.stdout
    assert labels(client) == [(QUESTIONS[0], "cats", True), (QUESTIONS[1], None, True)]


def test_an_interrupt_at_a_terminal_keeps_the_labels_that_were_sent(
    service: RunningService, client: Client, questions: str
) -> None:
    here, there = pty.openpty()
    command = [*COMMAND, "label", "to-label", questions, "--url", service.url]
    plain = os.environ | {"TERM": "dumb"}
    # A shell has background jobs ignore SIGINT, and the command would with them.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stdin=there, stdout=there, stderr=there, env=plain, preexec_fn=heed)
    os.close(there)
    told = ""
    with suppress(OSError):  # the terminal ends with the command
        while data := os.read(here, 4096):
            told += data.decode()
            if told.endswith("s skip, q quit: "):
                os.write(here, b"1\r")
            if told.endswith("u undo, q quit: "):
                process.send_signal(signal.SIGINT)
    os.close(here)
    assert process.wait(60) == 0, told
    assert "to-label: 1 questions labelled now, 1 in all" in told
    assert labels(client) == [(QUESTIONS[0], "cats", True)]


def test_thirty_labels_show_the_gain_of_a_calibration(softkv: Softkv, client: Client, questions: str) -> None:
    books = client.collection("to-label")
    given = [(f"a ship of {i} masts", "ships") for i in range(19)] + [
        (f"the taxes of {1900 + i}", None) for i in range(9)
    ]
    books.give_feedback({"query": query, "id": id_, "right": True} for query, id_ in given)
    few = softkv("label", "to-label", questions, input="1\nq\n")
    assert few.stdout.endswith("to-label: 1 questions labelled now, 29 in all\n")
    enough = softkv("label", "to-label", questions, input="n\nq\n", COLUMNS="1000")
    gain = f"what the labels would buy: {books.calibrate(source='feedback').summary}"
    assert enough.stdout.index(gain) < enough.stdout.index("30 in all")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("q.csv", "a,b\n1,2\n", "has no column 'query', its columns are a, b"),
        ("q.txt", "\n", "has no question: write one in each line"),
        ("q.jsonl", json.dumps({"query": [1.0, 2.0]}), "has no question: write one in each line"),
    ],
)
def test_a_file_without_questions_is_refused(bare: Softkv, tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content)
    refused = bare("label", "to-label", str(tmp_path / name))
    assert refused.exit_code == 1
    assert says in " ".join(refused.stderr.split())


def test_standard_input_has_the_labels(bare: Softkv) -> None:
    refused = bare("label", "to-label", "-", input="pets that purr\n")
    assert (refused.exit_code, "name a FILE of questions" in refused.stderr) == (2, True)
