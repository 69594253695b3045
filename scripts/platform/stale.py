# SPDX-License-Identifier: Apache-2.0
"""Which encrypted files still need an old version of the KMS key.

A file names the key, not the version that its data key was encrypted with. Cloud KMS tells on decryption: the answer's
`usedPrimary` is false for any other than the primary version. The data key passes through this process and is dropped.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path

import yaml

from shell import Refusal, Shell

PATIENCE_S = 30


def encrypted_files(root: Path, names: list[str]) -> dict[str, list[dict]]:
    """path -> its gcp_kms entries (empty for a file of age only), for every file that SOPS encrypted."""
    found = {}
    for name in names:
        path = root / name
        if not name.endswith((".yaml", ".yml", ".json")) or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if "sops" not in text or "ENC[" not in text:
            continue
        for document in yaml.safe_load_all(text):
            if isinstance(document, dict) and isinstance(document.get("sops"), dict):
                found[name] = document["sops"].get("gcp_kms") or []
    return found


def endpoint() -> str:
    given = os.environ.get("SOPS_GCP_KMS_ENDPOINT", "")
    if not given:
        return "https://cloudkms.googleapis.com"
    return given if "://" in given else f"https://{given}"


def uses_primary(entry: dict, token: str) -> bool:
    """Whether the entry's data key was encrypted by the key's primary version. Raises Refusal with KMS's own words."""
    request = urllib.request.Request(f"{endpoint()}/v1/{entry['resource_id']}:decrypt", method="POST",
                                     data=json.dumps({"ciphertext": entry["enc"]}).encode(),
                                     headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return bool(json.load(answer).get("usedPrimary", False))
    except urllib.error.HTTPError as error:
        detail = error.read().decode(errors="replace")[:500]
        raise Refusal(f"KMS refused to decrypt with {entry['resource_id']}: {error.code} {detail}") from None
    except OSError as error:
        raise Refusal(f"KMS at {endpoint()} cannot be reached: {error}") from None


def token(shell: Shell) -> str:
    given = os.environ.get("GOOGLE_OAUTH_ACCESS_TOKEN")
    if given:
        return given
    shell.need("gcloud")
    return (shell.output("gcloud", "auth", "print-access-token") or "").strip()
