"""Thousands of requests made from /openapi.json alone: none fails the service, each answer is a documented one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyStrategyDefinition
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.checks import CHECKS, load_all_checks

from tests.running import RunningService
from tests.service.api.calls import pointed
from tests.service.api.contract import Contract, checked_in
from tests.service.api.narrowed import NAMES, narrowed, without_streams

TRIES = 20
"""Seeds to walk by, one after another. Hypothesis gives one up where the same steps were answered otherwise, and what
can be drawn next follows from that: as with an `Idempotency-Key` that an earlier walk has sent."""

load_all_checks()
pytestmark = pytest.mark.thorough
# Whether well-formed content is accepted depends on what is stored; and the ids `query`, `update` and `delete` share
# their paths with calls of those names, so that OPTIONS there names the methods of both.
UNDECIDED = [CHECKS.get_one("positive_data_acceptance"), CHECKS.get_one("allow_header_conformance")]
# The service accepts more than a narrowed description.
NARROWED = CHECKS.get_one("negative_data_rejection")


def refuses_what_is_wrong(ctx: Any, response: Any, case: Any) -> bool | None:
    """Check as in NARROWED, except null for an omitted field: it is undocumented but accepted."""
    if response.status_code == 413:  # a refusal of too much, which schemathesis does not count as one
        return None
    meant = without_nulls(case.body)
    described = DESCRIPTION["paths"][case.path].get(case.method.lower())  # empty for other methods
    if meant != case.body and described is not None:
        body = described["requestBody"]["content"]["application/json"]
        if not CONTRACT.flaws(body["schema"], meant):
            return None
    rejected: bool | None = NARROWED(ctx, response, case)
    return rejected


def without_nulls(body: Any) -> Any:
    """Return the same JSON without the fields that are null."""
    if isinstance(body, list):
        return [without_nulls(inner) for inner in body]
    if not isinstance(body, dict):
        return body
    return {name: without_nulls(inner) for name, inner in body.items() if inner is not None}


HEALTH = [HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def quick(examples: int, **more: Any) -> settings:
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=HEALTH,
        phases=[Phase.explicit, Phase.generate],
        **more,
    )


DESCRIPTION = checked_in()
CONTRACT = Contract(DESCRIPTION)
WHOLE = schemathesis.openapi.from_dict(without_streams(DESCRIPTION))
WELL_FORMED = schemathesis.openapi.from_dict(without_streams(DESCRIPTION))
WITH_A_BODY = WELL_FORMED.include(method_regex="POST|PUT|PATCH")
VECTORS = schemathesis.openapi.from_dict(narrowed(DESCRIPTION, encoder=False))
TEXTS = schemathesis.openapi.from_dict(narrowed(DESCRIPTION, encoder=True))
for schema in (VECTORS, TEXTS, WELL_FORMED):
    schema.config.generation.modes = [schemathesis.GenerationMode.POSITIVE]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service without an encoder."""
    with RunningService(data_dir=tmp_path_factory.mktemp("bare"), encoder="none") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@WHOLE.parametrize()
@quick(60)
def test_whatever_is_sent_is_answered_as_documented(case, bare, session):
    case.call_and_validate(
        base_url=bare.url,
        session=session,
        excluded_checks=[*UNDECIDED, NARROWED],
        additional_checks=[refuses_what_is_wrong],
    )


@WITH_A_BODY.parametrize()
@quick(20)
def test_an_integer_with_a_point_is_answered_as_one_without(case, bare, session):
    case.headers.pop("Idempotency-Key", None)  # under which the two would be two writes
    without = case.call(base_url=bare.url, session=session)
    case.body = pointed(case.body)
    answer = case.call(base_url=bare.url, session=session)
    case.validate_response(answer, excluded_checks=UNDECIDED)
    assert (answer.status_code == 422) == (without.status_code == 422), answer.text


def walk(schema: Any, url: str, session: requests.Session, examples: int) -> None:
    """Walk: create, fill, query, change and delete collections, each step with the answer of the step before."""
    wrong: list[BaseException] = []
    walks = 0

    class Walk(schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            nonlocal walks
            walks += 1
            for collection in session.get(f"{url}/v1/collections").json()["collections"]:
                session.delete(f"{url}/v1/collections/{collection['name']}")
            session.put(f"{url}/v1/collections/{NAMES[0]}", json={})

        def get_call_kwargs(self, case):
            return {"base_url": url, "session": session}

        def validate_response(self, response, case, additional_checks=None, **options):
            try:
                case.validate_response(
                    response,
                    excluded_checks=[*UNDECIDED, NARROWED],
                    additional_checks=additional_checks,
                    recorder=self.recorder,
                )
            except BaseException as error:
                wrong.append(error)
                raise

    for number in range(TRIES):
        left = examples - walks
        if left <= 0:
            break
        try:
            run_state_machine_as_test(seed(number)(Walk), settings=quick(left, stateful_step_count=30))
        except FlakyStrategyDefinition:
            if wrong:
                raise wrong[0] from None
    assert walks >= examples


@pytest.mark.parametrize(("schema", "encoder", "examples"), [(VECTORS, "none", 40), (TEXTS, "all-MiniLM-L6-v2", 10)])
def test_a_walk_along_the_links(tmp_path, session, schema, encoder, examples):
    with RunningService(data_dir=tmp_path, encoder=encoder) as running:
        running.wait_until_ready()
        walk(schema, running.url, session, examples)


DOCUMENTS = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b", "c"]), "key_vector": st.sampled_from([[1, 2], [2, 1], [0, 0], [1], "x", None])},
    optional={"metadata": st.dictionaries(st.text(max_size=3), st.none() | st.floats() | st.text(max_size=3))},
)
NOISE = st.binary(max_size=40).filter(lambda line: b"\n" not in line)
LINES = NOISE | DOCUMENTS.map(lambda each: json.dumps(each).encode())


@given(st.lists(LINES, max_size=12))
@quick(150)
def test_whatever_lines_are_sent_each_is_written_or_named(bare, session, lines):
    path = f"{bare.url}/v1/collections/lines"
    session.put(path, json={"dimension": 2})
    answer = session.post(f"{path}/documents", data=b"\n".join(lines), headers={"content-type": "application/x-ndjson"})
    assert answer.status_code == 200
    *batches, last = map(json.loads, answer.text.splitlines())
    expected_lines = {number for number, line in enumerate(lines, start=1) if line.strip()}
    named = [flaw["line"] for batch in batches for flaw in batch["refused"]]
    assert set(named) <= expected_lines
    assert last == {"done": True, "upserted": len(expected_lines) - len(named), "refused": len(named)}
