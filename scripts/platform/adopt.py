# SPDX-License-Identifier: Apache-2.0
"""What of infra-bootstrap exists already in the project, so that it is taken over instead of created.

Key rings and keys cannot be deleted, so a project that was used before has them. Anything but a clear "not found" from
gcloud ends the look-up: a permission error must not read as "absent", or Terraform would try to create what is there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from shell import Refusal, Shell

KEY_NAMES = {"cluster": "gke-secrets", "state": "terraform-state"}  # defaults of infra-bootstrap's variables
REGISTRY = "inferd"
ABSENT = re.compile(r"NOT_FOUND|not found|HTTPError 404|\b404\b", re.I)


@dataclass
class Found:
    adopt: list[str] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)  # purpose -> key that cannot encrypt: no enabled primary version
    notes: list[str] = field(default_factory=list)


def describe(shell: Shell, *argv: str) -> dict | None:
    """What gcloud says of one thing, or None where it does not exist (or nothing was asked: DRY_RUN)."""
    done = shell.ask("gcloud", *argv, "--format=json")
    if done is None:
        return None
    if done.returncode == 0:
        return json.loads(done.stdout)
    if ABSENT.search(done.stderr):
        return None
    raise Refusal(f"gcloud could not say whether it exists: {' '.join(argv[:4])}: {done.stderr.strip()[-1000:]}\n"
                  "Put that right (who is logged in: gcloud auth list; which rights: roles/owner of the project is enough) and run this again.")


def key_names(env: dict[str, str]) -> dict[str, str]:
    return {"sops": env["KMS_CRYPTO_KEY"], **KEY_NAMES}


def look(shell: Shell, env: dict[str, str]) -> Found:
    project, region = env["PROJECT_ID"], env["REGION"]
    at = ("--location", region, "--project", project)
    found = Found()
    if describe(shell, "kms", "keyrings", "describe", env["KMS_KEY_RING"], *at) is not None:
        found.adopt.append("ring")
    if shell.dry_run or "ring" in found.adopt:
        for purpose, name in key_names(env).items():
            key = describe(shell, "kms", "keys", "describe", name, "--keyring", env["KMS_KEY_RING"], *at)
            if key is None:
                continue
            if key.get("purpose") != "ENCRYPT_DECRYPT":
                raise Refusal(f"key {name} exists with purpose {key.get('purpose')}, which cannot encrypt for {purpose}; "
                              "take another name for it in .env")
            found.adopt.append(purpose)
            state = key.get("primary", {}).get("state", "absent")
            if state != "ENABLED":
                found.unusable[purpose] = name
                found.notes.append(f"key {name} exists, but its primary version is {state.lower()}: make bootstrap-apply gives it a new one. "
                                   "What the old one encrypted stays unreadable unless it is restored.")
    bucket = describe(shell, "storage", "buckets", "describe", f"gs://{env['TF_BACKEND_BUCKET']}", "--raw", "--project", project)
    if bucket is not None:
        if str(bucket.get("location", "")).lower() != region:
            raise Refusal(f"bucket {env['TF_BACKEND_BUCKET']} is in {bucket.get('location')}, not in {region}: its key must be in the same place. "
                          "Take another name for TF_BACKEND_BUCKET, or REGION of the bucket.")
        found.adopt.append("bucket")
    if describe(shell, "artifacts", "repositories", "describe", REGISTRY, *at) is not None:
        found.adopt.append("registry")
    return found


def revive(shell: Shell, env: dict[str, str], found: Found) -> None:
    """Give each adopted key without an enabled primary version a new one."""
    for name in found.unusable.values():
        shell.run("gcloud", "kms", "keys", "versions", "create", "--primary", "--key", name, "--keyring", env["KMS_KEY_RING"],
                  "--location", env["REGION"], "--project", env["PROJECT_ID"])
