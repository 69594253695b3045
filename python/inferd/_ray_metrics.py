# SPDX-License-Identifier: Apache-2.0
"""The engine's figures as Ray metrics. Ray puts `ray_` before each name and its own labels beside ours.

Requests are counted in plain integers, as a Ray metric costs microseconds each; a task hands them over
every PERIOD_S.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from typing import TYPE_CHECKING

from ray.util.metrics import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from ._model import Model

PERIOD_S = 1.0
DURATION_BUCKETS_S = [0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.1, 0.15, 0.25,
                      0.4, 0.8, 1.5, 3.0, 10.0, 30.0]
# Counters of Model.stats(): name, field.
TOTALS = [("inferd_tokens_total", "tokens"), ("inferd_batches_total", "batches"),
          ("inferd_inputs_total", "texts"), ("inferd_compute_busy_seconds_total", "busy_seconds")]
GAUGES = [("inferd_queue_depth", "queue_texts"), ("inferd_queue_tokens", "queue_tokens"),
          ("inferd_estimated_wait_seconds", "estimated_wait_seconds"),
          ("inferd_saturation_ratio", "saturation_ratio"), ("inferd_compute_threads", "threads")]


class RayMetrics:
    """One replica's. Its event loop's thread alone."""

    def __init__(self) -> None:
        self._requests: Tally[tuple[str, int]] = Tally()
        self._outcomes: Tally[str] = Tally()
        self._seconds: list[tuple[str, float]] = []
        self._before: dict[str, float] = {}
        self._info: dict[str, str] = {}  # of the model that serves
        self.requests_total = Counter("inferd_requests_total", "Answers by route and status.", ("route", "code"))
        self.outcomes_total = Counter("inferd_request_outcomes_total", "How requests ended.", ("outcome",))
        self.duration = Histogram("inferd_request_duration_seconds", "POST /infer in this replica.",
                                  DURATION_BUCKETS_S, ("outcome",))
        self.totals = {field: Counter(name, "See docs/metrics.md.") for name, field in TOTALS}
        self.gauges = {field: Gauge(name, "See docs/metrics.md.") for name, field in GAUGES}
        self.model_info = Gauge("inferd_model_info", "The model that serves.", ("name", "dtype", "isa", "digest"))
        self.loads = Counter("inferd_model_loads_total", "Models loaded.")
        self.refusals = Counter("inferd_model_refusals_total", "Models refused while another served.")

    def count(self, route: str, code: int, outcome: str, seconds: float) -> None:
        self._requests[route, code] += 1
        self._outcomes[outcome] += 1
        if route == "/infer":
            self._seconds.append((outcome, seconds))

    def name_model(self, model: Model, digest: str, value: int) -> None:
        """1 for the model that serves, 0 when it no longer does."""
        info = model.info
        self._info = {"name": info["name"], "dtype": info["dtype"], "isa": info["tier"], "digest": digest}
        self.model_info.set(value, self._info)
        if value:
            self.loads.inc()
            self._before = {}  # its totals begin at zero

    def hand_over(self, model: Model) -> None:
        requests, self._requests = self._requests, Tally()
        outcomes, self._outcomes = self._outcomes, Tally()
        seconds, self._seconds = self._seconds, []
        for (route, code), n in requests.items():
            self.requests_total.inc(n, {"route": route, "code": str(code)})
        for outcome, n in outcomes.items():
            self.outcomes_total.inc(n, {"outcome": outcome})
        for outcome, s in seconds:
            self.duration.observe(s, {"outcome": outcome})
        stats: dict[str, float] = dict(model.stats())  # type: ignore[arg-type]
        for field, counter in self.totals.items():
            more = stats[field] - self._before.get(field, 0.0)
            if more > 0:
                counter.inc(more)
        for field, gauge in self.gauges.items():
            gauge.set(stats[field])
        if self._info:
            self.model_info.set(1, self._info)  # Ray forgets a gauge that is not set again within 20 s
        self._before = stats

    async def run(self, current: object) -> None:
        """Hand over until cancelled. `current` has the model that serves as `.model`."""
        while True:
            await asyncio.sleep(PERIOD_S)
            self.hand_over(current.model)  # type: ignore[attr-defined]
