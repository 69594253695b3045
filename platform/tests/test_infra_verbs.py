# SPDX-License-Identifier: Apache-2.0
"""The verbs around Terraform: the commands that each runs, to the word, and what each refuses."""

from __future__ import annotations

import json
import os
import time
import unittest

from door import GOOD, Door, absent, bucket

BOOT, INFRA = "terraform -chdir=platform/infra-bootstrap", "terraform -chdir=platform/infra"
BOOT_VARS = ("-var=project_id=test-project-1 -var=region=europe-west4 -var=kms_key_ring=ring -var=kms_crypto_key=sops "
             "-var=state_bucket=test-project-1-tfstate -var=github_repository=octo-org/inferd")
INFRA_VARS = ("-var=project_id=test-project-1 -var=region=europe-west4 -var=kms_key_ring=ring -var=kms_crypto_key=sops "
              "-var=zone=europe-west4-b -var=cluster_name=ray-serve-gke -var=gpu_quota=0 -var=gpu_capacity=spot-then-on-demand")
BOOT_BACKEND = "-backend-config=bucket=test-project-1-tfstate -backend-config=prefix=infra-bootstrap"
NOTHING = (absent("keyrings describe"), absent("buckets describe"), absent("repositories describe"))
LOOK = [f"gcloud kms keyrings describe ring --location europe-west4 --project test-project-1 --format=json",
        "gcloud storage buckets describe gs://test-project-1-tfstate --raw --project test-project-1 --format=json",
        "gcloud artifacts repositories describe inferd --location europe-west4 --project test-project-1 --format=json"]
LOOK_KEYS = [f"gcloud kms keys describe {k} --keyring ring --location europe-west4 --project test-project-1 --format=json"
             for k in ("sops", "gke-secrets", "terraform-state")]


def key(state: str = "ENABLED", purpose: str = "ENCRYPT_DECRYPT") -> str:
    return json.dumps({"purpose": purpose, "primary": {"state": state}} if state else {"purpose": purpose})


