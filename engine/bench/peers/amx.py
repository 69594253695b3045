# SPDX-License-Identifier: Apache-2.0
"""Keep AMX from this process, whatever library asks for it.

A process may use AMX tiles only after arch_prctl(ARCH_REQ_XCOMP_PERM) has succeeded; without it the
processor faults on the first tile instruction. A seccomp filter that refuses this one call therefore
holds every engine to AVX-512 and VNNI, those included that have no option for it (MKL under
CTranslate2, ONNX Runtime's MLAS), and a run that ends shows that none used a tile.
Source: Linux Documentation/arch/x86/xstate.rst and userspace-api/seccomp_filter.rst.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, XTILE_DATA = 158, 0x1023, 18
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
AUDIT_ARCH_X86_64 = 0xC000003E
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, FAIL = 0x7FFF0000, 0x00050000


def _filter() -> bytes:
    """struct sock_filter[]: offsets in struct seccomp_data are 0 number, 4 architecture, 16 first argument."""
    steps = [(LOAD, 0, 0, 4), (JUMP_IF_EQUAL, 0, 4, AUDIT_ARCH_X86_64), (LOAD, 0, 0, 0), (JUMP_IF_EQUAL, 0, 2, ARCH_PRCTL),
             (LOAD, 0, 0, 16), (JUMP_IF_EQUAL, 1, 0, ARCH_REQ_XCOMP_PERM), (RETURN, 0, 0, ALLOW),
             (RETURN, 0, 0, FAIL | errno.EPERM)]
    return b"".join(struct.pack("HBBI", *s) for s in steps)


def permitted() -> bool:
    """Ask for the tiles as a library would; a grant is for the rest of the process."""
    if platform.machine() != "x86_64":
        return False
    return ctypes.CDLL(None).syscall(ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, XTILE_DATA) == 0


def refuse() -> None:
    """Before any engine is loaded. Raises if a library could still get the permission."""
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]

    libc = ctypes.CDLL(None, use_errno=True)
    code = _filter()
    held = ctypes.create_string_buffer(code, len(code))
    program = Program(len(code) // 8, ctypes.addressof(held))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}; --no-amx needs it")
    if permitted():
        raise RuntimeError("--no-amx: the kernel still grants AMX to this process")
