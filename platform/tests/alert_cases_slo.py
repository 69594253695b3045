# SPDX-License-Identifier: Apache-2.0
"""Cases of the burn-rate alerts and budgets. Errors are in multiples of what the objective allows, so that one set of
scenarios does for each objective; platform/monitoring/slo.py has the windows and rates that they are built around."""

from __future__ import annotations

from alert_rules import Case, Scenario, const, ramp

RATE = 600.0  # requests a minute
ALLOWED = {"availability": 0.001, "latency": 0.01}


def series(slo: str, *parts: tuple[float, int], rate: float = RATE, step: int = 2) -> dict[str, str]:
    """`parts`: (multiple of the allowed share of errors, minutes). Beside them what must count on neither side."""
    allowed = ALLOWED[slo]
    bad = [(rate * step * allowed * burn, minutes // step) for burn, minutes in parts]
    good = [(rate * step * (1 - allowed * burn), minutes // step) for burn, minutes in parts]
    every = [(rate * step, minutes // step) for _, minutes in parts]
    job = 'job="inferd", namespace="inferd", pod="a"'

    def duration(kind: str, outcome: str, more: str = "") -> str:
        return f'inferd_request_duration_seconds_{kind}{{{job}, outcome="{outcome}"{more}}}'

    noise = {f'inferd_request_outcomes_total{{{job}, outcome="client_error"}}': ramp(*every),
             f'inferd_request_outcomes_total{{{job}, outcome="ok"}}': ramp(*every),
             duration("count", "client_error"): ramp(*every), duration("bucket", "client_error", ', le="0.1"'): ramp(*every)}
    if slo == "availability":
        return {**noise, f'inferd_request_outcomes_total{{{job}, outcome="shed"}}': ramp(*bad), duration("count", "ok"): ramp(*good)}
    return {**noise, duration("count", "ok"): ramp(*every), duration("bucket", "ok", ', le="0.1"'): ramp(*good),
            duration("bucket", "ok", ', le="10"'): ramp(*every)}


JOB = [{"job": "inferd"}]


def fast(slo: str) -> list[Scenario]:
    return [
        # sudden and steep: the pair of 1 h and 5 m alone, once the long window has enough, and 2 minutes later
        Scenario(series(slo, (0, 360), (50, 30)), {"6h10m": [], "6h20m": [], "6h25m": JOB}),
        # slow and lasting: the pair of 6 h and 30 m alone
        Scenario(series(slo, (8, 400)), {"6h30m": JOB}),
        # healthy: within five times what is allowed
        Scenario(series(slo, (5, 400)), {"6h30m": []}),
        # over: the long window still remembers
        Scenario(series(slo, (0, 360), (50, 24), (0, 40)), {"6h23m": JOB, "6h34m": []}),
        # much less than it was, and so no reason to get up
        Scenario(series(slo, (0, 360), (50, 20), (10, 15)), {"6h30m": []}),
        Scenario(series(slo, (8, 360), (3, 45)), {"6h42m": []}),
        # few requests: 20 bad ones are enough, 5 are not
        Scenario(series(slo, (0, 340), (50, 50), rate=8 if slo == "availability" else 0.8), {"6h28m": JOB}),
        Scenario(series(slo, (0, 340), (50, 50), rate=2 if slo == "availability" else 0.2), {"6h28m": []}),
    ]


def slow(slo: str) -> list[Scenario]:
    """Steps of 10 minutes are too long for rates over 5, so these are given."""
    def scenario(*parts: tuple[float, int], rate: float = RATE, fires: dict[str, list]) -> Scenario:
        rates = " ".join(f"{rate * ALLOWED[slo] * burn / 60:g}x{minutes // 10 - 1}" for burn, minutes in parts)
        total = const(rate / 60, sum(minutes for _, minutes in parts) // 10)
        return Scenario({**series(slo, *parts, rate=rate, step=10), f'job:inferd_{slo}_bad:rate5m{{job="inferd"}}': rates,
                         f'job:inferd_{slo}_total:rate5m{{job="inferd"}}': total}, fires)

    few = 0.1 if slo == "availability" else 0.01
    return [
        scenario((2, 4400), fires={"73h": JOB}),
        scenario((0.5, 4400), fires={"73h": []}),
        scenario((2, 3950), (0.5, 450), fires={"73h": []}),  # over
        scenario((0, 3800), (2, 600), fires={"73h": []}),  # has just begun
        scenario((2, 40), fires={"10m": []}),
        scenario((0, 4000), (40, 400), rate=few * 2, fires={"73h": []}),  # 3 bad ones
        scenario((0, 4000), (40, 400), rate=few * 14, fires={"73h": JOB}),  # 20
    ]


def budget(slo: str) -> list[Scenario]:
    """Ten hours stand for the month: the ratio is of what there is."""
    return [
        Scenario(series(slo, (1.2, 600)), {"30m": [], "9h": JOB}),
        Scenario(series(slo, (0.8, 600)), {"9h": []}),
    ]


def cases() -> list[Case]:
    found = []
    for slo in ("availability", "latency"):
        name = slo.capitalize()
        found += [Case(f"Inferd{name}FastBurn", fast(slo), "2m"), Case(f"Inferd{name}SlowBurn", slow(slo), "10m", given=tuple(f"job:inferd_{slo}_{p}:rate5m" for p in ("bad", "total"))),
                  Case(f"Inferd{name}BudgetSpent", budget(slo), "2m")]
    # no failure was ever counted, and nothing was ever answered: Ray has no series of either
    ok = series("availability", (0, 400))
    ok.pop('inferd_request_outcomes_total{job="inferd", namespace="inferd", pod="a", outcome="shed"}')
    found[0].scenarios.append(Scenario(ok, {"6h30m": []}))
    failed = series("availability", (1000, 400))
    failed.pop('inferd_request_duration_seconds_count{job="inferd", namespace="inferd", pod="a", outcome="ok"}')
    found[0].scenarios.append(Scenario(failed, {"6h30m": JOB}))
    return found
