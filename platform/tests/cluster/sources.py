# SPDX-License-Identifier: Apache-2.0
"""A stand-in for Flux's source-controller, which cannot be built where these tests were written: one of its dependencies is not
to be had from the Go module proxy. It does what the other controllers need of it: fetches what a source names, packs it, serves
it over HTTP, and writes status.artifact with revision and digest.

GitRepository: cloned from its URL with git. The repositories of KubeRay, KEDA, Gateway API and Envoy Gateway are beyond reach;
in their place the folder of the Go module of that very tag or commit is packed. OCIRepository and HelmRepository charts: Envoy
Gateway's and cert-manager's from their Go modules; any other chart is one of ours that holds a ConfigMap (and the types of
kube-prometheus-stack, which other stages need), and is named in `not_rendered`.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import os
import subprocess
import tarfile
import tempfile
import threading
import time
from pathlib import Path

import yaml

import fluxcomponents
import trees
from api import Api, ApiError, Object
from gitserver import git

ADDRESS, PORT = "10.244.255.2", 8419
ROOT = Path(__file__).resolve().parents[3]
SOURCE = "source.toolkit.fluxcd.io/v1"
REQUESTED = "reconcile.fluxcd.io/requestedAt"
CHARTS = {  # chart -> module, folder in it
    "gateway-helm": ("envoy-gateway", "charts/gateway-helm"),
    "cert-manager": ("cert-manager", "deploy/charts/cert-manager"),
}


@functools.cache
def module(name: str) -> tuple[Path, str, str]:
    """Folder of a module of the lock, its version, and the commit that the module proxy names for it (or nothing)."""
    out = subprocess.run([str(ROOT / "scripts/modules.sh"), name], check=True, stdout=subprocess.PIPE, text=True).stdout
    folder = Path(out.split(" ", 1)[1].strip())
    line = next(ln.split() for ln in (ROOT / "platform/modules.lock").read_text(encoding="utf-8").splitlines() if ln.startswith(f"{name} "))
    go = subprocess.run([str(ROOT / "scripts/go.sh")], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    told = json.loads(subprocess.run([go, "mod", "download", "-json", f"{line[1]}@{line[2]}"], check=True, stdout=subprocess.PIPE, text=True, cwd="/",
                                     env={**os.environ, "GOFLAGS": "-mod=mod"}).stdout)
    return folder, line[2], told.get("Origin", {}).get("Hash", "")


def pack(files: dict[str, bytes]) -> bytes:
    """A gzipped tar of them, the same bytes for the same files."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1) as tar:
        for name in sorted(files):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(files[name]), 0o644
            tar.addfile(info, io.BytesIO(files[name]))
    return raw.getvalue()


def files_below(folder: Path, prefix: str, only: list[str]) -> dict[str, bytes]:
    found = {}
    for path in folder.rglob("*"):
        name = "/".join(filter(None, (prefix, path.relative_to(folder).as_posix())))
        if path.is_file() and (not only or any(name.startswith(o.rstrip("/") + "/") for o in only)):
            found[name] = path.read_bytes()
    return found


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args


