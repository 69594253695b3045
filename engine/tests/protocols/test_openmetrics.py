# SPDX-License-Identifier: Apache-2.0
"""/metrics as OpenMetrics, read by prometheus_client: valid, the same figures as the text format, and
exemplars of sampled traces, which a stand-in for a collector gets."""

import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from conftest import serve
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as text_format

# what Prometheus 3 sends
ACCEPT = ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
          "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
          "text/plain;version=0.0.4;q=0.3,*/*;q=0.2")
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
TRACE = "4bf92f3577b34da6a3ce929d0e0e47"
DURATION = "inferd_request_duration_seconds"


class Collector(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


def scrape(port, accept=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.headers["Vary"] == "Accept"
        return answer.headers["Content-Type"], answer.read().decode()


def infer(port, traceparent=None):
    headers = {"Content-Type": "application/json", **({"traceparent": traceparent} if traceparent else {})}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/infer", json.dumps({"text": "a"}).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


@pytest.fixture(scope="module")
def traced():
    """A server whose traces a collector takes, and that begins none by itself."""
    collector = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    process, port = serve("--otlp-endpoint", f"http://127.0.0.1:{collector.server_port}", "--otlp-sample-percent", "0",
                          "--http-threads", "2", "--metrics-compat", "tei")
    yield port
    process.terminate()
    assert process.wait(60) == 0
    collector.shutdown()


def exemplars(families):
    return {(f.name, s.name, s.labels["outcome"] if "outcome" in s.labels else None): s.exemplar
            for f in families for s in f.samples if s.exemplar}


def test_formats_are_negotiated(port):
    for accept, kind in ((None, TEXT), ("*/*", TEXT), ("text/plain", TEXT), (ACCEPT, OPEN), ("text/html", TEXT),
                         ("application/openmetrics-text", OPEN), ("application/openmetrics-text;q=0", TEXT),
                         ("text/plain, application/openmetrics-text;q=0.9", TEXT)):
        got, page = scrape(port, accept)
        assert got == kind, accept
        assert page.endswith("# EOF\n") == (kind == OPEN)


def test_both_formats_say_the_same(traced):
    for i in range(20):
        infer(traced, f"00-{TRACE}{i:02x}-00f067aa0ba902b7-01" if i % 2 else None)
    text = {}
    for f in text_format(scrape(traced)[1]):  # this reader takes _total off a counter's name
        text[f.name + "_total" if (f.name, f.type) == ("inferd_connections", "counter") else f.name] = f
    families = list(open_metrics(scrape(traced, ACCEPT)[1]))
    assert len(families) > 50
    assert {f.name for f in families} == text.keys()
    moves = ("process_", "inferd_request", "inferd_connections", "inferd_saturation", "te_request_count")
    for f in families:
        same = text[f.name]
        renamed = f.name.startswith("te_") or f.name == "inferd_connections_total"
        assert f.type == ("unknown" if renamed and same.type == "counter" else same.type), f.name
        # this reader gives every counter of the text format the ending that OpenMetrics wants
        names = {s.name for s in f.samples}
        want = {(s.name if s.name in names else s.name.removesuffix("_total"), *sorted(s.labels.items())): s.value
                for s in same.samples}
        have = {(s.name, *sorted(s.labels.items())): s.value for s in f.samples}
        assert have.keys() >= want.keys(), f.name
        if not f.name.startswith(moves):
            assert have == want, f.name


def test_exemplars_are_of_sampled_traces(traced):
    before = exemplars(open_metrics(scrape(traced, ACCEPT)[1]))
    for i in range(10):
        infer(traced, f"00-{TRACE}f{i}-00f067aa0ba902b7-00")  # the caller does not record it
        infer(traced)
    families = list(open_metrics(scrape(traced, ACCEPT)[1]))
    assert exemplars(families) == before  # these are of no trace
    infer(traced, f"00-{TRACE}ee-00f067aa0ba902b7-01")
    end = 200
    while end and not any(e.labels["trace_id"] == f"{TRACE}ee" for e in exemplars(families).values()):
        families = list(open_metrics(scrape(traced, ACCEPT)[1]))  # an answer is there an instant before its count
        end -= 1
    found = exemplars(families)
    assert {k for k, _, _ in found} == {DURATION} and {o for _, _, o in found} == {"ok"}
    duration = next(f for f in families if f.name == DURATION)
    lower = 0.0
    for s in duration.samples:
        if s.name == DURATION + "_bucket" and s.labels["outcome"] == "ok":
            upper = float(s.labels["le"])
            if s.exemplar:
                assert lower < s.exemplar.value <= upper
                assert s.exemplar.labels["trace_id"].startswith(TRACE)
                assert float(s.exemplar.timestamp) > 1.6e9
            lower = upper
    assert "trace_id" not in scrape(traced)[1]  # the text format has none


def test_without_traces_there_are_none(port):
    infer(port, f"00-{TRACE}ff-00f067aa0ba902b7-01")
    assert exemplars(open_metrics(scrape(port, ACCEPT)[1])) == {}


def test_the_parser_catches_faults(port):
    """The control: what must not pass."""
    page = scrape(port, ACCEPT)[1]
    assert list(open_metrics(page))
    for old, new in (("# EOF\n", ""), ("# TYPE inferd_inputs counter", "# TYPE inferd_inputs_total counter"),
                     ("inferd_ready 1", 'inferd_ready 1 # {trace_id="a"} 1'), ("inferd_inputs_total ", "inferd_inputs ")):
        assert old in page
        with pytest.raises(ValueError):
            list(open_metrics(page.replace(old, new)))
