# SPDX-License-Identifier: Apache-2.0
"""The verbs around Terraform: bootstrap-*, init, plan, plan-save, apply-plan, creds, terraform-destroy."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import adopt
import plan as planned
from envfile import Env
from shell import Refusal, Shell

BOOTSTRAP, INFRA = "platform/infra-bootstrap", "platform/infra"
FIRST_APIS = ("cloudresourcemanager", "serviceusage", "cloudkms", "storage", "artifactregistry")  # what the look-up asks
LOCAL_BACKEND = '# Written by make bootstrap-init: the state bucket does not exist yet.\nterraform {\n  backend "local" {}\n}\n'


def backend(env: dict[str, str], root: str) -> list[str]:
    return [f"-backend-config=bucket={env['TF_BACKEND_BUCKET']}", f"-backend-config=prefix={root.rpartition('/')[2]}"]


def variables(env: dict[str, str], root: str) -> list[str]:
    names = {"project_id": "PROJECT_ID", "region": "REGION", "kms_key_ring": "KMS_KEY_RING", "kms_crypto_key": "KMS_CRYPTO_KEY"}
    if root == BOOTSTRAP:
        names["state_bucket"] = "TF_BACKEND_BUCKET"
    else:
        names |= {"zone": "ZONE", "cluster_name": "CLUSTER", "gpu_quota": "GPU_QUOTA", "gpu_capacity": "GPU_CAPACITY"}
    more = [f"-var=github_repository={env['GITHUB_OWNER']}/{env['GITHUB_REPO']}"] if root == BOOTSTRAP and env.get("GITHUB_OWNER") else []
    return [f"-var={variable}={env[name]}" for variable, name in names.items()] + more


def terraform(shell: Shell, root: str, verb: str, *argv: str) -> None:
    shell.run("terraform", f"-chdir={root}", verb, "-input=false", *argv)


def bootstrap_env(env: Env) -> dict[str, str]:
    values = env.take("PROJECT_ID", "REGION", "TF_BACKEND_BUCKET", "KMS_KEY_RING", "KMS_CRYPTO_KEY")
    # whose release workflow may push images; the project can be made without a fork
    return values | (env.take("GITHUB_OWNER", "GITHUB_REPO") if env.values.get("GITHUB_OWNER") else {})


def infra_env(env: Env) -> dict[str, str]:
    return env.take("PROJECT_ID", "REGION", "ZONE", "CLUSTER", "TF_BACKEND_BUCKET", "KMS_KEY_RING", "KMS_CRYPTO_KEY", "GPU_QUOTA", "GPU_CAPACITY")


def bootstrap_init(shell: Shell, env: Env) -> None:
    values = bootstrap_env(env)
    shell.need("gcloud", "terraform")
    shell.run("gcloud", "services", "enable", *(f"{api}.googleapis.com" for api in FIRST_APIS), "--project", values["PROJECT_ID"])
    bucket = adopt.describe(shell, "storage", "buckets", "describe", f"gs://{values['TF_BACKEND_BUCKET']}", "--raw", "--project", values["PROJECT_ID"])
    override, local = shell.root / BOOTSTRAP / "backend_override.tf", shell.root / BOOTSTRAP / "terraform.tfstate"
    if shell.dry_run:
        shell.say("then, where the bucket exists, state is kept in it:")
        terraform(shell, BOOTSTRAP, "init", *backend(values, BOOTSTRAP))
        shell.say("or else on this machine until make bootstrap-apply has made it:")
        terraform(shell, BOOTSTRAP, "init")
    elif bucket is None:
        override.write_text(LOCAL_BACKEND, encoding="utf-8")
        terraform(shell, BOOTSTRAP, "init")
        shell.say(f"bucket {values['TF_BACKEND_BUCKET']} does not exist yet: state is in {local.relative_to(shell.root)} until make bootstrap-apply")
    elif local.exists():
        move_state(shell, values)
    else:
        override.unlink(missing_ok=True)
        terraform(shell, BOOTSTRAP, "init", *backend(values, BOOTSTRAP))


def move_state(shell: Shell, values: dict[str, str]) -> None:
    """State from this machine into the bucket; the local copy goes only when the bucket's is seen to hold the same."""
    override, local = shell.root / BOOTSTRAP / "backend_override.tf", shell.root / BOOTSTRAP / "terraform.tfstate"
    held = json.loads(local.read_text(encoding="utf-8")) if local.exists() else {}
    want = {f"{r.get('module', '')}{r['mode']}.{r['type']}.{r['name']}" for r in held.get("resources", [])}
    override.unlink(missing_ok=True)
    terraform(shell, BOOTSTRAP, "init", "-migrate-state", "-force-copy", *backend(values, BOOTSTRAP))
    moved = json.loads(shell.output("terraform", f"-chdir={BOOTSTRAP}", "state", "pull") or "{}")
    lost = want - {f"{r.get('module', '')}{r['mode']}.{r['type']}.{r['name']}" for r in moved.get("resources", [])}
    if lost:
        raise Refusal(f"the state in gs://{values['TF_BACKEND_BUCKET']} lacks {len(lost)} of the resources in {local}, e.g. {min(lost)}; "
                      "the local file is kept: compare the two with `terraform state list` before going on")
    for leftover in (local, local.with_name("terraform.tfstate.backup")):
        leftover.unlink(missing_ok=True)
    shell.say(f"state moved to gs://{values['TF_BACKEND_BUCKET']}/infra-bootstrap")


