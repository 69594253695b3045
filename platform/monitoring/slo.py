# SPDX-License-Identifier: Apache-2.0
"""The objectives of /infer, their error ratios over several windows, burn-rate alerts and error budgets.

Multi-window, multi-burn-rate alerts as in Google's SRE Workbook, chapter 5: a long window says that enough of the
budget has gone, a short one that it still goes.
"""

from __future__ import annotations

from dataclasses import dataclass

from rules import Alert, Group, Record

PERIOD = "30d"
WINDOWS = ("5m", "30m", "1h", "6h", "3d", PERIOD)
# Burn rate, long window, short window. 14.4 for an hour is 2 % of a month's budget, 6 for six hours 5 %, 1 for three
# days 10 %.
FAST = ((14.4, "1h", "5m"), (6.0, "6h", "30m"))
SLOW = ((1.0, "3d", "6h"),)
FEW, FEW_WITHIN = 10, "6h"  # with fewer bad requests than that nobody is called: one of three at night is no outage

OK = 'inferd_request_duration_seconds_count{outcome="ok"}'
IN_TIME = 'inferd_request_duration_seconds_bucket{outcome="ok", le="0.1"}'
FAILED = 'inferd_request_outcomes_total{outcome=~"shed|deadline|fault|drained"}'


@dataclass(frozen=True)
class Slo:
    """`bad` and `good` are expressions by job with `{f}(SERIES[{w}])` in them: a rate, or an increase, over a window.

    Ray has no series of an outcome before it happens, so where one of the two is missing it must give 0, not nothing."""

    name: str
    title: str
    target: float
    bad: str
    good: str
    meaning: str

    @property
    def allowed(self) -> float:
        return round(1.0 - self.target, 6)

    def part(self, which: str) -> str:
        return f"job:inferd_{self.name}_{which}:rate5m"

    def ratio(self, window: str) -> str:
        return f"job:inferd_{self.name}_errors:ratio_rate{window}"

    @property
    def budget(self) -> str:
        return f"job:inferd_{self.name}_budget:remaining_{PERIOD}"

    def records(self, windows: tuple[str, ...]) -> list[Record]:
        """Ratios of means of 5-minute rates: a long window reads a few recorded series instead of every replica's."""
        found = []
        for window in windows:
            bad, total = self.part("bad"), self.part("total")
            if window != "5m":
                bad, total = f"avg_over_time({bad}[{window}])", f"avg_over_time({total}[{window}])"
            found.append(Record(self.ratio(window), f"{bad} / ({total} > 0)"))
        return found

    def parts(self) -> list[Record]:
        return [Record(self.part("bad"), self.bad.format(f="rate", w="5m")),
                Record(self.part("total"), f"{self.part('bad')} + {self.good.format(f='rate', w='5m')}")]

    def burns(self, pairs: tuple[tuple[float, str, str], ...]) -> str:
        both = [f"({self.ratio(long)} > {rate:g} * {self.allowed} and {self.ratio(short)} > {rate:g} * {self.allowed})"
                for rate, long, short in pairs]
        return "(\n  " + "\n  or\n  ".join(both) + f"\n)\nand\n({self.bad.format(f='increase', w=FEW_WITHIN)}) >= {FEW}"

    def alerts(self) -> list[Alert]:
        camel = self.name.capitalize()
        says = f"{self.meaning} The objective is {100 * self.target:g} % over {PERIOD}."
        return [
            Alert(f"Inferd{camel}FastBurn", "page", self.burns(FAST), "2m",
                  f"{self.title} of {{{{ $labels.job }}}}: a month's error budget goes within days",
                  f"{says} Errors come at more than {FAST[-1][0]:g} times the rate that the budget allows."),
            Alert(f"Inferd{camel}SlowBurn", "ticket", self.burns(SLOW), "15m",
                  f"{self.title} of {{{{ $labels.job }}}}: the error budget will not last the month",
                  f"{says} For days, errors have come at more than the rate that the budget allows."),
            Alert(f"Inferd{camel}BudgetSpent", "ticket", f"{self.budget} <= 0", "1h",
                  f"{self.title} of {{{{ $labels.job }}}}: no error budget left",
                  f"{says} What is left of the budget: {{{{ $value | humanizePercentage }}}}."),
        ]


def by_job(series: str) -> str:
    return f"sum by (job) ({{f}}({series.replace('{', '{{').replace('}', '}}')}[{{w}}]))"


def bare(series: str) -> str:
    return series.partition("{")[0]


AVAILABILITY = Slo(
    "availability", "Availability", 0.999, f"{by_job(FAILED)} or {by_job(bare(OK))} * 0",
    f"({by_job(OK)} or {by_job(bare(FAILED))} * 0)",
    "Bad are requests that were shed (429, 503), missed their deadline (504), failed (500), or were dropped by a stop; faults "
    "of the client and requests that the client gave up count on neither side.")
LATENCY = Slo(
    "latency", "Latency", 0.99, f"{by_job(OK)} - {by_job(IN_TIME)}", by_job(IN_TIME),
    "Good is an answer within 100 ms, measured in the server from the first byte in to the last byte out.")
SLOS = (AVAILABILITY, LATENCY)


def groups() -> list[Group]:
    long = WINDOWS.index("3d")
    return [
        Group("inferd.slo", tuple(r for s in SLOS for r in s.parts() + s.records(WINDOWS[:long]))),
        Group("inferd.slo.long", tuple(r for s in SLOS for r in [*s.records(WINDOWS[long:]), Record(
            s.budget, f"1 - {s.ratio(PERIOD)} / {s.allowed}")]), interval="2m"),
        Group("inferd.slo.alerts", tuple(a for s in SLOS for a in s.alerts())),
    ]
