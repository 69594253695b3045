# SPDX-License-Identifier: Apache-2.0
"""What manifests name exists: options, paths, ports, arguments, metrics and versions in the code; Secrets, ConfigMaps, accounts,
priorities and namespaces in the tree; labels, taints and sizes in Terraform. Reads the files as they are: no tool is needed.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from door import ROOT

sys.path.insert(0, str(ROOT / "scripts/platform"))
import serveconfig  # noqa: E402

PLATFORM = ROOT / "platform"


def files() -> Iterator[Path]:
    for path in sorted([*(PLATFORM / "apps").rglob("*.yaml"), *(PLATFORM / "clusters").rglob("*.yaml")]):
        if path.name not in ("gotk-components.yaml",) and not path.name.endswith(".secret.yaml"):
            yield path


@functools.cache
def parsed() -> list[tuple[Path, Any]]:
    return [(path, o) for path in files() for o in yaml.load_all(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if o]


def documents() -> list[tuple[Path, dict[str, Any]]]:
    return [(path, o) for path, o in parsed() if isinstance(o, dict)]


def objects(kind: str) -> list[dict[str, Any]]:
    return [o for _, o in documents() if o.get("kind") == kind]


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a document, also in patches that are text."""
    if isinstance(value, dict):
        yield value
        for v in value.values():
            yield from walk(v)
    elif isinstance(value, list):
        for v in value:
            yield from walk(v)
    elif isinstance(value, str) and value.startswith("- op:"):
        yield from walk(yaml.safe_load(value))


def source(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def everything() -> list[dict[str, Any]]:
    return [m for _, o in parsed() for m in walk(o)]


def named(module: str, name: str) -> set[str]:
    """Fields of a class of python/inferd."""
    for node in ast.parse(source(f"python/inferd/{module}.py")).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return {s.target.id for s in node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name) and s.target.id != "model_config"}
    raise AssertionError(f"no class {name} in python/inferd/{module}.py")


def routes_of_the_server() -> set[str]:
    return set(re.findall(r'\.path = "(/[^"]*)"', source("engine/src/server/route.c")))


def routes_of_ray() -> set[str]:
    text = source("python/inferd/_asgi.py")
    return set(re.findall(r'(?m)^            "(/[a-z]*)": ', text)) | ({"/infer"} if '"/infer"' in text else set())


def metrics() -> set[str]:
    return set(re.findall(r"(?m)^\| `([a-z_]+)` \|", source("docs/metrics.md")))


class Server(unittest.TestCase):
    def setUp(self):
        (self.deployment,) = objects("Deployment")
        (self.container,) = self.deployment["spec"]["template"]["spec"]["containers"]
        self.env = {e["name"]: e["value"] for e in self.container["env"]}

    def test_variables_are_options(self):
        options = set(re.findall(r'(?:COUNT|BYTES|TIME)\("([a-z-]+)"|\.name = "([a-z-]+)"', source("engine/src/cli/serve_options.c")))
        known = {"INFERD_" + (a or b).replace("-", "_").upper() for a, b in options}
        self.assertGreater(len(known), 20)
        self.assertLessEqual(set(self.env), known)
        self.assertNotIn("INFERD_MAX_QUEUE_WAITS", known)

    def test_the_server_takes_the_values(self):
        binary = Path(os.environ.get("INFERD_BUILD", ROOT / "build")) / "inferd"
        if not binary.exists():
            self.skipTest(f"{binary} is not built")
        env = {k: v for k, v in os.environ.items() if not k.startswith("INFERD_")}
        run = lambda more: subprocess.run([str(binary), *self.container["args"], "--print-config"], env=env | more, capture_output=True, text=True, check=False)  # noqa: E731
        done = run(self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        for name, value in self.env.items():
            self.assertRegex(done.stdout, rf"(?m)^.*{re.escape(value.removesuffix('s').removesuffix('m'))}.*{name}", f"{name}={value}")
        self.assertEqual(run(self.env | {"INFERD_MAX_QUEUE_WAIT": "soon"}).returncode, 2)

    def test_probes_and_ports(self):
        (port,) = self.container["ports"]
        self.assertEqual(str(port["containerPort"]), self.env["INFERD_PORT"])
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            self.assertIn(self.container[probe]["httpGet"]["path"], routes_of_the_server())
            self.assertEqual(self.container[probe]["httpGet"]["port"], port["name"])

    def test_the_drain_fits_the_grace_period(self):
        seconds = {k: float(v.removesuffix("s")) for k, v in self.env.items() if k.startswith("INFERD_DRAIN")}
        self.assertEqual(len(seconds), 2)
        # an idle connection gets one second more
        self.assertGreaterEqual(self.deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], sum(seconds.values()) + 5)
        probe = self.container["readinessProbe"]
        self.assertGreater(seconds["INFERD_DRAIN_DELAY"], probe["periodSeconds"] * probe["failureThreshold"])

    def test_the_autoscaler_asks_for_a_metric_of_ours(self):
        (scaled,) = objects("ScaledObject")
        for trigger in scaled["spec"]["triggers"]:
            found = re.findall(r"\binferd_[a-z_]+", trigger["metadata"]["query"])
            self.assertTrue(found)
            self.assertLessEqual(set(found), metrics())
        self.assertEqual(scaled["spec"]["scaleTargetRef"]["name"], self.deployment["metadata"]["name"])


