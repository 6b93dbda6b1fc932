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

from softkv_service.api.metrics import Meters
from softkv_service.api.problems.table import OF_STATUS, TABLE
from softkv_service.encoding import ProviderCounts
from softkv_service.retrieval.collections import ClusterStatus, ServerStatus
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
# PromQL as far as it names things: labels that it groups by, series, and labels that it compares with texts.
GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right) ?\(([\w, ]*)\)")
SERIES = re.compile(r"""\b(up|[a-z]+_\w+)\b(?! ?\()(?:\{((?:[^"{}]|"[^"]*")*)\})?""")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
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
    with_servers.levels.set_cluster(
        ClusterStatus(2, 3, 1, 1, (ServerStatus("softkv-0", "m", False, 2, 7, 0, 0, None),))
    )
    with_servers.levels.set_providers({"nomic": ProviderCounts(requests=3, repeats=1)})
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


def series(expression: str) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Return the metric of each series that an expression asks for, with label, sign and value of its matchers."""
    return [(metric, MATCHER.findall(inner)) for metric, inner in SERIES.findall(GROUPING.sub("", expression))]


def grouped(expression: str) -> set[str]:
    """Return the labels that an expression groups by."""
    return {label for labels in GROUPING.findall(expression) for label in labels.split(", ")}


def meets(sign: str, value: str, values: set[str]) -> bool:
    """Return whether some value passes a matcher, or for a negative matcher, some value fails."""
    pattern = value if "~" in sign else re.escape(value)
    return any(re.fullmatch(pattern, exported_value) for exported_value in values)


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_a_query_uses_only_exported_metrics_and_labels(expression, exported):
    labels = set[str]()
    for metric, matchers in series(expression):
        assert metric in exported, f"no {metric} is exported"
        values_of = exported[metric]
        labels |= values_of.keys()
        for label, sign, value in matchers:
            assert label in values_of, f"{metric} has no label {label}"
            if label not in PROMETHEUS_OWN:
                assert meets(sign, value, values_of[label]), f"{value} fits none of {sorted(values_of[label])}"
    assert labels
    assert grouped(expression) <= labels


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_legend_names_labels_that_are_left(panel, exported):
    for target in panel["targets"]:
        named, expression = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])), target["expr"]
        assert named <= (
            grouped(expression) or {label for metric, _ in series(expression) for label in exported[metric]}
        )


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
    watched = {family(metric) for expression in EXPRESSIONS.values() for metric, _ in series(expression)}
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
