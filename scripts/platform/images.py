# SPDX-License-Identifier: Apache-2.0
"""image-push: the layouts in dist/images to the registry that infra-bootstrap made, or to IMAGE_REPOSITORY.

What a registry holds under a tag is never replaced: the same digest is left alone, another one is refused. After a push the registry is
asked for the digest, which must be the layout's. crane comes from platform/tools.lock.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

from envfile import Env
from shell import Refusal, Shell

REGISTRY_ID = "inferd"  # the default of `registry` in platform/infra-bootstrap
LOCAL = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?/")


def repository(env: Env) -> str:
    given = os.environ.get("IMAGE_REPOSITORY", "")
    if given:
        if not re.fullmatch(r"[a-z0-9.:\[\]-]+(/[a-z0-9._-]+)+", given):
            raise Refusal(f"IMAGE_REPOSITORY='{given}' is malformed; it should look like europe-west4-docker.pkg.dev/my-project-123/inferd")
        return given
    values = env.take("PROJECT_ID", "REGION")
    return f"{values['REGION']}-docker.pkg.dev/{values['PROJECT_ID']}/{REGISTRY_ID}"


def layouts(root: Path) -> dict[str, tuple[str, str]]:
    """name -> (tag, digest of the image's index)"""
    found = {}
    for path in sorted((root / "dist/images").glob("*/index.json")):
        (entry,) = json.loads(path.read_text(encoding="utf-8"))["manifests"]
        found[path.parent.name] = (entry["annotations"]["org.opencontainers.image.ref.name"], entry["digest"])
    return found


def crane(shell: Shell) -> str:
    path = shell.output("scripts/tools.sh", "--path") if not shell.dry_run else None
    return f"{path.strip()}/crane" if path else "crane"


def push(shell: Shell, env: Env) -> None:
    into = repository(env)
    found = layouts(shell.root)
    if not found:
        raise Refusal("there is nothing in dist/images: make image builds it")
    dirty = sorted(n for n in found if _revision(shell.root / "dist/images" / n).endswith("-dirty"))
    if dirty and not LOCAL.match(into + "/") and os.environ.get("FORCE") != "1":
        raise Refusal(f"{', '.join(dirty)} was built from a tree with changes that no commit has: commit, make image, and push that (FORCE=1 pushes it all the same)")
    shell.run("scripts/tools.sh", "crane")
    tool = crane(shell)
    with tempfile.TemporaryDirectory(prefix="push-") as config:
        environ = {**os.environ}
        if not LOCAL.match(into + "/"):
            # a short-lived token, in a file that goes with this folder: nothing is kept, and none is on a command line
            shell.need("gcloud")
            token = shell.output("gcloud", "auth", "print-access-token")
            environ["DOCKER_CONFIG"] = config
            shell.run(tool, "auth", "login", into.split("/")[0], "--username", "oauth2accesstoken", "--password-stdin", stdin=token or "", env=environ)
        for name, (tag, digest) in found.items():
            _push(shell, tool, f"{into}/{name}", tag, digest, shell.root / "dist/images" / name, environ)


def _push(shell: Shell, tool: str, image: str, tag: str, digest: str, layout: Path, environ: dict[str, str]) -> None:
    held = shell.ask(tool, "digest", f"{image}:{tag}", env=environ)
    if held is not None and held.returncode == 0:
        if held.stdout.strip() == digest:
            shell.say(f"{image}:{tag} is there already: {digest}")
            return
        raise Refusal(f"{image}:{tag} is {held.stdout.strip()} in the registry and {digest} here. A tag keeps its image: raise the version "
                      "(engine/CMakeLists.txt), or build the commit that the tag is of")
    if held is not None and not re.search(r"MANIFEST_UNKNOWN|NAME_UNKNOWN|404|not found", held.stderr):
        raise Refusal(f"the registry does not say whether {image}:{tag} exists: {held.stderr.strip()[-600:]}")
    shell.run(tool, "push", str(layout.relative_to(shell.root)), f"{image}:{tag}", env=environ)
    got = shell.output(tool, "digest", f"{image}:{tag}", env=environ)
    if got is not None and got.strip() != digest:
        raise Refusal(f"the registry has {got.strip()} for {image}:{tag}, but {digest} was pushed")
    shell.say(f"pushed {image}:{tag}@{digest}")


def _revision(layout: Path) -> str:
    def blob(descriptor: dict) -> dict:
        return json.loads((layout / "blobs" / descriptor["digest"].replace(":", "/")).read_text(encoding="utf-8"))

    (entry,) = json.loads((layout / "index.json").read_text(encoding="utf-8"))["manifests"]
    return blob(entry).get("annotations", {}).get("org.opencontainers.image.revision", "")
