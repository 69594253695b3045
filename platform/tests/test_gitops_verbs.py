# SPDX-License-Identifier: Apache-2.0
"""The verbs around Flux: the commands that each runs, to the word, and what each refuses."""

from __future__ import annotations

import json
import stat
import unittest

from door import GOOD, KEY, ROOT, Door

APPLY = "kubectl apply --server-side --field-manager=inferd -f -"
OUTPUTS = {"gsa_email": {"value": "ray-serve-gke-flux@test-project-1.iam.gserviceaccount.com"}, "cluster_name": {"value": "ray-serve-gke"},
           "image_repository": {"value": "europe-west4-docker.pkg.dev/test-project-1/inferd"}, "gpu_quota": {"value": 1}, "rollout": {"value": "in-place"}}
TERRAFORM_OUTPUT = {"match": "terraform .*output -json", "stdout": json.dumps(OUTPUTS)}
CRD = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
SOURCE = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nspec:\n  url: ${GIT_URL}\n"
RENDERED = {"match": "kubectl kustomize", "stdout": f"{CRD}---\n{SOURCE}---\n{CRD}"}
ENVSUBST = {"match": "envsubst", "echo": True}
WAITS = ["kubectl --namespace flux-system wait deployment --all --for=condition=Available --timeout=5m",
         "kubectl --namespace flux-system wait gitrepositories.source.toolkit.fluxcd.io flux-system --for=condition=Ready --timeout=3m",
         "kubectl --namespace flux-system wait kustomizations.kustomize.toolkit.fluxcd.io flux-system --for=condition=Ready --timeout=5m",
         "kubectl --namespace flux-system wait kustomizations.kustomize.toolkit.fluxcd.io --all --for=condition=Ready --timeout=20m"]
RECONCILE = ["flux reconcile source git flux-system", "flux reconcile kustomization flux-system"]


