"""Trains a small cross-encoder on a dictionary's definitions, on the processor; `benchmarks.reranking` measures it.

    apt-get install wordnet-base
    python -m benchmarks.glosses FOLDER [--minutes 15] [--layers 3]

The dictionary is WordNet: a question is a definition, a document the words of a meaning. The words are divided by a
hash: the meanings all of whose words fall on one side are learned from, those all of whose words fall on the other are
held back, and the rest is left out. So training sees no word of a document that is held back.

The model begins as the first layers of all-MiniLM-L6-v2 and gets a new head of one logit. It learns what it adds inside
the softmax: of each question it reads some of the best documents of a random collection, and its loss is −ln of the
weight of the right one, or of the null key where the right one was taken out, with the similarities of all documents in
the sum. FOLDER then has a cross-encoder as transformers saves it, for the setting ENCODERS.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.asking import Vectors
from benchmarks.installed import wordnet
from benchmarks.labelled import Labels, order_of
from service.encoding import load_encoder

TEMPERATURE = 0.05
HELD_BACK = 4
"""One word in four is held back."""
QUESTIONS, DOCUMENTS = 14_000, 10_000
"""The questions and the documents to learn from."""
COLLECTION_SHARE = 0.2
"""The share of the documents that stand in a question's random collection."""
HEAD, BEST, RANDOM = 50, 3, 2
"""The model reads the BEST documents of a question, and RANDOM ones of the next, up to HEAD."""
BATCH_QUESTIONS, BATCHES_AT_ONCE = 16, 16
LEARNING_RATE, WARMUP = 1.5e-4, 0.08
MAX_TOKENS = 64
LAYERS = 3
THREADS = 1
"""More threads wait for each other where other work runs beside them."""


@dataclass(frozen=True)
class Glosses:
    """A dictionary in two parts that share no word.

    Attributes:
        learned: the meanings to learn from.
        held_back: the meanings that training does not see.
    """

    learned: Labels
    held_back: Labels

    @classmethod
    def read(cls) -> Glosses | None:
        """Return the dictionary of this machine; None if it has none."""
        labels = wordnet()
        return None if labels is None else cls.divide(labels)

    @classmethod
    def divide(cls, labels: Labels) -> Glosses:
        """Divide meanings by their words; a meaning with words on both sides is left out."""
        sides = {identity: _sides(key) for identity, key in labels.keys.items()}
        return cls(_part(labels, sides, {False}), _part(labels, sides, {True}))


def split_words(key: str) -> set[str]:
    """Return the phrases of a key, and their words of more than two letters."""
    phrases = key.casefold().split(", ")
    return {word for phrase in phrases for word in (phrase, *phrase.replace("-", " ").split()) if len(word) > 2}


def _sides(key: str) -> set[bool]:
    """Return for the words of a key whether they are held back."""
    return {order_of(f"held back {word}") % HELD_BACK == 0 for word in split_words(key)}


def _part(labels: Labels, sides: dict[str, set[bool]], side: set[bool]) -> Labels:
    keys = {identity: key for identity, key in labels.keys.items() if sides[identity] == side}
    right = {question: ids for question, ids in labels.right.items() if all(identity in keys for identity in ids)}
    return Labels(keys, right)


@dataclass(frozen=True)
class Example:
    """A question to learn from.

    Attributes:
        question: its text.
        documents: the texts that the model reads.
        logits: float32[k], similarity over temperature of each of them.
        rest: the log mass of the documents beyond the head.
        right: the index of the right document; k, the null key, without one.
    """

    question: str
    documents: list[str]
    logits: np.ndarray[Any, Any]
    rest: float
    right: int


