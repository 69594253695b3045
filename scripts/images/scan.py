# SPDX-License-Identifier: Apache-2.0
"""What an image must not have in it. Each rule has a bad twin in platform/tests/test_images.py."""

from __future__ import annotations

import re

from elf import parse
from tree import Tree, matches

CACHES = ["/var/cache/*", "/var/lib/apt/*", "/root/.cache/*", "/home/*/.cache/*", "*/pip/_vendor/*", "/usr/share/man/*", "/var/log/*", "*.deb", "*.whl"]
SECRET_NAMES = ["*/.git/*", "*/.env", "*/.netrc", "*/.docker/*", "*/.ssh/*", "*/id_rsa", "*/id_ed25519", "*.tfstate", "/etc/shadow*", "*/.aws/*", "*/.pypirc"]
SECRETS = re.compile(
    rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[\r\n]+[A-Za-z0-9+/=\r\n]{64,}"  # a key itself, not a library's search for one
    rb"|AGE-SECRET-KEY-1[0-9A-Z]{58}|\bAKIA[0-9A-Z]{16}\b|\bghp_[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9_]{82}\b|\bAIza[0-9A-Za-z_-]{35}\b"
    rb"|\bxox[abp]-[0-9]{10,}-[A-Za-z0-9-]{20,}|\bsk_live_[0-9A-Za-z]{24,}")


def programs(tree: Tree) -> list[str]:
    """What could be run: files with an x bit that are a script or an ELF executable, and not a shared object by name."""
    found = []
    for path, entry in tree.files():
        if not entry.mode & 0o111 or ".so" in path.rpartition("/")[2]:
            continue
        elf = parse(entry.data)
        if entry.data.startswith(b"#!") or elf is not None:
            found.append(path)
    return found


def faults(tree: Tree, allowed: list[str], build_folder: str = "", not_secrets: list[str] | None = None) -> list[str]:
    """One line for each breach; empty when there is none. `allowed`: patterns of the programs that the recipe wants; `not_secrets`: of
    files whose keys are public."""
    found = []
    for path, entry in sorted(tree.entries.items()):
        if entry.mode & 0o6000:
            found.append(f"{path} has a set-id bit")
        if entry.kind != "link" and entry.mode & 0o002 and not entry.mode & 0o1000:
            found.append(f"{path} is writable by everybody")
        if entry.kind == "link" and tree.resolve(path) is None:
            found.append(f"{path} is a link to {entry.target}, which is not there")
        if entry.kind != "dir" and matches(path, CACHES):
            found.append(f"{path} belongs to a cache, log or manual")
        if entry.kind != "dir" and matches(path, SECRET_NAMES):
            found.append(f"{path} is a secret by its name")
        secret = None if matches(path, not_secrets or []) else SECRETS.search(entry.data)
        if secret:
            found.append(f"{path} holds what looks like a secret at byte {secret.start()}: {secret.group()[:16].decode(errors='replace')}...")
        if build_folder and build_folder.encode() in entry.data:
            found.append(f"{path} names the folder that it was built in, {build_folder}: the build is not reproducible elsewhere")
    for path in programs(tree):
        if not matches(path, allowed):
            found.append(f"{path} is a program that the recipe does not name")
    return found
