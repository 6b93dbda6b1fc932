"""Dashboard and alerts of docker/ query only metrics that a service exports, and a page explains each alert."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from service.api.problems.table import OF_STATUS, TABLE
from service.api.telemetry import Meters
from service.encoding import ProviderCounts
from service.retrieval.collections import ClusterStatus, ServerStatus
from tests.container.promql import Matcher, read
from tests.container.tool import ROOT
from tests.examples import Page

DASHBOARD: dict[str, Any] = json.loads((ROOT / "docker" / "grafana" / "softkv.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ALERTS = [
    rule
    for group in yaml.safe_load((ROOT / "docker" / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
EXPRESSIONS = {
    **{f"{panel['title']}: {target['expr']}": target["expr"] for panel in PANELS for target in panel["targets"]},
    **{rule["alert"]: rule["expr"] for rule in ALERTS},
}
METRICS = Page("docs/operate/operating.md").sections["metrics"]
RUNBOOK = Page("docs/operate/alerts.md")
PROMETHEUS_OWN = {"job", "instance"}  # which it puts on all that it reads
STATUSES = {str(refusal.status) for refusal in TABLE.values()} | {str(status) for status in OF_STATUS}

Exported = dict[str, dict[str, set[str]]]


@pytest.fixture(scope="module")
def exported(service, client) -> Exported:
    """Return metric → label → its values, from a service that has answered and refused."""
    service.wait_until_ready()
    client.put("/v1/collections/watched", json={})
    client.put("/v1/collections/watched/documents/a", json={"key": "a watched text", "value": "b"})
    for _ in range(2):
        assert client.post("/v1/collections/watched/attend", json={"query": "watched"}).status_code == 200
    with_collection = client.get("/metrics").text
    client.delete("/v1/collections/watched")
    client.get("/v1/collections/watched")
    labels_of: Exported = defaultdict(lambda: defaultdict(set))
    with_servers = Meters()
    with_servers.set_cluster(ClusterStatus(2, 3, 1, 1, (ServerStatus("softkv-0", "m", False, 2, 7, 0, 0, None),)))
    with_servers.set_providers({"nomic": ProviderCounts(requests=3, repeats=1)})
    for text in (with_collection, client.get("/metrics").text, generate_latest(with_servers.registry).decode()):
        for sample in (sample for family in text_string_to_metric_families(text) for sample in family.samples):
            labels_of[sample.name]
            for label, value in sample.labels.items():
                labels_of[sample.name][label].add(value)
    labels_of["up"]  # Prometheus' own
    for labels in labels_of.values():
        if "status" in labels:
            labels["status"] |= STATUSES
        for metric in PROMETHEUS_OWN:
            labels[metric]
    return labels_of


def meets(matcher: Matcher, values: set[str]) -> bool:
    """Return whether some value passes a matcher, or for a negative matcher, some value fails."""
    pattern = matcher.value if "~" in matcher.sign else re.escape(matcher.value)
    return any(re.fullmatch(pattern, value) for value in values)


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_a_query_uses_only_exported_metrics_and_labels(expression, exported):
    query = read(expression)
    assert query.selectors
    labels = set[str]()
    for selector in query.selectors:
        assert selector.metric in exported, f"no {selector.metric} is exported"
        metric_labels = exported[selector.metric]
        labels |= metric_labels.keys()
        for matcher in selector.matchers:
            assert matcher.label in metric_labels, f"{selector.metric} has no label {matcher.label}"
            if matcher.label in PROMETHEUS_OWN:
                continue
            assert meets(matcher, metric_labels[matcher.label]), (
                f"{matcher} fits none of {sorted(metric_labels[matcher.label])}"
            )
    assert query.grouped <= labels


@pytest.mark.parametrize(
    "expression",
    [
        "softkv_documents_total",
        'softkv_ready{shade="red"}',
        'softkv_places_taken{kind="nap"}',
        "sum by (nap) (softkv_ready)",
        'rate(softkv_refusals_total{code=~"disk_fool|x"}[5m])',
    ],
)
def test_a_query_about_missing_metrics_is_detected(expression, exported):
    with pytest.raises(AssertionError):
        test_a_query_uses_only_exported_metrics_and_labels(expression, exported)


@pytest.mark.parametrize(
    "expression", ["rate(softkv_ready", "softkv_ready)", "nap(softkv_ready)", "softkv_ready{a=1}", "§"]
)
def test_invalid_promql_is_refused(expression):
    with pytest.raises(ValueError, match=r"bracket|function|compared|PromQL"):
        read(expression)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_legend_names_labels_that_are_left(panel, exported):
    for target in panel["targets"]:
        named, query = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])), read(target["expr"])
        grouped = query.grouped or {label for selector in query.selectors for label in exported[selector.metric]}
        assert named <= grouped


def test_panels_do_not_overlap_and_have_numbers_of_their_own():
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken = set[tuple[int, int]]()
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        cells = {(grid["x"] + x, grid["y"] + y) for x in range(grid["w"]) for y in range(grid["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_every_series_of_ours_is_on_the_page_and_watched(exported):
    ours = {family(name) for name in exported if name.startswith("softkv_") and not name.endswith("_created")}
    assert set(re.findall(r"`(softkv_\w+)`", METRICS)) == ours
    watched = {
        family(selector.metric) for expression in EXPRESSIONS.values() for selector in read(expression).selectors
    }
    assert ours - watched == set()


def family(name: str) -> str:
    """Return the name of a histogram on the page."""
    return re.sub(r"_(bucket|count|sum)$", "", name)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_section_with_its_remedy(rule):
    path, _, heading = rule["annotations"]["runbook"].partition("#")
    assert (path, heading) == (RUNBOOK.name, rule["alert"].lower())
    assert len(RUNBOOK.sections[heading]) > 80
    link = f"[{rule['alert']}](#{heading}) | {rule['labels']['severity']} |"
    assert link in RUNBOOK.sections["alerts"]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert "instance" in rule["annotations"]["summary"]


def test_no_section_is_of_an_alert_that_is_not_there():
    assert {section for section in RUNBOOK.sections if section.startswith("softkv")} == {
        rule["alert"].lower() for rule in ALERTS
    }
