"""What a stranger's process may not do, where the kernel can hold it to that: Landlock and namespaces of Linux.

A plugin that is confined writes only into a folder of its own, reads neither the data nor the run folder, reaches no
socket, and signals, traces, bounds or sees no process outside. Where the kernel has no Landlock nothing of this is
stopped, and the run says so; before its version 6 signals are not.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import stat
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

CREATE, ADD, RESTRICT = 444, 445, 446  # system calls, the same on all processors
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER, PR_SET_SECCOMP = 1, 38, 36, 22
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWNET = 0x08000000, 0x10000000, 0x40000000

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
READ = EXECUTE | READ_FILE | READ_DIR
FILE_ONLY = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15  # rights that a rule on a file may name
RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}  # by the version that brought them
KEPT_CAPABILITY = 1 << 1  # of a superuser's: to read files whoever owns them
# Calls through which a process could leave a mark for the next, or act on another, and which Landlock does not know:
# permissions, owners, times and attributes of files; priorities, schedulers and processors of processes; locks of whole
# files (they seem to work and do nothing).
FILES = {
    0xC000003E: (90, 91, 268, 452, 92, 93, 94, 260, 132, 235, 261, 280, 188, 189, 190, 197, 198, 199, 463, 466, 73),
    0xC00000B7: (52, 53, 452, 54, 55, 88, 5, 6, 7, 14, 15, 16, 463, 466, 32),
}
PROCESSES = {0xC000003E: (141, 142, 144, 203, 251, 314), 0xC00000B7: (140, 118, 119, 122, 30, 274)}
# Keys, message queues, news of what others open, and io_uring, which does all this without a call (refused).
KEYS = {0xC000003E: (248, 249, 250, 240, 253, 294, 425), 0xC00000B7: (217, 218, 219, 180, 26, 425)}
LIMITS = {0xC000003E: 302, 0xC00000B7: 261}  # of any process; of one's own only
FCNTL = {0xC000003E: 72, 0xC00000B7: 25}
LOCKS = (6, 7, 37, 38, 1024, 1026)  # of it: locks of parts of files, leases, news of folders (as those of whole files)
SYSTEM = ("cpuinfo", "devices", "driver", "filesystems", "meminfo", "stat", "sys", "version")  # of /proc
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "dri", "dxg")


def abi() -> int:
    """The version of the kernel's Landlock; 0 where there is none."""
    return max(0, _call(CREATE, None, 0, 1)) if sys.platform == "linux" else 0


def die_with_parent(parent: int) -> None:
    """End this process when its parent ends, where the system can."""
    if sys.platform == "linux":
        _libc().prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, where the system can."""
    if sys.platform == "linux":
        _libc().prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_first() -> None:
    """Have this process and all that it starts ended before any other where memory runs out, if the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def readable(hidden: Iterable[Path], shown: Iterable[Path]) -> list[Path]:
    """The largest files and folders that hold nothing of `hidden`, and `shown`, hidden or not."""
    away = {p for path in hidden for p in {Path(os.path.abspath(path)), Path(os.path.realpath(path))}}
    within = {parent for path in away for parent in path.parents}
    return [*_siblings(Path("/"), away, within), *(Path(os.path.realpath(p)) for p in shown)]


def _siblings(folder: Path, away: set[Path], within: set[Path]) -> Iterator[Path]:
    if folder not in within:
        if folder not in away:
            yield folder
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda e: e.name)
    except OSError:
        return
    for entry in entries:
        # A link is followed when it is opened, and its target has a rule of its own or none.
        if not entry.is_symlink():
            yield from _siblings(folder / entry.name, away, within)