class Bootstrap(Door):
    def adopted(self) -> list[str]:
        return json.loads((self.root / "platform/infra-bootstrap/adopt.auto.tfvars.json").read_text())["adopt"]

    def test_init_without_a_bucket_starts_on_local_state(self):
        self.answer(absent("buckets describe"))
        self.verb("bootstrap-init")
        self.assertEqual(self.calls, [
            "gcloud services enable cloudresourcemanager.googleapis.com serviceusage.googleapis.com cloudkms.googleapis.com "
            "storage.googleapis.com artifactregistry.googleapis.com --project test-project-1",
            LOOK[1], f"{BOOT} init -input=false"])
        self.assertIn('backend "local"', (self.root / "platform/infra-bootstrap/backend_override.tf").read_text())

    def test_init_with_the_bucket_of_the_two_gcloud_commands_keeps_state_in_it(self):
        self.answer(bucket())
        self.verb("bootstrap-init")
        self.assertEqual(self.calls[-1], f"{BOOT} init -input=false {BOOT_BACKEND}")
        self.assertFalse((self.root / "platform/infra-bootstrap/backend_override.tf").exists())

    def test_plan_of_a_fresh_project_adopts_nothing(self):
        self.answer(*NOTHING)
        self.verb("bootstrap-plan")
        self.assertEqual(self.calls, [*LOOK, f"{BOOT} plan -input=false -out=bootstrap.tfplan {BOOT_VARS}"])
        self.assertEqual(self.adopted(), [])

    def test_plan_of_a_used_project_adopts_what_is_there(self):
        self.answer({"match": "keyrings describe", "stdout": "{}"}, {"match": "keys describe", "stdout": key()}, bucket(),
                    {"match": "repositories describe", "stdout": "{}"})
        self.verb("bootstrap-plan")
        self.assertEqual(self.calls[:4], [LOOK[0], *LOOK_KEYS])
        self.assertEqual(self.adopted(), ["ring", "sops", "cluster", "state", "bucket", "registry"])

    def test_plan_adopts_a_ring_with_one_of_three_keys(self):
        self.answer({"match": "keyrings describe", "stdout": "{}"}, {"match": "keys describe sops", "stdout": key()}, absent("describe"))
        self.verb("bootstrap-plan")
        self.assertEqual(self.adopted(), ["ring", "sops"])

    def test_a_key_whose_version_was_destroyed_gets_a_new_one_before_the_apply(self):
        for state in ("DESTROYED", "DESTROY_SCHEDULED", "DISABLED", ""):
            self.answer({"match": "keyrings describe", "stdout": "{}"}, {"match": "keys describe terraform-state", "stdout": key(state)},
                        {"match": "keys describe", "stdout": key()}, absent("describe"))
            done = self.verb("bootstrap-plan")
            self.assertIn(f"its primary version is {state.lower() or 'absent'}", done.stdout)
            self.write("platform/infra-bootstrap/bootstrap.tfplan", "")
            self.verb("bootstrap-apply")
            self.assertEqual(self.calls[-2:], [
                "gcloud kms keys versions create --primary --key terraform-state --keyring ring --location europe-west4 --project test-project-1",
                f"{BOOT} apply -input=false bootstrap.tfplan"])

    def test_a_refusal_of_gcloud_is_not_taken_for_absence(self):
        self.answer({"match": "keyrings describe", "code": 1, "stderr": "ERROR: PERMISSION_DENIED: Cloud KMS API"})
        done = self.verb("bootstrap-plan", code=1)
        self.assertIn("could not say whether it exists", done.stderr)
        self.assertEqual(len(self.calls), 1)
        self.assertFalse((self.root / "platform/infra-bootstrap/adopt.auto.tfvars.json").exists())

    def test_a_key_that_signs_is_refused(self):
        self.answer({"match": "keyrings describe", "stdout": "{}"}, {"match": "keys describe", "stdout": key(purpose="ASYMMETRIC_SIGN")})
        self.assertIn("purpose ASYMMETRIC_SIGN", self.verb("bootstrap-plan", code=1).stderr)

    def test_a_bucket_in_another_place_is_refused(self):
        self.answer(absent("keyrings"), bucket("EU"))
        self.assertIn("is in EU, not in europe-west4", self.verb("bootstrap-plan", code=1).stderr)

    def test_apply_moves_the_state_into_the_bucket(self):
        state = {"resources": [{"mode": "managed", "type": "google_kms_key_ring", "name": "main"}]}
        self.answer({"match": "state pull", "stdout": json.dumps(state)}, *NOTHING)
        self.write("platform/infra-bootstrap/bootstrap.tfplan", "")
        self.write("platform/infra-bootstrap/backend_override.tf", "")
        local = self.write("platform/infra-bootstrap/terraform.tfstate", json.dumps(state))
        self.verb("bootstrap-apply")
        self.assertEqual(self.calls[-3:], [f"{BOOT} apply -input=false bootstrap.tfplan",
                                           f"{BOOT} init -input=false -migrate-state -force-copy {BOOT_BACKEND}", f"{BOOT} state pull"])
        self.assertFalse(local.exists())
        self.assertFalse((self.root / "platform/infra-bootstrap/backend_override.tf").exists())

    def test_local_state_stays_when_the_bucket_does_not_hold_it_all(self):
        state = {"resources": [{"mode": "managed", "type": "google_kms_key_ring", "name": "main"}]}
        self.answer({"match": "state pull", "stdout": '{"resources": []}'}, *NOTHING)
        self.write("platform/infra-bootstrap/bootstrap.tfplan", "")
        self.write("platform/infra-bootstrap/backend_override.tf", "")
        local = self.write("platform/infra-bootstrap/terraform.tfstate", json.dumps(state))
        self.assertIn("lacks 1 of the resources", self.verb("bootstrap-apply", code=1).stderr)
        self.assertTrue(local.exists())

    def test_init_after_a_move_that_failed_goes_on_with_it(self):
        state = {"resources": [{"mode": "managed", "type": "google_kms_key_ring", "name": "main"}]}
        self.answer(bucket(), {"match": "state pull", "stdout": json.dumps(state)})
        local = self.write("platform/infra-bootstrap/terraform.tfstate", json.dumps(state))
        self.verb("bootstrap-init")
        self.assertEqual(self.calls[-2], f"{BOOT} init -input=false -migrate-state -force-copy {BOOT_BACKEND}")
        self.assertFalse(local.exists())


