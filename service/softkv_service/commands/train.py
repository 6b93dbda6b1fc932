"""`softkv train FILE`: train a projection of a collection's queries on labelled pairs, and keep it if it gains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softkv.commands.command_line import (
    ApiKey,
    AsJSON,
    CommandError,
    IdColumn,
    QueryColumn,
    Refused,
    Url,
    existing_source,
)
from softkv.settings import DEFAULT_URL

if TYPE_CHECKING:
    from rich.progress import Progress

    from softkv import Client, Collection, CollectionInfo
    from softkv_attention.lookup import Memory
    from softkv_service.commands.fitting import FittedProjection, LabelledQueries

MIN_PAIRS = 60
"""The fewest pairs: a third of them, 20, is held out, and a mean of fewer says little about its own error."""

PAGE = 1000


def train(
    file: Annotated[
        Path,
        typer.Argument(
            help="A table of questions and the ids of their answers, a folder of BEIR, or its qrels; - is stdin.",
            parser=existing_source,
            metavar="FILE",
            show_default=False,
        ),
    ],
    *,
    collection: Annotated[
        str, typer.Option("-c", "--collection", help="The name of the collection.", show_default=False)
    ],
    query_column: QueryColumn = "query",
    id_column: IdColumn = "id",
    apply: Annotated[
        bool, typer.Option("--apply", help="Keep the projection if it gains on the held-out pairs.")
    ] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Teach a collection the words of your questions, by labelled pairs.

    A map of the queries is trained on two thirds of the pairs, with all
    documents as negatives, and judged on the others. With --apply it is kept
    if their mean reciprocal rank rises by more than twice its standard error.
    It replaces an older one. A calibration is then dropped. This needs torch.

    In a line of JSON, a pair is {"query": …, "id": …}, as for calibrate.

    softkv train pairs.jsonl --collection parts --apply
    """
    from softkv.commands.calibrate import read_labels
    from softkv.commands.console import messages, output, progress, write_json
    from softkv.commands.remote import connect

    _require_libraries()
    questions, left_out = read_labels(file, query_column, id_column)
    _read_pairs(questions)
    with connect(url, api_key) as client, progress(messages()) as bar:
        target = client.collection(collection)
        info = _require_trainable(target.info())
        fitted, unknown = _fit(client, target, info, questions, bar)
        report, change = _report(fitted), None
        if apply and fitted.gains:
            trained = {name: report[name] for name in ("pairs", "held_out", "mrr_before", "mrr_after", "error")}
            change = target.put_projection(fitted.down, fitted.up, encoder=info.encoder, trained=trained)
    drops = [] if change is None else list(change.drops)
    report |= {"applied": change is not None, "drops": drops, "left_out": [*left_out, *unknown]}
    if as_json:
        write_json(report)
        return
    console = output()
    for line in _describe(report, apply=apply):
        console.print(line)


def _require_libraries() -> None:
    """Raise CommandError if a library is missing that training needs."""
    try:
        import softkv_service.commands.fitting  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name not in {"softkv_service", "torch"}:
            raise
        name = {"softkv_service": "softkv", "torch": "torch"}[error.name]
        raise CommandError(f"training needs {name}, which is not installed: pip install {name}") from None


def _fit(
    client: Client,
    target: Collection,
    info: CollectionInfo,
    questions: Mapping[str, Mapping[str, Any]],
    bar: Progress,
) -> tuple[FittedProjection, list[str]]:
    """Fit a projection of a collection's queries to labelled questions, and show how far it is.

    Return the projection, and a sentence for each answer that no document of the collection is.
    """
    from softkv.commands.calibrate import show_left_out
    from softkv_service.commands.fitting import fit_projection
    from softkv_service.retrieval.projection import Projection

    reading_keys = bar.add_task("documents", total=info.documents + info.keyless)
    memory, numbers = _read_keys(target, info, lambda done: bar.update(reading_keys, completed=done))
    remaining, unknown = _leave_unknown_out(questions, numbers)
    show_left_out(unknown, bar.console)
    pairs = _read_pairs(remaining)
    queries = _encode(client, info, pairs, numbers)
    stored = target.projection()
    served = None if stored is None else Projection(stored.down, stored.up).map_queries
    fitting = bar.add_task("training", total=None)
    fitted = fit_projection(
        memory, queries, info.temperature, served, lambda done, of: bar.update(fitting, completed=done, total=of)
    )
    return fitted, unknown


def _read_pairs(questions: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, tuple[str, ...]]]:
    """Return different questions with all their answers, in an order that means nothing and stays the same."""
    pairs = dict[str, dict[str, None]]()
    for location, question in questions.items():
        if not isinstance(question["query"], str):
            raise Refused(f"{location}: expected the text of a question, got a vector; send texts")
        if answers := _answers(question):
            pairs.setdefault(question["query"], {}).update(dict.fromkeys(answers))
    if len(pairs) < MIN_PAIRS:
        raise Refused(
            f"{len(pairs)} different questions with an answer came, and training needs {MIN_PAIRS}: a third is held "
            "out, and fewer than 20 do not show whether a gain is more than chance. Label more questions, or send "
            "other wordings of the same"
        )
    from xxhash import xxh3_64_intdigest

    texts = sorted(pairs, key=lambda text: xxh3_64_intdigest(text.encode()))
    return [(text, tuple(pairs[text])) for text in texts]


