# SPDX-License-Identifier: Apache-2.0
"""The entries of .env: what there is, what each must look like, where each is used.

A value comes from the process's environment (so `make creds CLUSTER=other` works) or else from .env. The file is
read, never run by a shell: `KEY=value` lines, optionally quoted or after `export`, and `#` comments.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path


class EnvError(Exception):
    """What is wrong with the entries, one line each, with what to do."""


@dataclass(frozen=True)
class Entry:
    name: str
    pattern: str
    example: str
    used: str  # where a value ends up, for env-check
    default: str | None = None  # None: required

    def fault(self, value: str) -> str | None:
        if re.fullmatch(self.pattern, value):
            return None
        return f"{self.name}='{value}' is malformed; it should look like {self.example}"


NAME_63 = r"[A-Za-z0-9_-]{1,63}"
ENTRIES = {e.name: e for e in (
    Entry("PROJECT_ID", r"[a-z][a-z0-9-]{4,28}[a-z0-9]", "my-project-123", "Terraform project_id, gcloud --project, .sops.yaml"),
    Entry("REGION", r"[a-z]+-[a-z]+[0-9]{1,2}", "europe-west4", "Terraform region, gcloud --location, .sops.yaml"),
    Entry("ZONE", r"[a-z]+-[a-z]+[0-9]{1,2}-[a-z]", "europe-west4-b", "Terraform zone: first zone of the nodes, zone of the GPUs"),
    Entry("CLUSTER", r"[a-z][a-z0-9-]{3,22}[a-z0-9]", "ray-serve-gke", "Terraform cluster_name, make creds"),
    Entry("TF_BACKEND_BUCKET", r"(?!goog)[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]", "my-project-123-tfstate", "Terraform state_bucket and backend of both roots"),
    Entry("KMS_KEY_RING", NAME_63, "inferd", "Terraform kms_key_ring, .sops.yaml"),
    Entry("KMS_CRYPTO_KEY", NAME_63, "sops", "Terraform kms_crypto_key, .sops.yaml"),
    Entry("GITHUB_OWNER", r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?", "my-account", "flux bootstrap, the URL that Flux pulls from"),
    Entry("GITHUB_REPO", r"[A-Za-z0-9._-]{1,100}", "inferd", "flux bootstrap, the URL that Flux pulls from"),
    Entry("GITHUB_BRANCH", r"(?!/)(?!.*(?:\.\.|//|@\{))[A-Za-z0-9._/-]{1,200}(?<!/)", "main", "the branch that Flux follows", "main"),
    Entry("GITHUB_OWNER_KIND", r"user|organization", "user or organization", "flux bootstrap --personal", "user"),
    Entry("GPU_QUOTA", r"[0-9]{1,2}", "0, 1 or 2", "Terraform gpu_quota", "0"),
    Entry("GPU_CAPACITY", r"spot|on-demand|spot-then-on-demand", "spot, on-demand or spot-then-on-demand", "Terraform gpu_capacity", "spot-then-on-demand"),
    Entry("AGE_RECIPIENT", r"(?:age1[02-9ac-hj-np-z]{58})?", "age1... (of age-keygen), or empty", ".sops.yaml, rule of clusters/local", ""),
)}
OLD_NAMES = {"GH_OWNER": "GITHUB_OWNER", "GH_REPO": "GITHUB_REPO", "GH_BRANCH": "GITHUB_BRANCH"}
LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(?:\"([^\"$`\\]*)\"|'([^']*)'|([^\s\"'#$`\\]*))\s*(?:#.*)?")


def parse(text: str, name: str) -> dict[str, str]:
    """KEY -> value. Raises EnvError naming the first line that is neither blank, comment nor assignment."""
    values = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        m = LINE.fullmatch(line)
        if not m:
            raise EnvError(f"{name}:{number}: not a plain KEY=value line (nothing is expanded here; quote a value with spaces)")
        if m.group(1) in values:
            raise EnvError(f"{name}:{number}: {m.group(1)} is set twice")
        values[m.group(1)] = next((g for g in m.groups()[1:] if g is not None), "")
    return values


class Env:
    """The values in force. `get` refuses what is missing or malformed; `warnings` are for stderr."""

    def __init__(self, root: Path, environ: dict[str, str] | None = None):
        environ = dict(os.environ if environ is None else environ)
        path = root / ".env"
        self.exists = path.exists()
        self.warnings: list[str] = []
        in_file = parse(path.read_text(encoding="utf-8"), ".env") if self.exists else {}
        for old, new in OLD_NAMES.items():
            if old not in in_file:
                continue
            if in_file.get(new, in_file[old]) != in_file[old]:
                raise EnvError(f".env: {old} and {new} differ; keep {new} and delete {old}")
            self.warnings.append(f".env: {old} is the old name of {new}; it is taken, please rename it")
            in_file[new] = in_file[old]
        for unknown in sorted(set(in_file) - set(ENTRIES) - set(OLD_NAMES)):
            self.warnings.append(f".env: {unknown} is not an entry that anything reads")
        self.values, self.source = {}, {}
        for name, entry in ENTRIES.items():
            for source, values in (("environment", environ), (".env", in_file)):
                if values.get(name):
                    self.values[name], self.source[name] = values[name], source
                    break
            else:
                if entry.default is not None:
                    self.values[name], self.source[name] = entry.default, "default"

    def faults(self, names: list[str]) -> list[str]:
        found = []
        for name in names:
            entry = ENTRIES[name]
            if name not in self.values:
                found.append(f"{name} is missing; set it in .env, e.g. {name}={entry.example} (used for: {entry.used})")
            elif entry.fault(self.values[name]):
                found.append(f"{entry.fault(self.values[name])} (used for: {entry.used})")
        if not found and {"REGION", "ZONE"} <= set(names) and not self.values["ZONE"].startswith(self.values["REGION"] + "-"):
            found.append(f"ZONE='{self.values['ZONE']}' is not in REGION='{self.values['REGION']}'")
        return found

    def take(self, *names: str) -> dict[str, str]:
        """The values of those entries. Raises EnvError listing every one that is missing or malformed."""
        found = self.faults(list(names))
        if found:
            hint = [] if self.exists else ["there is no .env: cp .env.example .env, and fill it in"]
            raise EnvError("\n".join(hint + found))
        return {n: self.values[n] for n in names}
