# SPDX-License-Identifier: Apache-2.0
"""grafana-secret: the Secret of Grafana's administrator, made with a random password and encrypted before it has its name."""

from __future__ import annotations

import os
import secrets

import yaml

import cleartext
from envfile import Env
from shell import Refusal, Shell
from sopsfiles import need_rules

CLUSTERS = ("prod", "local")
NAME = "grafana-admin"
PASSWORD_BYTES = 24


def secret(shell: Shell, env: Env) -> None:
    """Writes platform/clusters/CLUSTER_DIR/secrets/grafana-admin.secret.yaml and lists it in the kustomization beside it.
    Refuses to replace one that exists: `make sops-edit` changes it."""
    del env
    cluster = os.environ.get("CLUSTER_DIR") or "prod"
    if cluster not in CLUSTERS:
        raise Refusal(f"CLUSTER_DIR={cluster}: there are {', '.join(CLUSTERS)}")
    shell.need("sops")
    need_rules(shell)
    folder = shell.root / "platform" / "clusters" / cluster / "secrets"
    path = folder / f"{NAME}.secret.yaml"
    name = path.relative_to(shell.root).as_posix()
    if path.exists():
        raise Refusal(f"{name} exists; change it with make sops-edit FILE={name}, then restart Grafana: "
                      "kubectl -n monitoring rollout restart deployment/kube-prometheus-stack-grafana")
    document = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME, "namespace": "monitoring"},
                "stringData": {"admin-user": "admin", "admin-password": secrets.token_urlsafe(PASSWORD_BYTES)}}
    # On standard input and output: the password is in no file and on no command line.
    encrypted = shell.output("sops", "encrypt", "--filename-override", name, "--input-type", "yaml", "--output-type", "yaml", "/dev/stdin",
                             stdin=yaml.safe_dump(document, sort_keys=False))
    if encrypted is None:
        shell.say(f"would write {name}")
        return
    left = cleartext.examine(name, encrypted.encode())
    if left or "ENC[" not in encrypted:
        raise Refusal(f"{name} was not written: sops left something readable ({'; '.join(left) or 'nothing is encrypted'}); see .sops.yaml")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(encrypted, encoding="utf-8")
    listed(shell, folder / "kustomization.yaml", path.name)
    shell.say(f"{name} is made and encrypted: commit it. To read it: sops decrypt --extract '[\"stringData\"][\"admin-password\"]' {name}")


def listed(shell: Shell, kustomization, name: str) -> None:
    """Add a resource to a kustomization, its comments kept."""
    where = kustomization.relative_to(shell.root).as_posix()
    if not kustomization.exists():
        shell.say(f"there is no {where}; list {name} in the Kustomization that is to apply it")
        return
    text = kustomization.read_text(encoding="utf-8")
    resources = (yaml.safe_load(text) or {}).get("resources") or []
    if name in resources:
        return
    if not resources or not text.rstrip().endswith(f"- {resources[-1]}"):
        shell.say(f"add {name} to the resources of {where}")
        return
    kustomization.write_text(f"{text.rstrip()}\n  - {name}\n", encoding="utf-8")
