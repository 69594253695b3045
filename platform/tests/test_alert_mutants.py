# SPDX-License-Identifier: Apache-2.0
"""The control of test_alerts: an alert with one thing broken must fail its case. What is broken: it never or always fires, its
`for` is gone, a comparison is turned round, a threshold is four times or a quarter of what it was, `and` is `or`, a matcher is
gone; in the alert itself and in the recording rules that it reads."""

from __future__ import annotations

import unittest

from alert_rules import Case, Rules, holds, mutants
from test_alerts import CASES, RULES, each


class Mutants(unittest.TestCase):
    def test_a_broken_twin_is_noticed(self):
        work: list[tuple[Case, str, Rules]] = []
        for case in CASES.values():
            found = list(mutants(case, RULES))
            unknown = set(case.equal) - {what for what, _ in found}
            self.assertEqual(unknown, set(), f"{case.alert}: excused mutants that are not made")
            work += [(case, what, rules) for what, rules in found if what not in case.equal]
        self.assertGreater(len(work), 200)

        def survives(item: tuple[Case, str, Rules]) -> str | None:
            case, what, rules = item
            try:
                return f"{case.alert}: {what}" if holds(case, rules) else None
            except ValueError as error:
                return str(error)

        alive = [s for s in each(survives, work) if s]
        self.assertEqual(alive, [], f"{len(alive)} of {len(work)} survive")
        excused = sum(len(c.equal) for c in CASES.values())
        print(f"{len(work)} broken twins of {len(CASES)} alerts noticed; {excused} that no series can tell apart left out")


if __name__ == "__main__":
    unittest.main()