def bootstrap_plan(shell: Shell, env: Env) -> None:
    values = bootstrap_env(env)
    shell.need("gcloud", "terraform")
    found = adopt.look(shell, values)
    if not shell.dry_run:
        (shell.root / BOOTSTRAP / "adopt.auto.tfvars.json").write_text(json.dumps({"adopt": found.adopt}) + "\n", encoding="utf-8")
        shell.say(f"exists already and is adopted: {', '.join(found.adopt) or 'nothing'}")
    for note in found.notes:
        shell.say(note)
    terraform(shell, BOOTSTRAP, "plan", "-out=bootstrap.tfplan", *variables(values, BOOTSTRAP))


def bootstrap_apply(shell: Shell, env: Env) -> None:
    values = bootstrap_env(env)
    shell.need("gcloud", "terraform")
    saved = shell.root / BOOTSTRAP / "bootstrap.tfplan"
    need_plan(shell, saved, "make bootstrap-plan")
    adopt.revive(shell, values, adopt.look(shell, values))
    terraform(shell, BOOTSTRAP, "apply", saved.name)
    if shell.dry_run:
        shell.say("then, where state is still on this machine, it is moved into the bucket:")
        terraform(shell, BOOTSTRAP, "init", "-migrate-state", "-force-copy", *backend(values, BOOTSTRAP))
        return
    saved.unlink(missing_ok=True)
    if (shell.root / BOOTSTRAP / "backend_override.tf").exists():
        move_state(shell, values)


def init(shell: Shell, env: Env) -> None:
    values = env.take("TF_BACKEND_BUCKET")
    shell.need("terraform")
    terraform(shell, INFRA, "init", *backend(values, INFRA))


def plan(shell: Shell, env: Env) -> None:
    values = infra_env(env)
    shell.need("terraform")
    terraform(shell, INFRA, "plan", *variables(values, INFRA))


def plan_save(shell: Shell, env: Env) -> None:
    values = infra_env(env)
    shell.need("terraform")
    terraform(shell, INFRA, "plan", "-out=infra.tfplan", *variables(values, INFRA))
    text = shell.output("terraform", f"-chdir={INFRA}", "show", "-json", "infra.tfplan")
    if text is not None:
        shell.say(planned.summary(json.loads(text), shell.root))


def apply_plan(shell: Shell, env: Env) -> None:
    infra_env(env)
    shell.need("terraform")
    saved = shell.root / INFRA / "infra.tfplan"
    need_plan(shell, saved, "make plan-save")
    terraform(shell, INFRA, "apply", saved.name)
    if not shell.dry_run:
        saved.unlink(missing_ok=True)


def need_plan(shell: Shell, saved: Path, how: str) -> None:
    if shell.dry_run:
        return
    if not saved.exists():
        raise Refusal(f"there is no saved plan {saved.relative_to(shell.root)}; make one and read it first: {how}")
    entries = shell.root / ".env"
    if entries.exists() and entries.stat().st_mtime > saved.stat().st_mtime:
        raise Refusal(f".env was changed after {saved.relative_to(shell.root)} was made; make the plan again: {how}")


def creds(shell: Shell, env: Env) -> None:
    values = env.take("PROJECT_ID", "REGION", "CLUSTER")
    shell.need("gcloud", "kubectl", "gke-gcloud-auth-plugin")
    shell.run("gcloud", "container", "clusters", "get-credentials", values["CLUSTER"], "--location", values["REGION"],
              "--project", values["PROJECT_ID"], "--dns-endpoint")


def destroy(shell: Shell, env: Env) -> None:
    values = infra_env(env)
    shell.need("terraform")
    shell.say(f"destroys cluster {values['CLUSTER']}, its nodes, network and identities in {values['PROJECT_ID']}.\n"
              f"stays: the state bucket gs://{values['TF_BACKEND_BUCKET']}, key ring {values['KMS_KEY_RING']} with its keys (Google Cloud deletes none), "
              "the image registry, the enabled APIs.\n"
              "delete Gateways, Services of type LoadBalancer and PersistentVolumeClaims in the cluster first: what Kubernetes made in the project "
              "(load balancers, disks) is not Terraform's, and a load balancer keeps the network from being deleted.")
    if not shell.dry_run and os.environ.get("CONFIRM") != values["CLUSTER"]:
        if not sys.stdin.isatty():
            raise Refusal(f"not confirmed; to destroy without being asked, set CONFIRM={values['CLUSTER']}")
        if input("type the cluster's name to go on: ").strip() != values["CLUSTER"]:
            raise Refusal("not confirmed: nothing was destroyed")
    # The protection that counts is the one in the state, so it is lifted by an apply of its own.
    off = [*variables(values, INFRA), "-var=deletion_protection=false"]
    terraform(shell, INFRA, "apply", "-auto-approve", "-target=google_container_cluster.main", *off)
    terraform(shell, INFRA, "destroy", "-auto-approve", *off)