class Gitops(Door):
    def key(self, mode: int = 0o600):
        for name, text in (("id", "PRIVATE"), ("id.pub", "ssh-ed25519 AAAA flux")):
            (self.dir / name).write_text(text)
            (self.dir / name).chmod(mode)
        return {"FLUX_KEY": str(self.dir / "id")}

    def sent(self, index: int) -> dict:
        return {o["kind"]: o for o in json.loads(self.records[index]["stdin"])["items"]}

    def test_bootstrap(self):
        self.verb("flux-bootstrap", GITHUB_TOKEN="t")
        self.assertEqual(self.calls, ["flux check --pre", "flux bootstrap github --owner=octo-org --repository=inferd --branch=main --path=platform/clusters/prod --personal"])
        self.verb("flux-bootstrap", GITHUB_TOKEN="t", GITHUB_OWNER_KIND="organization", GITHUB_BRANCH="release/2")
        self.assertEqual(self.calls[1], "flux bootstrap github --owner=octo-org --repository=inferd --branch=release/2 --path=platform/clusters/prod")

    def test_bootstrap_wants_a_token(self):
        self.assertIn("GITHUB_TOKEN is not set", self.verb("flux-bootstrap", code=1).stderr)
        self.assertEqual(self.calls, [])

    def test_vars_are_what_terraform_made(self):
        self.answer(TERRAFORM_OUTPUT)
        self.verb("flux-vars")
        self.assertEqual(self.calls, ["terraform -chdir=platform/infra output -json", APPLY])
        self.assertEqual(self.sent(1)["Namespace"]["metadata"], {"name": "flux-system"})
        self.assertEqual(self.sent(1)["ConfigMap"]["metadata"], {"name": "cluster-vars", "namespace": "flux-system"})
        self.assertEqual(self.sent(1)["ConfigMap"]["data"], {
            "PROJECT_ID": "test-project-1", "REGION": "europe-west4", "ZONE": "europe-west4-b", "CLUSTER": "ray-serve-gke", "GITHUB_OWNER": "octo-org",
            "GITHUB_REPO": "inferd", "GIT_URL": "ssh://git@github.com/octo-org/inferd", "GIT_BRANCH": "main", "SOPS_KEY": KEY,
            "GSA_EMAIL": "ray-serve-gke-flux@test-project-1.iam.gserviceaccount.com",
            "IMAGE_REPOSITORY": "europe-west4-docker.pkg.dev/test-project-1/inferd", "GPU_QUOTA": "1", "DEVICE": "gpu", "ROLLOUT": "in-place"})

    def test_without_a_gpu_the_device_is_the_cpu(self):
        self.answer({"match": "terraform .*output -json", "stdout": json.dumps(OUTPUTS | {"gpu_quota": {"value": 0}, "rollout": {"value": "new-cluster"}})})
        self.verb("flux-vars")
        self.assertEqual(self.sent(1)["ConfigMap"]["data"]["DEVICE"], "cpu")

    def test_outputs_are_those_of_the_terraform_root(self):
        declared = (ROOT / "platform/infra/outputs.tf").read_text()
        for name in OUTPUTS:
            self.assertIn(f'output "{name}"', declared)

    def test_vars_want_a_cluster_and_that_of_env(self):
        self.answer({"match": "output -json", "stdout": "{}"})
        self.assertIn("create the cluster first", self.verb("flux-vars", code=1).stderr)
        self.answer(TERRAFORM_OUTPUT)
        self.assertIn("is of cluster ray-serve-gke, but CLUSTER=other-cluster", self.verb("flux-vars", code=1, CLUSTER="other-cluster").stderr)
        self.assertNotIn(APPLY, self.calls)

    def test_keygen_makes_one_key_outside_the_tree(self):
        path = self.dir / ".config/inferd/flux-octo-org-inferd"
        self.answer({"match": "ssh-keygen", "write": {str(path): "PRIVATE", f"{path}.pub": "ssh-ed25519 AAAA flux"}})
        done = self.verb("flux-keygen")
        self.assertEqual([r["argv"] for r in self.records], [["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "flux octo-org/inferd", "-f", str(path)]])
        self.assertIn("ssh-ed25519 AAAA flux", done.stdout)
        self.assertIn("github.com/octo-org/inferd/settings/keys", done.stdout)
        self.assertNotIn("PRIVATE", done.stdout)
        self.assertEqual(stat.S_IMODE(path.parent.stat().st_mode), 0o700)
        self.verb("flux-keygen")
        self.assertEqual(self.calls, [], "a second run keeps the key")

    def test_git_secret_has_pinned_hosts_and_never_stands_on_a_command_line(self):
        done = self.verb("flux-git-secret-ssh", **self.key())
        self.assertEqual(self.calls, [APPLY])
        secret = self.sent(0)["Secret"]
        self.assertEqual(secret["metadata"], {"name": "flux-system", "namespace": "flux-system"})
        self.assertEqual(secret["stringData"], {"identity": "PRIVATE", "identity.pub": "ssh-ed25519 AAAA flux",
                                                "known_hosts": (ROOT / "platform/flux/known_hosts").read_text()})
        self.assertNotIn("PRIVATE", done.stdout + done.stderr)

    def test_git_secret_wants_a_private_key(self):
        self.assertIn("make flux-keygen", self.verb("flux-git-secret-ssh", code=1).stderr)
        self.assertIn("can be read by others", self.verb("flux-git-secret-ssh", code=1, **self.key(0o644)).stderr)
        self.assertEqual(self.calls, [])

    def test_apply_waits_for_the_kinds_before_their_objects(self):
        self.write("platform/clusters/prod/flux-system/kustomization.yaml", "")
        self.answer(RENDERED, ENVSUBST)
        self.verb("flux-apply")
        self.assertEqual(self.calls, ["kubectl kustomize platform/clusters/prod/flux-system", "flux envsubst --strict", APPLY,
                                      "kubectl wait --for=condition=Established --timeout=2m crd/gitrepositories.source.toolkit.fluxcd.io crd/kustomizations.kustomize.toolkit.fluxcd.io",
                                      APPLY])
        self.assertEqual((self.records[2]["stdin"].count("CustomResource"), "GitRepository" in self.records[2]["stdin"]), (2, False))
        self.assertEqual((self.records[4]["stdin"].count("CustomResource"), "GitRepository" in self.records[4]["stdin"]), (0, True))

    def test_apply_wants_manifests(self):
        self.assertIn("nothing to rehydrate from", self.verb("flux-apply", code=1).stderr)
        self.write("platform/clusters/prod/flux-system/kustomization.yaml", "")
        self.answer({"match": "kustomize", "stdout": CRD}, ENVSUBST)
        self.assertIn("0 of Flux", self.verb("flux-apply", code=1).stderr)

    def test_apply_stops_on_a_variable_that_nobody_sets(self):
        self.write("platform/clusters/prod/flux-system/kustomization.yaml", "")
        self.answer(RENDERED, {"match": "envsubst", "code": 1, "stderr": "variable not set"})
        self.assertIn("variable not set", self.verb("flux-apply", code=1).stderr)
        self.assertNotIn(APPLY, self.calls)

    def test_wait_is_kubectls(self):
        self.verb("flux-wait")
        self.assertEqual(self.calls, WAITS)

    def test_wait_tells_what_is_not_ready(self):
        self.answer({"match": "wait kustomizations.* --all", "code": 1, "stderr": "timed out"}, {"match": "flux get all", "stdout": "kustomization/ray False no decryption"})
        done = self.verb("flux-wait", code=1)
        self.assertIn("kustomization/ray False no decryption", done.stderr)
        self.assertEqual(self.calls[-1], "flux get all --all-namespaces --status-selector ready=false")

    def test_reconcile(self):
        self.verb("flux-reconcile")
        self.assertEqual(self.calls, RECONCILE)

    def test_up_does_all_in_order_and_stops_at_the_first_failure(self):
        self.write("platform/clusters/prod/flux-system/kustomization.yaml", "")
        self.answer(TERRAFORM_OUTPUT, RENDERED, ENVSUBST)
        self.verb("flux-up", **self.key())
        calls = self.calls
        self.assertEqual([calls[0], calls[1], calls[2], calls[3]], [APPLY, "terraform -chdir=platform/infra output -json", APPLY, "kubectl kustomize platform/clusters/prod/flux-system"])
        self.assertEqual(calls[-6:], [*WAITS, *RECONCILE])
        self.answer(TERRAFORM_OUTPUT, RENDERED, ENVSUBST, {"match": "wait deployment", "code": 1})
        self.verb("flux-up", code=1, **self.key())
        self.assertNotIn(RECONCILE[0], self.calls)


if __name__ == "__main__":
    unittest.main()
