"""`softkv label COLLECTION FILE`: label questions at the keyboard, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from softkv.commands.command_line import ApiKey, CommandError, Misused, QueryColumn, Url, existing_file
from softkv.settings import DEFAULT_URL

if TYPE_CHECKING:
    from rich.console import Console

    import softkv

ENOUGH = 30
"""The number of labelled questions from which on the command says what they would buy."""
STEP = 10
"""The number of labels after which it says this again, or a fifth of the labels if that is more."""
Choice: TypeAlias = "Sequence[str | None] | Literal['skip', 'undo', 'quit']"
CHARACTERS = 400
"""The most characters of a key or a value that are shown."""


def label(
    collection: Annotated[str, typer.Argument(help="The name of the collection.", show_default=False)],
    file: Annotated[
        Path,
        typer.Argument(
            help="A .txt file with a question per line, or a table of any format.",
            parser=existing_file,
            metavar="FILE",
            show_default=False,
        ),
    ],
    query_column: QueryColumn = "query",
    shown: Annotated[
        int, typer.Option("-k", "--top-k", min=1, max=9, help="The number of matches of each question.")
    ] = 5,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Label questions at the keyboard, for a calibration from feedback.

    Each question shows its best matches. Type the numbers of those that answer
    it, or n if nothing in the collection does, and Enter. Each label is sent
    at once, as feedback. Questions that have one are passed over.

    softkv label library questions.txt
    softkv calibrate --from feedback --collection library --apply
    """
    from softkv.commands.calibrate import read_labels
    from softkv.commands.console import output
    from softkv.commands.remote import connect

    if file == Path("-"):
        raise Misused("standard input has the labels: name a FILE of questions")
    rows, _ = read_labels(file, query_column, None)
    questions = dict.fromkeys(row["query"] for row in rows.values() if isinstance(row["query"], str))
    if not questions:
        raise CommandError(f"{file} has no question: write one in each line")
    with connect(url, api_key) as client:
        Labelling(client.collection(collection), list(questions), shown, output()).run()


class Labelling:
    """The questions of a file, which a person labels one after the other."""

    def __init__(self, collection: softkv.Collection, questions: Sequence[str], shown: int, console: Console) -> None:
        self._collection = collection
        self._questions = questions
        self._shown = shown
        self._console = console
        # A question of which only wrong documents are known is asked, since its label may be another.
        self._labelled = {
            record.query for record in collection.feedback() if record.right and isinstance(record.query, str)
        }
        self._given = dict[str, Sequence[str | None]]()
        self._announced = 0

    def run(self) -> None:
        """Ask for labels until no question is left or the person quits, then say how many there are."""
        if passed := sum(question in self._labelled for question in self._questions):
            self._console.print(f"{passed:,} of {len(self._questions):,} questions have a label already")
        try:
            self._label_all()
        except (EOFError, KeyboardInterrupt):
            self._console.print()
        name, total = self._collection.name, len(self._labelled)
        self._console.print(f"{name}: {len(self._given):,} questions labelled now, {total:,} in all")
        if total >= ENOUGH and total != self._announced:
            self._announce()

    def _label_all(self) -> None:
        import softkv

        waiting = [question for question in self._questions if question not in self._labelled]
        index = 0
        while index < len(waiting):
            question = waiting[index]
            try:
                choice = self._ask(question, f"{index + 1:,} of {len(waiting):,}", can_undo=index > 0)
                if not isinstance(choice, str):
                    self._give(question, choice)
            except softkv.Invalid as error:  # the other questions may be valid
                self._console.print(f"\nleft out: {error.detail}")
                del waiting[index]
                continue
            if choice == "quit":
                return
            if choice == "undo":
                index -= 1
                self._withdraw(waiting[index])
                continue
            index += 1
            since = len(self._labelled) - self._announced
            if len(self._labelled) >= ENOUGH and since >= max(STEP, self._announced // 5):
                self._announce()

    def _announce(self) -> None:
        """Say what a calibration by all labels would gain."""
        self._announced = len(self._labelled)
        self._console.print(describe_worth(self._collection))

    def _ask(self, question: str, position: str, *, can_undo: bool) -> Choice:
        """Show a question with its matches, and read what to do until it is valid."""
        from rich.table import Table
        from rich.text import Text

        from softkv.commands.console import describe_match, one_line

        answer = self._collection.attend(question, top_k=self._shown, include=["key", "value"])
        matches = answer.to_dict()["matches"]
        rows = Table.grid(padding=(0, 2))
        for number, match in enumerate(matches, 1):
            rows.add_row(Text(f"  {number}", "bold"), f"{match['weight']:.4f}", describe_match(match, CHARACTERS))
        self._console.print()
        self._console.print(Text.assemble((f"{position}: ", "dim"), (one_line(question), "bold")))
        self._console.print(rows)
        numbers = {str(number): match["id"] for number, match in enumerate(matches, 1)}
        keys: dict[str, Choice] = {"n": [None], "0": [None], "s": "skip", "q": "quit"}
        letters = "n nothing fits, s skip, q quit"
        if can_undo:
            keys["u"], letters = "undo", letters.replace("q quit", "u undo, q quit")
        digits = f"1 to {len(numbers)}" if len(numbers) > 1 else "".join(numbers)
        hint = f"{digits}, {letters}" if digits else letters
        while True:
            typed = self._console.input(Text(f"{hint}: ", "dim")).strip().lower()
            if typed in keys:
                return keys[typed]
            chosen = typed.replace(" ", "").replace(",", "")
            if chosen and numbers.keys() >= set(chosen):
                return [numbers[digit] for digit in dict.fromkeys(chosen)]
            self._console.print(f"wanted {hint}, got {one_line(typed)!r}")

    def _give(self, question: str, ids: Sequence[str | None]) -> None:
        self._collection.give_feedback({"query": question, "id": id_, "right": True} for id_ in ids)
        self._given[question] = ids
        self._labelled.add(question)

    def _withdraw(self, question: str) -> None:
        """Delete the label that was given to a question; do nothing if it was skipped."""
        ids = self._given.pop(question, None)
        if ids is None:
            return
        records = (record for record in self._collection.feedback() if record.query == question and record.right)
        numbers = {record.id: record.number for record in records if record.id in ids}
        self._collection.delete_feedback(numbers.values())
        self._labelled.remove(question)


def describe_worth(collection: softkv.Collection) -> str:
    """Return what a calibration from the feedback of a collection would gain, or why nothing follows from it."""
    import softkv

    try:
        return f"what the labels would buy: {collection.calibrate(source='feedback').summary}"
    except softkv.Invalid as error:
        return error.detail
