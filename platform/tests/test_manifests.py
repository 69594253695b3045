# SPDX-License-Identifier: Apache-2.0
"""The trees that Flux applies: every build with kustomize, its objects against the schemas of the pinned versions, and what
stages make of upstream's folders. Twins that break one thing must be refused.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any

import yaml

import builds
from builds import PLATFORM, VALUES, by_kind, objects
from door import ROOT

import fluxcomponents
import gitops
import schemas
import serveconfig

LOCK = {line.split()[0]: line.split()[2] for line in (PLATFORM / "modules.lock").read_text().splitlines() if line and not line.startswith("#")}
SETTINGS = {c: yaml.safe_load_all((PLATFORM / f"clusters/{c}/settings.yaml").read_text()) for c in ("prod", "local")}
SETTINGS = {c: {o["metadata"]["name"]: o["data"] for o in docs} for c, docs in SETTINGS.items()}


def kubeconform(documents: dict[str, list[dict[str, Any]]], minor: str = "1.34") -> list[tuple[str, str, str]]:
    """(build, object, what is wrong) of every object that its schema refuses, or that has none."""
    location = f"{schemas.prepare()}/{minor}/{{{{.ResourceKind}}}}_{{{{.Group}}}}_{{{{.ResourceAPIVersion}}}}.json"
    with tempfile.TemporaryDirectory() as scratch:
        for name, found in documents.items():
            (Path(scratch) / f"{name.replace('/', '__')}.yaml").write_text(yaml.safe_dump_all(found), encoding="utf-8")
        done = subprocess.run([fluxcomponents.tool("kubeconform"), "-strict", "-output", "json", "-verbose", "-schema-location", location, scratch],
                              capture_output=True, text=True, check=False)
        resources = json.loads(done.stdout)["resources"]
    seen = [r for r in resources if r["status"] != "statusValid"]
    if len(resources) != sum(map(len, documents.values())):
        raise AssertionError(f"kubeconform saw {len(resources)} of {sum(map(len, documents.values()))} objects: {done.stderr}")
    return [(Path(r["filename"]).stem.replace("__", "/"), f"{r['kind']} {r['name']}", r["msg"]) for r in seen]


class Build(unittest.TestCase):
    def test_every_folder_builds_and_every_component_is_used(self):
        self.assertGreater(len(builds.folders()), 30)
        for folder in builds.folders():
            self.assertTrue(objects(folder), folder)
        used = set()
        for path in PLATFORM.rglob("kustomization.yaml"):
            for line in re.findall(r"(?m)^\s*(?:# )?- (\.\./\S+)", path.read_text(encoding="utf-8")):
                used.add((path.parent / line).resolve())
        for stage in builds.switched("clusters/prod/stages", "c-server+server-keys", {**VALUES, "BACKEND": "inferd"}):
            used |= {(PLATFORM / stage["spec"]["path"].removeprefix("./platform/") / c).resolve() for c in stage["spec"].get("components", [])}
        for component in builds.components():
            self.assertIn((PLATFORM / component).resolve(), used, f"{component} is part of nothing")

    def test_variables_are_those_that_somebody_sets(self):
        env = {k: VALUES[k] for k in ("PROJECT_ID", "REGION", "ZONE", "CLUSTER", "GITHUB_OWNER", "GITHUB_REPO")} | {
            "GITHUB_BRANCH": "main", "KMS_KEY_RING": "ring", "KMS_CRYPTO_KEY": "sops"}
        outputs = {"gsa_email": VALUES["GSA_EMAIL"], "image_repository": VALUES["IMAGE_REPOSITORY"], "gpu_quota": 1, "rollout": "in-place"}
        made = gitops.cluster_vars(env, outputs)
        self.assertEqual({**made, **SETTINGS["prod"]["cluster-settings"]}, VALUES)
        self.assertEqual(set(SETTINGS["local"]["cluster-settings"]), set(SETTINGS["prod"]["cluster-settings"]))
        local = {**SETTINGS["local"]["cluster-vars"], **SETTINGS["local"]["cluster-settings"]}
        for folder in self.reached("clusters/local/stages", local):
            if (PLATFORM / folder).exists():
                objects(folder, local)  # raises Missing
        with self.assertRaises(builds.Missing):
            builds.substitute("${NOBODY}", VALUES)

    def test_the_root_needs_no_values_but_for_its_own_repository(self):
        """What flux bootstrap writes has no substitution: everything at the root must be literal but gotk-sync, which it rewrites."""
        for cluster in ("prod", "local"):
            for o in objects(f"clusters/{cluster}", {"GIT_URL": "${GIT_URL}", "GIT_BRANCH": "${GIT_BRANCH}"}):
                if o["kind"] == "GitRepository":
                    self.assertEqual((o["spec"]["url"], o["spec"]["ref"]["branch"]), ("${GIT_URL}", "${GIT_BRANCH}"))
                else:
                    self.assertNotIn("${", json.dumps(o), o["metadata"]["name"])

    @staticmethod
    def reached(stages: str, values: dict[str, str]) -> list[str]:
        return [o["spec"]["path"].removeprefix("./platform/") for o in objects(stages, values) if o["kind"] == "Kustomization"]

    def test_each_stage_has_its_folder_whatever_is_chosen(self):
        for cluster in ("prod", "local"):
            folder = by_kind(objects(f"clusters/{cluster}"), "Kustomization")["cluster"]["spec"]["path"].removeprefix("./platform/")
            self.assertEqual(folder, f"clusters/{cluster}/stages")
        for device, rollout, access, backend in itertools.product(("cpu", "gpu"), ("new-cluster", "in-place"), ("key", "open"), ("ray", "inferd")):
            chosen = {**VALUES, "DEVICE": device, "ROLLOUT": rollout, "ACCESS": access, "BACKEND": backend}
            for path in self.reached("clusters/prod/stages", chosen):
                self.assertIn(path, [*builds.folders(), "apps/monitoring", "apps/monitoring/config"], f"{device} {rollout} {access} {backend}")
        self.assertNotIn("apps/ray/overlays/gpu-none", builds.folders())

    def test_switches_of_a_cluster(self):
        """The components that stages/kustomization.yaml offers build on prod, and do what they say."""
        for component, check in (("c-server+server-keys", lambda s: s["inferd"]["spec"]["components"] and s["monitoring-config"]["spec"]["components"]),
                                 ("c-server", lambda s: {"keda", "inferd"} <= set(s)),
                                 ("gke-gateway", lambda s: s["routes"]["spec"]["path"].endswith("/gke/ray") and not {"gateway", "envoy-gateway"} & set(s)),
                                 ("nginx", lambda s: s["routes"]["spec"]["path"].endswith("/nginx/ray") and "ingress-nginx" in s and not {"gateway", "envoy-gateway"} & set(s)),
                                 ("incremental", lambda s: s["ray"]["spec"]["path"].endswith("gpu-incremental") and s["kuberay"]["spec"]["path"].endswith("incremental"))):
            found = {o["metadata"]["name"]: o for o in builds.switched("clusters/prod/stages", component)}
            self.assertEqual({d["name"] for o in found.values() for d in o["spec"].get("dependsOn", [])} - set(found), set(), component)
            self.assertLessEqual({o["spec"]["path"].removeprefix("./platform/") for o in found.values()}, {*builds.folders(), "apps/monitoring", "apps/monitoring/config"}, component)
            self.assertTrue(check(found), component)
            for o in found.values():
                self.assertEqual(o["spec"]["decryption"], {"provider": "sops"}, o["metadata"]["name"])
                self.assertEqual([s["name"] for s in o["spec"]["postBuild"]["substituteFrom"]], ["cluster-vars", "cluster-settings"])

    def test_keys_of_the_server_come_with_their_bearers(self):
        """server-keys: the server asks for keys; Prometheus has one, and the Gateway sends one. Without the component nobody has."""
        values = {**VALUES, "BACKEND": "inferd"}
        stages = by_kind(builds.switched("clusters/prod/stages", "c-server+server-keys", values), "Kustomization")
        made = {name: builds.with_components(stages[name], values) for name in ("inferd", "monitoring-config", "routes")}
        pod = by_kind(made["inferd"], "Deployment")["inferd"]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        (mount,), (volume,) = container["volumeMounts"], pod["volumes"]
        self.assertEqual((mount["name"], volume["secret"]["secretName"]), (volume["name"], "server-keys"))
        self.assertEqual({e["name"]: e["value"] for e in container["env"]}["INFERD_API_KEY_FILE"], mount["mountPath"] + "/keys")
        (endpoint,) = by_kind(made["monitoring-config"], "PodMonitor")["inferd"]["spec"]["podMetricsEndpoints"]
        self.assertEqual(endpoint["authorization"], {"type": "Bearer", "credentials": {"name": "server-key-metrics", "key": "key"}})
        asked = {name for name, o in by_kind(made["monitoring-config"], "PodMonitor").items() if "authorization" in o["spec"]["podMetricsEndpoints"][0]}
        self.assertEqual(asked, {"inferd"}, "no other target gets the key")
        route, injection = by_kind(made["routes"], "HTTPRoute")["inferd"], by_kind(made["routes"], "HTTPRouteFilter")["server-key"]
        for rule in route["spec"]["rules"]:
            self.assertEqual([f["extensionRef"]["name"] for f in rule["filters"]], ["server-key"])
        self.assertEqual(injection["metadata"]["namespace"], route["metadata"]["namespace"])
        self.assertTrue(injection["spec"]["credentialInjection"]["overwrite"])
        named = {"inferd.server-keys", "inferd." + injection["spec"]["credentialInjection"]["credential"]["valueRef"]["name"], "monitoring.server-key-metrics"}
        for cluster in ("prod", "local"):
            self.assertLessEqual(named, set(by_kind(objects(f"clusters/{cluster}/secrets"), "ConfigMap")["secrets-wanted"]["data"]))
        found = {f"{name} with keys": o for name, o in made.items()}
        for minor in schemas.KUBERNETES:
            self.assertEqual(kubeconform(found, minor), [], minor)
        ray = by_kind(builds.switched("clusters/prod/stages", "c-server+server-keys"), "Kustomization")["routes"]
        self.assertNotIn("HTTPRouteFilter", {o["kind"] for o in builds.with_components(ray)}, "Ray Serve asks for no key")
        plain = by_kind(builds.switched("clusters/prod/stages", "c-server", values), "Kustomization")
        self.assertFalse([name for name, s in plain.items() if "components" in s["spec"]])
        self.assertNotIn("INFERD_API_KEY_FILE", str(objects("apps/inferd/overlays/prod")))
        self.assertNotIn("authorization", str(by_kind(objects("apps/monitoring/config"), "PodMonitor")))

    def test_flux_up_finds_both_kinds_of_objects(self):
        """make flux-apply sends Kubernetes' objects first, then Flux's own, with the fork's URL and branch in them."""
        rendered = builds.substitute(builds.text("clusters/prod/flux-system"), {"GIT_URL": VALUES["GIT_URL"], "GIT_BRANCH": "main"})
        documents = [d for d in re.split(r"^---\s*$", rendered, flags=re.M) if d.strip()]
        fluxes = [yaml.safe_load(d) for d in documents if gitops.FLUX_OBJECT.search(d)]
        self.assertEqual({o["kind"]: o["metadata"]["name"] for o in fluxes}, {"GitRepository": "flux-system", "Kustomization": "flux-system"})
        repository = by_kind(fluxes, "GitRepository")["flux-system"]["spec"]
        self.assertEqual((repository["url"], repository["ref"], repository["secretRef"]), (VALUES["GIT_URL"], {"branch": "main"}, {"name": "flux-system"}))
        self.assertEqual(by_kind(fluxes, "Kustomization")["flux-system"]["spec"]["path"], f"./{gitops.CLUSTER_DIR}")
        self.assertGreater(len(documents), 30)

    def test_serve_config_is_the_one_file(self):
        self.assertEqual(serveconfig.drift(), [])
        source = (ROOT / serveconfig.SOURCE).read_text(encoding="utf-8")
        for overlay, variant in (("cpu-new-cluster", "cpu"), ("gpu-new-cluster", "gpu"), ("gpu-in-place", "gpu-shared"), ("local", "local")):
            service = by_kind(objects(f"apps/ray/overlays/{overlay}"), "RayService")["inferd"]
            self.assertEqual(yaml.safe_load(service["spec"]["serveConfigV2"]), serveconfig.config(source, variant), overlay)

    def test_serve_config_drift_is_noticed(self):
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch)
            (root / "python/inferd").mkdir(parents=True)
            source = (ROOT / serveconfig.SOURCE).read_text(encoding="utf-8")
            (root / serveconfig.SOURCE).write_text(source, encoding="utf-8")
            self.assertEqual(len(serveconfig.drift(root)), 2 * len(serveconfig.VARIANTS))
            for name, text in serveconfig.files(source.replace("num_cpus: 1", "num_cpus: 2")).items():
                path = root / serveconfig.INTO / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            self.assertEqual(len(serveconfig.drift(root)), len(serveconfig.VARIANTS))
            (root / serveconfig.INTO / "old/x.yaml").parent.mkdir()
            (root / serveconfig.INTO / "old/x.yaml").write_text("", encoding="utf-8")
            self.assertIn("nothing writes it", "\n".join(serveconfig.drift(root)))

    def test_flux_is_what_its_modules_give(self):
        committed = (ROOT / fluxcomponents.TARGET).read_text(encoding="utf-8")
        self.assertFalse(fluxcomponents.stale(committed))
        self.assertFalse(fluxcomponents.stale(re.sub(r"(image: \S+)", r"\1@sha256:" + "0" * 64, committed)))
        self.assertTrue(fluxcomponents.stale(committed.replace("v1.9.5", "v1.9.4", 1)))


