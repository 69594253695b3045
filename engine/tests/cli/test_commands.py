# SPDX-License-Identifier: Apache-2.0
"""The commands as a user runs them: output, exit codes, streams.

INFERD_BIN is the binary, INFERD_TEST_MODEL a model directory.
"""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
BIN = os.environ.get("INFERD_BIN", str(HERE.parents[2] / "build" / "inferd"))
MODEL = os.environ.get("INFERD_TEST_MODEL", str(HERE.parent / "model" / "golden" / "bert-f32"))
COMMANDS = ("serve", "classify", "tokenize", "inspect", "pull", "bench", "tune", "doctor", "healthcheck",
            "completion", "man", "version")
PATIENCE_S = 600 if os.environ.get("IFD_TEST_EMULATED") else 60


def run(*args, stdin: bytes | None = b"", env: dict | None = None, **more):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("INFERD_")}
    clean["INFERD_MODEL"] = MODEL
    clean.update(env or {})
    return subprocess.run([BIN, *args], input=stdin, env=clean, capture_output=True,
                          timeout=PATIENCE_S, **more)


def alone_in(room: str) -> str:
    """The executable in room/bin; what starts it. An emulated one is not the script that starts its
    emulator but the file beside it, so that gets a script of its own."""
    program, there = BIN.removesuffix("-emulated"), f"{room}/bin/inferd"
    os.makedirs(f"{room}/bin")
    try:
        os.link(program, there)
    except OSError:  # another file system
        shutil.copy(program, there)
    if program == BIN:
        return there
    script = Path(f"{room}/inferd-emulated")
    script.write_text(Path(BIN).read_text(encoding="utf-8").replace(program, there), encoding="utf-8")
    script.chmod(0o755)
    return str(script)


class Help(unittest.TestCase):
    def test_help_everywhere(self):
        overview = run("--help")
        self.assertEqual(overview.returncode, 0)
        for command in COMMANDS:
            self.assertIn(command.encode(), overview.stdout)
            text = run(command, "--help")
            self.assertEqual((text.returncode, text.stderr), (0, b""))
            self.assertIn(f"Usage: inferd {command} [options]".encode(), text.stdout)
            self.assertIn(b"Exit codes:", text.stdout)
            self.assertEqual(run("help", command).stdout, text.stdout)
            for line in text.stdout.decode().splitlines():
                self.assertLessEqual(len(line), 100)
                self.assertEqual(line, line.rstrip())

    def test_every_option_shows_default_and_variable(self):
        for command in COMMANDS:
            lines = run(command, "--help").stdout.decode().splitlines()
            options = [i for i, line in enumerate(lines) if line.startswith("  --")]
            for i, following in zip(options[:-1], options[1:]):
                block = " ".join(lines[i:following])
                self.assertIn("[default: ", block)
                if "--print-config" not in block and "--output " not in block:
                    self.assertRegex(block, "env (INFERD|HF)_")

    def test_exit_codes_are_documented(self):
        codes = [line.strip() for line in
                 run("--help").stdout.decode().split("Exit codes:\n")[1].splitlines()]
        self.assertEqual([int(line.split()[0]) for line in codes], list(range(12)))
        docs = (HERE.parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
        for line in codes:
            number, text = line.split(maxsplit=1)
            self.assertIn(f"| {number} | {text} |", docs)

    def test_every_option_is_documented(self):
        docs = (HERE.parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
        for command in COMMANDS:
            for line in run(command, "--help").stdout.decode().splitlines():
                if line.startswith("  --") and not line.startswith("  --help"):
                    self.assertIn("`" + line.split()[0] + "`", docs)

    def test_wrong_usage(self):
        for args, part in (
                ((), b"a command is missing"),
                (("servee",), b"did you mean serve?"),
                (("help", "nothing-like-it"), b"there is no command"),
                (("serve", "--prot", "1"), b"did you mean --port?"),
                (("serve", "extra"), b"unexpected argument 'extra'"),
                (("serve", "--port", "65536"), b"--port 65536: must be from 0 to 65535"),
                (("inspect",), b"MODEL_DIR is missing"),
                (("pull",), b"REPO_ID is missing"),
                (("classify", "--dtype", "int4", "x"), b"must be one of auto|fp32|bf16|int8"),
                (("classify", "--tier", "mmx", "x"), b"unknown CPU tier 'mmx'"),
                (("classify", "--max-length", "2", "x"), b"max_length is 2"),
                (("classify", "--eval", "f.tsv", "x"), b"leave the arguments out"),
                (("healthcheck", "--url", "https://h/"), b"TLS is not spoken"),
        ):
            with self.subTest(args):
                done = run(*args)
                self.assertEqual((done.returncode, done.stdout), (2, b""))
                self.assertIn(part, done.stderr)
        done = run("serve", env={"INFERD_PORT": "x"})
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"INFERD_PORT=x (environment)", done.stderr)

    def test_print_config(self):
        done = run("serve", "--print-config", "--drain-delay", "0.3", env={"INFERD_MAX_INPUTS": "7"})
        self.assertEqual(done.returncode, 0)
        rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in done.stdout.decode().splitlines()}
        self.assertEqual(rows["max-inputs"], ["7", "environment INFERD_MAX_INPUTS"])
        self.assertEqual(rows["drain-delay"], ["300ms", "command line"])
        self.assertEqual(rows["port"], ["8000", "default"])

    def test_version(self):
        told = json.loads(run("version", "--json").stdout)
        self.assertIn(told["tier"], told["tiers"])
        self.assertEqual(told["tiers"][0], "ref")
        self.assertIn(told["version"].encode(), run("--version").stdout)


