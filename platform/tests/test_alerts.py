# SPDX-License-Identifier: Apache-2.0
"""Each alert fires by its own series and not by a healthy twin's, says so in words that expand, and has a runbook."""

from __future__ import annotations

import os
import re
import unittest
from concurrent.futures import ThreadPoolExecutor

import alert_cases
import alert_cases_slo
from alert_rules import Rules, promtool
from door import ROOT

RUNBOOK = "docs/runbooks/alerts.md"
WORKERS = int(os.environ.get("JOBS", os.cpu_count() or 1))
RULES = Rules.load()
CASES = {c.alert: c for c in [*alert_cases.cases(), *alert_cases_slo.cases()]}


def each(work, items):
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(work, items))


class Alerts(unittest.TestCase):
    def test_each_alert_has_a_case_that_fires_and_a_healthy_twin(self):
        self.assertEqual(sorted(CASES), sorted(RULES.alerts()))
        for name, case in CASES.items():
            expected = [bool(wanted) for s in case.scenarios for wanted in s.fires.values()]
            self.assertIn(True, expected, name)
            self.assertTrue(any(not any(s.fires.values()) for s in case.scenarios), f"{name} has no scenario in which nothing fires")

    def test_each_fires_when_it_should_and_only_then(self):
        for case, (held, said) in zip(CASES.values(), each(lambda c: promtool(c, RULES), CASES.values()), strict=True):
            with self.subTest(case.alert):
                self.assertTrue(held, said)

    def test_annotations_name_labels_that_the_alert_has(self):
        for name, case in CASES.items():
            rule = RULES.by_name[name]
            fired = [labels for s in case.scenarios for wanted in s.fires.values() for labels in wanted]
            for text in rule["annotations"].values():
                for label in re.findall(r"\$labels\.(\w+)", text):
                    self.assertTrue(any(label in labels for labels in fired), f"{name}: no alert of its case has the label {label}")

    def test_annotations_expand(self):
        """With annotations promtool refuses the case, which names none, and prints them expanded."""
        for case, (held, said) in zip(CASES.values(), each(lambda c: promtool(c, RULES, annotations=True), CASES.values()), strict=True):
            self.assertFalse(held, case.alert)
            self.assertIn("summary=", said.replace("summary:", "summary="), case.alert)
            self.assertNotIn("error expanding", said, case.alert)

    def test_each_has_a_runbook(self):
        sections = set(re.findall(r"^## (\w+)$", (ROOT / RUNBOOK).read_text(encoding="utf-8"), re.M))
        self.assertEqual(sections, set(RULES.alerts()))
        for name in RULES.alerts():
            self.assertTrue(RULES.by_name[name]["annotations"]["runbook_url"].endswith(f"/{RUNBOOK}#{name.lower()}"), name)

    def test_the_doc_has_each_with_its_severity_and_time(self):
        rows = re.findall(r"^\| \[(\w+)\]\(runbooks/alerts\.md#(\w+)\) \| (\w+) \| (\w*) \|", (ROOT / "docs/monitoring.md").read_text(encoding="utf-8"), re.M)
        want = [(n, n.lower(), RULES.by_name[n]["labels"]["severity"], RULES.by_name[n].get("for", "")) for n in RULES.alerts()]
        self.assertEqual(sorted(rows), sorted(want))

    def test_runbook_sections_say_what_to_look_at_and_what_to_do(self):
        text = (ROOT / RUNBOOK).read_text(encoding="utf-8")
        for section in re.split(r"^## ", text, flags=re.M)[1:]:
            name, _, body = section.partition("\n")
            self.assertGreater(len(body.split()), 20, f"{name}: too short to help anybody")


if __name__ == "__main__":
    unittest.main()
