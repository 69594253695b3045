# SPDX-License-Identifier: Apache-2.0
"""Completion, manual pages, the configuration file, doctor and tune, as a user runs them.

What needs a shell or a page checker that is not installed is skipped, and `make test` installs them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

from test_commands import BIN, COMMANDS, MODEL, run

HERE = Path(__file__).resolve().parent


def text(*args, **more) -> str:
    done = run(*args, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def options_of(command: str) -> list[str]:
    return re.findall(r"^  (--[a-z-]+)", text(command, "--help"), re.M)


def needs(program: str):
    return unittest.skipUnless(shutil.which(program), f"{program} is not installed")


class Completion(unittest.TestCase):
    def bash(self, line: str) -> set[str]:
        """What bash would offer at the end of the line."""
        script = ('source <(printf "%s" "$SCRIPT"); IFS=$\'\\n\' read -r -d "" -a COMP_WORDS <<<"$WORDS"; '
                  'COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); [ -n "$LAST" ] || { COMP_WORDS+=(""); COMP_CWORD=$((COMP_CWORD + 1)); }; '
                  '_inferd; printf "%s\\n" "${COMPREPLY[@]}"')
        words = line.split(" ")
        env = {**os.environ, "SCRIPT": text("completion", "bash"), "WORDS": "\n".join(w for w in words if w), "LAST": words[-1]}
        done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, cwd=HERE)
        self.assertEqual(done.stderr, "")
        return set(done.stdout.split())

    def test_bash(self):
        self.assertEqual(self.bash("inferd "), set(COMMANDS) | {"help"})
        self.assertEqual(self.bash("inferd se"), {"serve"})
        self.assertEqual(self.bash("inferd help doc"), {"doctor"})
        for command in COMMANDS:
            self.assertLessEqual(set(options_of(command)), self.bash(f"inferd {command} --"))
        self.assertEqual(self.bash("inferd serve --ui "), {"on", "off"})
        self.assertEqual(self.bash("inferd serve --ui = o"), {"on", "off"})  # as bash cuts --ui=o
        self.assertEqual(self.bash("inferd serve --port "), {""} - {""})
        self.assertIn("tools", os.listdir(HERE.parent / "model"))
        self.assertEqual(self.bash("inferd serve --model ../model/to"), {"../model/tools"})
        self.assertIn("test_person.py", self.bash("inferd tune --texts test_pe"))
        self.assertEqual(self.bash("inferd completion f"), {"fish"})
        self.assertIn("../model/golden", self.bash("inferd inspect ../model/go"))

    @needs("shellcheck")
    def test_bash_is_clean(self):
        done = subprocess.run(["shellcheck", "-"], input=text("completion", "bash"), capture_output=True, text=True)
        self.assertEqual(done.stdout, "")

    @needs("fish")
    def test_fish(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "inferd.fish"
            file.write_text(text("completion", "fish"))

            def fish(line: str) -> set[str]:
                done = subprocess.run(["fish", "--no-config", "-c", f"source {file}; complete -C '{line}'"],
                                      capture_output=True, text=True, env={**os.environ, "HOME": folder})
                self.assertEqual(done.stderr, "")
                return {row.split("\t")[0] for row in done.stdout.splitlines()}
            self.assertLessEqual(set(COMMANDS), fish("inferd "))
            self.assertEqual(fish("inferd serve --ui "), {"on", "off"})
            self.assertEqual(fish("inferd completion "), {"bash", "zsh", "fish"})
            for command in COMMANDS:
                self.assertLessEqual(set(options_of(command)) - {"--help"}, fish(f"inferd {command} --"))

    @needs("zsh")
    def test_zsh(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "_inferd").write_text(text("completion", "zsh"))
            # the function runs with the calls that it makes recorded: no terminal is needed
            script = """
                autoload -Uz compinit; compinit -u -d $1/dump; _describe() { eval "print -l -- \\${$2[@]}" }
                _arguments() { print -l -- "$@" }; _files() { }
                source $1/_inferd; words=(${=2}); CURRENT=$3; _inferd"""

            def zsh(line: str, at: int) -> list[str]:
                done = subprocess.run(["zsh", "-f", "-c", script, "zsh", folder, line, str(at)], capture_output=True, text=True)
                self.assertEqual(done.stderr, "")
                return done.stdout.splitlines()
            self.assertEqual({row.split(":")[0] for row in zsh("inferd x", 2)}, set(COMMANDS))
            for command in COMMANDS:
                rows = zsh(f"inferd {command} x", 3)
                self.assertLessEqual(set(options_of(command)), {re.match(r"\*?(--[a-z-]+)", r)[1] for r in rows if "--" in r[:3]})
            self.assertIn("--ui=[the page at / for a browser, and /docs; off leaves / to its list of routes]:on|off:(off on)",
                          zsh("inferd serve x", 3))

    def test_an_unknown_shell(self):
        done = run("completion", "tcsh")
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"bash, zsh or fish", done.stderr)


class Manual(unittest.TestCase):
    def pages(self) -> dict[str, str]:
        return {command: text("man", *([command] if command else [])) for command in ("", *COMMANDS)}

    @needs("mandoc")
    def test_mandoc_has_nothing_to_say(self):
        lint = lambda page: subprocess.run(["mandoc", "-T", "lint", "-W", "style"], input=page, capture_output=True, text=True).stdout
        for command, page in self.pages().items():
            said = [line for line in lint(page).splitlines() if "referenced manual not found" not in line]
            self.assertEqual(said, [], command)
        self.assertNotEqual(lint(self.pages()["serve"].replace(".TP", ".XX", 1)), "")  # positive control

    @needs("groff")
    @needs("man")
    def test_man_has_no_warnings(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "page.1"
            warned = lambda page: (file.write_text(page), subprocess.run(
                ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", file], capture_output=True, text=True,
                env={**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": ""}).stderr)[1]
            for command, page in self.pages().items():
                self.assertEqual(warned(page), "", command)
            self.assertNotEqual(warned(".TH X 1\n.XX y\n"), "")  # positive control

    def test_every_option_and_code_is_there(self):
        for command, page in self.pages().items():
            plain = page.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "").replace("\\fI", "")
            for option in options_of(command) if command else []:
                self.assertRegex(plain, rf"(?m)^{option}\b")
            for code in range(12):
                self.assertIn(f"\n{code}\n", plain)
            for other in set(COMMANDS) - {command}:
                self.assertIn(f"inferd-{other} (1)", plain)
        self.assertIn("Environment: INFERD_MAX_INPUTS", self.pages()["serve"].replace("\\fB", "").replace("\\fR", ""))


class Configuration(unittest.TestCase):
    def test_serve(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "inferd.conf"
            file.write_text("# ours\nport = 9001\nmax-inputs = 9\nmax-queue = 99 # texts\nui = off\n")
            done = run("serve", "--config", str(file), "--print-config", "--max-queue", "100", env={"INFERD_MAX_INPUTS": "7"})
            self.assertEqual(done.returncode, 0, done.stderr)
            rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in done.stdout.decode().splitlines()}
            self.assertEqual(rows["port"], ["9001", f"file {file}:2"])
            self.assertEqual(rows["max-inputs"], ["7", "environment INFERD_MAX_INPUTS"])
            self.assertEqual(rows["max-queue"], ["100", "command line"])
            self.assertEqual(rows["ui"], ["off", f"file {file}:5"])
            self.assertEqual(rows["host"], ["127.0.0.1", "default"])
            file.write_text("port = 9001\nthread = 2\n")
            done = run("serve", env={"INFERD_CONFIG": str(file)})
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"{file}:2: there is no option thread; did you mean threads?".encode(), done.stderr)
            done = run("serve", "--config", str(file) + ".not")
            self.assertEqual(done.returncode, 2)


class Doctor(unittest.TestCase):
    def free_port(self) -> int:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    def test_a_machine_that_is_well(self):
        done = run("doctor", "--json", "--port", str(self.free_port()), "--max-connections", "100")
        told = json.loads(done.stdout)
        levels = {f["check"]: f["level"] for f in told["findings"]}
        self.assertEqual(done.returncode, 0, told)
        self.assertEqual(list(levels), ["cpu", "processors", "memory", "huge pages", "open files", "backlog", "address",
                                        "model", "speed", "inferd-pull"])
        self.assertNotIn("fail", levels.values())
        self.assertIn("answers", {f["check"]: f["text"] for f in told["findings"]}["model"])
        for finding in told["findings"]:
            self.assertEqual(finding["advice"] is None, finding["level"] == "ok")
        words = run("doctor", "--port", str(self.free_port())).stdout.decode()
        for check in levels:
            self.assertRegex(words, rf"(?m)^(ok|hint|warn)  +{check} ")

    def test_what_is_wrong(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            done = run("doctor", "--json", "--port", str(s.getsockname()[1]))
            self.assertEqual(done.returncode, 11)
            told = {f["check"]: f for f in json.loads(done.stdout)["findings"]}
            self.assertEqual(told["address"]["level"], "fail")
            self.assertIn("in use", told["address"]["text"])
        done = run("doctor", "--json", "--model", "/no/such/model")
        self.assertEqual(done.returncode, 11)
        told = {f["check"]: f for f in json.loads(done.stdout)["findings"]}
        self.assertEqual(told["model"]["level"], "fail")
        self.assertIn("/no/such/model", told["model"]["text"])
        self.assertEqual(run("doctor", "--tier", "mmx").returncode, 2)

    def test_a_damaged_model(self):
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "m"
            shutil.copytree(MODEL, model)
            self.assertEqual(run("inspect", str(model), "--write-manifest").returncode, 0)
            weights = model / "model.safetensors"
            data = bytearray(weights.read_bytes())
            data[-1] ^= 1
            weights.write_bytes(data)
            done = run("doctor", "--json", "--model", str(model), "--port", str(self.free_port()))
            self.assertEqual(done.returncode, 11)
            self.assertIn("model.safetensors", done.stdout.decode())


starts_itself = unittest.skipIf(os.environ.get("IFD_TEST_EMULATED"),
                                "tune starts its own executable, and qemu-user starts that without an emulator")


class Tune(unittest.TestCase):
    def test_wrong_goals(self):
        for goal in ("p99", "p99=", "p98=1s", "p99=0ms", "p99=61s", "99=5ms", "p99 = 5ms"):
            done = run("tune", "--slo", goal)
            self.assertEqual(done.returncode, 2, goal)
            self.assertIn(b"such as p99=20ms", done.stderr)
        self.assertEqual(run("tune", "--texts", "/no/such").returncode, 6)

    @starts_itself
    def test_a_goal_that_nothing_meets(self):
        # 1 ms for 128 long texts of a request is what no setting can do
        with tempfile.TemporaryDirectory() as folder:
            texts = Path(folder) / "t.txt"
            texts.write_text("word " * 400 + "\n")
            done = subprocess.run([BIN, "tune", "--slo", "p50=1ms", "--duration", "0.2s", "--inputs", "128", "--texts", texts,
                                   "--model", str(HERE.parents[2] / "models" / "sst2-minilm-l6"), "--connections", "2"],
                                  capture_output=True, text=True, timeout=280)
        self.assertEqual(done.returncode, 11, done.stderr)
        self.assertIn("no setting meets p50=1ms", done.stderr)

    @starts_itself
    def test_a_setting_that_serve_takes(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "inferd.conf"
            done = subprocess.run([BIN, "tune", "--slo", "p50=2s", "--duration", "0.2s", "--json", "--output", file,
                                   "--connections", "4", "--model", MODEL], capture_output=True, text=True, timeout=280)
            self.assertEqual(done.returncode, 0, done.stderr)
            told = json.loads(done.stdout)
            self.assertTrue(told["met"])
            self.assertGreater(told["requests_per_s"], 0)
            self.assertGreaterEqual(told["requests_per_s"], told["default_requests_per_s"])
            shown = text("serve", "--config", str(file), "--print-config")
            for name in ("threads", "max-batch-tokens", "max-queue-wait"):
                self.assertRegex(shown, rf"(?m)^{name} .* file {re.escape(str(file))}:")
            setting = told["setting"]
            self.assertRegex(shown, rf"(?m)^threads +{setting['threads']} ")
        # no server is left behind
        left = [p for p in Path("/proc").glob("[0-9]*/cmdline")
                if (lambda b: b"--log-format=json" in b and MODEL.encode() in b)(self.read(p))]
        self.assertEqual(left, [])

    @staticmethod
    def read(path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError:
            return b""


if __name__ == "__main__":
    unittest.main()
