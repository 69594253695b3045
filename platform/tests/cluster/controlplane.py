# SPDX-License-Identifier: Apache-2.0
"""etcd, kube-apiserver and kube-controller-manager as they come, each test module with a fresh and empty one.

What is real: storage, schemas, admission (Pod Security, ValidatingAdmissionPolicy, Priority), RBAC for every controller under
its service account's name, garbage collection, Deployments, endpoints. What is not: tokens are fixed ones of a file.
"""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import yaml

from api import Api, ApiError, wait
from network import ADDRESS, SERVICES
from processes import Process

PORT = 6443
USERS = {  # name here -> user, groups
    "admin": ("admin", ["system:masters"]),
    "controller-manager": ("system:kube-controller-manager", ["system:masters"]),  # its controllers share one token
}
SERVICE_ACCOUNTS = ("flux-system/kustomize-controller", "flux-system/helm-controller", "flux-system/notification-controller",
                    "kuberay-system/kuberay-operator")
CONTROLLERS = ("deployment", "replicaset", "statefulset", "daemonset", "job", "garbage-collector-controller", "namespace-controller",
               "endpoints-controller", "endpointslice-controller", "serviceaccount-controller", "disruption-controller",
               "validatingadmissionpolicy-status-controller")


def openssl(folder: Path, *argv: str) -> None:
    subprocess.run(["openssl", *argv], cwd=folder, check=True, capture_output=True)


class ControlPlane:
    def __init__(self, folder: Path, programs: Path):
        self.folder, self.programs = folder, programs
        self.processes: list[Process] = []
        self.tokens = {name: secrets.token_hex(16) for name in (*USERS, *SERVICE_ACCOUNTS)}
        self.ca = folder / "ca.crt"

    def api(self, user: str = "admin") -> Api:
        return Api(ADDRESS, PORT, self.ca, self.tokens[user])

    def run(self, program: str, *argv: str, env: dict[str, str] | None = None) -> Process:
        path = self.programs / program
        process = Process(self.folder, [str(path) if path.exists() else program, *argv], env)
        self.processes.append(process)
        return process

    def kubeconfig(self, user: str) -> Path:
        path = self.folder / f"{user.replace('/', '-')}.kubeconfig"
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {"server": f"https://{ADDRESS}:{PORT}", "certificate-authority": str(self.ca)}}],
            "users": [{"name": "tests", "user": {"token": self.tokens[user]}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        }), encoding="utf-8")
        path.chmod(0o600)
        return path

    def certificates(self) -> None:
        openssl(self.folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                "-subj", "/CN=inferd tests", "-keyout", "ca.key", "-out", "ca.crt")
        openssl(self.folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=kube-apiserver",
                "-keyout", "server.key", "-out", "server.csr")
        (self.folder / "san").write_text(f"subjectAltName=IP:{ADDRESS},IP:10.96.0.1,DNS:kubernetes.default.svc\n", encoding="utf-8")
        openssl(self.folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1",
                "-extfile", "san", "-out", "server.crt")
        openssl(self.folder, "genrsa", "-out", "service-accounts.key", "2048")

    def start(self) -> None:
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o700)
        self.certificates()
        rows = [(self.tokens[name], user, groups) for name, (user, groups) in USERS.items()]
        for name in SERVICE_ACCOUNTS:
            namespace, account = name.split("/")
            rows.append((self.tokens[name], f"system:serviceaccount:{namespace}:{account}", ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]))
        (self.folder / "tokens.csv").write_text("".join(f'{t},{u},{i},"{",".join(g)}"\n' for i, (t, u, g) in enumerate(rows)), encoding="utf-8")
        self.run("etcd", "--name=tests", f"--data-dir={self.folder}/etcd", "--listen-client-urls=http://127.0.0.1:2379",
                 "--advertise-client-urls=http://127.0.0.1:2379", "--listen-peer-urls=http://127.0.0.1:2380", "--unsafe-no-fsync",
                 "--log-level=error", env={"ETCD_UNSUPPORTED_ARCH": "arm64"})
        key = f"{self.folder}/service-accounts.key"
        server = self.run(
            "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", f"--advertise-address={ADDRESS}", f"--secure-port={PORT}",
            f"--service-cluster-ip-range={SERVICES}", f"--tls-cert-file={self.folder}/server.crt", f"--tls-private-key-file={self.folder}/server.key",
            f"--token-auth-file={self.folder}/tokens.csv", "--authorization-mode=RBAC", "--allow-privileged=true",
            "--disable-admission-plugins=MutatingAdmissionWebhook,ValidatingAdmissionWebhook",  # those of charts, whose servers do not run
            "--feature-gates=WatchList=false,SizeBasedListCostEstimate=false",  # they wait for progress reports, which Debian's etcd 3.4 does not give
            "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}")
        api = self.api()

        def ready() -> bool:
            server.alive()
            try:
                api.request("GET", "/readyz")
            except ApiError as e:
                if e.message == "ok":
                    return True
            except OSError:
                return False
            return True
        wait(ready, 90, "the API server is ready", lambda: server.text()[-2000:])
        self.run("kube-controller-manager", f"--kubeconfig={self.kubeconfig('controller-manager')}", "--leader-elect=false",
                 f"--service-account-private-key-file={key}", "--use-service-account-credentials=false", f"--controllers={','.join(CONTROLLERS)}",
                 "--concurrent-gc-syncs=5", "--bind-address=127.0.0.1")

    def stop(self) -> None:
        """The last that was started first, so that nobody misses whom they talk to."""
        for process in reversed(self.processes):
            process.stop()