def examples(labels: Labels, vectors: Vectors, random: np.random.Generator) -> Iterator[Example]:
    """Yield examples without end; half of them have no answer."""
    answers_of = dict(islice(((question, ids[0]) for question, ids in labels.apart("learn")), QUESTIONS))
    answers = list(answers_of.values())[: DOCUMENTS // 2]
    rest = sorted(set(labels.keys) - set(answers), key=order_of)
    identities = [*answers, *rest[: DOCUMENTS - len(answers)]]
    index = {identity: i for i, identity in enumerate(identities)}
    keys = vectors.of([labels.keys[identity] for identity in identities], "document")
    pairs = [(question, index.get(identity, -1)) for question, identity in answers_of.items()]
    while True:
        for _ in range(0, len(pairs), 512):
            chunk = [pairs[i] for i in random.permutation(len(pairs))[:512]]
            queries = vectors.of([question for question, _ in chunk], "query")
            for (question, right), similarities in zip(chunk, queries @ keys.T, strict=True):
                present = right >= 0 and random.random() < 0.7  # half of the questions' documents are never there
                candidates = np.flatnonzero(random.random(len(keys)) < COLLECTION_SHARE)
                candidates = candidates[candidates != right]
                order = candidates[np.argsort(-similarities[candidates])]
                next_best = random.choice(np.arange(BEST, HEAD), RANDOM, replace=False)
                read = [*order[:BEST].tolist(), *order[next_best].tolist()]
                if present:
                    read = [right, *read]
                tail = similarities[order[HEAD:]] / TEMPERATURE
                yield Example(
                    question,
                    [labels.keys[identities[i]] for i in read],
                    similarities[read] / TEMPERATURE,
                    float(tail.max() + np.log(np.exp(tail - tail.max()).sum())),
                    0 if present else len(read),
                )


def group_by_length(stream: Iterator[Example], random: np.random.Generator) -> Iterator[list[Example]]:
    """Yield batches of questions of similar length, so that little of a batch is padding."""
    while True:
        drawn = sorted(islice(stream, BATCH_QUESTIONS * BATCHES_AT_ONCE), key=lambda example: len(example.question))
        for i in random.permutation(BATCHES_AT_ONCE).tolist():
            yield drawn[i * BATCH_QUESTIONS : (i + 1) * BATCH_QUESTIONS]


def train(labels: Labels, folder: Path, minutes: float, layers: int) -> None:
    """Train a cross-encoder for some minutes and save it in a folder."""
    import torch
    from transformers import AutoTokenizer, BertForSequenceClassification

    torch.manual_seed(0)
    torch.set_num_threads(THREADS)
    encoder = load_encoder("all-MiniLM-L6-v2")
    source = find_weights()
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = BertForSequenceClassification.from_pretrained(
        source, num_labels=1, num_hidden_layers=layers, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    null = torch.nn.Parameter(torch.tensor(14.0))
    groups = [
        {"params": [p for name, p in model.named_parameters() if name.startswith("bert.e")]},
        {
            "params": [p for name, p in model.named_parameters() if not name.startswith("bert.e")],
            "lr": 4 * LEARNING_RATE,
        },
        {"params": [null], "lr": 0.02, "weight_decay": 0.0},
    ]
    model.bert.embeddings.word_embeddings.weight.requires_grad_(False)
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, weight_decay=0.01)
    rates = [group["lr"] for group in optimizer.param_groups]
    source_of_examples = examples(labels, Vectors(encoder), np.random.default_rng(0))
    next(source_of_examples)  # encodes all texts
    start, step, shown = time.monotonic(), 0, list[tuple[float, float]]()
    batches = group_by_length(source_of_examples, np.random.default_rng(1))
    while (spent := (time.monotonic() - start) / (60 * minutes)) < 1:
        batch = next(batches)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * min(spent / WARMUP, (1 - spent) / (1 - WARMUP)) + 1e-7
        texts = [(example.question, document) for example in batch for document in example.documents]
        inputs = tokenizer(
            [a for a, _ in texts],
            [b for _, b in texts],
            truncation=True,
            max_length=MAX_TOKENS,
            padding=True,
            return_tensors="pt",
        )
        added, losses = model(**inputs).logits[:, 0], []
        sizes = [len(example.documents) for example in batch]
        for example, addend in zip(batch, added.split(sizes), strict=True):
            documents = torch.from_numpy(example.logits.astype(np.float32)) + addend
            logits = torch.cat([documents, null[None], torch.tensor([example.rest])])
            losses.append(torch.logsumexp(logits, 0) - logits[example.right])
        loss = torch.stack(losses).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        before = [np.logaddexp.reduce([*e.logits, 14.0, e.rest]) - [*e.logits, 14.0][e.right] for e in batch]
        shown.append((loss.item(), float(np.mean(before))))
        if step % 20 == 0:
            now, plain = np.mean(shown[-20:], axis=0)
            model.save_pretrained(folder)
            print(
                f"{spent:4.0%} {step} steps, loss {now:.3f}, without the model {plain:.3f}, null {null.item():.2f}",
                flush=True,
            )
    model.save_pretrained(folder)
    tokenizer.model_max_length = MAX_TOKENS
    tokenizer.save_pretrained(folder)


def find_weights() -> Path:
    """Return the folder of all-MiniLM-L6-v2's weights."""
    from service.encoding.registry import default_checkpoint

    return default_checkpoint()


def main() -> int:
    """Train, and save the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--layers", type=int, default=LAYERS)
    options = parser.parse_args()
    glosses = Glosses.read()
    if glosses is None:
        print("WordNet is not on this machine: apt-get install wordnet-base", file=sys.stderr)
        return 2
    learned, held_back = glosses.learned, glosses.held_back
    print(f"{len(learned.right):,} questions to learn from; {len(held_back.right):,} held back")
    train(glosses.learned, options.folder, options.minutes, options.layers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
