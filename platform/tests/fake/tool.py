#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stands in for gcloud, terraform, kubectl, flux, sops and ssh-keygen: writes down how it was called, answers from a table.

Linked under a tool's name. FAKE_LOG is a file of one JSON object a call: argv and standard input. FAKE_ANSWERS is a JSON
file of rules {"match": regular expression over the command line, "stdout", "stderr", "code", "write": {path: text}}; the
first that matches is used, and a call that none matches succeeds silently.
"""

import json
import os
import re
import select
import sys
from pathlib import Path

name = Path(sys.argv[0]).name
line = " ".join([name, *sys.argv[1:]])
reads = {"-", "/dev/stdin", "envsubst"} & set(sys.argv[1:])
stdin = sys.stdin.read() if reads and select.select([sys.stdin], [], [], 5)[0] else ""
with open(os.environ["FAKE_LOG"], "a", encoding="utf-8") as log:
    log.write(json.dumps({"argv": [name, *sys.argv[1:]], "stdin": stdin}) + "\n")
rules = json.loads(Path(os.environ["FAKE_ANSWERS"]).read_text(encoding="utf-8"))
for rule in rules:
    if re.search(rule["match"], line):
        for path, text in rule.get("write", {}).items():
            Path(path).write_text(text, encoding="utf-8")
        sys.stdout.write(stdin if rule.get("echo") else rule.get("stdout", ""))
        sys.stderr.write(rule.get("stderr", ""))
        sys.exit(rule.get("code", 0))
