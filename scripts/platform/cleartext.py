# SPDX-License-Identifier: Apache-2.0
"""Finds Secrets and private keys in clear text, in the work tree and in every commit that a reference reaches.

A Secret is fine when it has SOPS metadata and every value under data and stringData is `ENC[...]`, or when it has no
values. History matters because a secret that was pushed once is known: encrypting it later does not help, so a finding
there asks for the secret to be changed. A finding that was dealt with is named in platform/sops/acknowledged.txt.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

MANIFEST = re.compile(r"\.(ya?ml|json)$", re.I)
PRIVATE_KEYS = {
    "an SSH or TLS private key": re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s*\n[A-Za-z0-9+/=\s]{64}"),
    "an age identity": re.compile(rb"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}"),
    "a Google service account's key": re.compile(rb'"private_key_id"\s*:\s*"[0-9a-f]{40}"'),
    "a GitHub token": re.compile(rb"\b(?:ghp_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{82})\b"),
}
ENCRYPTED = re.compile(r"ENC\[[A-Z0-9_]+,data:[A-Za-z0-9+/=]*,iv:[A-Za-z0-9+/=]+,tag:[A-Za-z0-9+/=]+,type:\w+\]")
ACKNOWLEDGED = "platform/sops/acknowledged.txt"


@dataclass(frozen=True)
class Finding:
    path: str
    what: str
    blob: str  # object id; empty in the work tree
    commit: str = ""


def secrets_in(document) -> list[dict]:
    """Every Secret in a parsed document, also inside a List."""
    if not isinstance(document, dict):
        return []
    if isinstance(document.get("items"), list):
        return [s for item in document["items"] for s in secrets_in(item)]
    return [document] if document.get("kind") == "Secret" else []


def faults(secret: dict) -> list[str]:
    """Keys of one Secret whose values are in clear text."""
    found = []
    for part in ("data", "stringData"):
        for key, value in (secret.get(part) or {}).items():
            if value not in (None, "") and not (isinstance(value, str) and ENCRYPTED.fullmatch(value)):
                found.append(f"{part}.{key}")
    if not found and (secret.get("data") or secret.get("stringData")) and not isinstance(secret.get("sops"), dict):
        found.append("no SOPS metadata")
    return found


def examine(path: str, content: bytes) -> list[str]:
    """What is in clear text in one file."""
    found = [what for what, pattern in PRIVATE_KEYS.items() if pattern.search(content)]
    if MANIFEST.search(path) and b"Secret" in content:
        try:
            documents = list(yaml.safe_load_all(content.decode("utf-8")))
        except (yaml.YAMLError, UnicodeDecodeError):
            # Not YAML as it stands (a template, say): what looks like a Secret with values must not slip through.
            if re.search(rb"^\s*kind:\s*[\"']?Secret[\"']?\s*$", content, re.M) and re.search(rb"^\s*(data|stringData):", content, re.M):
                found.append("a Secret in a file that is not valid YAML")
            return found
        for secret in (s for d in documents for s in secrets_in(d)):
            clear = faults(secret)
            if clear:
                name = (secret.get("metadata") or {}).get("name", "?")
                found.append(f"Secret {name}: {', '.join(clear)}")
    return found


def git(root: Path, *argv: str, stdin: bytes | None = None) -> bytes:
    return subprocess.run(["git", "-C", str(root), *argv], input=stdin, capture_output=True, check=True).stdout


def in_tree(root: Path) -> list[Finding]:
    """Tracked files, and those that git would let be added."""
    names = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").decode("utf-8", "surrogateescape").split("\0")
    found = []
    for name in sorted(set(filter(None, names))):
        path = root / name
        if path.is_file() and not path.is_symlink():
            found += [Finding(name, what, "") for what in examine(name, path.read_bytes())]
    return found


def in_history(root: Path, acknowledged: set[str]) -> tuple[list[Finding], int]:
    """Findings in every blob that a reference reaches, and how many blobs were read."""
    paths: dict[str, str] = {}
    for line in git(root, "rev-list", "--all", "--objects").decode("utf-8", "surrogateescape").splitlines():
        blob, _, path = line.partition(" ")
        if path and blob not in acknowledged:
            paths[blob] = path
    sizes = git(root, "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", stdin="\n".join(paths).encode()).decode().split("\n")
    wanted = [line.split()[0] for line in sizes if line and line.split()[1] == "blob" and int(line.split()[2]) < 4 << 20]
    found, read = [], 0
    with subprocess.Popen(["git", "-C", str(root), "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat:
        for blob in wanted:
            cat.stdin.write(blob.encode() + b"\n")
            cat.stdin.flush()
            size = int(cat.stdout.readline().split()[2])
            content = cat.stdout.read(size + 1)[:-1]
            read += 1
            for what in examine(paths[blob], content):
                commit = git(root, "log", "--all", "--format=%h", "--find-object", blob, "--", paths[blob]).decode().split("\n")[-2:-1]
                found.append(Finding(paths[blob], what, blob, commit[0] if commit else "?"))
        cat.stdin.close()
    return found, read


def acknowledged(root: Path) -> set[str]:
    """Object ids of findings that were dealt with: `ID reason` lines."""
    path, found = root / ACKNOWLEDGED, set()
    if not path.exists():
        return found
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        m = re.fullmatch(r"([0-9a-f]{40})\s+(\S.{7,})", line)
        if not m:
            raise ValueError(f"{ACKNOWLEDGED}:{number}: should be an object id of 40 digits and a reason")
        found.add(m.group(1))
    return found
