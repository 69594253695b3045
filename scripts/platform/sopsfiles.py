# SPDX-License-Identifier: Apache-2.0
"""The verbs around SOPS: sops-init, sops-encrypt, sops-edit, sops-verify, sops-stale, sops-rotate."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import cleartext
import stale
from envfile import Env
from shell import Refusal, Shell

TEMPLATE, RULES = "platform/sops/sops.yaml.tmpl", ".sops.yaml"
LOCAL = re.compile(r"  # \[local\]\n(.*?)  # \[/local\]\n", re.S)


def render(template: str, values: dict[str, str]) -> str:
    """The rules of a fork. Without an age recipient there is no rule for the local cluster."""
    text = LOCAL.sub(r"\1" if values["AGE_RECIPIENT"] else "", template)
    return re.sub(r"\$\{(\w+)\}", lambda m: values[m.group(1)], text)


def init(shell: Shell, env: Env) -> None:
    values = env.take("PROJECT_ID", "REGION", "KMS_KEY_RING", "KMS_CRYPTO_KEY", "AGE_RECIPIENT")
    text = render((shell.root / TEMPLATE).read_text(encoding="utf-8"), values)
    path = shell.root / RULES
    if shell.dry_run:
        shell.say(f"would write {RULES}:\n{text}")
        return
    old = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(text, encoding="utf-8")
    shell.say(f"{RULES} {'is as it was' if old == text else 'written; commit it'}")
    if old is not None and old != text:
        shell.say("its keys changed: `make sops-verify` lists files that the new rules would encrypt otherwise, `make sops-rotate` does so")


def target(shell: Shell) -> str:
    """FILE of the command line, inside the tree. Raises Refusal where it is missing."""
    name = os.environ.get("FILE", "")
    if not name:
        raise Refusal("which file? FILE=platform/apps/monitoring/grafana.secret.yaml, say")
    path = (shell.root / name).resolve()
    if not path.is_file() or not path.is_relative_to(shell.root.resolve()):
        raise Refusal(f"FILE={name} is not a file of this tree")
    return path.relative_to(shell.root.resolve()).as_posix()


def need_rules(shell: Shell) -> None:
    if not (shell.root / RULES).exists() and not shell.dry_run:
        raise Refusal(f"there is no {RULES}; make it first: make sops-init")


def encrypt(shell: Shell, env: Env) -> None:
    del env
    shell.need("sops")
    need_rules(shell)
    name = target(shell)
    content = (shell.root / name).read_bytes()
    if stale.encrypted_files(shell.root, [name]):
        raise Refusal(f"{name} is encrypted already; edit it with make sops-edit FILE={name}")
    if not name.endswith((".secret.yaml", ".secret.yml")):
        raise Refusal(f"{name} is not named *.secret.yaml: no rule of {RULES} covers it, and a reader could not tell what it is")
    if not cleartext.examine(name, content):
        raise Refusal(f"{name} holds no Secret with values in clear text; there is nothing to encrypt")
    tracked = subprocess.run(["git", "-C", str(shell.root), "log", "--all", "--oneline", "--", name], capture_output=True, text=True, check=False)
    shell.run("sops", "encrypt", "--in-place", name)
    if shell.dry_run:
        return
    left = cleartext.examine(name, (shell.root / name).read_bytes())
    if left:
        raise Refusal(f"{name} was encrypted, but something is still readable: {'; '.join(left)}")
    shell.say(f"{name} is encrypted")
    if tracked.stdout.strip():
        shell.say(f"git knows {name} from before: make sops-verify says whether a commit has it in clear text; if so, change the secret itself")


def edit(shell: Shell, env: Env) -> None:
    del env
    shell.need("sops")
    need_rules(shell)
    shell.run("sops", "edit", target(shell))


def tree_names(root: Path) -> list[str]:
    return sorted(filter(None, cleartext.git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").decode().split("\0")))


def verify(shell: Shell, env: Env) -> None:
    del env
    if not (shell.root / ".git").exists():
        raise Refusal("this is not a git work tree: sops-verify looks at its history too")
    if shell.dry_run:
        shell.say("would read every file that git tracks or would add, and every blob of its history, for Secrets and private keys in clear text")
        return
    shallow = cleartext.git(shell.root, "rev-parse", "--is-shallow-repository").decode().strip() == "true"
    try:
        known = cleartext.acknowledged(shell.root)
    except ValueError as error:
        raise Refusal(str(error)) from None
    now = cleartext.in_tree(shell.root)
    past, read = cleartext.in_history(shell.root, known)
    lines = [f"{f.path}: {f.what}: encrypt it (make sops-encrypt FILE={f.path}), or take it out" for f in now]
    lines += [f"{f.path} in commit {f.commit} (object {f.blob}): {f.what}: whoever can read the repository knows it. Change the secret where it is "
              f"used, then note the object in {cleartext.ACKNOWLEDGED}" for f in past]
    if lines:
        raise Refusal("\n".join(lines))
    if shallow:
        raise Refusal("the tree is clean, but this clone is shallow and its history was not read: git fetch --unshallow, and run this again")
    files = stale.encrypted_files(shell.root, tree_names(shell.root))
    shell.say(f"no Secret or private key in clear text: {len(files)} encrypted files, {read} objects of history read"
              + (f", {len(known)} findings of the past acknowledged" if known else ""))


def find_stale(shell: Shell) -> tuple[list[str], int]:
    """Files that need another than the primary version of their key, and how many files KMS was asked about."""
    files = {name: entries for name, entries in stale.encrypted_files(shell.root, tree_names(shell.root)).items() if entries}
    if not files:
        return [], 0
    bearer = stale.token(shell)
    return [name for name, entries in files.items() if not all(stale.uses_primary(e, bearer) for e in entries)], len(files)


def check_stale(shell: Shell, env: Env) -> None:
    del env
    if shell.dry_run:
        shell.say("would ask Cloud KMS, for each encrypted file, whether it needs an older version of its key")
        return
    old, asked = find_stale(shell)
    if old:
        raise Refusal("\n".join([f"{name} needs an old version of its key" for name in old] +
                                ["re-encrypt them before a version is disabled or destroyed: make sops-rotate"]))
    shell.say(f"{asked} files, all encrypted by the primary version of their key")


def rotate(shell: Shell, env: Env) -> None:
    """New data keys for every encrypted file, each encrypted by the primary version; then proof that none is left over."""
    del env
    shell.need("sops")
    need_rules(shell)
    names = list(stale.encrypted_files(shell.root, tree_names(shell.root)))
    if not names:
        shell.say("there are no encrypted files")
        return
    for name in names:
        shell.run("sops", "updatekeys", "--yes", name)  # the keys of today's rules
        shell.run("sops", "rotate", "--in-place", name)
    if shell.dry_run:
        return
    old, _ = find_stale(shell)
    if old:
        raise Refusal(f"still on an old version: {', '.join(old)}; do not destroy it")
    shell.say(f"{len(names)} files re-encrypted; commit them, and let Flux apply that commit before an old version is disabled")
