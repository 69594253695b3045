# SPDX-License-Identifier: Apache-2.0
"""Charts rendered by helm with our values, from the Go modules of the pinned versions: their objects are valid, their pods keep
Pod Security's `restricted`, which our namespaces enforce, and what we set is there.
"""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any

import yaml

import builds
import fluxcomponents
from builds import by_kind, objects
from test_manifests import LOCK, kubeconform, restricted


def render(release: dict[str, Any], chart: Path, version: str, placeholders: dict[str, str]) -> list[dict[str, Any]]:
    """`helm template` of a HelmRelease. A chart in its repository lacks what its release process fills in: its version, and
    placeholders in values.tmpl.yaml."""
    with tempfile.TemporaryDirectory() as scratch:
        tree, values = Path(scratch) / "chart", Path(scratch) / "values.yaml"
        shutil.copytree(chart, tree)
        for path in [tree, *tree.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        template = tree / "values.tmpl.yaml"
        if template.exists():
            text = template.read_text(encoding="utf-8")
            for name, value in placeholders.items():
                text = text.replace(f"${{{name}}}", value)
            if "${" in text:
                raise AssertionError(f"{chart}: a placeholder that is not known: {re.findall(r'[$]{.*?}', text)}")
            (tree / "values.yaml").write_text(text, encoding="utf-8")
        meta = re.sub(r"(?m)^(version|appVersion): .*$", rf"\1: {version}", (tree / "Chart.yaml").read_text(encoding="utf-8"))
        (tree / "Chart.yaml").write_text(meta, encoding="utf-8")
        values.write_text(yaml.safe_dump(release["spec"].get("values", {})), encoding="utf-8")
        done = subprocess.run([fluxcomponents.tool("helm"), "template", release["spec"]["releaseName"], str(tree), "--namespace", release["metadata"]["namespace"],
                               "--values", str(values), "--kube-version", LOCK["kubernetes-1.34"].lstrip("v")], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return [o for o in yaml.load_all(done.stdout, Loader=builds.LOADER) if o]


def pods(found: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(f"{o['kind']} {o['metadata']['name']}", o["spec"]["template"]["spec"]) for o in found if o["kind"] in ("Deployment", "Job", "DaemonSet", "StatefulSet")]


class Charts(unittest.TestCase):
    def judge(self, name: str, found: list[dict[str, Any]], version: str):
        for o in found:  # Go's way to write no time; the API server reads it so
            self.assertIsNone(o["metadata"].pop("creationTimestamp", None))
        self.assertEqual(kubeconform({name: [o for o in found if o["kind"] != "CustomResourceDefinition"]}), [])
        self.assertTrue(pods(found))
        for what, spec in pods(found):
            self.assertEqual(restricted(spec), [], f"{name}: {what}")
            for c in spec["containers"]:
                self.assertRegex(c["image"], rf":{re.escape(version)}$", f"{name}: {what}")

    def test_envoy_gateway(self):
        release = by_kind(objects("apps/ingress/envoy"), "HelmRelease")["envoy-gateway"]
        chart = fluxcomponents.modules("envoy-gateway")["envoy-gateway"] / "charts/gateway-helm"
        version = LOCK["envoy-gateway"]
        known = {"GatewayImage": f"docker.io/envoyproxy/gateway:{version}", "GatewayImagePullPolicy": "IfNotPresent"}
        found = render(release, chart, version, known)
        self.judge("envoy-gateway", found, version)
        self.assertEqual(by_kind(found, "CustomResourceDefinition"), {}, "the types come from crds.yaml, and GKE")
        gateway = by_kind(found, "Deployment")["envoy-gateway"]
        self.assertEqual((gateway["spec"]["replicas"], gateway["spec"]["template"]["spec"]["priorityClassName"]), (2, "serving"))
        self.assertEqual(by_kind(found, "PodDisruptionBudget")["envoy-gateway"]["spec"]["minAvailable"], 1)
        labels = gateway["spec"]["template"]["metadata"]["labels"]
        policy = by_kind(objects("apps/ingress/envoy"), "NetworkPolicy")["control-plane"]["spec"]["podSelector"]["matchLabels"]
        self.assertLessEqual(policy.items(), labels.items(), "the network policy selects the control plane's pods")
        config = yaml.safe_load(by_kind(found, "ConfigMap")["envoy-gateway-config"]["data"]["envoy-gateway.yaml"])
        self.assertEqual(config["gateway"]["controllerName"], by_kind(objects("apps/ingress/envoy"), "GatewayClass")["envoy"]["spec"]["controllerName"])

    def test_cert_manager(self):
        release = by_kind(objects("apps/ingress/cert-manager"), "HelmRelease")["cert-manager"]
        chart = fluxcomponents.modules("cert-manager")["cert-manager"] / "deploy/charts/cert-manager"
        found = render(release, chart, LOCK["cert-manager"], {})
        self.judge("cert-manager", found, LOCK["cert-manager"])

    def test_a_chart_that_runs_as_root_is_noticed(self):
        release = copy.deepcopy(by_kind(objects("apps/ingress/cert-manager"), "HelmRelease")["cert-manager"])
        release["spec"]["values"]["securityContext"] = {"runAsNonRoot": False}
        chart = fluxcomponents.modules("cert-manager")["cert-manager"] / "deploy/charts/cert-manager"
        self.assertTrue(any(restricted(spec) for _, spec in pods(render(release, chart, LOCK["cert-manager"], {}))))


if __name__ == "__main__":
    unittest.main()