class Sources:
    KINDS = ("GitRepository", "OCIRepository", "HelmRepository", "HelmChart")

    def __init__(self, api: Api, folder: Path):
        self.api, self.folder = api, folder
        self.seen: dict[str, tuple[str, float]] = {}  # uid -> what was asked, when it was fetched
        self.not_rendered: set[str] = set()
        self.fetched: dict[str, float] = {}  # revision -> time at which its artifact was served
        self.faults: list[str] = []
        self.ended = threading.Event()
        folder.mkdir(parents=True)
        self.server = http.server.ThreadingHTTPServer((ADDRESS, PORT), functools.partial(Quiet, directory=str(folder)))
        self.thread = threading.Thread(target=self.loop, daemon=True)

    def start(self) -> None:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.thread.start()

    def stop(self) -> None:
        self.ended.set()
        self.thread.join(20)
        self.server.shutdown()
        self.server.server_close()

    def loop(self) -> None:
        while not self.ended.wait(0.1):
            for kind in self.KINDS:
                try:
                    for o in self.api.list(SOURCE, kind):
                        self.one(o)
                except ApiError as e:
                    if e.code not in (404, 409):
                        self.faults.append(f"{kind}: {e}")
                except OSError as e:
                    if not self.ended.is_set():
                        self.faults.append(f"{kind}: {e!r}")

    def one(self, o: Object) -> None:
        meta = o["metadata"]
        requested = meta.get("annotations", {}).get(REQUESTED, "")
        asked = f"{meta['generation']} {requested}"
        before, when = self.seen.get(meta["uid"], ("", 0.0))
        if asked == before and time.monotonic() - when < seconds(o["spec"].get("interval", "1m")):
            return
        self.seen[meta["uid"]] = asked, time.monotonic()
        if meta.get("deletionTimestamp"):
            return
        try:
            revision, packed = self.fetch(o)
        except (RuntimeError, subprocess.CalledProcessError, LookupError) as e:
            self.report(o, requested, None, "Failed", str(e))
            return
        if packed is None:
            self.report(o, requested, None, "Succeeded", "")
            return
        digest = hashlib.sha256(packed).hexdigest()
        suffix = ".tgz" if o["kind"] in ("HelmChart", "OCIRepository") else ".tar.gz"
        name = f"{o['kind'].lower()}-{meta['namespace']}-{meta['name']}-{digest[:16]}{suffix}"
        (self.folder / name).write_bytes(packed)
        self.fetched.setdefault(revision, time.monotonic())
        self.report(o, requested, {
            "url": f"http://{ADDRESS}:{PORT}/{name}", "path": name, "revision": revision, "digest": f"sha256:{digest}", "size": len(packed),
            "lastUpdateTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}, "Succeeded", f"stored artifact for revision '{revision}'")

    def report(self, o: Object, requested: str, artifact: Object | None, reason: str, message: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ready = {"type": "Ready", "status": "True" if reason == "Succeeded" else "False", "reason": reason, "message": message,
                 "lastTransitionTime": now, "observedGeneration": o["metadata"]["generation"]}
        stored = [{**ready, "type": "ArtifactInStorage"}] if artifact else []
        status: Object = {"observedGeneration": o["metadata"]["generation"], "conditions": [ready, *stored], "lastHandledReconcileAt": requested}
        if artifact:
            status["artifact"] = artifact
        if o["kind"] == "HelmChart":
            status["observedChartName"] = o["spec"]["chart"]
        self.api.patch(o, {"status": status}, "status")

    def fetch(self, o: Object) -> tuple[str, bytes | None]:
        """Revision and packed content. Raises RuntimeError saying what could not be had."""
        spec = o["spec"]
        if o["kind"] == "HelmRepository":
            return "", None
        if o["kind"] == "HelmChart":
            return spec["version"], self.chart(spec["chart"].split("/")[-1], spec["version"])
        if o["kind"] == "OCIRepository":
            tag = spec["ref"]["tag"]
            chart = self.chart(spec["url"].rsplit("/", 1)[1], tag)
            return f"{tag}@sha256:{hashlib.sha256(chart).hexdigest()}", chart
        url = spec["url"]
        if url in trees.UPSTREAM:
            return self.upstream(url, spec)
        if not url.startswith("http://10.244."):
            raise RuntimeError(f"{url} cannot be reached from a test")
        return self.clone(url, spec)

    def upstream(self, url: str, spec: Object) -> tuple[str, bytes]:
        name, prefix = trees.UPSTREAM[url]
        folder, version, commit = module(name)
        ref = spec.get("ref", {})
        if "commit" in ref and ref["commit"] != commit:
            raise RuntimeError(f"{url}: commit {ref['commit']} is wanted, and the module {version} is of {commit or 'a commit that is not told'}")
        if "commit" not in ref and ref.get("tag") != version:
            raise RuntimeError(f"{url}: {ref} is wanted, and the module's version is {version}")
        return f"{ref.get('tag', version)}@sha1:{commit or '0' * 40}", pack(files_below(folder, prefix, spec.get("sparseCheckout", [])))

    @staticmethod
    def clone(url: str, spec: Object) -> tuple[str, bytes]:
        branch = spec.get("ref", {}).get("branch", "master")
        with tempfile.TemporaryDirectory() as scratch:
            tree = Path(scratch) / "tree"
            git(Path(scratch), "clone", "-q", "--depth", "1", "--branch", branch, url, str(tree))
            commit = git(tree, "rev-parse", "HEAD")
            ignored: set[str] = set()
            if spec.get("ignore"):
                (Path(scratch) / "ignore").write_text(spec["ignore"], encoding="utf-8")
                ignored = set(git(tree, "ls-files", "-z", "-ci", f"--exclude-from={scratch}/ignore").split("\0"))
            names = [n for n in git(tree, "ls-files", "-z").split("\0") if n and n not in ignored]
            return f"{branch}@sha1:{commit}", pack({n: (tree / n).read_bytes() for n in names if (tree / n).is_file()})

    def chart(self, name: str, version: str) -> bytes:
        """A chart's archive, as a registry has it."""
        if name in CHARTS and module(CHARTS[name][0])[1] == version:
            files = files_below(module(CHARTS[name][0])[0] / CHARTS[name][1], name, [])
            if f"{name}/values.tmpl.yaml" in files:  # what upstream's release fills in
                text = files.pop(f"{name}/values.tmpl.yaml").decode().replace("${GatewayImage}", f"docker.io/envoyproxy/gateway:{version}")
                files[f"{name}/values.yaml"] = text.replace("${GatewayImagePullPolicy}", "IfNotPresent").encode()
            head = yaml.safe_load(files[f"{name}/Chart.yaml"])
        else:
            self.not_rendered.add(f"{name} {version}")
            head = {"apiVersion": "v2", "name": name}
            files = {f"{name}/templates/stand-in.yaml": b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-stand-in\n"}
            if name == "kube-prometheus-stack":  # its types, from its operator's module
                files[f"{name}/crds/types.yaml"] = yaml.dump_all(trees.crds("prometheus-operator"), Dumper=fluxcomponents.DUMPER).encode()
        files[f"{name}/Chart.yaml"] = yaml.safe_dump({**head, "version": version.removeprefix("v"), "appVersion": version}).encode()
        return pack(files)


def seconds(duration: str) -> float:
    """Go's durations with one unit, which is what the tree has."""
    return float(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]