class Schemas(unittest.TestCase):
    def test_every_object_is_valid_on_three_minors(self):
        found = {folder: objects(folder) for folder in builds.folders()}
        found["gcs-fault-tolerance"] = builds.switched("apps/ray/overlays/cpu-new-cluster", "gcs-fault-tolerance")
        self.assertIn("StatefulSet", {o["kind"] for o in found["gcs-fault-tolerance"]})
        for minor in schemas.KUBERNETES:
            self.assertEqual(kubeconform(found, minor), [], minor)
        count = sum(map(len, found.values()))
        print(f"schemas: {count} objects of {len(found)} builds, on Kubernetes {', '.join(schemas.KUBERNETES)}")

    def test_twins_are_refused(self):
        """One thing wrong in each; the message must name it."""
        ray = by_kind(objects("apps/ray/overlays/gpu-in-place"), "RayService")["inferd"]
        stage = by_kind(objects("clusters/prod/stages"), "Kustomization")["ray"]
        server = by_kind(objects("apps/inferd/overlays/prod"), "Deployment")["inferd"]
        scaled = by_kind(objects("apps/inferd/overlays/prod"), "ScaledObject")["inferd"]
        gateway = objects("apps/ingress/gateway/key")
        release = by_kind(objects("apps/ingress/envoy"), "HelmRelease")["envoy-gateway"]
        health = by_kind(objects("apps/ingress/gke/ray"), "HealthCheckPolicy")["ray"]
        group = ray["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
        self.assertIn("minReplicas", group)
        twins: list[tuple[dict[str, Any], str, Any]] = [
            (ray, "minreplicas", lambda o: o["spec"]["rayClusterConfig"]["workerGroupSpecs"][0].update(minreplicas=1)),
            (ray, "rayClusterSpec", lambda o: o["spec"].update(rayClusterSpec=o["spec"].pop("rayClusterConfig"))),
            (ray, "readinesProbe", lambda o: o["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"][0].update(readinesProbe={})),
            (ray, "upscalingMode", lambda o: o["spec"]["rayClusterConfig"]["autoscalerOptions"].update(upscalingMode="Never")),
            (ray, "lables", lambda o: o["metadata"].update(lables={})),
            (stage, "healthCheckExpr", lambda o: o["spec"].update(healthCheckExpr=o["spec"].pop("healthCheckExprs"))),
            (stage, "current", lambda o: o["spec"]["healthCheckExprs"][0].pop("current")),
            (stage, "prune", lambda o: o["spec"].pop("prune")),
            (server, "maxSurgee", lambda o: o["spec"]["strategy"]["rollingUpdate"].update(maxSurgee=1)),
            (server, "containerPort", lambda o: o["spec"]["template"]["spec"]["containers"][0]["ports"][0].update(containerPort="8080")),
            (scaled, "minReplicas", lambda o: o["spec"].update(minReplicas=1)),
            (by_kind(gateway, "Gateway")["inferd"], "certificateRef", lambda o: o["spec"]["listeners"][0]["tls"].update(certificateRef=[])),
            (by_kind(gateway, "SecurityPolicy")["api-key"], "apiKey", lambda o: o["spec"].update(apiKey={})),
            (by_kind(gateway, "BackendTrafficPolicy")["inferd"], "limit/unit", lambda o: o["spec"]["rateLimit"]["local"]["rules"][0]["limit"].update(unit="Secnd")),
            (by_kind(gateway, "Certificate")["gateway"], "dnsName", lambda o: o["spec"].update(dnsName="x")),
            (release, "install/crds", lambda o: o["spec"]["install"].update(crds="Replace")),
            (release, "v2beta1", lambda o: o.update(apiVersion="helm.toolkit.fluxcd.io/v2beta1")),
            (health, "requestpath", lambda o: o["spec"]["default"]["config"]["httpHealthCheck"].update(requestpath="/")),
            (health, "config/type", lambda o: o["spec"]["default"]["config"].update(type="HTTPP")),
        ]
        documents = {}
        for number, (right, _, breaks) in enumerate(twins):
            twin = copy.deepcopy(right)
            breaks(twin)
            documents[f"twin-{number:02}"] = [twin]
        said = {name: f"{what}: {why}" for name, what, why in kubeconform(documents)}
        for number, (_, word, _) in enumerate(twins):
            line = said.get(f"twin-{number:02}", "")
            self.assertTrue(line, f"twin {number} ({word}) passed")
            if word != "v2beta1":  # no schema at all: the version is not served
                self.assertIn(word, line)
        print(f"schemas: {len(twins)} twins refused")


class Upstream(unittest.TestCase):
    """What the child Kustomizations make of folders of others, here from the Go modules of the same versions."""

    @classmethod
    def setUpClass(cls):
        cls.dirs = fluxcomponents.modules("kuberay", "keda", "envoy-gateway", "gateway-api")

    def made(self, build: str, name: str, module: str, strip: str = "") -> list[dict[str, Any]]:
        kustomization = copy.deepcopy(by_kind(objects(build), "Kustomization")[name])
        kustomization["spec"]["path"] = kustomization["spec"]["path"].replace(strip, "")
        return builds.upstream(kustomization, self.dirs[module])

    def test_kuberay(self):
        for build, gated in (("apps/kuberay/operator", False), ("apps/kuberay/incremental", True)):
            found = self.made(build, "kuberay-operator", "kuberay", "/ray-operator")
            self.assertEqual(kubeconform({"kuberay": [o for o in found if o["kind"] != "CustomResourceDefinition"]}), [])
            operator = by_kind(found, "Deployment")["kuberay-operator"]
            container = operator["spec"]["template"]["spec"]["containers"][0]
            self.assertEqual(container["image"], f"quay.io/kuberay/operator:{LOCK['kuberay']}")
            self.assertEqual("--feature-gates=RayServiceIncrementalUpgrade=true" in container["args"], gated)
            main = (self.dirs["kuberay"] / "main.go").read_text(encoding="utf-8")
            for arg in container["args"]:
                self.assertIn(f'"{arg.removeprefix("--").split("=")[0]}"', main, arg)
            self.assertEqual({o["metadata"].get("namespace", "kuberay-system") for o in found}, {"kuberay-system"})
            for binding in (o for o in found if o["kind"].endswith("RoleBinding")):
                self.assertEqual({s["namespace"] for s in binding["subjects"]}, {"kuberay-system"}, binding["metadata"]["name"])
            self.assertEqual(restricted(operator["spec"]["template"]["spec"]), [])
            crds = by_kind(found, "CustomResourceDefinition")
            self.assertIn("rayservices.ray.io", crds)
            for crd in crds.values():
                self.assertEqual(crd["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/prune"], "disabled")

    def test_keda(self):
        found = self.made("apps/keda", "keda-operator", "keda")
        self.assertEqual(kubeconform({"keda": [o for o in found if o["kind"] != "CustomResourceDefinition"]}), [])
        self.assertEqual(by_kind(found, "Namespace"), {}, "the namespace is apps/policies'")
        for name, o in by_kind(found, "Deployment").items():
            for c in o["spec"]["template"]["spec"]["containers"]:
                self.assertRegex(c["image"], rf":{re.escape(LOCK['keda'].lstrip('v'))}$")
                self.assertEqual(c["imagePullPolicy"], "IfNotPresent")
            self.assertEqual(restricted(o["spec"]["template"]["spec"]), [], name)
        self.assertEqual(len(by_kind(found, "Deployment")), 3)

    def test_gateway_types(self):
        envoy = by_kind(self.made("apps/ingress/envoy", "envoy-gateway-crds", "envoy-gateway"), "CustomResourceDefinition")
        self.assertIn("securitypolicies.gateway.envoyproxy.io", envoy)
        self.assertFalse([name for name in envoy if name.endswith("gateway.networking.k8s.io")], "Gateway API's types are not Envoy Gateway's to bring")
        api = by_kind(self.made("apps/ingress/gateway-api", "gateway-api-crds", "gateway-api"), "CustomResourceDefinition")
        self.assertIn("httproutes.gateway.networking.k8s.io", api)

    def test_names_are_those_of_the_upstream_code(self):
        """Ports, paths, labels, conditions and options of others that our manifests name, in their source at the pinned version."""
        kuberay, keda, envoy = (self.dirs[m] for m in ("kuberay", "keda", "envoy-gateway"))
        constants = (kuberay / "controllers/ray/utils/constant.go").read_text(encoding="utf-8")
        service = by_kind(objects("apps/ray/overlays/gpu-in-place"), "RayService")["inferd"]
        ports = {p["name"]: p["containerPort"] for p in service["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"][0]["ports"]}
        for name, constant, label in (("serve", "DefaultServingPort", "ServingPortName"), ("dashboard", "DefaultDashboardPort", "DashboardPortName"),
                                      ("metrics", "DefaultMetricsPort", "MetricsPortName"), ("gcs-server", "DefaultGcsServerPort", "GcsServerPortName"),
                                      ("client", "DefaultClientPort", "ClientPortName")):
            self.assertTrue(re.search(rf'{constant}\s+= {ports[name]}\b', constants), constant)
            self.assertTrue(re.search(rf'{label}\s+= "{name}"', constants), label)
        for g in service["spec"]["rayClusterConfig"]["workerGroupSpecs"]:
            path = g["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"]
            self.assertTrue(re.search(rf'RayServeProxyHealthPath\s+= "{path[1:]}"', constants), path)
        for label in ("ray.io/cluster", "ray.io/node-type", "ray.io/serve", "ray.io/originated-from-cr-name"):
            self.assertTrue(f'"{label}"' in constants, label)
        util = (kuberay / "controllers/ray/utils/util.go").read_text(encoding="utf-8")
        self.assertTrue(re.search(r'ServeName\s+= "serve"', util) and 'Sprintf("%s-%s-%s", serviceName, ServeName, "svc")' in util, "<name>-serve-svc")
        self.assertTrue(re.search(r'RAY_ADDRESS\s+= "RAY_ADDRESS"', constants), "which drain.py reads")
        types = (kuberay / "apis/ray/v1/rayservice_types.go").read_text(encoding="utf-8")
        stage = by_kind(objects("clusters/prod/stages"), "Kustomization")["ray"]["spec"]["healthCheckExprs"][0]
        words = re.findall(r"'([A-Z][A-Za-z]+)'", stage["current"] + stage["failed"])
        self.assertGreaterEqual(set(words) - {"True", "False"}, {"Ready", "UpgradeInProgress", "InitializingTimeout", "ValidationFailed"})
        for word in set(words) - {"True", "False"}:
            self.assertTrue(f'= "{word}"' in types, word)
        scaler = (keda / "pkg/scalers/prometheus_scaler.go").read_text(encoding="utf-8")
        for trigger in by_kind(objects("apps/inferd/overlays/prod"), "ScaledObject")["inferd"]["spec"]["triggers"]:
            for key in trigger["metadata"]:
                self.assertTrue(f'keda:"name={key},' in scaler, key)
        code = "".join(p.read_text(encoding="utf-8") for p in [*(envoy / "internal/infrastructure/kubernetes/proxy").glob("*.go"),
                                                              *(envoy / "internal/gatewayapi").glob("*.go"), *(envoy / "internal/xds/bootstrap").glob("*.go")])
        self.assertTrue('"app.kubernetes.io/managed-by": "envoy-gateway"' in code)
        self.assertTrue(re.search(r"wellKnownPortShift\s+= 10000", code), "listeners 443 and 80 are 10443 and 10080 in the pod")
        self.assertTrue(re.search(r"EnvoyStatsPort = 19001\b", code), "where the proxies' metrics are")

    def test_a_pod_that_is_not_restricted_is_noticed(self):
        spec = {"containers": [{"name": "c", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}],
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}}
        self.assertEqual(restricted(spec), [])
        for path, value in (("hostNetwork", True), ("volumes", [{"name": "v", "hostPath": {"path": "/"}}])):
            self.assertTrue(restricted({**spec, path: value}))
        for key in ("allowPrivilegeEscalation", "capabilities"):
            twin = copy.deepcopy(spec)
            del twin["containers"][0]["securityContext"][key]
            self.assertTrue(restricted(twin), key)
        for key in ("runAsNonRoot", "seccompProfile"):
            twin = copy.deepcopy(spec)
            del twin["securityContext"][key]
            self.assertTrue(restricted(twin), key)

    def test_versions_are_those_of_the_lock(self):
        sources = {o["metadata"]["name"]: o["spec"] for f in builds.applied() for o in objects(f) if o["kind"] in ("GitRepository", "OCIRepository")}
        self.assertIn(f"{sources['kuberay']['ref']['commit']} # ray-operator/{LOCK['kuberay']}", (PLATFORM / "apps/kuberay/operator/operator.yaml").read_text())
        for name in ("keda", "gateway-api", "cert-manager"):
            self.assertEqual(sources[name]["ref"]["tag"], LOCK[name], name)
        tags = {o["spec"]["ref"]["tag"] for o in objects("apps/ingress/envoy") if "ref" in o.get("spec", {})}
        self.assertEqual(tags, {LOCK["envoy-gateway"]})

    def test_values_are_ones_that_the_charts_have(self):
        dirs = fluxcomponents.modules("envoy-gateway", "cert-manager")
        for build, name, chart in (("apps/ingress/envoy", "envoy-gateway", dirs["envoy-gateway"] / "charts/gateway-helm/values.tmpl.yaml"),
                                   ("apps/ingress/cert-manager", "cert-manager", dirs["cert-manager"] / "deploy/charts/cert-manager/values.yaml")):
            default = yaml.load(chart.read_text(encoding="utf-8"), Loader=builds.LOADER)
            ours = by_kind(objects(build), "HelmRelease")[name]["spec"]["values"]
            self.assertEqual(unknown(ours, default), [], build)
        self.assertEqual(unknown({"crds": {"enable": True}}, {"crds": {"enabled": True}}), ["crds.enable"])


