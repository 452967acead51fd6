"""Becomes another program, tied to the life of its parent.

Run as a script: `python -I -S launch.py PARENT_PID DEATH_SIGNAL UID GID FOLDER -- program arguments…`. The process id
stays the same, so whoever started this script owns the program. It uses the standard library alone, to start in
milliseconds.

On Linux the kernel sends DEATH_SIGNAL when the parent dies, even by SIGKILL. Elsewhere the program just runs.
UID and GID of -1 keep the user. FOLDER, unless it is empty, is opened while we still may, and handed to the program as
an open descriptor: a data folder below a private home is usual, and opening up its ancestors would change the machine.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
HANDED_DESCRIPTOR = 9
HANDED = f"/proc/self/fd/{HANDED_DESCRIPTOR}"
"""The path of the folder handed to the program: a way in that asks no ancestor."""


def hand_over(folder: str) -> None:
    """Open a folder for the program that this process becomes."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.dup2(opened, HANDED_DESCRIPTOR, inheritable=True)
    if opened != HANDED_DESCRIPTOR:
        os.close(opened)


def become_user(uid: int, gid: int) -> None:
    """Drop to another user, keeping no right of the one before."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def main(arguments: list[str]) -> None:
    """Apply the five settings, then become the program. Does not return."""
    parent, death_signal, uid, gid = (int(word) for word in arguments[:4])
    folder, program = arguments[4], arguments[6:]
    if folder:
        hand_over(folder)
    if uid >= 0:
        become_user(uid, gid)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)  # After the change of user, which would clear it.
        if os.getppid() != parent:
            sys.exit("the parent died before the program started")
    os.execv(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
