"""Differences of two answers to one question, and whether their certificates allow them.

Each certificate bounds the total variation between the answer's weights and the exact ones. So the weights of two
answers may differ by the sum of both bounds, and nothing else may differ, except by rounding.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

TOOK = re.compile(rb'"took_ms":[^,}]*')
ROUNDING = 1e-11  # relative; similarities and what is computed of them in float64
TEMPERATURE = 1e-6  # relative; "auto" is found by trial, within 1 % of the documents
DIGITS = re.compile(r"[0-9][0-9.,]*")
SWEPT = 1e-12  # of the weights of a sweep, which has no certificate but is exact, and rounds
EXACT_WEIGHTS = 1e-15  # beyond the certificates: the rounding of this comparison
BOUNDS = ("total_variation", "output_error")
WEIGHTS = ("weight", "rest_weight", "null_weight", "weights", "max_missing_weight")

# Fields of a document as they were written.
STORED = ("value", "metadata", "key", "key_vector", "key_vectors", "value_vector", "expires", "applied")

Object = Mapping[str, Any]


@dataclass
class Differences:
    """The differences of two answers.

    Attributes:
        identical: whether they have the same bytes, except for the time.
        beyond: differences that the certificates do not allow, in words.
        largest: the largest difference by the name of a field: of weights and bounds absolute, else relative.
    """

    identical: bool = False
    beyond: list[str] = field(default_factory=list)
    largest: dict[str, float] = field(default_factory=dict)

    def see(self, name: str, amount: float, allowed: float, path: str) -> None:
        """Keep a difference of two numbers, and whether it is beyond what is allowed."""
        self.largest[name] = max(self.largest.get(name, 0.0), amount)
        if not amount <= allowed:
            self.beyond.append(f"{path} differs by {amount:.2g}, at most {allowed:.2g} is allowed")


def differences(before: bytes, now: bytes, excepted: Collection[str] = ()) -> Differences:
    """Return the differences of two bodies in JSON, without the fields that are excepted by name."""
    if TOOK.sub(b"", before) == TOOK.sub(b"", now):
        return Differences(identical=True)
    result = Differences()
    pair = [without(json.loads(body), excepted) for body in (before, now)]
    compare_any(*pair, Allowed(), "", result)
    return result


def without(content: Any, excepted: Collection[str]) -> Any:
    """Return a value of JSON without these fields, in whatever object they are."""
    if isinstance(content, dict):
        return {name: without(value, excepted) for name, value in content.items() if name not in excepted}
    return [without(value, excepted) for value in content] if isinstance(content, list) else content


@dataclass(frozen=True)
class Allowed:
    """The largest allowed differences of two answers.

    Attributes:
        weight: the sum of the bounds on the total variation.
        output: the sum of the bounds on the output.
        logarithm: of a log-partition, or of the logarithm of a weight.
        keys: the number of keys, for the entropy.
        read: of a mean or a share that was read.
    """

    weight: float = SWEPT
    output: float = 0.0
    logarithm: float = SWEPT
    keys: int = 1

    @classmethod
    def of(cls, before: Object, now: Object) -> Allowed:
        """Return what the certificates of two answers to one query allow."""
        certificates = [answer["certificate"] for answer in (before, now)]
        weight = sum(certificate["total_variation"] for certificate in certificates)
        output = sum(certificate["output_error"] or 0.0 for certificate in certificates)
        heaviest = max((match["weight"] for match in before["matches"]), default=0.0)
        logarithm = weight / (heaviest - weight) if heaviest > weight else math.inf
        return cls(weight, output, logarithm, max(1, before["keys"]))

    @property
    def entropy(self) -> float:
        """Return how far two entropies may lie apart (Fannes and Audenaert), in nats."""
        share = min(self.weight, 1.0)
        if not 0 < share < 1:
            return 0.0 if share == 0 else math.log(self.keys)
        mixing = -share * math.log(share) - (1 - share) * math.log1p(-share)
        return share * math.log(max(1, self.keys - 1)) + mixing


def compare_any(before: Any, now: Any, allowed: Allowed, path: str, result: Differences) -> None:
    """Compare two values of JSON at a path such as /results/0/evidence."""
    if isinstance(before, dict) and isinstance(now, dict):
        compare_objects(before, now, allowed, path, result)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, pair in enumerate(zip(before, now, strict=True)):
            compare_any(*pair, allowed, f"{path}/{index}", result)
    elif is_number(before) and is_number(now):
        compare_numbers(before, now, allowed, path, result)
    elif before != now or type(before) is not type(now):
        result.beyond.append(f"{path} is {shorten(before)} and {shorten(now)}")


def compare_objects(before: Object, now: Object, allowed: Allowed, path: str, result: Differences) -> None:
    """Compare two objects, of which answers, matches and others have rules of their own."""
    if "certificate" in before and "certificate" in now:
        allowed = Allowed.of(before, now)
    if list(before) != list(now):
        result.beyond.append(f"{path} has the fields {list(before)} and {list(now)}")
        return
    for name in before:
        pair, inner = (before[name], now[name]), f"{path}/{name}"
        if name == "took_ms":
            continue
        if name in STORED and "as" not in before:
            if json.dumps(pair[0]) != json.dumps(pair[1]):
                result.beyond.append(f"{inner} is {shorten(pair[0])} and {shorten(pair[1])}")
        elif name == "matches" and "weight" in (*pair[0], *pair[1], {})[0]:
            compare_matches(*pair, allowed, inner, result)
        elif name == "output" and None not in pair:
            distance = float(np.linalg.norm(vector(pair[0]) - vector(pair[1])))
            result.see(name, distance, allowed.output + 1e-6, inner)  # float32 in the answer
        elif name == "reason":
            if pair[0] != pair[1] and DIGITS.sub("#", pair[0]) != DIGITS.sub("#", pair[1]) and not allowed.weight:
                result.beyond.append(f"{inner} is {pair[0]!r} and {pair[1]!r}")
        elif name == "read" and None not in pair:
            compare_reads(*pair, allowed, inner, result)
        elif name in ("verdict", "verdict_certain", "alike") and pair[0] != pair[1]:
            certain = before["verdict_certain"] and now["verdict_certain"]
            if certain or not allowed.weight:
                result.beyond.append(f"{inner} is {pair[0]} and {pair[1]}")
        else:
            compare_any(*pair, allowed, inner, result)


def compare_matches(before: list[Any], now: list[Any], allowed: Allowed, path: str, result: Differences) -> None:
    """Compare matches place by place; two documents may change places if their weights tie within the bounds."""
    if len(before) != len(now):
        result.beyond.append(f"{path} has {len(before)} and {len(now)} matches")
        return
    by_id = {match["id"]: match for match in now}
    limit = allowed.weight + EXACT_WEIGHTS
    last = now[-1]["weight"] if now else 0.0
    for rank, match in enumerate(before):
        inner = f"{path}/{rank}"
        result.see("weight", abs(match["weight"] - now[rank]["weight"]), limit, f"{inner}/weight")
        other = by_id.get(match["id"])
        if other is None:
            if match["weight"] - last > limit:
                result.beyond.append(f"{inner} is {match['id']}, which is not among the other matches")
        else:
            if match["id"] != now[rank]["id"] and abs(match["weight"] - now[rank]["weight"]) > limit:
                result.beyond.append(f"{inner} is {match['id']} and {now[rank]['id']}")
            compare_any(match, other, allowed, inner, result)


def compare_reads(before: Object, now: Object, allowed: Allowed, path: str, result: Differences) -> None:
    """Compare values that were read; a mean and a vote have errors of their own, a quantile an interval."""
    errors = [read.get("error") for read in (before, now)]
    error = math.inf if None in errors else errors[0] + errors[1]
    if before["as"] == "mean" and error < math.inf:
        if is_number(before["value"]) and is_number(now["value"]):
            result.see("read", abs(before["value"] - now["value"]), error + scale(before["value"]), path)
        return
    if "quantiles" in before and before.get("quantiles") and now.get("quantiles"):
        for old, new in zip(before["quantiles"], now["quantiles"], strict=True):
            if None in (*old.values(), *new.values()):
                compare_any(old, new, allowed, path, result)
            elif old["at_least"] > new["at_most"] or new["at_least"] > old["at_most"]:
                result.beyond.append(f"{path} has quantiles {old} and {new}, whose intervals are apart")
        return
    if before.get("votes") and now.get("votes") and error < math.inf:
        for old, new in zip(before["votes"], now["votes"], strict=False):
            result.see("read", abs(old["weight"] - new["weight"]), error + EXACT_WEIGHTS, path)
        return
    compare_any(before, now, allowed, path, result)


def compare_numbers(before: float, now: float, allowed: Allowed, path: str, result: Differences) -> None:
    """Compare two numbers by the rule of the field that ends the path."""
    names = [name for name in path.split("/") if name and not name.isdigit()]
    name = names[-1] if names else ""
    distance = abs(before - now)
    if name in BOUNDS or name in ("at_least", "at_most"):
        result.see(name, distance, math.inf, path)
    elif name in WEIGHTS:
        result.see(name, distance, allowed.weight + EXACT_WEIGHTS, path)
    elif name in ("log_partition", "log_weight"):
        result.see(name, distance, allowed.logarithm + scale(before), path)
    elif name == "entropy":
        result.see(name, distance, allowed.entropy + scale(before), path)
    elif name == "effective_documents":
        result.see(name, distance / max(before, 1.0), math.expm1(min(allowed.entropy, 500.0)) + ROUNDING, path)
    elif name == "temperature":
        result.see(name, distance / max(abs(before), 1e-300), TEMPERATURE, path)
    elif isinstance(before, int) or isinstance(now, int):
        if before != now or type(before) is not type(now):
            result.beyond.append(f"{path} is {before} and {now}")
    elif distance:
        result.see(name, distance / max(abs(before), 1.0), ROUNDING, path)


def scale(value: float) -> float:
    """Return the rounding of a number of this size."""
    return ROUNDING * max(1.0, abs(value))


def is_number(value: Any) -> bool:
    """Return whether a value of JSON is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def vector(content: Any) -> np.ndarray:
    """Return float64[d], a vector of an answer."""
    if isinstance(content, dict):
        return np.frombuffer(base64.b64decode(content["base64"]), dtype="<f4").astype(np.float64)
    return np.array(content, dtype=np.float64)


def shorten(value: Any) -> str:
    """Return a value as text of at most 200 characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"
