# SPDX-License-Identifier: Apache-2.0
"""A real plan of the real provider for each example, over a stand-in that answers the plan's few reads: what would be created,
and what it costs by platform/prices.json. Nothing is applied.
"""

from __future__ import annotations

import json
import sys
import unittest

from door import GOOD, HERE, ROOT
from terraform_tree import Tree

sys.path.insert(0, str(HERE / "fake"))
sys.path.insert(0, str(ROOT / "scripts" / "platform"))
import infra  # noqa: E402
import plan  # noqa: E402
from gcp_reads import Reads  # noqa: E402

# example -> node pools, and dollars a month idle and at load
EXAMPLES = {
    "cpu-only": ({"cpu"}, 385, 1010),
    "t4-spot": ({"cpu", "gpu-spot"}, 385, 1198),
    "t4-on-demand": ({"cpu", "gpu-on-demand"}, 385, 1852),
    "t4-with-fallback": ({"cpu", "gpu-spot", "gpu-on-demand"}, 385, 1852),
}


class Plans(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tree = Tree()
        cls.addClassCleanup(cls.tree.close)
        (cls.tree.dir / "infra/backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        cls.tree.init("infra", "-no-color")
        cls.reads = Reads(GOOD["PROJECT_ID"], GOOD["REGION"])
        cls.addClassCleanup(cls.reads.close)

    def plan(self, example: str, *more: str) -> dict:
        variables = [v for v in infra.variables({**GOOD, "GPU_QUOTA": "0", "GPU_CAPACITY": "spot"}, infra.INFRA) if not v.startswith("-var=gpu_")]
        done = self.tree.run("infra", "plan", "-input=false", "-no-color", "-out=x.tfplan", *variables, f"-var-file=examples/{example}.tfvars", *more, **self.reads.environ())
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        shown = self.tree.run("infra", "show", "-json", "x.tfplan")
        return json.loads(shown.stdout)

    def test_each_example(self):
        prices = json.loads((ROOT / "platform/prices.json").read_text())
        self.assertEqual({p.stem for p in (ROOT / "platform/infra/examples").glob("*.tfvars")}, set(EXAMPLES))
        for example, (pools, idle, load) in EXAMPLES.items():
            found = self.plan(example)
            self.assertEqual(set(plan.actions(found)), {"create"})
            self.assertEqual({p["name"] for p in plan.pools(found)}, pools)
            rows, _ = plan.cost(found, prices)
            self.assertNotIn(None, [r[1] for r in rows])
            self.assertEqual((round(sum(r[1] for r in rows)), round(sum(r[2] for r in rows))), (idle, load), example)
            print(f"\n{example}: creates {sum(plan.actions(found)['create'].values())} resources; {idle} dollars a month idle, {load} at load", flush=True)
        self.assertEqual(self.reads.unknown, [], "the plan asked for more, or changed something")

    def test_the_plan_is_complete(self):
        """On an empty project nothing that matters is left to be known later: zones, keys and members stand in the plan."""
        found = {c["address"]: c["change"]["after"] for c in self.plan("t4-with-fallback")["resource_changes"]}
        cluster = found["google_container_cluster.main"]
        self.assertEqual(sorted(cluster["node_locations"]), ["europe-west4-a", "europe-west4-b", "europe-west4-c"])
        self.assertEqual(cluster["database_encryption"][0]["key_name"], "projects/test-project-1/locations/europe-west4/keyRings/ring/cryptoKeys/gke-secrets")
        self.assertEqual(found["google_kms_crypto_key_iam_member.gke"]["member"], "serviceAccount:service-123456789012@container-engine-robot.iam.gserviceaccount.com")
        self.assertEqual(sorted(found['module.gpu_pool["gpu-spot"].google_container_node_pool.main']["node_locations"]), ["europe-west4-a", "europe-west4-b"])


class Adoption(unittest.TestCase):
    """A project that the showcase was run in before: all is taken over, and nothing is replaced."""

    @classmethod
    def setUpClass(cls):
        cls.tree = Tree()
        cls.addClassCleanup(cls.tree.close)
        (cls.tree.dir / "infra-bootstrap/backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        cls.tree.init("infra-bootstrap", "-no-color")
        cls.reads = Reads(GOOD["PROJECT_ID"], GOOD["REGION"])
        cls.addClassCleanup(cls.reads.close)

    def plan(self) -> tuple[int, str, dict]:
        adopted = '-var=adopt=["ring", "sops", "cluster", "state", "bucket", "registry"]'
        done = self.tree.run("infra-bootstrap", "plan", "-input=false", "-no-color", "-out=x.tfplan", *infra.variables(GOOD, infra.BOOTSTRAP), adopted, **self.reads.environ())
        shown = self.tree.run("infra-bootstrap", "show", "-json", "x.tfplan") if done.returncode == 0 else None
        return done.returncode, done.stdout + done.stderr, json.loads(shown.stdout) if shown else {}

    def test_everything_is_imported_and_nothing_replaced(self):
        code, said, found = self.plan()
        self.assertEqual(code, 0, said)
        changes = {c["address"]: c["change"] for c in found["resource_changes"] if c["mode"] == "managed"}
        imported = {address: c["importing"]["id"] for address, c in changes.items() if "importing" in c}
        ring = "projects/test-project-1/locations/europe-west4/keyRings/ring"
        self.assertEqual(imported, {
            "google_kms_key_ring.main": ring, 'google_kms_crypto_key.key["sops"]': f"{ring}/cryptoKeys/sops",
            'google_kms_crypto_key.key["cluster"]': f"{ring}/cryptoKeys/gke-secrets", 'google_kms_crypto_key.key["state"]': f"{ring}/cryptoKeys/terraform-state",
            "google_storage_bucket.state": "test-project-1/test-project-1-tfstate",
            "google_artifact_registry_repository.images": "projects/test-project-1/locations/europe-west4/repositories/inferd"})
        self.assertEqual({a: c["actions"] for a, c in changes.items() if "delete" in c["actions"]}, {})
        self.assertEqual(changes['google_kms_crypto_key.key["sops"]']["actions"], ["update"])
        self.assertEqual(changes["google_storage_bucket.state"]["after"]["public_access_prevention"], "enforced")
        self.assertEqual(self.reads.unknown, [])
        print(f"\nadoption: {len(imported)} imported, 0 replaced", flush=True)

    def test_without_the_exception_an_adopted_key_would_have_to_be_replaced(self):
        """The control: the delay of destruction is fixed at a key's making."""
        path = self.tree.dir / "infra-bootstrap/kms.tf"
        whole = path.read_text()
        path.write_text(whole.replace("ignore_changes = [destroy_scheduled_duration, version_template]", "ignore_changes = []"))
        try:
            code, said, _ = self.plan()
        finally:
            path.write_text(whole)
        self.assertEqual(code, 1)
        self.assertIn("Instance cannot be destroyed", said)


if __name__ == "__main__":
    unittest.main()