class Cluster(Door):
    def test_init(self):
        self.verb("init")
        self.assertEqual(self.calls, [f"{INFRA} init -input=false -backend-config=bucket=test-project-1-tfstate -backend-config=prefix=infra"])

    def test_plan_hands_over_every_entry(self):
        self.env(**GOOD, GPU_QUOTA="2", GPU_CAPACITY="on-demand")
        self.verb("plan")
        self.assertEqual(self.calls, [f"{INFRA} plan -input=false " + INFRA_VARS.replace("gpu_quota=0", "gpu_quota=2").replace("spot-then-on-demand", "on-demand")])

    def test_plan_save_shows_its_summary(self):
        self.answer({"match": "show -json", "stdout": json.dumps({"resource_changes": [
            {"mode": "managed", "type": "google_compute_network", "change": {"actions": ["create"], "after": {}}}]})})
        done = self.verb("plan-save")
        self.assertEqual(self.calls, [f"{INFRA} plan -input=false -out=infra.tfplan {INFRA_VARS}", f"{INFRA} show -json infra.tfplan"])
        self.assertIn("creates 1 network", done.stdout)

    def test_apply_plan_wants_a_saved_plan(self):
        self.assertIn("make plan-save", self.verb("apply-plan", code=1).stderr)
        self.assertEqual(self.calls, [])

    def test_apply_plan_refuses_a_plan_of_other_entries(self):
        saved = self.write("platform/infra/infra.tfplan", "")
        os.utime(saved, (time.time() - 100, time.time() - 100))
        self.assertIn(".env was changed after", self.verb("apply-plan", code=1).stderr)

    def test_apply_plan(self):
        self.write("platform/infra/infra.tfplan", "")
        self.verb("apply-plan")
        self.assertEqual(self.calls, [f"{INFRA} apply -input=false infra.tfplan"])

    def test_creds_are_of_the_cluster_that_env_names(self):
        self.verb("creds", CLUSTER="other-cluster")
        self.assertEqual(self.calls, ["gcloud container clusters get-credentials other-cluster --location europe-west4 --project test-project-1 --dns-endpoint"])

    def test_destroy_asks_first(self):
        for confirm in ("", "yes", "other-cluster"):
            self.assertIn("not confirmed", self.verb("terraform-destroy", code=1, CONFIRM=confirm).stderr)
            self.assertEqual(self.calls, [])

    def test_destroy_says_what_stays_and_lifts_the_protection_first(self):
        done = self.verb("terraform-destroy", CONFIRM="ray-serve-gke")
        self.assertIn("stays: the state bucket gs://test-project-1-tfstate, key ring ring", done.stdout)
        off = f"{INFRA_VARS} -var=deletion_protection=false"
        self.assertEqual(self.calls, [f"{INFRA} apply -input=false -auto-approve -target=google_container_cluster.main {off}",
                                      f"{INFRA} destroy -input=false -auto-approve {off}"])

    def test_destroy_stops_where_the_protection_stays(self):
        self.answer({"match": "apply", "code": 1, "stderr": "no"})
        self.verb("terraform-destroy", code=1, CONFIRM="ray-serve-gke")
        self.assertEqual(len(self.calls), 1)


if __name__ == "__main__":
    unittest.main()