class Ray(unittest.TestCase):
    def setUp(self):
        (self.service,) = [o for o in objects("RayService") if "rayClusterConfig" in o["spec"]]
        self.cluster = self.service["spec"]["rayClusterConfig"]

    def groups(self) -> list[dict[str, Any]]:
        (gpu,) = [m["value"] for m in walk(list(yaml.safe_load_all(source("platform/apps/ray/components/gpu/group.yaml")))) if m.get("op") == "add"]
        return [*self.cluster["workerGroupSpecs"], gpu]

    def test_arguments_are_those_of_the_application(self):
        arguments, model = named("serve", "Arguments"), named("_served", "Source") | named("_served", "ModelConfig")
        for name in serveconfig.VARIANTS:
            c = serveconfig.config(source(serveconfig.SOURCE), name)
            (application,) = c["applications"]
            self.assertLessEqual(set(application["args"]), arguments, name)
            module, app = application["import_path"].split(":")
            self.assertIn(f"def {app}(", source(f"python/{module.replace('.', '/')}.py"))
            (deployment,) = application["deployments"]
            self.assertIn(f"class {deployment['name']}:", source("python/inferd/serve.py"))
            self.assertLessEqual(set(deployment["user_config"]), model)
        self.assertNotIn("max_concurrent_queries", arguments)

    def test_serve_configs_are_not_stale(self):
        self.assertEqual(serveconfig.drift(), [])

    def test_version_is_the_one_that_is_tested(self):
        self.assertEqual(self.cluster["rayVersion"], re.search(r"(?m)^ray==(\S+)$", source("python/requirements-ray.txt"))[1])

    def test_variables_are_those_of_the_local_ray(self):
        """make test-ray runs with the same names, so a name that Ray drops is noticed there."""
        local = set(re.findall(r'"(RAY_\w+)":', source("python/rayops/local.py")))
        for spec in [self.cluster["headGroupSpec"], *self.groups()]:
            env = {e["name"]: e.get("value") for e in spec["template"]["spec"]["containers"][0]["env"]}
            self.assertLessEqual({n for n in env if n.startswith("RAY_")}, local)
            # docs/ray.md: below graceful_shutdown_timeout_s, or the controller kills what still drains
            grace = int(re.search(r"graceful_shutdown_timeout_s=(\d+)", source("python/inferd/serve.py"))[1])
            self.assertLess(int(env["RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"]), grace)

    def test_groups_are_alike_but_for_what_they_run_on(self):
        cpu, gpu = self.groups()
        for key in ("env", "ports", "readinessProbe", "lifecycle", "securityContext", "volumeMounts"):
            self.assertEqual(cpu["template"]["spec"]["containers"][0][key], gpu["template"]["spec"]["containers"][0][key], key)
        self.assertEqual(cpu["template"]["spec"]["volumes"], gpu["template"]["spec"]["volumes"])

    def test_the_drain_is_there_and_has_its_options(self):
        for g in self.groups():
            command = g["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
            mounts = {m["mountPath"]: m["name"] for m in g["template"]["spec"]["containers"][0]["volumeMounts"]}
            script = Path(command[1])
            self.assertEqual(mounts[str(script.parent)], "drain")
            self.assertIn(f'"{command[2]}"', source(f"platform/apps/ray/base/{script.name}"))

    def test_priorities_of_the_pool(self):
        """Two clusters beside each other at an upgrade, the old one at its most: pods packed into the CPU pool of platform/infra."""
        nodes = int(re.search(r'"cpu_nodes" \{.*?max = optional\(number, (\d+)\)', source("platform/infra/variables-pools.tf"), re.S)[1])
        machine = re.search(r'"cpu_machine_type" \{.*?default\s+= "(\S+)"', source("platform/infra/variables-pools.tf"), re.S)[1]
        self.assertEqual(machine, "n2-standard-4")
        # allocatable of 4 vCPUs and 16 GiB on GKE, less what its own pods on every node ask for
        room = [(3920 - 450, 13.2 - 0.7)] * nodes
        head = self.cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
        scaler = self.cluster["autoscalerOptions"]["resources"]["requests"]
        heads = [(milli(head["cpu"]) + milli(scaler["cpu"]), gib(head["memory"]) + gib(scaler["memory"]))] * 2
        (group,) = self.cluster["workerGroupSpecs"]
        worker = group["template"]["spec"]["containers"][0]["resources"]["requests"]
        workers = [(milli(worker["cpu"]), gib(worker["memory"]))]
        rest = [(500, 1.5)] * 2 + [(250, 0.5)] * 6 + [(100, 0.3)] * 10  # Prometheus, Grafana; proxies, Envoy Gateway; controllers
        self.assertTrue(packs(heads + workers * (group["maxReplicas"] + group["minReplicas"]) + rest, room))
        self.assertFalse(packs(heads + workers * 4 * group["maxReplicas"] + rest, room), "the packing refuses nothing")


def milli(text: str) -> int:
    return int(text[:-1]) if str(text).endswith("m") else int(float(text) * 1000)


def gib(text: str) -> float:
    return float(text[:-2]) / (1024 if text.endswith("Mi") else 1)


def packs(pods: list[tuple[int, float]], nodes: list[tuple[int, float]]) -> bool:
    """First fit, the largest first."""
    free = list(nodes)
    for cpu, memory in sorted(pods, reverse=True):
        for i, (c, m) in enumerate(free):
            if cpu <= c and memory <= m:
                free[i] = (c - cpu, m - memory)
                break
        else:
            return False
    return True


class Tree(unittest.TestCase):
    def test_images_are_ours_at_this_version_or_of_a_version(self):
        version = re.search(r"project\(inferd VERSION (\S+)", source("engine/CMakeLists.txt"))[1]
        places = [i for m in everything() for i in (m.get("images") if isinstance(m.get("images"), list) and m.get("kind") in ("Kustomization", "Component") else [])]
        ours = {i["name"]: i for i in places if str(i.get("newName", "")).startswith("${IMAGE_REPOSITORY}")}
        self.assertEqual(set(ours), {"inferd", "inferd-ray"})
        for name, i in ours.items():
            self.assertEqual((i["newName"], i["newTag"]), (f"${{IMAGE_REPOSITORY}}/{name}", version))
        made = PLATFORM / "images"
        if made.exists():
            self.assertLessEqual(set(ours), {p.name for p in made.iterdir() if p.is_dir()})
        for m in everything():
            if isinstance(m.get("image"), str) and "name" in m:
                self.assertTrue(m["image"] in ours or re.search(r":[a-z-]*v?\d[\w.-]*(@sha256:[0-9a-f]{64})?$", m["image"]), m["image"])

    def test_routes_are_served_by_both(self):
        served = routes_of_the_server() & routes_of_ray()
        self.assertGreaterEqual(served, {"/infer", "/readyz", "/info"})
        for o in objects("HTTPRoute"):
            for rule in o["spec"]["rules"]:
                for match in rule.get("matches", []):
                    self.assertIn(match["path"]["value"], served)

    def test_backends_are_services_that_exist(self):
        (ray,) = [o for o in objects("RayService") if "rayClusterConfig" in o["spec"]]
        port = yaml.safe_load(source(serveconfig.SOURCE))["http_options"]["port"]
        there = {f"{ray['metadata']['name']}-serve-svc": port, **{o["metadata"]["name"]: p["port"] for o in objects("Service") for p in o["spec"]["ports"]}}
        seen = [b for o in objects("HTTPRoute") for r in o["spec"]["rules"] for b in r.get("backendRefs", [])]
        seen += [{"name": p["backend"]["service"]["name"], "port": p["backend"]["service"]["port"]["number"]}
                 for o in objects("Ingress") for r in o["spec"]["rules"] for p in r["http"]["paths"]]
        self.assertGreaterEqual(len(seen), 4)
        for b in seen:
            self.assertEqual(there.get(b["name"]), b["port"], b)
        for o in [*objects("HealthCheckPolicy"), *objects("GCPBackendPolicy")]:
            self.assertIn(o["spec"]["targetRef"]["name"], there)
        for o in objects("HealthCheckPolicy"):
            check = o["spec"]["default"]["config"]["httpHealthCheck"]
            self.assertEqual(check["port"], there[o["spec"]["targetRef"]["name"]])
            self.assertIn(check["requestPath"], routes_of_the_server() | {"/-/healthz"})

    def test_secrets_are_made_or_wanted(self):
        made = {o["spec"]["secretName"] for o in objects("Certificate")} | {o["spec"]["acme"]["privateKeySecretRef"]["name"] for o in objects("Issuer") if "acme" in o["spec"]}
        made |= {tls["secretName"] for o in objects("Ingress") if "cert-manager.io/issuer" in o["metadata"]["annotations"] for tls in o["spec"]["tls"]}
        made |= {"flux-system", "sops-age"}  # make flux-git-secret-ssh; docs/gitops.md
        wanted = {}
        for cluster in ("prod", "local"):
            (listed,) = yaml.safe_load_all(source(f"platform/clusters/{cluster}/secrets/wanted.yaml"))
            wanted[cluster] = {key.split(".", 1)[1] for key in listed["data"]}
        self.assertEqual(wanted["prod"], wanted["local"])
        named = set()
        for path, o in documents():
            if "monitoring" in path.parts:
                continue
            for m in walk(o):
                named |= {m["secretName"]} if isinstance(m.get("secretName"), str) else set()
                for key in ("secretRef", "secretKeyRef", "privateKeySecretRef"):
                    named |= {m[key]["name"]} if isinstance(m.get(key), dict) else set()
                for key in ("credentialRefs", "certificateRefs"):
                    named |= {r["name"] for r in m.get(key) or []}
                named |= {v for k, v in m.items() if isinstance(k, str) and k.endswith("auth-secret")}
        self.assertGreaterEqual(named, {"api-keys", "gateway-tls", "redis"})
        self.assertEqual(named - made - wanted["prod"], set())

    def test_names_within_the_tree(self):
        there = {kind: {o["metadata"]["name"] for o in objects(kind)} for kind in ("PriorityClass", "ServiceAccount", "Namespace", "ConfigMap", "Gateway", "EnvoyProxy", "Issuer")}
        there["ConfigMap"] |= {g["name"] for m in everything() for g in m.get("configMapGenerator", [])}
        for path, o in documents():
            for m in walk(o):
                for key, kind in (("priorityClassName", "PriorityClass"), ("serviceAccountName", "ServiceAccount")):
                    if isinstance(m.get(key), str) and "monitoring" not in path.parts:
                        self.assertIn(m[key], there[kind], path)
                if isinstance(m.get("configMap"), dict) and "name" in m["configMap"]:
                    self.assertIn(m["configMap"]["name"], there["ConfigMap"], path)
            namespace = o.get("metadata", {}).get("namespace")
            if namespace:
                self.assertIn(namespace, there["Namespace"] | {"flux-system"}, path)
        for o in objects("HTTPRoute"):
            for parent in o["spec"]["parentRefs"]:
                self.assertIn(parent["name"], there["Gateway"])

    def test_pools_are_terraforms(self):
        pool = source("platform/modules/node-pool/main.tf")
        self.assertIn("labels           = { pool = var.pool }", pool)
        pools = set(re.findall(r'pool\s+= "(\w+)"', source("platform/infra/pools.tf"))) if (PLATFORM / "infra/pools.tf").exists() else {"cpu", "gpu"}
        selectors = {m["nodeSelector"]["pool"] for m in everything() if isinstance(m.get("nodeSelector"), dict) and "pool" in m["nodeSelector"]}
        self.assertEqual(selectors, {"cpu", "gpu"})
        self.assertLessEqual(selectors, pools)
        taint = re.search(r'key    = "(\S+)"\s+value  = "(\S+)"\s+effect = "NO_SCHEDULE"', pool)
        tolerations = [t for m in everything() for t in m.get("tolerations") or []]
        self.assertTrue(tolerations)
        for t in tolerations:
            self.assertEqual((t["key"], t["value"], t["effect"]), (taint[1], taint[2], "NoSchedule"))

    def test_nothing_is_one_owners(self):
        """Repositories of upstream projects; everything of a fork comes from cluster-vars."""
        upstream = {"ray-project/kuberay", "kedacore/keda", "envoyproxy/gateway", "kubernetes-sigs/gateway-api", "prometheus-community", "grafana"}
        for path in files():
            for owner in re.findall(r"github\.com/([\w.-]+/[\w.-]+)", path.read_text(encoding="utf-8")):
                self.assertTrue(owner in upstream or owner.split("/")[0] in upstream, f"{path}: {owner}")
            self.assertNotRegex(path.read_text(encoding="utf-8"), r"projects/[a-z0-9-]+/locations|[a-z0-9-]+-docker\.pkg\.dev|iam\.gserviceaccount\.com", path)

    def test_flags_in_comments_are_options(self):
        options = set(re.findall(r'(?:COUNT|BYTES|TIME)\("([a-z-]+)"|\.name = "([a-z-]+)"', source("engine/src/cli/serve_options.c")))
        known = {a or b for a, b in options}
        for path in [p for p in files() if "ingress" in p.parts or "inferd" in p.parts]:
            for flag in re.findall(r"#.*?--([a-z][a-z-]+)", path.read_text(encoding="utf-8")):
                self.assertIn(flag, known, path)


if __name__ == "__main__":
    unittest.main()
