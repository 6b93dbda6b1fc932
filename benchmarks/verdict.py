"""Is it right to say that one document stands out? On labelled questions, half of which have lost their document.

    python -m benchmarks.verdict [--questions 600] [--sizes 300 1000 3000 12000]

The sets are `python` and `unicode` of `benchmarks.labelled`, and those of `benchmarks.installed` that are on this
machine. For each size there are enough collections that 600 questions have their document there, and 600 have not; the
null keys and the temperature are those of the service. Off-topic questions come from another set, and 21 strings are
meaningless.

A decision is right if the verdict is "one" and the first match is right, or if it is not "one" and the first match is
wrong. The figure is the mean of two shares: of questions whose document is there, and of those whose document is not.
Beside it are the share for "not none", and that for the best threshold on the cosine of the first match, chosen with
the labels. The exit code is 1 if, with `auto`, less than 73 % are right in any set, or if the verdict is "one" for
more than 2 % of off-topic questions.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from attention.lookup import HALF
from benchmarks.asking import Asking, Results, Said, Vectors, ask_all, collections
from benchmarks.installed import UNRELATED, installed, wordnet
from benchmarks.labelled import Labels, labels_of
from service.datasets import DEMOS
from service.encoding import Content, load_encoder
from service.retrieval.collections import NullChoice

SIZES = (300, 1000, 3000, 12_000)
QUESTIONS, OFF_TOPIC = 600, 300
NULLS: tuple[NullChoice, ...] = ("auto", "strict", "lenient")
VERDICTS = ("one", "several", "none")
LEAST, MOST_OFF_TOPIC = 0.73, 0.02
SMALL, OF_SMALL, OF_LARGE = 1000, 0.80, 0.73
"""The required share of right decisions in collections of at most SMALL documents, and in larger ones."""
WANTED_OFF_TOPIC, WANTED_NONE, WANTED_STRINGS = 0.01, 0.18, (1, 2)

MEANINGLESS = (
    *("asdf", "qwertyuiop", "zxcvbnm", "hjkl hjkl", "xyzzy", "foobar", "aaaaaaaaaa", "mmmmm", "0x7fe3a9", "12345"),
    *("?!?!", "...", "the of and", "lorem ipsum dolor sit amet", "flurb zindle quax", "blorf", "ggg hhh"),
    *("sdkfj lskdjf lskdjf", "zorp", "wug dax toma", "glorble snib"),
)
FIVE = ("cats purr", "dogs bark", "trains", "bread", "violin")
"""Keys of the smallest collection, which is asked what means nothing."""


@dataclass(frozen=True)
class VerdictResults(Results):
    """The results on collections of one size, also of strings without a meaning.

    Attributes:
        meaningless: of these strings, one for each collection.
    """

    meaningless: list[Said]

    @property
    def by_answered(self) -> float:
        """By the documents together, as `answered` did it."""
        return self.decided(self.present.nulls < HALF, self.absent.nulls < HALF)

    @property
    def by_cosine(self) -> tuple[float, float]:
        """By the best threshold on the cosine, which knows the labels; and that threshold."""
        thresholds = np.unique(np.concatenate([self.present.cosines, self.absent.cosines]))
        return max(
            (self.decided(self.present.cosines > threshold, self.absent.cosines > threshold), float(threshold))
            for threshold in thresholds
        )

    @property
    def strings(self) -> tuple[int, int]:
        """Return how many meaningless strings get "one", and how many do not get "none", in the worst collection."""
        return (
            max(int(np.count_nonzero(results.verdicts == "one")) for results in self.meaningless),
            max(int(np.count_nonzero(results.verdicts != "none")) for results in self.meaningless),
        )


def results_by_null(
    labels: Labels, size: int, questions: int, off_topic: Sequence[str], strings: Sequence[str], vectors: Vectors
) -> dict[NullChoice, VerdictResults]:
    """Return the results of each null key on collections of one size; empty if the set has too few documents."""
    questioned = list(collections(labels, size, questions))
    askings = [Asking(collection.keys, vectors) for collection in questioned]
    others = [off_topic] * len(askings) if off_topic else []
    return {
        choice: VerdictResults(
            **vars(ask_all(askings, questioned, choice, others)),
            meaningless=[asking.ask(strings, choice) for asking in askings],
        )
        for choice in (NULLS if questioned else ())
    }


def rows(table: Table, name: str, size: int, by_choice: dict[NullChoice, VerdictResults]) -> None:
    """Lines of the table, one for each null key."""
    for choice, one in by_choice.items():
        cosine, threshold = one.by_cosine
        first = choice == NULLS[0]
        table.add_row(
            name if first else "",
            f"{size:,}" if first else "",
            f"{one.right.mean():.2f}" if first else "",
            str(choice),
            _shares(one.present.of(one.right)),
            _shares(one.absent),
            "–" if one.off_topic is None else _shares(one.off_topic),
            "{} / {}".format(*one.strings),
            f"{one.by_verdict:.3f}",
            f"{one.by_answered:.3f}",
            f"{cosine:.3f} (> {threshold:.2f})" if first else "",
        )


def _shares(message: Said) -> str:
    return " ".join(f"{message.share(verdict):.3f}".removeprefix("0") for verdict in VERDICTS)


def missed(name: str, size: int, one: VerdictResults) -> list[str]:
    """Return the requirements that `auto` misses."""
    least = OF_SMALL if size <= SMALL else OF_LARGE
    share_of_none, (ones, not_none) = one.present.of(one.right).share("none"), one.strings
    flaws = [f"{one.by_verdict:.3f} decided rightly, wanted {least:.2f}"] if one.by_verdict < least else []
    if one.off_topic is not None and one.off_topic.share("one") > WANTED_OFF_TOPIC:
        flaws.append(f'{one.off_topic.share("one"):.1%} of off-topic questions "one", wanted {WANTED_OFF_TOPIC:.0%}')
    if share_of_none > WANTED_NONE:
        flaws.append(f'{share_of_none:.1%} of the right ones "none", wanted {WANTED_NONE:.0%}')
    if ones > WANTED_STRINGS[0] or not_none > WANTED_STRINGS[1]:
        flaws.append(f'of {len(MEANINGLESS)} strings {ones} "one" and {not_none} not "none", wanted 1 and 2')
    return [f"{name} {size:,}: {flaw}" for flaw in flaws]


def sets() -> dict[str, Labels | None]:
    """All sets by name; None for one that is not on this machine."""
    return installed() | {name: labels_of(name, DEMOS[name].documents()) for name in ("python", "unicode")}


def off_topic_of(labelled: dict[str, Labels | None], most: int = OFF_TOPIC) -> dict[str, list[str]]:
    """Questions that are about nothing in a set: on living things, or on software where a set has living things."""
    living, software = wordnet(UNRELATED), labelled["debian"]
    texts = [
        [] if set_of_labels is None else [text for text, _ in islice(set_of_labels.apart(), most)]
        for set_of_labels in (living, software)
    ]
    return {name: texts[name in ("wordnet", "unicode")] for name in labelled}


def main() -> int:
    """Make the collections, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="of each kind, to collections of a size")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="documents in a collection")
    arguments = parser.parse_args()
    vectors = Vectors(load_encoder("all-MiniLM-L6-v2"))
    read = vectors.encoder.encode(MEANINGLESS, "query").texts()
    strings = [text for text, one in zip(MEANINGLESS, read, strict=True) if one.content > Content.NOTHING]
    table = Table(title="shares of one, several and none; decided rightly by …", box=box.SIMPLE)
    for heading in ("", "documents", "right first", "null", "right", "absent", "off-topic", "strings"):
        table.add_column(heading, no_wrap=True, justify="left" if heading in ("", "null") else "right")
    for heading in ("verdict", "answered", "cosine, hindsight"):
        table.add_column(heading, no_wrap=True, justify="right")
    labelled = sets()
    off_topic = off_topic_of(labelled)
    passed, flaws = True, list[str]()
    for name, labels in labelled.items():
        for size in () if labels is None else arguments.sizes:
            assert labels is not None
            result = results_by_null(labels, size, arguments.questions, off_topic[name], strings, vectors)
            rows(table, name, size, result)
            if result:
                auto = result["auto"]
                flaws += missed(name, size, auto)
                off = 0.0 if auto.off_topic is None else auto.off_topic.share("one")
                passed &= auto.by_verdict >= LEAST and off <= MOST_OFF_TOPIC
    console = Console(width=160)
    console.print(table)
    few = Asking({key: key for key in FIVE}, vectors)
    for choice in NULLS:
        verdicts = few.ask(strings, choice).verdicts
        ones, not_none = np.count_nonzero(verdicts == "one"), np.count_nonzero(verdicts != "none")
        console.print(f'five short keys, {choice}: of {len(strings)} strings {ones} "one", {not_none} not "none"')
    absent = [name for name, labels in labelled.items() if labels is None]
    console.print(f"not on this machine: {', '.join(absent) or 'nothing'}")
    console.print("\n".join(["wanted of auto, and not so:", *flaws] if flaws else ["all is as wanted"]), soft_wrap=True)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
