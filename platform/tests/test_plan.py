# SPDX-License-Identifier: Apache-2.0
"""What a plan is said to make and to cost, from plans in the form of `terraform show -json`."""

from __future__ import annotations

import json
import sys
import unittest

from door import ROOT

sys.path.insert(0, str(ROOT / "scripts" / "platform"))
import plan  # noqa: E402

PRICES = json.loads((ROOT / "platform/prices.json").read_text())


def change(kind: str, after: dict | None = None, *actions: str) -> dict:
    return {"mode": "managed", "type": kind, "change": {"actions": list(actions) or ["create"], "after": after}}


def pool(name: str, machine: str, low: int, high: int, spot: bool = False, t4: int = 0, region: str = "europe-west4") -> dict:
    gpu = [{"type": "nvidia-tesla-t4", "count": t4}] if t4 else []
    return change("google_container_node_pool", {"name": name, "location": region, "node_config": [{"machine_type": machine, "spot": spot, "guest_accelerator": gpu}],
                                                 "autoscaling": [{"total_min_node_count": low, "total_max_node_count": high}]})


CPU = pool("cpu", "n2-standard-4", 2, 6)
CLUSTER = change("google_container_cluster", {"name": "c"})


class Plan(unittest.TestCase):
    def totals(self, *changes: dict) -> tuple[float, float]:
        rows, _ = plan.cost({"resource_changes": [CLUSTER, *changes]}, PRICES)
        return tuple(round(sum(r[i] for r in rows if r[i] is not None), 2) for i in (1, 2))

    def test_actions_in_words(self):
        found = plan.actions({"resource_changes": [CLUSTER, CPU, change("google_project_iam_member", {}, "delete", "create"), change("google_kms_crypto_key", {}, "no-op"),
                                                   {"mode": "data", "type": "google_project", "change": {"actions": ["read"]}}]})
        self.assertEqual({k: dict(v) for k, v in found.items()}, {"create": {"regional GKE cluster": 1, "node pool": 1}, "replace": {"IAM binding": 1}})

    def test_cpu_only(self):
        node = 0.2138325 * 730
        self.assertEqual(self.totals(CPU), (round(73 + 2 * node, 2), round(73 + 6 * node, 2)))

    def test_a_spot_t4_costs_less_than_one_on_demand_and_none_when_idle(self):
        spot, demand = (self.totals(CPU, pool("gpu", "n1-standard-4", 0, 1, s, 1)) for s in (True, False))
        self.assertEqual(spot[0], demand[0])
        self.assertAlmostEqual(spot[1] - self.totals(CPU)[1], (0.08367 + 0.175) * 730, 1)
        self.assertAlmostEqual(demand[1] - self.totals(CPU)[1], (0.20917 + 0.3675) * 730, 1)

    def test_two_pools_of_one_quota_are_counted_once_at_the_dearer(self):
        both = self.totals(CPU, pool("gpu-spot", "n1-standard-4", 0, 2, True, 1), pool("gpu-on-demand", "n1-standard-4", 0, 2, False, 1))
        self.assertEqual(both, self.totals(CPU, pool("gpu-on-demand", "n1-standard-4", 0, 2, False, 1)))

    def test_a_price_that_is_not_held_is_not_guessed(self):
        for other in (pool("cpu", "c3-standard-4", 2, 6), pool("cpu", "n2-standard-4", 2, 6, region="asia-east1")):
            text = "\n".join(plan.table(plan.cost({"resource_changes": [CLUSTER, other]}, PRICES)[0]))
            self.assertIn("no price held for it", text)
            self.assertIn("total of what has a price", text)

    def test_the_summary(self):
        text = plan.summary({"resource_changes": [CLUSTER, CPU]}, ROOT)
        for part in ("creates 1 node pool, 1 regional GKE cluster", "November 2026", "make apply-plan", "not in it: boot disks"):
            self.assertIn(part, text)
        self.assertIn("changes nothing", plan.summary({"resource_changes": []}, ROOT))
        self.assertIn("deletes 1 node pool", plan.summary({"resource_changes": [change("google_container_node_pool", None, "delete")]}, ROOT))


if __name__ == "__main__":
    unittest.main()
