# SPDX-License-Identifier: Apache-2.0
"""Alerts as promtool tests them: a case is an alert's own series with what must fire when; a mutant is the alert with one
thing broken, which the case must notice."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from door import ROOT

RULES = ROOT / "platform/apps/monitoring/config/rules"
COMPARATOR = re.compile(r"(?<![<>=!~])(==|!=|>=|<=|>|<)(?![=~])")
THRESHOLD = re.compile(r"((?:==|!=|>=|<=|>|<)\s*)(\d+(?:\.\d+)?)(?![\w:.])")
OPPOSITE = {">": "<=", "<=": ">", "<": ">=", ">=": "<", "==": "!=", "!=": "=="}
SELECTOR = re.compile(r"\{([^{}]*)\}")
MATCHER = re.compile(r'\s*([a-z_]+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*')


def const(value: float, steps: int = 120) -> str:
    return f"{value}x{steps}"


def ramp(*parts: tuple[float, int], start: float = 0) -> str:
    """A counter that grows by `rate` a step for so many steps, one part after the other."""
    found, at = [], start
    for rate, steps in parts:
        found.append(f"{at:g}+{rate:g}x{steps - 1}")
        at += rate * steps
    return " ".join([*found, f"{at:g}"])


@dataclass(frozen=True)
class Scenario:
    """`series`: what is scraped. `fires`: time -> labels of the alerts that fire then; an empty list: none."""

    series: dict[str, str]
    fires: dict[str, list[dict[str, str]]]


@dataclass(frozen=True)
class Case:
    """`equal`: mutants that no series can tell from the alert, each with the reason. `given`: recorded series that the scenarios
    have themselves, so that their rules are left out (another case has them)."""

    alert: str
    scenarios: list[Scenario]
    interval: str = "1m"
    equal: dict[str, str] = field(default_factory=dict)
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """Rules in the order of their files, name -> rule. Alerts come without annotations, which promtool would compare too."""

    by_name: dict[str, dict]

    @classmethod
    def load(cls, folder: Path = RULES) -> Rules:
        found: dict[str, dict] = {}
        for path in sorted(folder.glob("*.yaml")):
            for group in yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["groups"]:
                for rule in group["rules"]:
                    name = rule.get("alert") or rule["record"]
                    if name in found:
                        raise ValueError(f"{name} twice")
                    found[name] = rule
        return cls(found)

    def alerts(self) -> list[str]:
        return [n for n, r in self.by_name.items() if "alert" in r]

    def needed(self, name: str, given: tuple[str, ...] = ()) -> list[str]:
        """The rule, after the recorded ones that it reads, in an order that can be evaluated."""
        found: list[str] = []
        for used in re.findall(r"[a-z_]+:[a-zA-Z0-9_:]+", self.by_name[name]["expr"]):
            if used in self.by_name and used not in given:
                found += [n for n in self.needed(used, given) if n not in found]
        return [*found, name]

    def part(self, case: Case, annotations: bool = False) -> dict:
        rules = [{k: v for k, v in self.by_name[n].items() if annotations or k != "annotations"} for n in self.needed(case.alert, case.given)]
        return {"groups": [{"name": "part", "rules": rules}]}

    def with_(self, name: str, **changes: object) -> Rules:
        rule = {k: v for k, v in {**self.by_name[name], **changes}.items() if v is not None}
        return replace(self, by_name={**self.by_name, name: rule})


def file_of(case: Case, rule: dict) -> dict:
    fixed = {"alertname": case.alert, **rule["labels"]}
    return {
        "rule_files": ["rules.yaml"], "evaluation_interval": case.interval,
        "tests": [{
            "interval": case.interval, "input_series": [{"series": s, "values": v} for s, v in scenario.series.items()],
            "alert_rule_test": [{"eval_time": at, "alertname": case.alert, "exp_alerts": [
                {"exp_labels": {k: v for k, v in {**labels, **fixed}.items() if k != "alertname"}} for labels in wanted]}
                for at, wanted in scenario.fires.items()],
        } for scenario in case.scenarios],
    }


def promtool(case: Case, rules: Rules, annotations: bool = False) -> tuple[bool, str]:
    """Whether the case holds, and what promtool said."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rules.yaml").write_text(yaml.safe_dump(rules.part(case, annotations)), encoding="utf-8")
        (Path(folder) / "test.yaml").write_text(yaml.safe_dump(file_of(case, rules.by_name[case.alert])), encoding="utf-8")
        checked = subprocess.run(["promtool", "check", "rules", "rules.yaml"], cwd=folder, capture_output=True, text=True, check=False)
        if checked.returncode != 0:
            raise ValueError(f"{case.alert}: not valid PromQL: {checked.stdout}{checked.stderr}")
        done = subprocess.run(["promtool", "test", "rules", "test.yaml"], cwd=folder, capture_output=True, text=True, check=False)
        return done.returncode == 0, done.stdout + done.stderr


def holds(case: Case, rules: Rules) -> bool:
    """As promtool()[0], but gives up at the first scenario that does not hold, where there are many."""
    if len(case.scenarios) < 5:
        return promtool(case, rules)[0]
    return all(promtool(replace(case, scenarios=[s]), rules)[0] for s in case.scenarios)


def without_matcher(expr: str) -> Iterator[tuple[str, str]]:
    for selector in SELECTOR.finditer(expr):
        matchers = MATCHER.findall(selector[1])
        for i, (label, op, value) in enumerate(matchers):
            rest = ", ".join(f'{k}{o}"{v}"' for j, (k, o, v) in enumerate(matchers) if j != i)
            yield f'without {label}{op}"{value}"', expr[:selector.start()] + (f"{{{rest}}}" if rest else "") + expr[selector.end():]


def in_selector(expr: str, at: int) -> bool:
    return expr.rfind("{", 0, at) > expr.rfind("}", 0, at)


def mutated(expr: str) -> Iterator[tuple[str, str]]:
    """What was done, and the expression with it done."""
    for m in COMPARATOR.finditer(expr):
        if not in_selector(expr, m.start()):
            yield f"{m[1]} turned", expr[:m.start()] + OPPOSITE[m[1]] + expr[m.end():]
    for m in THRESHOLD.finditer(expr):
        for factor in (4, 0.25):
            if float(m[2]) != 0 and not in_selector(expr, m.start()):
                yield f"{m[2]} times {factor:g}", expr[:m.start(2)] + f"{float(m[2]) * factor:g}" + expr[m.end():]
    for word, other in (("and", "or"), ("unless", "and")):
        for m in re.finditer(rf"\b{word}\b(?! on)", expr):
            yield f"{word} is {other}", expr[:m.start()] + other + expr[m.end():]
    yield from without_matcher(expr)


def mutants(case: Case, rules: Rules) -> Iterator[tuple[str, Rules]]:
    rule = rules.by_name[case.alert]
    yield "never", rules.with_(case.alert, expr="vector(0) > 1")
    yield "always", rules.with_(case.alert, expr=f"({rule['expr']}) or vector(1)")
    if "for" in rule:
        yield "at once", rules.with_(case.alert, **{"for": None})
    for name in rules.needed(case.alert, case.given):
        seen: Counter[str] = Counter()
        for what, expr in mutated(rules.by_name[name]["expr"]):
            seen[what] += 1
            nth = f", #{seen[what]}" if seen[what] > 1 else ""
            yield f"{name if name != case.alert else 'expr'}: {what}{nth}", rules.with_(name, expr=expr)
