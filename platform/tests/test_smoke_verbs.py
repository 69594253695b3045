# SPDX-License-Identifier: Apache-2.0
"""make k6-config, smoke-external, smoke-internal, image-push, with stand-ins of kubectl, k6, gcloud and crane: what they ask, what they
write, and what they do when an answer is missing, half or bad."""

from __future__ import annotations

import hashlib
import json
import sys
import unittest
from pathlib import Path

import yaml
from door import HERE, ROOT, Door

sys.path.insert(0, str(ROOT / "scripts/platform"))
import smoke  # noqa: E402

SUMMARY = {"metrics": {"http_reqs": {"values": {"count": 3}}}}
LOG = f"requests 3\n{smoke.BEGIN}\n{json.dumps(SUMMARY)}\n{smoke.END}\nlast line\n"


def job(condition: str) -> dict:
    return {"match": "get job k6-smoke", "stdout": json.dumps({"status": {"conditions": [{"type": condition, "status": "True"}]}})}


class Smoke(Door):
    def setUp(self):
        super().setUp()
        self.write("k6/smoke.js", "import { a } from './infer.js';\n\nexport { b } from './infer.js';\nimport http from 'k6/http';\nconst t = open('./texts.txt');\n")
        self.write("k6/infer.js", "export const a = 1;\n")
        self.write("k6/texts.txt", "one\n  two # not a comment\n")
        self.write("k6/soak.js", "not part of it\n")
        self.write("k6/k6-job.yaml", (ROOT / "k6/k6-job.yaml").read_text())

    def result(self, name: str) -> Path:
        return self.root / "k6/results" / name

    def test_the_config_map_is_the_scripts_to_the_byte(self):
        self.verb("k6-config")
        made = yaml.safe_load((self.root / "k6/k6-config.yaml").read_text())
        self.assertEqual((made["kind"], made["metadata"]["name"], made["metadata"]["namespace"]), ("ConfigMap", "k6-smoke", "ray"))
        self.assertEqual(made["data"], {n: (self.root / "k6" / n).read_text() for n in ("smoke.js", "infer.js", "texts.txt")})
        self.write("k6/infer.js", "export const a = 2;\n")
        self.verb("k6-config")
        self.assertEqual(yaml.safe_load((self.root / "k6/k6-config.yaml").read_text())["data"]["infer.js"], "export const a = 2;\n")

    def test_our_own_scripts_make_one(self):
        files = smoke.scripts(ROOT)
        self.assertEqual(yaml.safe_load(smoke.config_map(ROOT))["data"], files)
        self.assertEqual(sorted(files), ["infer.js", "smoke.js"])

    def test_what_cannot_be_a_config_map_is_refused(self):
        self.write("k6/infer.js", "no newline at its end")
        self.assertIn("literal block", self.verb("k6-config", code=1).stderr)
        self.write("k6/infer.js", "import x from './gone.js';\n")
        self.assertIn("gone.js is imported by k6/smoke.js and is not there", self.verb("k6-config", code=1).stderr)
        self.write("k6/infer.js", "//" + "x" * smoke.LIMIT_BYTES + "\n")
        self.assertIn("a ConfigMap holds", self.verb("k6-config", code=1).stderr)

    def test_the_job_and_the_config_map_fit_together(self):
        made = yaml.safe_load((ROOT / "k6/k6-job.yaml").read_text())
        pod = made["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        self.assertEqual((made["metadata"]["name"], made["metadata"]["namespace"]), (smoke.NAME, smoke.NAMESPACE))
        self.assertEqual(pod["volumes"][0]["configMap"]["name"], yaml.safe_load(smoke.config_map(self.root))["metadata"]["name"])
        self.assertEqual(container["args"][-1], f"{container['volumeMounts'][0]['mountPath']}/smoke.js")
        self.assertEqual({e["name"]: e["value"] for e in container["env"]}["MARKERS"], "1")
        self.assertEqual(made["spec"]["backoffLimit"], 0)
        self.assertLess(made["spec"]["activeDeadlineSeconds"], smoke.WAIT_S)
        self.assertNotIn("--no-thresholds", container["args"])
        secure = container["securityContext"]
        self.assertTrue(pod["securityContext"]["runAsNonRoot"] and secure["readOnlyRootFilesystem"] and not secure["allowPrivilegeEscalation"])
        self.assertFalse(pod["automountServiceAccountToken"])

    def test_internal_brings_the_summary_home(self):
        self.answer(job("Complete"), {"match": "logs job/k6-smoke", "stdout": LOG})
        done = self.verb("smoke-internal")
        self.assertEqual(json.loads(self.result("results_internal.json").read_text()), SUMMARY)
        self.assertIn("requests 3", done.stdout)
        self.assertNotIn(smoke.BEGIN, done.stdout)
        self.assertEqual([c.split(" k6-smoke")[0] for c in self.calls][:4], [
            "kubectl --namespace ray delete job", "kubectl --namespace ray apply -f k6/k6-config.yaml", "kubectl --namespace ray apply -f k6/k6-job.yaml",
            "kubectl --namespace ray get job"])

    def test_internal_fails_when_a_threshold_does_and_keeps_the_summary(self):
        self.answer(job("Failed"), {"match": "logs job/k6-smoke", "stdout": LOG})
        self.assertIn("what was missed", self.verb("smoke-internal", code=1).stderr)
        self.assertEqual(json.loads(self.result("results_internal.json").read_text()), SUMMARY)

    def test_internal_writes_nothing_it_has_not(self):
        for log in ("", LOG.replace(smoke.END, ""), LOG.replace("metrics", "met"), LOG.replace('{"metrics"', '{"metrics')):
            self.answer(job("Complete"), {"match": "logs job/k6-smoke", "stdout": log})
            self.assertIn("holds no summary", self.verb("smoke-internal", code=1).stderr)
            self.assertFalse(self.result("results_internal.json").exists())

    def test_internal_does_not_wait_for_ever(self):
        self.answer({"match": "get job k6-smoke", "stdout": "{}"}, {"match": "logs job/k6-smoke", "stdout": LOG})
        self.assertIn("did not end within", self.verb("smoke-internal", code=1, SMOKE_WAIT_S="0.2", SMOKE_POLL_S="0.1").stderr)

    def test_external_asks_the_gateway_where_it_is(self):
        gateway = {"spec": {"listeners": [{"protocol": "HTTP"}, {"protocol": "HTTPS", "hostname": "classify.example.org"}]}, "status": {"addresses": [{"value": "203.0.113.7"}]}}
        self.answer({"match": "get gateway inferd", "stdout": json.dumps(gateway)})
        self.verb("smoke-external")
        self.assertIn("INFER_URL=https://classify.example.org/infer -e PROFILE=external k6/smoke.js", self.calls[-1])
        self.assertIn("--summary-export k6/results/results_external.json", self.calls[-1])
        del gateway["spec"]["listeners"][1]["hostname"]
        self.answer({"match": "get gateway inferd", "stdout": json.dumps(gateway)})
        self.verb("smoke-external")
        self.assertIn("INFER_URL=https://203.0.113.7/infer", self.calls[-1])
        self.answer({"match": "get gateway inferd", "stdout": json.dumps({"spec": {"listeners": []}})})
        self.assertIn("neither a host name nor an address", self.verb("smoke-external", code=1).stderr)

    def test_external_takes_a_url_and_fails_with_k6(self):
        self.verb("smoke-external", INFER_URL="http://127.0.0.1:1/infer", STAGE="5s")
        self.assertEqual(len(self.calls), 1)
        self.assertIn("INFER_URL=http://127.0.0.1:1/infer -e PROFILE=external -e STAGE=5s", self.calls[0])
        self.answer({"match": "k6 run", "code": smoke.MISSED})
        self.assertIn("failed with code 99", self.verb("smoke-external", code=1, INFER_URL="http://127.0.0.1:1/infer").stderr)

    def test_dry_runs_change_nothing(self):
        for verb in ("k6-config", "smoke-external", "smoke-internal"):
            done = self.verb(verb, DRY_RUN="1")
            self.assertEqual(self.calls, [])
            self.assertIn("would", done.stdout)
            self.assertFalse((self.root / "k6/k6-config.yaml").exists() or (self.root / "k6/results").exists())


class Push(Door):
    def setUp(self):
        super().setUp()
        (self.bin / "crane").symlink_to(HERE / "fake/tool.py")
        self.write("scripts/tools.sh", f'#!/bin/sh\n[ "$1" != --path ] || echo {self.bin}\n').chmod(0o755)
        self.digest = self.layout("a" * 40)
        self.image = "europe-west4-docker.pkg.dev/test-project-1/inferd/inferd:0.1.0"
        self.token = {"match": "print-access-token", "stdout": "secret-token\n"}
        self.unknown = {"match": "crane digest", "code": 1, "stderr": "MANIFEST_UNKNOWN: Requested entity was not found."}

    def layout(self, revision: str) -> str:
        index = json.dumps({"annotations": {"org.opencontainers.image.revision": revision}})
        hexa = hashlib.sha256(index.encode()).hexdigest()
        self.write(f"dist/images/inferd/blobs/sha256/{hexa}", index)
        self.write("dist/images/inferd/index.json", json.dumps({"manifests": [{"digest": f"sha256:{hexa}", "annotations": {"org.opencontainers.image.ref.name": "0.1.0"}}]}))
        return f"sha256:{hexa}"

    def test_the_same_digest_is_left_alone(self):
        self.answer(self.token, {"match": "crane digest", "stdout": self.digest + "\n"})
        self.assertIn("is there already", self.verb("image-push").stdout)
        self.assertFalse([c for c in self.calls if "crane push" in c])

    def test_a_tag_is_never_moved(self):
        self.answer(self.token, {"match": "crane digest", "stdout": "sha256:" + "0" * 64})
        self.assertIn("A tag keeps its image", self.verb("image-push", code=1).stderr)
        self.assertFalse([c for c in self.calls if "crane push" in c])

    def test_an_unclear_answer_is_not_taken_for_a_no(self):
        self.answer(self.token, {"match": "crane digest", "code": 1, "stderr": "DENIED: permission"})
        self.assertIn("does not say whether", self.verb("image-push", code=1).stderr)
        self.assertFalse([c for c in self.calls if "crane push" in c])

    def test_what_the_registry_has_afterwards_must_be_what_was_pushed(self):
        self.answer(self.token, self.unknown)
        self.verb("image-push", code=1)  # crane digest still fails after the push
        self.assertTrue(any("crane push dist/images/inferd" in c and self.image in c for c in self.calls))

    def test_the_token_stands_on_no_command_line_and_is_not_kept(self):
        self.answer(self.token, self.unknown)
        self.verb("image-push", code=1)
        (login,) = [r for r in self.records if "login" in r["argv"]]
        self.assertNotIn("secret-token", json.dumps([r["argv"] for r in self.records]))
        self.assertFalse(list(self.dir.glob(".docker/*")))
        self.assertIn("europe-west4-docker.pkg.dev", login["argv"])

    def test_a_dirty_build_stays_here(self):
        self.layout("a" * 40 + "-dirty")
        self.answer(self.token, self.unknown)
        self.assertIn("changes that no commit has", self.verb("image-push", code=1).stderr)
        self.assertEqual([c for c in self.calls if "crane" in c], [])

    def test_dry_run_and_bad_names(self):
        done = self.verb("image-push", DRY_RUN="1")
        self.assertEqual(self.calls, [])
        self.assertIn(f"would run: crane push dist/images/inferd {self.image}", done.stdout)
        self.assertIn("malformed", self.verb("image-push", code=1, IMAGE_REPOSITORY="Not a registry").stderr)


if __name__ == "__main__":
    unittest.main()
