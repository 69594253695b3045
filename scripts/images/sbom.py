# SPDX-License-Identifier: Apache-2.0
"""The image's bill of materials: SPDX 2.3 as JSON. It says what was put in, from the locks that decided it, not what a scan guessed.

The namespace is derived from the image's digest and the time is the build's, so the same image has the same document.
"""

from __future__ import annotations

import datetime
import json
import re
import uuid
from dataclasses import dataclass
from urllib.parse import quote

PURPOSES = ("APPLICATION", "FRAMEWORK", "LIBRARY", "CONTAINER", "OPERATING-SYSTEM", "DEVICE", "FIRMWARE", "SOURCE", "ARCHIVE", "FILE", "INSTALL", "OTHER")


@dataclass(frozen=True)
class Component:
    name: str
    version: str
    purl: str
    sha256: str = ""  # of the package's file
    licence: str = "NOASSERTION"
    purpose: str = "LIBRARY"  # one of PURPOSES

    def __post_init__(self) -> None:
        if self.purpose not in PURPOSES:
            raise ValueError(f"{self.name}: SPDX 2.3 knows no primaryPackagePurpose {self.purpose}; there are {', '.join(PURPOSES)}")


def debian(name: str, version: str, arch: str, sha256: str) -> Component:
    return Component(name, version, f"pkg:deb/debian/{quote(name)}@{quote(version, safe='')}?arch={arch}&distro=debian-12", sha256)


def pypi(name: str, version: str, sha256: str, licence: str) -> Component:
    return Component(name, version, f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{quote(version, safe='')}", sha256, licence)


def timestamp(epoch: int) -> str:
    return datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _spdx_id(name: str) -> str:
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)


def document(image: str, version: str, arch: str, digest: str, components: list[Component], epoch: int) -> str:
    """`digest`: of the image's manifest, sha256:HEX. Ends with a newline."""
    root = _spdx_id(f"image-{image}-{arch}")
    packages = [{
        "SPDXID": root, "name": image, "versionInfo": version, "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION", "primaryPackagePurpose": "CONTAINER",
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest.partition(":")[2]}],
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": f"pkg:oci/{image}@{quote(digest, safe='')}?arch={arch}"}],
    }]
    relations = [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": root}]
    for c in sorted(components, key=lambda c: (c.purl, c.sha256)):
        spdx_id = _spdx_id(re.sub(r"^pkg:", "", c.purl.partition("?")[0]))
        package = {
            "SPDXID": spdx_id, "name": c.name, "versionInfo": c.version, "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
            "licenseConcluded": "NOASSERTION", "licenseDeclared": c.licence, "copyrightText": "NOASSERTION", "primaryPackagePurpose": c.purpose,
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": c.purl}],
        }
        if c.sha256:
            package["checksums"] = [{"algorithm": "SHA256", "checksumValue": c.sha256}]
        packages.append(package)
        relations.append({"spdxElementId": root, "relationshipType": "CONTAINS", "relatedSpdxElement": spdx_id})
    return json.dumps({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"{image}-{version}-{arch}",
        "documentNamespace": f"https://spdx.org/spdxdocs/{image}-{version}-{arch}-{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "creationInfo": {"created": timestamp(epoch), "creators": ["Tool: inferd-images"]},
        "packages": packages, "relationships": relations,
    }, indent=1) + "\n"
