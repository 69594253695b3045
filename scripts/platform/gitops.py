# SPDX-License-Identifier: Apache-2.0
"""The verbs around Flux: bootstrap, or rehydration of a tree that has Flux's manifests already (flux-up).

What differs between two forks reaches the cluster as the ConfigMap `cluster-vars`, which Kustomizations substitute from.
The repository's URL and branch are among it, so that no committed file names an owner.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

from envfile import Env
from shell import Refusal, Shell

CLUSTER_DIR = "platform/clusters/prod"
NAMESPACE = "flux-system"
KNOWN_HOSTS = "platform/flux/known_hosts"  # GitHub's published keys, not what the network answers today
FLUX_OBJECT = re.compile(r"^apiVersion: \S+\.toolkit\.fluxcd\.io/", re.M)


def git_url(env: dict[str, str]) -> str:
    return f"ssh://git@github.com/{env['GITHUB_OWNER']}/{env['GITHUB_REPO']}"


def github(env: Env, *more: str) -> dict[str, str]:
    return env.take("GITHUB_OWNER", "GITHUB_REPO", "GITHUB_BRANCH", *more)


def key_path(env: dict[str, str]) -> Path:
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(os.environ.get("FLUX_KEY") or base / "inferd" / f"flux-{env['GITHUB_OWNER']}-{env['GITHUB_REPO']}")


def manifest(kind: str, name: str, **fields) -> dict:
    meta = {"name": name} if kind == "Namespace" else {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, **fields}


def apply(shell: Shell, objects: list[dict]) -> None:
    """Server-side apply of a list, on standard input: a secret never stands on a command line."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    shell.run("kubectl", "apply", "--server-side", "--field-manager=inferd", "-f", "-", stdin=text)


def bootstrap(shell: Shell, env: Env) -> None:
    values = github(env, "GITHUB_OWNER_KIND")
    shell.need("flux", "kubectl")
    if not shell.dry_run and not os.environ.get("GITHUB_TOKEN"):
        raise Refusal("GITHUB_TOKEN is not set: flux bootstrap commits to the fork. Make a personal access token (classic: scope repo; "
                      "fine-grained: contents and administration of this repository) and export it for this one command; it is not kept.")
    personal = ["--personal"] if values["GITHUB_OWNER_KIND"] == "user" else []
    shell.run("flux", "check", "--pre")
    shell.run("flux", "bootstrap", "github", f"--owner={values['GITHUB_OWNER']}", f"--repository={values['GITHUB_REPO']}",
              f"--branch={values['GITHUB_BRANCH']}", f"--path={CLUSTER_DIR}", *personal)


def cluster_vars(env: dict[str, str], outputs: dict[str, str]) -> dict[str, str]:
    key = f"projects/{env['PROJECT_ID']}/locations/{env['REGION']}/keyRings/{env['KMS_KEY_RING']}/cryptoKeys/{env['KMS_CRYPTO_KEY']}"
    return {**{name: env[name] for name in ("PROJECT_ID", "REGION", "ZONE", "CLUSTER", "GITHUB_OWNER", "GITHUB_REPO")},
            "GIT_URL": git_url(env), "GIT_BRANCH": env["GITHUB_BRANCH"], "SOPS_KEY": key,
            "GSA_EMAIL": outputs["gsa_email"], "IMAGE_REPOSITORY": outputs["image_repository"],
            "GPU_QUOTA": str(outputs["gpu_quota"]), "DEVICE": "gpu" if str(outputs["gpu_quota"]).isdigit() and int(outputs["gpu_quota"]) > 0 else "cpu",
            "ROLLOUT": outputs["rollout"]}


def flux_vars(shell: Shell, env: Env) -> None:
    values = github(env, "PROJECT_ID", "REGION", "ZONE", "CLUSTER", "KMS_KEY_RING", "KMS_CRYPTO_KEY")
    shell.need("terraform", "kubectl")
    text = shell.output("terraform", "-chdir=platform/infra", "output", "-json")
    names = ("gsa_email", "image_repository", "gpu_quota", "rollout", "cluster_name")
    if text is None:
        outputs = {name: f"({name} of terraform output)" for name in names} | {"cluster_name": values["CLUSTER"]}
    else:
        outputs = {name: o["value"] for name, o in json.loads(text).items()}
    missing = [name for name in names if name not in outputs]
    if missing:
        raise Refusal(f"Terraform's state has no output {', '.join(missing)}: create the cluster first (make plan-save, make apply-plan)")
    if outputs["cluster_name"] != values["CLUSTER"]:
        raise Refusal(f"Terraform's state is of cluster {outputs['cluster_name']}, but CLUSTER={values['CLUSTER']}: put CLUSTER right in .env, or make plan-save")
    apply(shell, [manifest("Namespace", NAMESPACE), manifest("ConfigMap", "cluster-vars", data=cluster_vars(values, outputs))])