class Classify(unittest.TestCase):
    LINES = [b"good", b"", b"a\tb", b"cr\r", b"\xc2\x85next\xe2\x80\xa8line", b"  ", b"--json", b"nul\0inside"]

    def test_one_line_out_per_line_in(self):
        for end in (b"\n", b""):
            done = run("classify", stdin=b"\n".join(self.LINES) + end)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            lines = done.stdout.decode().splitlines()
            self.assertEqual(len(lines), len(self.LINES))
            for line in lines:
                self.assertRegex(line, r"^[^\t]+\t[01]\.\d{4}$")
        self.assertEqual(run("classify", stdin=b"").stdout, b"")
        self.assertEqual(run("classify", stdin=b"\n\n\n").stdout.count(b"\n"), 3)

    def test_arguments_equal_lines(self):
        texts = ["good", "", "a\tb", "two\nlines", "é", "--model"]
        by_argument = run("classify", "--json", "--", *texts).stdout.splitlines()
        self.assertEqual(len(by_argument), len(texts))
        for text, line in zip(texts, by_argument):
            if "\n" not in text:
                self.assertEqual(run("classify", "--json", stdin=text.encode() + b"\n").stdout.rstrip(b"\n"), line)

    def test_json(self):
        result = json.loads(run("classify", "--json", "good").stdout)
        self.assertEqual(set(result), {"label", "confidence", "scores", "logits"})
        self.assertEqual(result["scores"][result["label"]], max(result["scores"].values()))
        self.assertAlmostEqual(sum(result["scores"].values()), 1, places=5)
        self.assertEqual(len(result["logits"]), len(result["scores"]))

    def test_batching_changes_nothing(self):
        texts = [("word " * (i % 37)).encode() for i in range(600)]
        stream = b"\n".join(texts) + b"\n"
        whole = run("classify", "--json", stdin=stream).stdout
        self.assertEqual(whole.count(b"\n"), 600)
        for options in (("--batch-tokens", "16"), ("--threads", "1"), ("--threads", "3", "--batch-tokens", "200")):
            self.assertEqual(run("classify", "--json", *options, stdin=stream).stdout, whole)

    def test_a_bad_line_stops_after_the_good_ones(self):
        done = run("classify", stdin=b"one\ntwo\nbad\xff\nfour\n")
        self.assertEqual(done.returncode, 6)
        self.assertEqual(done.stdout.count(b"\n"), 2)
        self.assertIn(b"line 3 is not valid UTF-8: byte 4", done.stderr)
        done = run("classify", b"x\xff")
        self.assertEqual(done.returncode, 6)
        self.assertIn(b"text 1 is not valid UTF-8", done.stderr)

    def test_formats(self):
        plain = run("classify", "good", "bad").stdout
        for args, stream in (
                (("--format", "tsv"), b"id\ttext\r\n1\tgood\r\n2\tbad\r\n"),
                (("--format", "tsv", "--column", "2"), b"text\tother\nx\tgood\ny\tbad"),
                (("--format", "tsv", "--column", "1", "--header", "no"), b"good\tx\nbad\ty\n"),
                (("--format", "jsonl"), b'"good"\n{"text":"b\\u0061d","id":7}\n'),
        ):
            with self.subTest(args):
                done = run("classify", *args, stdin=stream)
                self.assertEqual((done.returncode, done.stdout), (0, plain))
        done = run("classify", "--format", "jsonl", stdin=b'"good"\n{"txt":"bad"}\n')
        self.assertEqual(done.returncode, 6)
        self.assertEqual(done.stdout.count(b"\n"), 1)
        self.assertIn(b"line 2", done.stderr)
        done = run("classify", "--format", "tsv", "--column", "nope", stdin=b"a\tb\n1\t2\n")
        self.assertEqual(done.returncode, 2)

    def test_long_lines(self):
        done = run("classify", "--max-line-bytes", "10", stdin=b"0123456789\n0123456789a\n")
        self.assertEqual(done.returncode, 6)
        self.assertEqual(done.stdout.count(b"\n"), 1)
        self.assertIn(b"line 2 is longer than 10 bytes; --max-line-bytes", done.stderr)
        self.assertEqual(run("classify", stdin=b"word " * 500000).stdout.count(b"\n"), 1)

    def test_a_trickling_pipe_is_answered_line_by_line(self):
        with subprocess.Popen([BIN, "classify", "--model", MODEL], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as p:
            for text in (b"one\n", b"two\n", b"three\n"):
                p.stdin.write(text)
                p.stdin.flush()
                ready, _, _ = select.select([p.stdout], [], [], PATIENCE_S)
                self.assertTrue(ready)
                self.assertEqual(os.read(p.stdout.fileno(), 1000).count(b"\n"), 1)
            p.stdin.close()
            self.assertEqual(p.wait(PATIENCE_S), 0)

    def test_output_that_fails(self):
        with open("/dev/full", "wb") as full:
            for command in (("classify", "x"), ("tokenize", "x"), ("inspect", MODEL), ("version",), ("--help",)):
                done = subprocess.run([BIN, *command], stdout=full, stderr=subprocess.PIPE,
                                      env={**os.environ, "INFERD_MODEL": MODEL}, timeout=PATIENCE_S)
                self.assertEqual(done.returncode, 8)
                self.assertIn(b"No space left on device", done.stderr)
        with subprocess.Popen([BIN, "classify", "--model", MODEL], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
            p.stdout.close()
            p.stdin.write(b"x\n")
            p.stdin.close()
            self.assertEqual(p.wait(PATIENCE_S), 8)
            self.assertEqual(p.stderr.read(), b"")  # the reader has left: nothing to tell

    def test_input_that_fails(self):
        directory = os.open("/", os.O_RDONLY)
        try:
            done = subprocess.run([BIN, "classify", "--model", MODEL], stdin=directory,
                                  capture_output=True, timeout=PATIENCE_S)
        finally:
            os.close(directory)
        self.assertEqual(done.returncode, 8)
        self.assertIn(b"reading line 1 failed", done.stderr)


class Terminal(unittest.TestCase):
    """Standard error is a terminal, made by pty; a slow stream makes the work take seconds."""

    def stderr_of(self, env: dict, slow: bool = True, args=("classify",)) -> bytes:
        parent, child = pty.openpty()
        p = subprocess.Popen([BIN, *args], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                             stderr=child, env={**os.environ, "INFERD_MODEL": MODEL, "TERM": "xterm", **env})
        os.close(child)
        seen = bytearray()

        def read():
            try:
                while chunk := os.read(parent, 4096):
                    seen.extend(chunk)
            except OSError:
                pass  # the terminal's other side is closed

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for _ in range(8 if slow else 1):
                p.stdin.write(b"text\n" * 5)
                p.stdin.flush()
                time.sleep(0.3 if slow else 0)
            p.stdin.close()
        except BrokenPipeError:
            pass
        p.wait(PATIENCE_S)
        reader.join(PATIENCE_S)
        os.close(parent)
        return bytes(seen)

    def test_progress_when_it_takes_long(self):
        self.assertRegex(self.stderr_of({}), rb"\d+ texts, \d+ per second")
        self.assertNotIn(b"texts", self.stderr_of({}, slow=False))

    def test_no_progress_on_a_dumb_terminal(self):
        self.assertEqual(self.stderr_of({"TERM": "dumb"}), b"")

    def test_colour(self):
        wrong = ("classify", "--nope")
        self.assertIn(b"\x1b[31m", self.stderr_of({}, False, wrong))
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            seen = self.stderr_of(env, False, wrong)
            self.assertIn(b"there is no option --nope", seen)
            self.assertNotIn(b"\x1b", seen)
        self.assertNotIn(b"\x1b", run(*wrong).stderr)


class Eval(unittest.TestCase):
    def write(self, data: bytes) -> str:
        f = tempfile.NamedTemporaryFile(suffix=".tsv")
        self.addCleanup(f.close)
        f.write(data)
        f.flush()
        return f.name

    def labels(self) -> list[str]:
        return json.loads(run("inspect", "--json", MODEL).stdout)["labels"]

    def test_against_classify(self):
        texts = [f"text number {i} {'x' * i}" for i in range(40)]
        got = [json.loads(line) for line in run("classify", "--json", "--", *texts).stdout.splitlines()]
        names = self.labels()
        truth = [names[i % len(names)] if i % 3 else str(i % len(names)) for i in range(40)]
        path = self.write(b"label\ttext\n" + "".join(
            f"{t}\t{x}\n" for t, x in zip(truth, texts)).encode())
        want = [names[int(t)] if t.isdigit() else t for t in truth]
        done = run("classify", "--json", "--eval", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        right = [g["label"] == w for g, w in zip(got, want)]
        self.assertEqual(report["texts"], 40)
        self.assertEqual(report["correct"], sum(right))
        self.assertAlmostEqual(report["accuracy"], sum(right) / 40, places=5)
        self.assertAlmostEqual(report["mean_confidence"], sum(g["confidence"] for g in got) / 40, places=5)
        brier = sum(sum((g["scores"][n] - (n == w)) ** 2 for n in names) for g, w in zip(got, want)) / 40
        self.assertAlmostEqual(report["brier"], brier, places=5)
        for i, row in enumerate(names):
            for j, column in enumerate(names):
                self.assertEqual(report["confusion"][i][j],
                                 sum(g["label"] == column and w == row for g, w in zip(got, want)))
        text = run("classify", "--eval", path).stdout.decode()
        self.assertIn(f"({sum(right)} right)", text)
        by_stdin = run("classify", "--json", "--eval", "-", stdin=Path(path).read_bytes())
        self.assertEqual(json.loads(by_stdin.stdout)["confusion"], report["confusion"])

    def test_refusals(self):
        for data, code, part in (
                (b"label\ttext\n0\tx\nWRONG\ty\n", 6, b"line 3: label \"WRONG\""),
                (b"label\ttext\n99\tx\n", 6, b"line 2: label \"99\""),
                (b"label\ttext\n\tx\n", 6, b"line 2: label \"\""),
                (b"label\ttext\n0\n", 6, b"line 2 has 1 columns"),
                (b"truth\ttext\n0\tx\n", 2, b"--label-column label"),
                (b"label\ttext\n0\t\xff\n", 6, b"line 2 is not valid UTF-8"),
        ):
            with self.subTest(part):
                done = run("classify", "--eval", self.write(data))
                self.assertEqual((done.returncode, done.stdout), (code, b""))
                self.assertIn(part, done.stderr)
        done = run("classify", "--eval", "/no/such/file.tsv")
        self.assertEqual(done.returncode, 8)
        self.assertIn(b"/no/such/file.tsv", done.stderr)


class Tokenize(unittest.TestCase):
    def test_shape_and_truncation(self):
        stream = b"\n".join(Classify.LINES)
        lines = run("tokenize", stdin=stream).stdout.splitlines()
        self.assertEqual(len(lines), len(Classify.LINES))
        for line in lines:
            told = json.loads(line)
            self.assertEqual(list(told), ["ids", "tokens"])
            self.assertEqual(len(told["ids"]), len(told["tokens"]))
            self.assertEqual((told["tokens"][0], told["tokens"][-1]), ("[CLS]", "[SEP]"))
        cut = json.loads(run("tokenize", "--max-length", "4", "a b c d e f").stdout)
        self.assertEqual(len(cut["ids"]), 4)
        self.assertEqual(cut["tokens"][-1], "[SEP]")

    def test_bad_input(self):
        done = run("tokenize", stdin=b"a\n\xff\n")
        self.assertEqual(done.returncode, 6)
        self.assertEqual(done.stdout.count(b"\n"), 1)


class Models(unittest.TestCase):
    def test_inspect(self):
        told = json.loads(run("inspect", "--json", MODEL + "/").stdout)
        config = json.loads((Path(MODEL) / "config.json").read_text(encoding="utf-8"))
        self.assertEqual(told["architecture"], config["architectures"][0])
        self.assertEqual(told["files"][0]["bytes"], (Path(MODEL) / "model.safetensors").stat().st_size)
        text = run("inspect", MODEL).stdout.decode()
        for word in ("architecture", "labels", "tokenizer", "parameters", "max length", "model.safetensors"):
            self.assertIn(word, text)

    def test_no_model(self):
        with tempfile.TemporaryDirectory() as empty:
            for args, part in (
                    (("classify", "--model", empty, "x"), b"has no config.json"),
                    (("classify", "--model", empty + "/none", "x"), b"no such model directory"),
                    (("tokenize", "--model", empty, "x"), b"has no config.json"),
                    (("inspect", empty), b"has no config.json"),
            ):
                with self.subTest(args):
                    done = run(*args)
                    self.assertEqual((done.returncode, done.stdout), (4, b""))
                    self.assertIn(part, done.stderr)
            done = run("serve", "--port", "0", "--model", empty)
            self.assertEqual(done.returncode, 4)

    def test_the_default_model(self):
        """Looked for beside the executable, then in the working directory; told where if nowhere."""
        with tempfile.TemporaryDirectory() as room:
            inferd = alone_in(room)

            def classify():
                env = {k: v for k, v in os.environ.items() if k != "INFERD_MODEL"}
                return subprocess.run([inferd, "classify", "x"], cwd=room, env=env,
                                      capture_output=True, timeout=PATIENCE_S)

            done = classify()
            self.assertEqual(done.returncode, 4)
            for part in (b"../models/sst2-minilm-l6", b"../share/inferd/models/sst2-minilm-l6",
                         b"./models/sst2-minilm-l6", b"--model DIR"):
                self.assertIn(part, done.stderr)
            for place in ("share/inferd/models", "models"):
                os.makedirs(f"{room}/{place}")
                os.symlink(MODEL, f"{room}/{place}/sst2-minilm-l6")
                self.assertEqual(classify().returncode, 0)
                os.unlink(f"{room}/{place}/sst2-minilm-l6")


class Healthcheck(unittest.TestCase):
    def answer(self, reply: bytes):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def serve():
            peer, _ = listener.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        done = run("healthcheck", "--port", str(listener.getsockname()[1]))
        thread.join(PATIENCE_S)
        return done

    def test_verdicts(self):
        done = self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
        done = self.answer(b"HTTP/1.1 503 Service Unavailable\r\n\r\nloading\x1b[2J")
        self.assertEqual(done.returncode, 7)
        self.assertIn(b"answers 503: loading?[2J", done.stderr)
        done = self.answer(b"SSH-2.0-x\r\n")
        self.assertEqual(done.returncode, 7)
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            port = str(nobody.getsockname()[1])
            done = run("healthcheck", env={"INFERD_PORT": port})
        self.assertEqual(done.returncode, 7)
        self.assertIn(f"127.0.0.1:{port}/readyz: cannot connect".encode(), done.stderr)

    def test_time_out(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            began = time.monotonic()
            done = run("healthcheck", "--port", str(silent.getsockname()[1]), "--timeout", "300ms")
            self.assertEqual(done.returncode, 7)
            self.assertIn(b"no answer in time", done.stderr)
            self.assertLess(time.monotonic() - began, PATIENCE_S / 3)


class Serve(unittest.TestCase):
    def test_address_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            done = run("serve", "--port", str(taken.getsockname()[1]))
        self.assertEqual(done.returncode, 5)
        self.assertIn(b"--port", done.stderr)

    def test_healthcheck_of_a_real_server(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = str(s.getsockname()[1])
        env = {**os.environ, "INFERD_MODEL": MODEL, "INFERD_PORT": port}
        with subprocess.Popen([BIN, "serve"], env=env, stderr=subprocess.DEVNULL) as server:
            try:
                end = time.monotonic() + PATIENCE_S
                while run("healthcheck", env={"INFERD_PORT": port}).returncode != 0:
                    self.assertLess(time.monotonic(), end)
                    time.sleep(0.05)
            finally:
                server.terminate()
            self.assertEqual(server.wait(PATIENCE_S), 0)
        self.assertEqual(run("healthcheck", env={"INFERD_PORT": port}).returncode, 7)


if __name__ == "__main__":
    unittest.main()
