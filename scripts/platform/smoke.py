# SPDX-License-Identifier: Apache-2.0
"""The load of the showcase on a cluster: smoke-external from here through the Gateway, smoke-internal as a Job beside the service.

Both write k6's whole summary to k6/results and fail when k6's thresholds do. The Job's ConfigMap is written from the scripts that
smoke.js imports, each time: k6/k6-config.yaml is never a copy that somebody has to remember.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

from envfile import Env
from shell import Refusal, Shell

SCRIPT, CONFIG, JOB = "k6/smoke.js", "k6/k6-config.yaml", "k6/k6-job.yaml"
NAMESPACE, NAME = "ray", "k6-smoke"
BEGIN, END = "-----BEGIN K6 SUMMARY-----", "-----END K6 SUMMARY-----"
LIMIT_BYTES = 900_000  # of a ConfigMap: etcd refuses above 1 MiB
WAIT_S = 1200  # above the Job's activeDeadlineSeconds
PASSED, MISSED = 0, 99  # k6's exit codes: all thresholds kept; one missed
IMPORT = re.compile(r"""^\s*(?:import|export)\s(?:[^'"]*\sfrom\s+)?['"](\./[A-Za-z0-9_.-]+)['"]""", re.M)
OPEN = re.compile(r"""\bopen\(\s*['"](\./)?([A-Za-z0-9_.-]+)['"]""")


def scripts(root: Path, first: str = SCRIPT) -> dict[str, str]:
    """File name -> text of a script and of what it imports or opens, all of one folder. Raises Refusal for what is not there."""
    folder, todo, found = (root / first).parent, [Path(first).name], {}
    while todo:
        name = todo.pop()
        if name in found:
            continue
        if not (folder / name).is_file():
            raise Refusal(f"{folder.name}/{name} is imported by {first} and is not there")
        found[name] = (folder / name).read_text(encoding="utf-8")
        todo += [m[2:] for m in IMPORT.findall(found[name])] + [m[1] for m in OPEN.findall(found[name])]
    return dict(sorted(found.items()))


def config_map(root: Path) -> str:
    """The ConfigMap of the Job, as YAML: each script a literal block, so that a reader and a diff see it as it is."""
    files = scripts(root)
    size = sum(len(text.encode()) for text in files.values())
    if size > LIMIT_BYTES:
        raise Refusal(f"the scripts of {SCRIPT} are {size} bytes; a ConfigMap holds {LIMIT_BYTES}")
    lines = ["# Written from k6/*.js by make k6-config; git ignores it.", "apiVersion: v1", "kind: ConfigMap", "metadata:", f"  name: {NAME}", f"  namespace: {NAMESPACE}",
             "  labels:", "    app.kubernetes.io/name: k6", "data:"]
    for name, text in files.items():
        if re.search(r"[\t\x00-\x08\x0b-\x1f\x7f]|^ ", text.split("\n", 1)[0]) or re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text) or not text.endswith("\n") or text.endswith("\n\n"):
            raise Refusal(f"k6/{name} cannot be a literal block of YAML: control characters, a first line that begins with a space, or not one newline at its end")
        lines.append(f"  {name}: |")
        lines += [f"    {line}" if line else "" for line in text[:-1].split("\n")]
    return "\n".join(lines) + "\n"


def write_config(shell: Shell, env: Env) -> None:
    del env
    text = config_map(shell.root)
    if shell.dry_run:
        shell.say(f"would write {CONFIG}: {len(text)} bytes from {', '.join(scripts(shell.root))}")
        return
    (shell.root / CONFIG).write_text(text, encoding="utf-8")
    shell.say(f"{CONFIG}: {', '.join(scripts(shell.root))}")


def results(shell: Shell, name: str) -> Path:
    folder = shell.root / "k6/results"
    if not shell.dry_run:
        folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def external(shell: Shell, env: Env) -> None:
    """INFER_URL, or the address of the Gateway `inferd`: then the Host header and TLS name are those of its listener."""
    del env
    shell.need("k6")
    url = os.environ.get("INFER_URL") or gateway_url(shell)
    out = results(shell, "results_external.json")
    extra = [word for name in ("STAGE", "P95_MS", "FAILED_RATE") if os.environ.get(name) for word in ("-e", f"{name}={os.environ[name]}")]
    shell.run("k6", "run", "--quiet", "--no-usage-report", "--summary-export", str(out.relative_to(shell.root)), "-e", f"INFER_URL={url}", "-e", "PROFILE=external", *extra, SCRIPT)
    shell.say(f"k6/results/{out.name}")


def gateway_url(shell: Shell) -> str:
    shell.need("kubectl")
    text = shell.output("kubectl", "--namespace", "ingress", "get", "gateway", "inferd", "--output", "json")
    if text is None:
        return "https://(hostname or address of the Gateway inferd)/infer"
    gateway = json.loads(text)
    hosts = [li["hostname"] for li in gateway["spec"]["listeners"] if li.get("protocol") == "HTTPS" and "*" not in li.get("hostname", "*")]
    addresses = [a["value"] for a in gateway.get("status", {}).get("addresses", [])]
    if not hosts and not addresses:
        raise Refusal("the Gateway inferd (namespace ingress) has neither a host name nor an address yet: kubectl -n ingress get gateway; or give INFER_URL=https://.../infer")
    return f"https://{(hosts or addresses)[0]}/infer"


def internal(shell: Shell, env: Env) -> None:
    shell.need("kubectl")
    write_config(shell, env)
    out = results(shell, "results_internal.json")
    kubectl = ("kubectl", "--namespace", NAMESPACE)
    # A Job's template cannot change: the last one goes first. Its log goes with it; its summary is in k6/results.
    shell.run(*kubectl, "delete", "job", NAME, "--ignore-not-found", "--wait=true", "--timeout=2m")
    shell.run(*kubectl, "apply", "-f", CONFIG)
    shell.run(*kubectl, "apply", "-f", JOB)
    if shell.dry_run:
        shell.say(f"then, until the Job has ended, at most {WAIT_S} s:")
        shell.output(*kubectl, "get", "job", NAME, "--output", "json")
        shell.output(*kubectl, "logs", f"job/{NAME}", "--container", "k6", "--tail=-1")
        shell.say(f"would write k6/results/{out.name}")
        return
    ended = wait(shell, kubectl)
    log = shell.output(*kubectl, "logs", f"job/{NAME}", "--container", "k6", "--tail=-1") or ""
    text = summary(log)
    if text is not None:
        out.write_text(text + "\n", encoding="utf-8")
    shell.say(re.sub(rf"{BEGIN}.*?{END}\n?", "", log, flags=re.S).strip()[-4000:])
    if text is None:
        raise Refusal(f"the Job {ended or 'did not end'} and its log holds no summary; the log is above, the rest by: kubectl -n {NAMESPACE} describe job {NAME}")
    if ended != "Complete":
        raise Refusal(f"the Job {ended or f'did not end within {WAIT_S} s'}: what was missed stands in k6/results/{out.name} and above")
    shell.say(f"k6/results/{out.name}")


def wait(shell: Shell, kubectl: tuple[str, ...]) -> str:
    """"Complete", "Failed", or "" when the time is over."""
    end = time.monotonic() + float(os.environ.get("SMOKE_WAIT_S", WAIT_S))
    while True:
        job = json.loads(shell.output(*kubectl, "get", "job", NAME, "--output", "json") or "{}")
        for condition in job.get("status", {}).get("conditions") or []:
            if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
                return str(condition["type"])
        if time.monotonic() > end:
            return ""
        time.sleep(float(os.environ.get("SMOKE_POLL_S", "5")))


def summary(log: str) -> str | None:
    """The JSON between the last pair of markers; None when there is none, or it is not whole."""
    found = re.findall(rf"^{BEGIN}\n(.*?)\n{END}$", log, flags=re.S | re.M)
    if not found:
        return None
    try:
        whole = json.loads(found[-1])
    except ValueError:
        return None
    return found[-1] if "metrics" in whole else None
