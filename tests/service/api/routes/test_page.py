"""Files, documentation and metrics."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families


def test_the_documentation_needs_nothing_from_elsewhere(client):
    page = client.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'self';")
    assert "http" not in page.text.replace("<!doctype html>", "")
    for path in ("/vendor/swagger-ui/swagger-ui-bundle.js", "/vendor/swagger-ui/swagger-ui.css", "/js/docs.js"):
        assert path in page.text
        assert client.get(path).status_code == 200
    assert client.get("/openapi.json").json()["info"]["title"] == "softkv"


def test_files_are_compressed_and_asked_for_again_only_where_they_changed(client):
    first = client.get("/js/docs.js")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/js/docs.js", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    bundle = client.get("/vendor/swagger-ui/swagger-ui-bundle.js", headers={"accept-encoding": "gzip"})
    assert bundle.headers["content-encoding"] == "gzip"


def test_what_is_not_there_is_a_problem(client):
    for path in ("/nothing", "/../settings.py", "/js/", "/v1/nothing"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_metrics_count_calls_by_route(client, collection):
    path = collection(encoder=None)
    client.put(f"{path}/documents/some-id", json={"key_vector": [1, 2]})
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "some-id" not in answer.text
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    route = "/v1/collections/{name}/documents/{id:path}"
    labels = (("method", "PUT"), ("path", route), ("status", "201"))
    assert samples["softkv_requests_total", labels] >= 1
    assert samples["softkv_documents", ()] >= 1
    assert samples["softkv_request_seconds_count", labels[:2]] >= 1


def test_methods_that_callers_make_up_are_one_series(client):
    def series() -> int:
        return sum(line.startswith("softkv_request_seconds_count") for line in client.get("/metrics").text.splitlines())

    client.request("M0", "/made-up")
    before = series()
    for number in range(1, 30):
        client.request(f"M{number}", "/made-up")
    assert series() == before
    assert 'method="other"' in client.get("/metrics").text
