# SPDX-License-Identifier: Apache-2.0
"""The engine's figures as Ray metrics: names, labels and meanings of docs/metrics.md, with `ray_` before each
name and Ray's own labels beside ours.

Requests are counted in plain Python, as a Ray metric costs a microsecond each; a task hands them over every
PERIOD_S.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ray.util.metrics import Counter, Gauge, Histogram

from . import _engine

if TYPE_CHECKING:
    from ._served import Served

PERIOD_S = 1.0
DURATION_BUCKETS_S = [0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.1, 0.15, 0.25,
                      0.4, 0.8, 1.5, 3.0, 10.0, 30.0]
STAGE_BUCKETS_S = [0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02,
                   0.03, 0.06, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0]
STAGES = ("parse", "tokenize", "queue", "infer", "serialize")  # the fields of inferd.Times
LABELS_MAX = 63  # names of labels that are counted apart; more are OTHER
OTHER = "__other__"
# Totals of Model.stats(): field, name.
TOTALS = {"tokens": "inferd_tokens_total", "texts": "inferd_inputs_total", "truncated": "inferd_truncated_inputs_total",
          "busy_seconds": "inferd_compute_busy_seconds_total"}
# What is now, added up over the models in memory: they share the replica's processors.
GAUGES = {"queue_texts": "inferd_queue_depth", "queue_tokens": "inferd_queue_tokens",
          "estimated_wait_seconds": "inferd_estimated_wait_seconds", "saturation_ratio": "inferd_saturation_ratio"}
HELP = "See docs/metrics.md."


class RayMetrics:
    """One replica's. Its event loop's thread alone."""

    def __init__(self, threads: int, queue_texts: int, queue_tokens: int) -> None:
        self._started = self._ended = 0
        self._handed = 0  # of those started
        self._requests: Tally[tuple[str, int]] = Tally()
        self._outcomes: Tally[str] = Tally()
        self._reasons: Tally[tuple[str, str]] = Tally()
        self._seconds: list[tuple[str, float]] = []
        self._times: list[_engine.Times] = []
        self._names: set[str] = set()
        self.started = Counter("inferd_requests_started_total", HELP)
        self.in_flight = Gauge("inferd_requests_in_flight", HELP)
        self.requests = Counter("inferd_requests_total", HELP, ("route", "code"))
        self.outcomes = Counter("inferd_request_outcomes_total", HELP, ("outcome",))
        self.rejected = Counter("inferd_rejected_total", HELP, ("reason",))
        self.cancelled = Counter("inferd_cancelled_total", HELP, ("stage",))
        self.duration = Histogram("inferd_request_duration_seconds", HELP, DURATION_BUCKETS_S, ("outcome",))
        self.stages = Histogram("inferd_stage_duration_seconds", HELP, STAGE_BUCKETS_S, ("stage",))
        self.totals = {field: Counter(name, HELP) for field, name in TOTALS.items()}
        self.predictions = Counter("inferd_predictions_total", HELP, ("label",))
        self.gauges = {field: Gauge(name, HELP) for field, name in GAUGES.items()}
        self.ready = Gauge("inferd_ready", HELP)
        self.model_info = Gauge("inferd_model_info", HELP, ("name", "architecture", "dtype", "isa", "max_length", "digest"))
        self.load_seconds = Gauge("inferd_model_load_seconds", HELP)
        self.loads = Counter("inferd_model_loads_total", HELP)
        self.refusals = Counter("inferd_model_refusals_total", HELP)
        # Kept, as Ray drops a metric with its object; set again and again, as it exports what was set of late.
        self._fixed: list[tuple[Gauge, float, dict[str, str]]] = [
            (Gauge("inferd_compute_threads", HELP), threads, {}),
            (Gauge("inferd_build_info", HELP, ("version",)), 1, {"version": _engine.version})]
        limit = Gauge("inferd_queue_limit", HELP, ("kind",))
        self._fixed += [(limit, queue_texts, {"kind": "inputs"}), (limit, queue_tokens, {"kind": "tokens"})]

    def begin(self) -> None:
        self._started += 1

    def count(self, route: str, code: int, outcome: str, seconds: float, reason: str) -> None:
        self._ended += 1
        self._outcomes[outcome] += 1
        if outcome in ("shed", "cancelled"):
            self._reasons[outcome, reason] += 1
        if outcome == "cancelled":
            return  # there was no answer
        self._requests[route, code] += 1
        if route == "/infer":
            self._seconds.append((outcome, seconds))

    def stage(self, times: _engine.Times) -> None:
        """Of a request that is answered."""
        self._times.append(times)

    def loaded(self) -> None:
        self.loads.inc()

    def retired(self, served: Served) -> None:
        """It answers no more: its last figures."""
        self._total(served)
        self._name(served, 0)

    def _name(self, served: Served, value: int) -> None:
        info = served.model.info
        self.model_info.set(value, {"name": info["name"], "architecture": info["architecture"], "dtype": info["dtype"],
                                    "isa": info["tier"], "max_length": str(info["max_length"]), "digest": served.digest})

    def hand_over(self, served: Iterable[Served], ready: bool) -> None:
        """What was counted since the last time, and what is now."""
        self._requests_over()
        self.ready.set(int(ready))
        for gauge, value, labels in self._fixed:
            gauge.set(value, labels)
        now: Tally[str] = Tally()
        for one in served:
            self._total(one)
            self._name(one, 1)
            self.load_seconds.set(one.load_seconds)
            for field in GAUGES:
                now[field] += one.counted[field]
        for field, sum_of in self.gauges.items():
            sum_of.set(now[field])

    def _requests_over(self) -> None:
        requests, self._requests = self._requests, Tally()
        outcomes, self._outcomes = self._outcomes, Tally()
        reasons, self._reasons = self._reasons, Tally()
        seconds, self._seconds = self._seconds, []
        times, self._times = self._times, []
        if self._started > self._handed:
            self.started.inc(self._started - self._handed)
            self._handed = self._started
        self.in_flight.set(self._started - self._ended)
        for (route, code), n in requests.items():
            self.requests.inc(n, {"route": route, "code": str(code)})
        for outcome, n in outcomes.items():
            self.outcomes.inc(n, {"outcome": outcome})
        for (outcome, reason), n in reasons.items():
            if outcome == "shed":
                self.rejected.inc(n, {"reason": reason})
            else:
                self.cancelled.inc(n, {"stage": reason})
        for outcome, s in seconds:
            self.duration.observe(s, {"outcome": outcome})
        for stage in times:
            for name, s in zip(STAGES, stage, strict=True):
                self.stages.observe(s, {"stage": name})

    def _total(self, served: Served) -> None:
        """What a model has done since it was last asked."""
        before, now = served.counted, dict(served.model.stats())
        served.counted = now
        for field, counter in self.totals.items():
            more = now[field] - before.get(field, 0)
            if more > 0:
                counter.inc(more)
        nothing = (0,) * len(served.model.labels)
        for label, n, had in zip(served.model.labels, now["predictions"], before.get("predictions", nothing),  # type: ignore[call-overload]
                                 strict=True):
            if n > had:
                self.predictions.inc(n - had, {"label": self._label(label)})

    def _label(self, name: str) -> str:
        if name not in self._names and len(self._names) >= LABELS_MAX:
            return OTHER
        self._names.add(name)
        return name

    async def run(self, now: Callable[[], None]) -> None:
        """Call what hands over, until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            now()
