# SPDX-License-Identifier: Apache-2.0
"""What an expression reads: its metrics and the labels that it selects by. Enough of PromQL's grammar for that, no more; that
an expression is well formed, promtool says."""

from __future__ import annotations

import re
from dataclasses import dataclass

KEYWORDS = {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right", "inf", "nan", "start", "end"}
# One at a time from the left: a string, a selector's braces, a window or subquery, a list of labels, a name, a number.
TOKEN = re.compile(r'(?P<string>"(?:[^"\\]|\\.)*")|(?P<braces>\{(?:"(?:[^"\\]|\\.)*"|[^"}])*\})|(?P<window>\[[^\]]*\])|'
                   r"(?P<labels>\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\))|(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)|"
                   r"(?P<number>\d[\w.]*)")
MATCHER = re.compile(r'([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Selector:
    metric: str
    labels: tuple[tuple[str, str, str], ...]  # name, operator, value


def selectors(expr: str) -> list[Selector]:
    """In the order in which they stand. Raises ValueError for braces without a metric, which nothing here needs."""
    found: list[Selector] = []
    pending = ""  # a name whose selector, or call, may follow
    tokens = [(m.lastgroup, m[0], m.end()) for m in TOKEN.finditer(expr)]
    for kind, text, end in tokens:
        if kind == "braces":
            if not pending:
                raise ValueError(f"a selector without a metric in {expr!r}")
            found[-1] = Selector(pending, tuple(MATCHER.findall(text)))
        pending = ""
        if kind == "name" and text.lower() not in KEYWORDS and not expr[end:].lstrip().startswith("(") and not is_aggregation(expr, end):
            pending = text
            found.append(Selector(text, ()))
    return found


def is_aggregation(expr: str, end: int) -> bool:
    """Whether a name at `end` is a function with its labels before its arguments: sum by (x) (...)."""
    return re.match(r"\s+(by|without)\s*\(", expr[end:]) is not None


def metrics(expr: str) -> set[str]:
    return {s.metric for s in selectors(expr)}
