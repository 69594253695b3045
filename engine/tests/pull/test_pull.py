# SPDX-License-Identifier: Apache-2.0
"""inferd-pull against a hub of this machine: what arrives, and what each fault does.

INFERD_BIN is the binary; inferd-pull is looked for beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

from distilbert import write as write_distilbert
from hub import COMMIT, Hub, read

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from harness import Server, Reader, post  # noqa: E402

BIN = os.environ.get("INFERD_BIN", str(HERE.parents[2] / "build" / "inferd"))
PULL = os.environ.get("INFERD_PULL_BIN", str(Path(BIN).parent / "inferd-pull"))
GOLDEN = HERE.parent / "model" / "golden"
REPOSITORY = "org/tiny-model"
NEEDED = {"config.json", "vocab.txt", "tokenizer_config.json", "model.safetensors"}
NOISE = {"README.md": b"# a card", ".gitattributes": b"*.bin filter=lfs", "pytorch_model.bin": b"\x80" * 70000,
         "onnx/model.onnx": b"o" * 70000, "tf_model.h5": b"h" * 70000}
SECRET = "hf_ThisIsTheSecretOfTheTest"
OK, INTERNAL, USAGE, MODEL, IO, FETCH = 0, 1, 2, 4, 8, 10


class PullCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.source = Path(cls.folder.name) / "distilbert"
        write_distilbert(cls.source)
        cls.files = read(cls.source)
        cls.size = len(cls.files["model.safetensors"])

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def setUp(self) -> None:
        self.hub = Hub({**self.files, **NOISE})
        self.addCleanup(self.hub.close)
        work = tempfile.TemporaryDirectory()
        self.addCleanup(work.cleanup)
        self.work = Path(work.name)
        self.cache = self.work / "cache"

    def pull(self, *args: str, env: dict | None = None, repository: str = REPOSITORY):
        clean = {k: v for k, v in os.environ.items()
                 if not k.startswith(("INFERD_", "HF_", "XDG_")) and not k.lower().endswith("_proxy")}
        clean |= {"HF_ENDPOINT": self.hub.url, "INFERD_CACHE_DIR": str(self.cache), "HOME": str(self.work), **(env or {})}
        return subprocess.run([PULL, *args, repository], env=clean, capture_output=True, text=True, timeout=120)

    def assert_exit(self, done, code: int, *parts: str) -> None:
        self.assertEqual(done.returncode, code, done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)
        if code:
            self.assertEqual(done.stdout, "")

    def model(self, done) -> Path:
        self.assert_exit(done, OK)
        path = Path(done.stdout.removesuffix("\n"))
        self.assertTrue(path.is_dir())
        return path

    def assert_whole(self, path: Path) -> None:
        got = read(path)
        self.assertEqual(set(got), NEEDED | {"SHA256SUMS"})
        for name in NEEDED:
            self.assertEqual(got[name], self.files[name], name)

    def nothing_finished(self) -> None:
        found = list(self.cache.rglob("SHA256SUMS")) + [p for p in self.cache.rglob(COMMIT) if p.is_dir()]
        self.assertEqual(found, [])

    def part(self, name: str = "model.safetensors") -> Path:
        return self.cache / "org--tiny-model" / f"{COMMIT}.part" / "tiny-model" / f"{name}.part"

    def asked_for(self, name: str) -> list[tuple[str, str, dict]]:
        return [a for a in self.hub.asked if a[1].split("?")[0].endswith("/" + name)]


class Fetching(PullCase):
    def test_only_what_a_load_needs_and_all_of_it(self):
        path = self.model(self.pull())
        self.assertEqual(path, self.cache / "org--tiny-model" / COMMIT / "tiny-model")
        self.assert_whole(path)
        for name in NOISE:
            self.assertEqual(self.asked_for(name.split("/")[-1]), [])
        check = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=path, capture_output=True)
        self.assertEqual(check.returncode, 0, check.stderr)
        self.assertEqual([p.name for p in path.parents[1].iterdir() if ".part" in p.name], [])

    def test_the_engine_takes_it(self):
        path = self.model(self.pull())
        texts = ["I love this movie!", "this is awful."]
        want = subprocess.run([BIN, "classify", "--json", "--model", str(self.source), *texts], capture_output=True, text=True)
        got = subprocess.run([BIN, "classify", "--json", "--model", str(path), *texts], capture_output=True, text=True)
        self.assertEqual((got.returncode, got.stdout), (0, want.stdout), got.stderr)
        self.assertEqual(len(got.stdout.splitlines()), 2)
        told = json.loads(subprocess.run([BIN, "inspect", "--json", "--check", str(path)], capture_output=True).stdout)
        self.assertIn("DistilBert", json.dumps(told))

    def test_again_costs_one_question(self):
        first = self.model(self.pull())
        self.hub.asked.clear()
        self.assertEqual(self.model(self.pull()), first)
        self.assertEqual([a[1] for a in self.hub.asked], [f"/api/models/{REPOSITORY}/revision/main?blobs=true"])
        self.hub.asked.clear()  # a commit cannot change: none at all
        self.assertEqual(self.model(self.pull("--revision", COMMIT)), first)
        self.assertEqual(self.hub.asked, [])

    def test_revisions(self):
        self.model(self.pull("--revision", "v1/stable"))
        self.assertEqual(self.hub.asked[0][1], f"/api/models/{REPOSITORY}/revision/v1%2Fstable?blobs=true")
        self.assertEqual((self.cache / "org--tiny-model" / "refs" / "v1%2Fstable").read_text(), COMMIT)
        self.assert_exit(self.pull("--revision", "v9"), FETCH, "has no revision v9")

    def test_tokenizer_json_and_shards(self):
        for name in ("distilbert-h36-f16", "distilbert-sharded"):
            with self.subTest(name):
                files = read(GOLDEN / name)
                hub = Hub({**files, "unlisted-00001.safetensors": b"x"}, f"org/{name}")
                try:
                    done = self.pull("--endpoint", hub.url, repository=f"org/{name}")
                finally:
                    hub.close()
                path = self.model(done)
                got = read(path)
                self.assertEqual("tokenizer.json" in got, "tokenizer.json" in files)
                self.assertEqual(len([n for n in got if n.startswith("model-")]), 5 if "sharded" in name else 0)
                self.assertNotIn("expected.txt", got)
                self.assertEqual(subprocess.run([BIN, "inspect", "--check", str(path)], capture_output=True).returncode, 0)

    def test_output(self):
        out = self.work / "here" / "model"
        self.assertEqual(self.model(self.pull("--output", str(out))), out)
        self.assert_whole(out)
        self.assertEqual(sorted(p.name for p in out.parent.iterdir()), ["model"])
        self.assertFalse(self.cache.exists())
        self.assert_exit(self.pull("--output", str(out)), IO, "is there already")

    def test_a_hub_that_lists_no_digests(self):
        self.hub.blobs = False  # then the files' own answers tell them
        self.assert_whole(self.model(self.pull()))
        shutil.rmtree(self.cache)
        self.hub.etags = False
        self.assert_exit(self.pull(), FETCH, "tells no digest")
        self.nothing_finished()

    def test_offline(self):
        self.assert_exit(self.pull("--offline"), FETCH, "is not in the cache")
        self.assertEqual(self.hub.asked, [])
        path = self.model(self.pull())
        self.hub.asked.clear()
        self.assertEqual(self.model(self.pull(env={"HF_HUB_OFFLINE": "1"})), path)
        self.assertEqual(self.hub.asked, [])

    def test_a_hub_that_is_down(self):
        self.hub.answers = [(503, {"Retry-After": "1"}, "")] * 5
        self.assert_exit(self.pull(), FETCH, "answers 503")
        path = self.model(self.pull())
        self.hub.answers = [(503, {"Retry-After": "1"}, "")] * 5
        done = self.pull()
        self.assertEqual(self.model(done), path)  # what was fetched before is better than nothing
        self.assertIn("as it was fetched before", done.stderr)

    def test_progress_on_a_terminal_only(self):
        done = self.pull()
        self.assertNotIn("\r", done.stderr)
        self.assertIn(f"model.safetensors  {self.size} bytes", done.stderr)
        shutil.rmtree(self.cache)
        main, end = pty.openpty()
        env = {**os.environ, "HF_ENDPOINT": self.hub.url, "INFERD_CACHE_DIR": str(self.cache), "TERM": "xterm"}
        done = subprocess.Popen([PULL, REPOSITORY], env=env, stdout=subprocess.DEVNULL, stderr=end)
        os.close(end)
        shown = b""
        with contextlib.suppress(OSError):
            while piece := os.read(main, 65536):
                shown += piece
        os.close(main)
        self.assertEqual(done.wait(60), 0)
        self.assertRegex(shown.decode(), r"\r.*MiB \(\d+ %\)")

    def test_two_at_once(self):
        results = []
        self.hub.cuts["model.safetensors"] = [100000, 200000]
        threads = [threading.Thread(target=lambda: results.append(self.pull())) for _ in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(len({self.model(r) for r in results}), 1)
        self.assert_whole(self.model(results[0]))
        self.assertEqual([p.name for p in (self.cache / "org--tiny-model").iterdir() if p.name.endswith((".part", ".lock"))], [])


class Commands(PullCase):
    def environment(self) -> dict:
        return {**os.environ, "HF_ENDPOINT": self.hub.url, "INFERD_CACHE_DIR": str(self.cache), "PATH": os.environ["PATH"]}

    def test_inferd_pull(self):
        done = subprocess.run([BIN, "pull", "--revision=main", "--timeout", "20s", REPOSITORY], env=self.environment(),
                              capture_output=True, text=True, timeout=120)
        self.assert_whole(self.model(done))
        wrong = subprocess.run([BIN, "pull", "../etc"], env=self.environment(), capture_output=True, text=True)
        self.assert_exit(wrong, USAGE, "is no repository")

    def test_serve_takes_a_repository(self):
        os.environ.update(HF_ENDPOINT=self.hub.url, INFERD_CACHE_DIR=str(self.cache))
        self.addCleanup(lambda: [os.environ.pop(k) for k in ("HF_ENDPOINT", "INFERD_CACHE_DIR")])
        server = Server(model=REPOSITORY + "@main")
        try:
            s = server.connect()
            s.sendall(post({"text": "I love this movie!"}))
            answer = Reader(s).answer()
            self.assertIn(answer.json[0]["label"], ("NEGATIVE", "POSITIVE"))
            self.assertRegex(answer.headers["x-model-digest"], r"^sha256:[0-9a-f]{64}$")
            self.assertEqual(server.stop(), 0)
        finally:
            server.close()

    def test_serve_when_it_cannot_be_fetched(self):
        done = subprocess.run([BIN, "serve", "--port", "0", "--model", "org/nothing"], env=self.environment(),
                              capture_output=True, text=True, timeout=120)
        self.assert_exit(done, FETCH, "is not there", "org/nothing is no directory here")

    def test_without_inferd_pull(self):
        alone = self.work / "bin"
        alone.mkdir()
        shutil.copy(BIN, alone / "inferd")
        done = subprocess.run([alone / "inferd", "pull", REPOSITORY], env={**self.environment(), "PATH": str(alone)},
                              capture_output=True, text=True)
        self.assert_exit(done, FETCH, "inferd-pull cannot be run")

    def test_the_server_does_not_link_it(self):
        needed = lambda path: set(re.findall(r"NEEDED.*\[(.+?)\]", subprocess.run(
            ["readelf", "-d", path], capture_output=True, text=True, check=True).stdout))
        self.assertFalse([n for n in needed(BIN) if "curl" in n])
        self.assertTrue([n for n in needed(PULL) if "curl" in n])  # positive control


class Faults(PullCase):
    def test_a_cut_transfer_is_taken_up(self):
        self.hub.cuts["model.safetensors"] = [100000, 1, 300000]
        done = self.pull()
        self.assert_whole(self.model(done))
        self.assertIn("cut short", done.stderr)
        ranges = [a[2].get("range") for a in self.asked_for("model.safetensors") if a[0] == "cdn"]
        self.assertEqual(ranges, [None, "bytes=100000-", "bytes=100001-", "bytes=400001-"])

    def test_a_later_run_goes_on(self):
        self.hub.cuts["model.safetensors"] = [150000]
        self.hub.file_answers["model.safetensors"] = [(0, {}), (404, {})]
        self.assert_exit(self.pull(), FETCH, "404")
        self.nothing_finished()
        self.assertEqual(self.part().stat().st_size, 150000)
        self.hub.asked.clear()
        self.assert_whole(self.model(self.pull()))
        self.assertEqual([a[2].get("range") for a in self.asked_for("model.safetensors") if a[0] == "cdn"], ["bytes=150000-"])
        self.assertEqual(self.asked_for("config.json"), [])  # whole already

    def test_pieces_that_do_not_fit(self):
        self.hub.cuts["model.safetensors"] = [150000]
        self.hub.file_answers["model.safetensors"] = [(0, {}), (404, {})]
        self.assert_exit(self.pull(), FETCH, "404")
        with self.part().open("r+b") as f:
            f.write(b"damage")
        done = self.pull()
        self.assert_whole(self.model(done))
        self.assertIn("do not fit together", done.stderr)

    def test_a_cdn_without_ranges(self):
        self.hub.ranges = False
        self.hub.cuts["model.safetensors"] = [150000]
        self.assert_whole(self.model(self.pull()))

    def test_a_cdn_that_answers_another_range(self):
        self.hub.wrong_range = True
        self.hub.cuts["model.safetensors"] = [150000]
        self.assert_exit(self.pull(), FETCH, "another range")
        self.nothing_finished()

    def test_wrong_digests(self):
        for name in ("model.safetensors", "vocab.txt"):  # SHA-256 and git's SHA-1
            with self.subTest(name):
                data = bytearray(self.files[name])
                data[len(data) // 2] ^= 1
                self.hub.lies = {name: bytes(data)}
                self.assert_exit(self.pull(), FETCH, f"{name} of {REPOSITORY} is not what the hub says")
                self.nothing_finished()
                self.assertEqual(self.part(name).stat().st_size, 0)  # nothing wrong is kept
                shutil.rmtree(self.cache)
        self.hub.lies = {}
        self.assert_whole(self.model(self.pull()))

    def test_more_bytes_than_the_file_has(self):
        self.hub.more = 5
        self.assert_exit(self.pull(), FETCH, "more bytes than the file has")
        self.nothing_finished()

    def test_not_found(self):
        self.assert_exit(self.pull(repository="org/no-such"), FETCH, "is not there", "404")
        self.hub.file_answers["vocab.txt"] = [(404, {"X-Error-Code": "EntryNotFound"})]
        self.assert_exit(self.pull(), FETCH, "vocab.txt", "404")
        self.nothing_finished()

    def test_unauthorized_and_gated(self):
        self.hub.token = SECRET
        self.assert_exit(self.pull(), FETCH, "or it is private: then set HF_TOKEN")
        done = self.pull(env={"HF_TOKEN": "hf_wrong"})
        self.assert_exit(done, FETCH, "does not accept the token in HF_TOKEN")
        self.assertNotIn("hf_wrong", done.stderr)
        self.assert_whole(self.model(self.pull(env={"HF_TOKEN": SECRET})))
        shutil.rmtree(self.cache)
        self.hub.gated = True
        self.assert_exit(self.pull(env={"HF_TOKEN": SECRET}), FETCH, f"is gated: ask for access at {self.hub.url}/{REPOSITORY}")
        self.nothing_finished()

    def test_the_token_goes_to_the_hub_alone(self):
        self.model(self.pull(env={"HF_TOKEN": SECRET}))
        told = {role: {a[2].get("authorization") for a in self.hub.asked if a[0] == role} for role in ("hub", "cdn")}
        self.assertEqual(told, {"hub": {f"Bearer {SECRET}"}, "cdn": {None}})
        # nor in clear to another machine: refused before anything is sent
        done = self.pull("--endpoint", "http://hub.example", env={"HF_TOKEN": SECRET})
        self.assert_exit(done, USAGE, "it would go in clear")
        self.assertNotIn(SECRET, done.stderr)

    def test_a_busy_hub_is_waited_for(self):
        self.hub.answers = [(429, {"Retry-After": "1"}, "")]
        self.hub.file_answers["model.safetensors"] = [(503, {"Retry-After": "1"}), (500, {})]
        began = time.monotonic()
        done = self.pull()
        self.assert_whole(self.model(done))
        self.assertGreaterEqual(time.monotonic() - began, 2.9)
        self.assertEqual(done.stderr.count("the hub is busy"), 3)
        shutil.rmtree(self.cache)
        self.hub.answers = [(429, {"Retry-After": "3600"}, "")]
        began = time.monotonic()
        self.assert_exit(self.pull(), FETCH, "come back in 3600 s")
        self.assertLess(time.monotonic() - began, 60)

    def test_redirects(self):
        self.hub.redirect_to = f"{self.hub.cdn}/nowhere"
        self.hub.files["nowhere"] = b""
        self.hub.redirect_to = self.hub.url + f"/{REPOSITORY}/resolve/{COMMIT}/model.safetensors"  # to itself
        self.assert_exit(self.pull(), FETCH, "redirects")
        self.hub.redirect_to = "file:///etc/passwd"
        self.assert_exit(self.pull(), FETCH)
        self.nothing_finished()

    def test_no_way_down_from_tls(self):
        key, cert, both = self.work / "key", self.work / "cert", self.work / "both"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                       check=True, capture_output=True)
        both.write_bytes(key.read_bytes() + cert.read_bytes())
        hub = Hub({**self.files}, certificate=str(both))
        self.addCleanup(hub.close)
        env = {"SSL_CERT_FILE": str(cert)}
        self.assert_exit(self.pull("--endpoint", hub.url, env=env), FETCH, "redirect from https")  # its CDN is plain
        self.assertEqual([a for a in hub.asked if a[0] == "cdn"], [])
        done = self.pull("--endpoint", hub.url)  # without the certificate: not trusted
        self.assert_exit(done, FETCH, "certificate")

    def test_names_that_climb(self):
        self.hub.extra_siblings = ["../../../escape", "/etc/cron.d/x", "..", "config.json/../../x", "vocab.txt\u0000x"]
        self.assert_whole(self.model(self.pull()))
        files = read(GOLDEN / "distilbert-sharded")
        index = json.loads(files["model.safetensors.index.json"])
        first = next(iter(index["weight_map"]))
        for bad in ("../escape.safetensors", "/tmp/escape.safetensors", "a/b.safetensors"):
            index["weight_map"][first] = bad
            hub = Hub({**files, "model.safetensors.index.json": json.dumps(index).encode(), bad: b"x"}, "org/climber")
            try:
                done = self.pull("--endpoint", hub.url, repository="org/climber")
            finally:
                hub.close()
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(list(self.work.rglob("escape*")), [])
        for name in ("../x", "org/../x", "org/x/y", "/abs", "org/.hidden", "a--b/c", "org/", "", "org/x?y", "org/x y"):
            with self.subTest(name):
                self.assert_exit(self.pull(repository=name), USAGE)
        for revision in ("../main", "a..b", "-x", "x y", "a\nb"):
            with self.subTest(revision):
                self.assert_exit(self.pull(f"--revision={revision}"), USAGE, "is no revision")

    def test_what_cannot_be_loaded(self):
        only_pickle = {k: v for k, v in self.hub.files.items() if k != "model.safetensors"}
        self.hub.files = only_pickle
        self.assert_exit(self.pull(), MODEL, "has no model.safetensors (only pytorch_model.bin)")
        self.hub.files = {"README.md": b"x"}
        self.assert_exit(self.pull(), MODEL, "has no config.json")

    def test_answers_that_are_no_hub_s(self):
        for body, part in (("<html>", "the hub's answer about"), ("{}", "names no commit"), ('{"sha":"../../x"}', "names no commit"),
                           ('{"sha":"%s"}' % COMMIT, "has no config.json")):
            self.hub.answers = [(200, {}, body)]
            done = self.pull()
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(part, done.stderr)

    def test_nobody_there(self):
        done = self.pull("--endpoint", "http://127.0.0.1:1")
        self.assert_exit(done, FETCH, "127.0.0.1")
        self.assert_exit(self.pull("--endpoint", "ftp://127.0.0.1"), USAGE, "is no http or https URL")

    def test_a_stalled_transfer(self):
        real = self.hub.cdn_get

        def stall(handler):
            self.hub.cdn_get = real
            handler.send_response(200)
            handler.send_header("Content-Length", str(self.size))
            handler.end_headers()
            handler.wfile.write(self.files["model.safetensors"][:70000])
            handler.wfile.flush()
            time.sleep(20)
            handler.close_connection = True
        self.hub.cdn_get = stall
        began = time.monotonic()
        self.assert_whole(self.model(self.pull("--timeout", "2s")))
        self.assertLess(time.monotonic() - began, 19)

    def test_a_full_disk(self):
        disk = self.work / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode != 0:
            self.skipTest("a small file system cannot be mounted here")
        try:
            self.cache = disk / "cache"
            done = self.pull()
            self.assert_exit(done, IO, "3 MiB are needed and ")
            self.assertEqual(self.asked_for("model.safetensors"), [])  # it is known before
            self.hub.blobs = False  # it is not
            self.assert_exit(self.pull(), IO, "No space left on device")
            self.nothing_finished()
            self.assertGreater(self.part().stat().st_size, 100000)  # for later
            subprocess.run(["mount", "-o", "remount,size=32m", disk], check=True)
            self.hub.asked.clear()
            self.assert_whole(self.model(self.pull()))
            self.assertIn("range", self.asked_for("model.safetensors")[0][2])
        finally:
            subprocess.run(["umount", disk], check=True)

    def test_the_cache_cannot_be_written(self):
        self.cache.write_text("a file")
        self.assert_exit(self.pull(), IO, "cannot be made")


if __name__ == "__main__":
    unittest.main()
