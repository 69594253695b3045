# SPDX-License-Identifier: Apache-2.0
"""A strict reader of Prometheus' text format 0.0.4, and the checks that hold for any scrape."""

from __future__ import annotations

import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
TYPES = ("counter", "gauge", "histogram")
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OUTCOMES = ("ok", "client_error", "shed", "deadline", "cancelled", "drained", "fault")


class Family:
    def __init__(self, name: str, help_text: str):
        self.name, self.help, self.type = name, help_text, ""
        self.samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def labels(self) -> set[str]:
        """Names of labels, the histogram's own left out."""
        return {k for _, labels in self.samples for k, _ in labels if k != "le"}


def labels_of(text: str | None) -> tuple[tuple[str, str], ...]:
    found, at = [], 0
    while text and at < len(text):
        m = LABEL.match(text, at)
        assert m, f"labels {text!r}"
        value = re.sub(r"\\(.)", lambda e: "\n" if e[1] == "n" else e[1], m[2])
        found.append((m[1], value))
        at = m.end()
    assert len({k for k, _ in found}) == len(found), f"a label twice: {text!r}"
    return tuple(found)


def parse(text: str) -> dict[str, Family]:
    """AssertionError says what is wrong with the text."""
    families: dict[str, Family] = {}
    family = None
    assert text.endswith("\n"), "the last line has no end"
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            _, _, name, help_text = line.split(" ", 3)
            assert NAME.fullmatch(name) and help_text, line
            assert name not in families, f"{name} twice"
            family = families[name] = Family(name, help_text)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert family and family.name == name and not family.type and not family.samples, line
            assert kind in TYPES, line
            family.type = kind
        else:
            m = SAMPLE.fullmatch(line)
            assert m, f"not a sample: {line!r}"
            assert family and family.type, f"no TYPE before {line!r}"
            suffixes = ("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)
            assert m[1] in [family.name + s for s in suffixes], f"{line!r} under {family.name}"
            key = (m[1], labels_of(m[2]))
            assert key not in family.samples, f"twice: {line!r}"
            family.samples[key] = float(m[3])
    for f in families.values():
        check(f)
    return families


def check(f: Family) -> None:
    """What must hold inside one family."""
    assert f.type, f"{f.name} has no TYPE"
    for (name, labels), value in f.samples.items():
        assert not math.isnan(value) and math.isfinite(value), f"{name}{labels} {value}"
        assert f.type == "gauge" or value >= 0, f"{name}{labels} {value}"
    if f.type == "counter":
        # TEI's own names have no such ending
        assert f.name.endswith("_total") or f.name.startswith("te_"), f.name
    if f.type != "histogram":
        return
    series: dict[tuple, dict] = {}
    for (name, labels), value in f.samples.items():
        rest = tuple(x for x in labels if x[0] != "le")
        one = series.setdefault(rest, {"buckets": []})
        if name.endswith("_bucket"):
            one["buckets"].append((float(dict(labels)["le"].replace("+Inf", "inf")), value))
        else:
            one[name[len(f.name):]] = value
    for rest, one in series.items():
        bounds = [b for b, _ in one["buckets"]]
        counts = [c for _, c in one["buckets"]]
        assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf, f"{f.name}{rest}: bounds"
        assert counts == sorted(counts), f"{f.name}{rest}: not cumulative"
        assert counts[-1] == one["_count"], f"{f.name}{rest}: +Inf is not the count"
        least = sum((c - b) * low for (low, b), (_, c) in zip(one["buckets"], one["buckets"][1:]))
        assert one["_sum"] >= least * (1 - 1e-9), f"{f.name}{rest}: the sum is below its buckets"


def value(families: dict[str, Family], name: str, **labels: str) -> float:
    """The sum of a family's samples that have these labels."""
    histogram = name[:-6] if name.endswith("_count") else name[:-4] if name.endswith("_sum") else name
    family = families[name if name in families else histogram]
    return sum(v for (n, have), v in family.samples.items()
               if n == name and set(labels.items()) <= set(have))


def law_breaches(families: dict[str, Family]) -> list[str]:
    """Which of the laws in docs/metrics.md do not hold; with no traffic but this scrape, none."""
    def v(name: str, **labels: str) -> int:
        return int(value(families, name, **labels))

    by = {o: v("inferd_request_outcomes_total", outcome=o) for o in OUTCOMES}
    flight = v("inferd_requests_in_flight")
    answered = sum(by[o] for o in OUTCOMES if o not in ("cancelled", "drained"))
    laws = [
        ("started == outcomes + in flight", v("inferd_requests_started_total"), sum(by.values()) + flight),
        ("outcomes are the known ones", v("inferd_request_outcomes_total"), sum(by.values())),
        ("only this scrape is in flight", flight, 1),
        ("answers == answered outcomes", v("inferd_requests_total"), answered),
        ("rejected == shed", v("inferd_rejected_total"), by["shed"]),
        ("cancelled by stage == cancelled", v("inferd_cancelled_total"), by["cancelled"]),
        ("durations of ok == 200 of /infer", v("inferd_request_duration_seconds_count", outcome="ok"),
         v("inferd_requests_total", route="/infer", code="200")),
        ("deadlines == 504", by["deadline"], v("inferd_requests_total", code="504")),
    ]
    return [f"{what}: {a} is not {b}" for what, a, b in laws if a != b]
