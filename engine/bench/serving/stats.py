# SPDX-License-Identifier: Apache-2.0
"""What the serving scripts compute from what they saw. Pure; tested in engine/tests/bench."""

from __future__ import annotations

import math
from dataclasses import dataclass


def median(values: list[float]) -> float:
    v = sorted(values)
    n = len(v)
    if not n:
        raise ValueError("the median of nothing")
    return v[n // 2] if n % 2 else (v[n // 2 - 1] + v[n // 2]) / 2


@dataclass
class Line:
    slope: float
    intercept: float
    slope_error: float  # standard error of the slope; infinite with fewer than three points


def least_squares(points: list[tuple[float, float]]) -> Line:
    """The line through (x, y) points; at least two different x."""
    n = len(points)
    mean_x = sum(x for x, _ in points) / n
    mean_y = sum(y for _, y in points) / n
    sxx = sum((x - mean_x) ** 2 for x, _ in points)
    if n < 2 or sxx == 0:
        raise ValueError("a slope needs two points with different x")
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sxx
    intercept = mean_y - slope * mean_x
    if n < 3:
        return Line(slope, intercept, math.inf)
    residual = sum((y - intercept - slope * x) ** 2 for x, y in points)
    return Line(slope, intercept, math.sqrt(residual / (n - 2) / sxx))


def grows(points: list[tuple[float, float]], limit: float) -> bool:
    """Whether y grows by more than `limit` per x, beyond what the scatter of the points explains.

    Both conditions: a steady drift that is too small to matter is no leak, and one jump among
    few points is no drift. Four standard errors are asked for, as memory moves in steps and its
    samples are not independent.
    """
    line = least_squares(points)
    return line.slope > limit and line.slope > 4 * line.slope_error


def after_warmup(points: list[tuple[float, float]], share: float) -> list[tuple[float, float]]:
    """The points whose x lies beyond that share of the range."""
    first, last = points[0][0], points[-1][0]
    return [p for p in points if p[0] >= first + share * (last - first)]


def bad_share(row: dict) -> float:
    """Share of an interval's outcomes that are not ok."""
    ended = row["ok"] + row["refused"] + row["failed"]
    return 0.0 if not ended else (row["refused"] + row["failed"]) / ended


def limits_of(rows: list[dict], slack: float) -> tuple[float, float]:
    """(p99 in ms, share of not ok) that no interval of an undisturbed run exceeded, with slack."""
    rows = [r for r in rows if r["ok"]]
    if not rows:
        raise ValueError("no interval of the undisturbed run has an answer")
    return (max(r["p99_ms"] for r in rows) * slack, max(bad_share(r) for r in rows) + 0.01)


def recovery_s(rows: list[dict], p99_ms: float, bad: float, hold: int) -> float | None:
    """When the first of `hold` intervals in a row begins that keep both limits, in seconds from the
    start; None if it never does. An interval without an answer keeps nothing."""
    began, kept = 0.0, 0
    previous = 0.0
    for row in rows:
        good = row["ok"] > 0 and row["p99_ms"] <= p99_ms and bad_share(row) <= bad
        if good and kept == 0:
            began = previous
        kept = kept + 1 if good else 0
        if kept == hold:
            return began
        previous = row["at_s"]
    return None


def percentile_needs(ppm: int) -> int:
    """How many values a percentile needs so that at least ten lie beyond it: fewer are an anecdote."""
    return math.ceil(10 * 1_000_000 / (1_000_000 - ppm))
