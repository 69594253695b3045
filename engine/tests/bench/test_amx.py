# SPDX-License-Identifier: Apache-2.0
"""bench.py --no-amx: the kernel refuses the tiles to the process, and nothing else. On a machine
without AMX it refuses them anyhow, but for another reason, which is what tells the two apart."""

import platform
import subprocess
import sys
import unittest
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench"
ASK = """
import ctypes, errno, sys
sys.path.insert(0, sys.argv[1])
from peers import amx
if sys.argv[2] == "refuse":
    amx.refuse()
libc = ctypes.CDLL(None, use_errno=True)
def ask(code, argument):
    return 0 if libc.syscall(amx.ARCH_PRCTL, code, argument) == 0 else ctypes.get_errno()
supported = ctypes.c_uint64()
print(ask(amx.ARCH_REQ_XCOMP_PERM, amx.XTILE_DATA) == errno.EPERM, ask(0x1021, ctypes.byref(supported)) == errno.EPERM)
"""


@unittest.skipUnless(platform.machine() == "x86_64", "x86 alone has AMX")
class NoAmx(unittest.TestCase):
    def refused(self, how):
        done = subprocess.run([sys.executable, "-c", ASK, str(BENCH), how], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split()

    def test_refused(self):
        self.assertEqual(self.refused("refuse"), ["True", "False"])

    def test_control_not_refused(self):
        self.assertEqual(self.refused("leave"), ["False", "False"])


if __name__ == "__main__":
    unittest.main()