def _answers(question: Mapping[str, Any]) -> Sequence[str]:
    """Return the ids of the documents that answer a question; empty if none does."""
    ids = question.get("ids")
    return list(ids) if ids else [] if question.get("id") is None else [question["id"]]


def _require_trainable(info: CollectionInfo) -> CollectionInfo:
    """Return the description of a collection that can be trained.

    Raises:
        Refused: it has no encoder, or a temperature at which the loss has no gradient.
    """
    if info.encoder is None:
        raise Refused(
            f"{info.name!r} has no encoder, so its questions cannot be encoded here: train a map of your own vectors, "
            "and store it with PUT …/projection"
        )
    if not 0 < info.temperature < math.inf:
        raise Refused(
            f"the temperature of {info.name!r} is {info.temperature}, at which the loss has no gradient: PATCH it to a "
            "number above 0 first"
        )
    return info


def _read_keys(collection: Collection, info: CollectionInfo, report: Any) -> tuple[Memory, dict[str, int]]:
    """Return the keys of all documents, and the number of each document in them by its id."""
    import numpy as np

    from softkv_attention.lookup import Memory, Rows

    keys, owners, numbers, done = list[Any](), list[int](), dict[str, int](), 0
    for page in collection.find(include=["key_vector"], page=PAGE).pages():
        for document in page:
            several = document.key_vectors or ([] if document.key_vector is None else [document.key_vector])
            if several:
                numbers[document.id] = len(keys)
                owners += [len(keys)] * len(several)
                keys += several
        done += len(page)
        report(done)
    if not keys:
        raise Refused(f"no document of {info.name!r} has a key: write some first")
    memory = Memory(info.similarity)
    memory.publish(add=Rows(np.arange(len(keys)), np.stack(keys), None, np.array(owners)))
    return memory, numbers


def _leave_unknown_out(
    questions: Mapping[str, Mapping[str, Any]], numbers: Mapping[str, int]
) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """Return the questions without the ids that no document with a key has, and a sentence for each of these."""
    remaining, left_out = dict[str, Mapping[str, Any]](), list[str]()
    for location, question in questions.items():
        answers = _answers(question)
        left_out += [f"{location}: no document with a key has the id {one!r}" for one in answers if one not in numbers]
        remaining[location] = {
            "query": question["query"],
            "ids": [identity for identity in answers if identity in numbers],
        }
    return remaining, left_out


def _encode(
    client: Client,
    info: CollectionInfo,
    pairs: Sequence[tuple[str, Sequence[str]]],
    numbers: Mapping[str, int],
) -> LabelledQueries:
    """Return the vectors of the questions, with the numbers of their answers."""
    import numpy as np

    from softkv_service.commands.fitting import LabelledQueries

    vectors = np.asarray(client.encode([text for text, _ in pairs], model=info.encoder, purpose="query"))
    return LabelledQueries(vectors, [[numbers[identity] for identity in answers] for _, answers in pairs])


def _report(fitted: FittedProjection) -> dict[str, Any]:
    """Return the result of a training as JSON."""
    new = fitted.is_new
    return {
        "pairs": fitted.pairs,
        "held_out": len(fitted.before),
        "mrr_before": float(fitted.before.mean()),
        "mrr_after": float(fitted.after.mean()),
        "gain": fitted.gain,
        "error": fitted.error,
        "new_documents": {
            "held_out": int(new.sum()),
            "mrr_before": float(fitted.before[new].mean()) if new.any() else None,
            "mrr_after": float(fitted.after[new].mean()) if new.any() else None,
        },
        "rank": len(fitted.down),
        "penalty": fitted.penalty,
        "steps": fitted.steps,
        "gains": fitted.gains,
    }


def _describe(report: Mapping[str, Any], *, apply: bool) -> list[str]:
    """Return the lines that show the result of a training."""
    new = report["new_documents"]
    lines = [
        f"trained on {report['pairs']} pairs: rank {report['rank']}, penalty {report['penalty']:g}, "
        f"{report['steps']} steps",
        f"MRR of {report['held_out']} other pairs: {report['mrr_before']:.3f}, then {report['mrr_after']:.3f}; the "
        f"gain is {report['gain']:+.3f} ± {report['error']:.3f}",
    ]
    if new["held_out"]:
        lines.append(
            f"of these, {new['held_out']} about documents without a pair in the training: {new['mrr_before']:.3f}, "
            f"then {new['mrr_after']:.3f}"
        )
    if not report["gains"]:
        lines.append("not kept, since the gain is at most twice its standard error: label more questions")
    elif not apply:
        lines.append("not kept: --apply keeps it")
    else:
        dropped = "".join(f", and the {name} is dropped" for name in report["drops"])
        lines.append(f"kept{dropped}")
    return lines
