# SPDX-License-Identifier: Apache-2.0
"""python3 scripts/platform VERB: what the platform's make targets call. With DRY_RUN=1 it prints the commands only.

Exit codes: 0 done, 1 refused or failed (the reason is on stderr), 2 no such verb.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from envfile import ENTRIES, Env, EnvError
from shell import Refusal, Shell

VERBS = {
    "bootstrap-init": "infra.bootstrap_init", "bootstrap-plan": "infra.bootstrap_plan", "bootstrap-apply": "infra.bootstrap_apply",
    "init": "infra.init", "plan": "infra.plan", "plan-save": "infra.plan_save", "apply-plan": "infra.apply_plan",
    "creds": "infra.creds", "terraform-destroy": "infra.destroy",
    "flux-bootstrap": "gitops.bootstrap", "flux-vars": "gitops.flux_vars", "flux-reconcile": "gitops.reconcile",
    "flux-keygen": "gitops.keygen", "flux-git-secret-ssh": "gitops.git_secret_ssh", "flux-apply": "gitops.flux_apply",
    "flux-wait": "gitops.flux_wait", "flux-up": "gitops.flux_up",
    "sops-init": "sopsfiles.init", "sops-verify": "sopsfiles.verify", "sops-encrypt": "sopsfiles.encrypt",
    "sops-edit": "sopsfiles.edit", "sops-stale": "sopsfiles.check_stale", "sops-rotate": "sopsfiles.rotate",
    "grafana-secret": "grafana.secret",
    "image-push": "images.push", "k6-config": "smoke.write_config", "smoke-external": "smoke.external", "smoke-internal": "smoke.internal",
}


def env_check(env: Env) -> None:
    """Every entry: its value, where that is from, where it is used. Raises Refusal listing what is wrong."""
    if not env.exists:
        print("there is no .env: cp .env.example .env, and fill it in")
    for name, entry in ENTRIES.items():
        value = env.values.get(name)
        shown = "(missing)" if value is None else value or "(empty)"
        print(f"  {name:<18} {shown:<28} {env.source.get(name, ''):<12} {entry.used}")
    found = env.faults(list(ENTRIES))
    if found:
        raise Refusal("\n".join(found))
    print(f"{len(ENTRIES)} entries are well formed; whether what they name exists, the verbs that use it find out")


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1] not in {*VERBS, "env-check"}:
        print(f"platform: which verb? There are env-check, {', '.join(VERBS)}", file=sys.stderr)
        return 2
    verb = sys.argv[1]
    root = Path(os.environ.get("INFERD_ROOT") or Path(__file__).resolve().parents[2])
    try:
        env = Env(root)
        for warning in env.warnings:
            print(f"{verb}: {warning}", file=sys.stderr)
        if verb == "env-check":
            env_check(env)
        else:
            module, function = VERBS[verb].split(".")
            getattr(importlib.import_module(module), function)(Shell(root, os.environ.get("DRY_RUN") == "1"), env)
    except (EnvError, Refusal) as refusal:
        for line in str(refusal).splitlines():
            print(f"{verb}: {line}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
