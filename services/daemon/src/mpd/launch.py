"""Becomes another program, tied to the life of its parent.

Run as a script: `python -I -S launch.py PARENT_PID DEATH_SIGNAL UID GID SEARCH -- program arguments…`. The process id
stays the same, so whoever started this script owns the program. It uses the standard library alone, to start in
milliseconds.

On Linux the kernel sends DEATH_SIGNAL when the parent dies, even by SIGKILL. Elsewhere the program just runs.
UID and GID of -1 keep the user. SEARCH of 1 lets the other user walk through folders that only root may enter,
because a data folder below a private home is usual and opening up its ancestors would change the machine.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION_3 = 0x20080522


class CapHeader(ctypes.Structure):
    """The header of capset(2)."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class CapData(ctypes.Structure):
    """One half of the capability sets of capset(2)."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def become_user(libc: ctypes.CDLL, uid: int, gid: int, search: bool) -> None:
    """Drop to another user, keeping at most the right to walk through folders."""
    if search:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if search:
        bit = 1 << CAP_DAC_READ_SEARCH
        sets = (CapData * 2)(CapData(bit, bit, bit), CapData(0, 0, 0))
        # A machine that withholds the capability is left to say so in the program's own words: permission denied.
        if libc.capset(ctypes.byref(CapHeader(CAPABILITY_VERSION_3, 0)), sets) == 0:
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0)


def main(arguments: list[str]) -> None:
    """Apply the five settings, then become the program. Does not return."""
    parent, death_signal, uid, gid, search = (int(word) for word in arguments[:5])
    program = arguments[6:]
    libc = ctypes.CDLL(None, use_errno=True)
    if uid >= 0:
        become_user(libc, uid, gid, bool(search))
    if sys.platform == "linux":
        libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)  # After the change of user, which would clear it.
        if os.getppid() != parent:
            sys.exit("the parent died before the program started")
    os.execv(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