def rules(own: Path, allowed: Iterable[Path], version: int) -> int:
    """Leave the namespaces that others share, and open a set of rules: `allowed` may be read, `own` written.

    Parameters
    ----------
    version : what `abi` gave; 0 confines nothing but the namespaces

    Returns
    -------
    a file descriptor for `confine`; -1 where there is no Landlock

    Raises
    ------
    OSError
        The kernel has Landlock and refuses.
    """
    _leave_namespaces()
    if not version:
        return -1
    rights = _rights(version)
    network = 3 if version >= 4 else 0  # bind and connect
    scope = 3 if version >= 6 else 0  # abstract sockets and signals
    attributes = struct.pack("QQQ", rights, network, scope)[: 8 if version < 4 else 16 if version < 6 else 24]
    opened = _check(_call(CREATE, attributes, len(attributes), 0))
    for path in allowed:
        _allow(opened, path, READ & rights)
    _allow(opened, own, rights)
    # Of processes its own alone: arguments and sizes are texts that another fit could read. It stays open, for the rule
    # holds for the folder that /proc makes now, and once forgotten it makes another.
    os.open("/proc/self", os.O_PATH)
    for path in (Path("/proc/self"), *(Path("/proc") / name for name in SYSTEM)):
        _allow(opened, path, READ & rights)
    for device in [*(Path("/dev") / name for name in DEVICES), *Path("/dev").glob("nvidia*")]:
        _allow(opened, device, rights & (READ | WRITE_FILE | 1 << 15))
    return opened


def confine(opened: int, given: Iterable[Path], listed: Iterable[Path], version: int) -> None:
    """Hold this process and all that it starts to `rules`; what is `given` may be read, too, and `listed` listed."""
    if opened < 0:
        return
    for paths, rights in ((given, READ), (listed, READ_DIR)):
        for path in paths:
            _allow(opened, path, rights & _rights(version))
    _check(_libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _check(_call(RESTRICT, opened, 0))
    os.close(opened)
    _leave_no_marks()
    capabilities = struct.pack("IIIIII", KEPT_CAPABILITY, KEPT_CAPABILITY, 0, 0, 0, 0)
    _check(_libc().capset(struct.pack("Ii", 0x20080522, 0), capabilities))


def _rights(version: int) -> int:
    return RIGHTS[max(v for v in RIGHTS if v <= version)]


def _allow(rules: int, path: Path, rights: int) -> None:
    """A rule for a path; none where it is not there or cannot be opened."""
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= FILE_ONLY
        _check(_call(ADD, rules, 1, struct.pack("=Qi", rights, fd), 0))
    finally:
        os.close(fd)


def _leave_namespaces() -> None:
    """No System V memory that outlives a process, and no network, where one may leave them."""
    if sys.platform != "linux":
        return
    user, group = os.getuid(), os.getgid()
    if _libc().unshare(CLONE_NEWIPC | CLONE_NEWNET) == 0:
        return
    if _libc().unshare(CLONE_NEWUSER | CLONE_NEWIPC | CLONE_NEWNET) == 0:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path(f"/proc/self/{name}").write_text(text)


def _leave_no_marks() -> None:
    """A filter of system calls (seccomp) for what Landlock does not stop."""
    if (machine := MACHINES.get(platform.machine())) is None:
        return
    load, equal, above, give = 0x20, 0x15, 0x35, 0x06
    allow, seems_done, refuse = 0x7FFF0000, 0x00050000, 0x00050000 | errno.EPERM
    calls = [*((n, seems_done) for n in (*FILES[machine], *PROCESSES[machine])), *((n, refuse) for n in KEYS[machine])]
    program = [(load, 0, 0, 4), (equal, 1, 0, machine), (give, 0, 0, refuse), (load, 0, 0, 0)]
    program += [(above, 0, 1, 0x40000000), (give, 0, 0, refuse)]  # x86's other table of calls
    for number, answer in calls:
        program += [(equal, 0, 1, number), (give, 0, 0, answer)]
    first, second = 16, 24  # where an argument's lower half is
    program += [(equal, 0, 4, LIMITS[machine]), (load, 0, 0, first), (equal, 1, 0, 0), (give, 0, 0, refuse)]
    program += [(give, 0, 0, allow), (equal, 0, 1 + 2 * len(LOCKS), FCNTL[machine]), (load, 0, 0, second)]
    program += [line for lock in LOCKS for line in ((equal, 0, 1, lock), (give, 0, 0, seems_done))]
    program.append((give, 0, 0, allow))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)))
    _check(_libc().prctl(PR_SET_SECCOMP, 2, filter_, 0, 0))


def _call(number: int, *arguments: object) -> int:
    libc = _libc()
    libc.syscall.restype = ctypes.c_long
    return int(libc.syscall(ctypes.c_long(number), *(_long(a) for a in arguments)))


def _long(argument: object) -> object:
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