def unknown(ours: dict[str, Any], default: dict[str, Any], path: str = "") -> list[str]:
    """Keys that a chart's default values do not have. An empty default takes what it is given."""
    found = []
    for key, value in ours.items():
        if key not in default:
            found.append(path + key)
        elif isinstance(value, dict) and isinstance(default[key], dict) and default[key]:
            found += unknown(value, default[key], f"{path}{key}.")
    return found


def restricted(spec: dict[str, Any]) -> list[str]:
    """What the Pod Security level `restricted` would refuse; the real one is asked by the tests with an API server."""
    pod = spec.get("securityContext", {})
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    found += [f"volume {v['name']}" for v in spec.get("volumes", []) if "hostPath" in v]
    for c in spec.get("initContainers", []) + spec["containers"]:
        s = c.get("securityContext", {})
        if not s.get("runAsNonRoot", pod.get("runAsNonRoot")):
            found.append(f"{c['name']}: runAsNonRoot")
        if s.get("seccompProfile", pod.get("seccompProfile", {})).get("type") not in ("RuntimeDefault", "Localhost"):
            found.append(f"{c['name']}: seccompProfile")
        if s.get("allowPrivilegeEscalation") is not False:
            found.append(f"{c['name']}: allowPrivilegeEscalation")
        if "ALL" not in s.get("capabilities", {}).get("drop", []):
            found.append(f"{c['name']}: capabilities")
    return found


if __name__ == "__main__":
    unittest.main()
