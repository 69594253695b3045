# SPDX-License-Identifier: Apache-2.0
"""The answers of Google Cloud that a plan asks for: project with its billing, zones, keys, bucket, repository. Reads only, on loopback."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Reads:
    def __init__(self, project: str, region: str, letters: str = "abc"):
        zones = [{"name": f"{region}-{z}", "region": f"https://compute/regions/{region}", "status": "UP"} for z in letters]
        # A key as the showcase's Terraform left it: other rotation, and a delay of destruction that cannot be changed.
        key = {"purpose": "ENCRYPT_DECRYPT", "primary": {"state": "ENABLED"}, "rotationPeriod": "2592000s", "destroyScheduledDuration": "86400s",
               "versionTemplate": {"algorithm": "GOOGLE_SYMMETRIC_ENCRYPTION", "protectionLevel": "SOFTWARE"}}
        # A bucket as the showcase's two gcloud commands make it.
        bucket = {"name": f"{project}-tfstate", "id": f"{project}-tfstate", "location": region.upper(), "storageClass": "STANDARD", "projectNumber": "123456789012",
                  "versioning": {"enabled": True}, "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": False}, "publicAccessPrevention": "inherited"},
                  "softDeletePolicy": {"retentionDurationSeconds": "604800"}}
        answers = (
            (r"/projects/[^/]+/billingInfo$", lambda m: {"billingAccountName": "billingAccounts/A", "billingEnabled": True}),
            (r"/v[13]/projects/[^/]+$", lambda m: {"projectId": project, "projectNumber": "123456789012", "name": project, "lifecycleState": "ACTIVE", "state": "ACTIVE"}),
            (r"/projects/[^/]+/regions/[^/]+$", lambda m: {"name": region, "zones": [f"https://compute/zones/{z['name']}" for z in zones]}),
            (r"/projects/[^/]+/zones$", lambda m: {"items": zones}),
            (r"/storage/v1/b/[^/]+$", lambda m: bucket),
            (r"/v1/(projects/.*/repositories/[^/]+)$", lambda m: {"name": m.group(1), "format": "DOCKER", "mode": "STANDARD_REPOSITORY"}),
            (r"/(projects/.*/keyRings/[^/]+)$", lambda m: {"name": m.group(1)}),
            (r"/(projects/.*/cryptoKeys/[^/]+)$", lambda m: {"name": m.group(1), **key}),
        )
        self.unknown: list[str] = []
        reads = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.partition("?")[0]
                for pattern, answer in answers:
                    m = re.search(pattern, path)
                    if m:
                        return self.reply(200, answer(m))
                reads.unknown.append(self.path)
                self.reply(404, {"error": {"code": 404, "message": f"nothing at {path}"}})

            def do_POST(self):
                reads.unknown.append(f"POST {self.path}")
                self.reply(403, {"error": {"code": 403, "message": "a plan changes nothing"}})

            do_PUT = do_PATCH = do_DELETE = do_POST

            def reply(self, code: int, answer: dict):
                data = json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def environ(self) -> dict[str, str]:
        return {"GOOGLE_OAUTH_ACCESS_TOKEN": "t", "GOOGLE_RESOURCE_MANAGER_CUSTOM_ENDPOINT": f"{self.url}v1/", "GOOGLE_RESOURCE_MANAGER3_CUSTOM_ENDPOINT": f"{self.url}v3/",
                "GOOGLE_COMPUTE_CUSTOM_ENDPOINT": f"{self.url}compute/v1/", "GOOGLE_CLOUD_BILLING_CUSTOM_ENDPOINT": f"{self.url}v1/", "GOOGLE_BILLING_CUSTOM_ENDPOINT": f"{self.url}v1/",
                "GOOGLE_KMS_CUSTOM_ENDPOINT": f"{self.url}v1/",
                "GOOGLE_STORAGE_CUSTOM_ENDPOINT": f"{self.url}storage/v1/", "GOOGLE_ARTIFACT_REGISTRY_CUSTOM_ENDPOINT": f"{self.url}v1/", "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