def keygen(shell: Shell, env: Env) -> None:
    values = github(env)
    shell.need("ssh-keygen")
    path = key_path(values)
    if path.exists():
        shell.say(f"{path} exists already and is kept")
    else:
        if not shell.dry_run:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shell.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"flux {values['GITHUB_OWNER']}/{values['GITHUB_REPO']}", "-f", str(path))
    if not shell.dry_run:
        shell.say(path.with_name(path.name + ".pub").read_text(encoding="utf-8").strip())
    shell.say(f"add this public key to https://github.com/{values['GITHUB_OWNER']}/{values['GITHUB_REPO']}/settings/keys as a deploy key, "
              "without write access. The private key has no passphrase, since the cluster must use it alone: it can only read this repository.")


def git_secret_ssh(shell: Shell, env: Env) -> None:
    values = github(env)
    shell.need("kubectl")
    path = key_path(values)
    hosts = (shell.root / KNOWN_HOSTS).read_text(encoding="utf-8")
    if shell.dry_run:
        private = public = ""
    else:
        if not path.exists():
            raise Refusal(f"there is no deploy key {path}; make one: make flux-keygen")
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise Refusal(f"{path} can be read by others; chmod 600 it, or make another one if it may have been read")
        private, public = path.read_text(encoding="utf-8"), path.with_name(path.name + ".pub").read_text(encoding="utf-8")
    secret = manifest("Secret", "flux-system", type="Opaque", stringData={"identity": private, "identity.pub": public, "known_hosts": hosts})
    apply(shell, [manifest("Namespace", NAMESPACE), secret])


def flux_apply(shell: Shell, env: Env) -> None:
    values = github(env)
    shell.need("kubectl", "flux")
    folder = f"{CLUSTER_DIR}/flux-system"
    if not (shell.root / folder / "kustomization.yaml").exists():
        raise Refusal(f"{folder} is not in this tree, so there is nothing to rehydrate from; make flux-bootstrap commits it")
    text = shell.output("kubectl", "kustomize", folder)
    wait = ("kubectl", "wait", "--for=condition=Established", "--timeout=2m", "crd/gitrepositories.source.toolkit.fluxcd.io",
            "crd/kustomizations.kustomize.toolkit.fluxcd.io")
    serverside = ("kubectl", "apply", "--server-side", "--field-manager=inferd", "-f", "-")
    variables = {**os.environ, "GIT_URL": git_url(values), "GIT_BRANCH": values["GITHUB_BRANCH"]}
    if text is None:
        shell.say("each document goes through: flux envsubst --strict")
        shell.run(*serverside, stdin="")
        shell.run(*wait)
        shell.run(*serverside, stdin="")
        return
    text = shell.output("flux", "envsubst", "--strict", stdin=text, env=variables) or ""
    documents = [d for d in re.split(r"^---\s*$", text, flags=re.M) if d.strip()]
    first = [d for d in documents if not FLUX_OBJECT.search(d)]
    then = [d for d in documents if FLUX_OBJECT.search(d)]
    if not first or not then:
        raise Refusal(f"{folder} renders to {len(first)} objects of Kubernetes and {len(then)} of Flux: gotk-components.yaml or gotk-sync.yaml is missing from it")
    shell.run(*serverside, stdin="---\n".join(first))
    shell.run(*wait)  # an object of a kind that is not served yet is refused
    shell.run(*serverside, stdin="---\n".join(then))


def flux_wait(shell: Shell, env: Env) -> None:
    del env
    shell.need("kubectl", "flux")
    steps = (("deployment", "--all", "Available", "5m"), ("gitrepository", NAMESPACE, "Ready", "3m"),
             ("kustomization", NAMESPACE, "Ready", "5m"), ("kustomization", "--all", "Ready", os.environ.get("FLUX_TIMEOUT", "20m")))
    kinds = {"gitrepository": "gitrepositories.source.toolkit.fluxcd.io", "kustomization": "kustomizations.kustomize.toolkit.fluxcd.io"}
    try:
        for kind, which, condition, timeout in steps:  # the root first: it makes the others that --all waits for
            shell.run("kubectl", "--namespace", NAMESPACE, "wait", kinds.get(kind, kind), which, f"--for=condition={condition}", f"--timeout={timeout}")
    except Refusal as refusal:
        done = shell.ask("flux", "get", "all", "--all-namespaces", "--status-selector", "ready=false")
        raise Refusal(f"{refusal}\nnot ready:\n{(done.stdout + done.stderr).strip() if done else ''}") from None


def reconcile(shell: Shell, env: Env) -> None:
    del env
    shell.need("flux")
    shell.run("flux", "reconcile", "source", "git", NAMESPACE)
    shell.run("flux", "reconcile", "kustomization", NAMESPACE)


def flux_up(shell: Shell, env: Env) -> None:
    for step in (git_secret_ssh, flux_vars, flux_apply, flux_wait, reconcile):
        step(shell, env)
