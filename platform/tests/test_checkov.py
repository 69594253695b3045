# SPDX-License-Identifier: Apache-2.0
"""checkov's policies over the Terraform roots. What is let pass is listed with its reason in platform/checkov-skips.json,
and nothing else is; each policy that we rely on must fire on a twin that breaks it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from door import ROOT

# policy -> file, what stands there, what the twin has instead
TWINS = {
    "CKV2_GCP_19": ("infra/cluster.tf", "  enable_shielded_nodes = true\n", "  enable_kubernetes_alpha = true\n"),
    "CKV_GCP_1": ("infra/cluster.tf", "  cost_management_config {", '  logging_service = "none"\n  cost_management_config {'),
    "CKV_GCP_8": ("infra/cluster.tf", "  cost_management_config {", '  monitoring_service = "none"\n  cost_management_config {'),
    "CKV_GCP_7": ("infra/cluster.tf", "  cost_management_config {", "  enable_legacy_abac = true\n  cost_management_config {"),
    "CKV_GCP_13": ("infra/cluster.tf", "issue_client_certificate = false", "issue_client_certificate = true"),
    "CKV_GCP_64": ("infra/cluster.tf", "  private_cluster_config {\n    enable_private_nodes = true\n  }\n", ""),
    "CKV_GCP_61": ("infra/cluster.tf", "enable_intranode_visibility = true", "enable_intranode_visibility = false"),
    "CKV_GCP_71": ("infra/cluster.tf", "enable_shielded_nodes = true", "enable_shielded_nodes = false"),
    "CKV_GCP_70": ("infra/cluster.tf", "  release_channel {\n    channel = var.release_channel\n  }\n", ""),
    "CKV_GCP_23": ("infra/cluster.tf", "  ip_allocation_policy {\n    cluster_secondary_range_name  = \"pods\"\n    services_secondary_range_name = \"services\"\n  }\n", ""),
    "CKV_GCP_21": ("infra/cluster.tf", "  resource_labels     = local.labels\n", ""),
    "CKV_GCP_68": ("modules/node-pool/main.tf", "enable_secure_boot          = true", "enable_secure_boot          = false"),
    "CKV_GCP_72": ("modules/node-pool/main.tf", "enable_integrity_monitoring = true", "enable_integrity_monitoring = false"),
    "CKV_GCP_69": ("modules/node-pool/main.tf", 'mode = "GKE_METADATA"', 'mode = "GCE_METADATA"'),
    "CKV_GCP_9": ("modules/node-pool/main.tf", "auto_repair  = true", "auto_repair  = false"),
    "CKV_GCP_10": ("modules/node-pool/main.tf", "auto_upgrade = true", "auto_upgrade = false"),
    "CKV_GCP_26": ("modules/network/main.tf", "  log_config {\n    aggregation_interval", "  unused {\n    aggregation_interval"),
    "CKV_GCP_74": ("modules/network/main.tf", "private_ip_google_access = true", "private_ip_google_access = false"),
    "CKV_GCP_29": ("infra-bootstrap/state.tf", "uniform_bucket_level_access = true", "uniform_bucket_level_access = false"),
    "CKV_GCP_78": ("infra-bootstrap/state.tf", "  versioning {\n    enabled = true\n  }\n", ""),
    "CKV_GCP_114": ("infra-bootstrap/state.tf", '"enforced"', '"inherited"'),
    "CKV_GCP_82": ("infra-bootstrap/kms.tf", "    prevent_destroy = true\n    # Fixed", "    prevent_destroy = false\n    # Fixed"),
    "CKV_GCP_112": ("infra-bootstrap/state.tf", 'member        = "serviceAccount:${data.google_storage_project_service_account.gcs.email_address}"', 'member        = "allUsers"'),
    "CKV_GCP_101": ("infra/identities.tf", 'role       = "roles/artifactregistry.reader"\n  member     = google_service_account.nodes.member', 'role       = "roles/artifactregistry.reader"\n  member     = "allUsers"'),
    "CKV_GCP_117": ("infra/identities.tf", '"roles/container.defaultNodeServiceAccount"', '"roles/editor"'),
    "CKV_GCP_42": ("infra/identities.tf", '"roles/container.defaultNodeServiceAccount"\n  member  = google_service_account.nodes.member', '"roles/storage.admin"\n  member  = "serviceAccount:x@test-project-1.iam.gserviceaccount.com"'),
    "CKV_GCP_41": ("infra/identities.tf", '"roles/container.defaultNodeServiceAccount"', '"roles/iam.serviceAccountUser"'),
    "CKV_GCP_49": ("infra/identities.tf", '"roles/container.defaultNodeServiceAccount"', '"roles/iam.serviceAccountAdmin"'),
    "CKV_GCP_46": ("infra/identities.tf", '"roles/container.defaultNodeServiceAccount"\n  member  = google_service_account.nodes.member', '"roles/container.defaultNodeServiceAccount"\n  member  = "serviceAccount:1-compute@developer.gserviceaccount.com"'),
}


def checkov(folder: Path, *argv: str) -> dict[str, list[tuple[str, str, str]]]:
    """passed and failed -> (policy, resource, file)."""
    program = Path(os.environ.get("INFERD_TOOLS_BIN") or Path.home() / ".cache/inferd/tools/bin") / "checkov"
    done = subprocess.run([str(program), "-d", str(folder), "--framework", "terraform", "--compact", "-o", "json", *argv], capture_output=True, text=True, check=False)
    results = json.loads(done.stdout)["results"]
    return {kind: [(c["check_id"], c["resource"], c["file_path"]) for c in results[f"{kind}_checks"]] for kind in ("passed", "failed")}


class Policies(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="checkov-"))
        self.addCleanup(shutil.rmtree, self.dir, True)

    def tree(self, name: str) -> Path:
        for part in ("infra", "infra-bootstrap", "modules"):
            shutil.copytree(ROOT / "platform" / part, self.dir / name / part, ignore=shutil.ignore_patterns("*.tftest.hcl", ".terraform"))
        return self.dir / name

    def test_what_fails_is_listed_with_its_reason_and_nothing_else_is(self):
        skips = json.loads((ROOT / "platform/checkov-skips.json").read_text())
        found = checkov(self.tree("ours"))
        self.assertEqual({(policy, resource) for policy, resource, _ in found["failed"]}, {(policy, entry[0]) for policy, entry in skips.items()})
        for policy, entry in skips.items():
            self.assertGreater(len(entry[1]), 60, f"{policy}: a reason")
        passed = {policy for policy, _, _ in found["passed"]}
        self.assertEqual(set(TWINS) - passed, set(), "relied on, but not passed by ours")
        print(f"\ncheckov: {len(passed)} policies passed ({len(found['passed'])} checks), {len(skips)} let pass with a reason; {len(TWINS)} have a twin", flush=True)

    def test_each_policy_that_we_rely_on_fires_on_its_twin(self):
        for policy, (name, old, new) in TWINS.items():
            path = self.tree(policy) / name
            text = path.read_text()
            self.assertIn(old, text, policy)
            path.write_text(text.replace(old, new, 1))
        fired = checkov(self.dir, "--check", ",".join(TWINS))
        for policy in TWINS:
            mine = {p for p, _, path in fired["failed"] if path.startswith(f"/{policy}/")}
            self.assertIn(policy, mine, f"{policy} let its twin pass")


if __name__ == "__main__":
    unittest.main()
