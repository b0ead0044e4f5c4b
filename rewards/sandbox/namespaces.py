"""A world of its own for code under test: namespaces, a root that holds only the interpreter, no privileges.

Linux only; standard library only, because it runs inside the jail, between fork and exec. Nothing here is undone: the
process that enters either becomes the code under test or dies.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence

NEW_MOUNTS, NEW_CGROUP, NEW_NAMES, NEW_IPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
NEW_USERS, NEW_PROCESSES, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000

INNER_USER = 1000
"""Who the code is in its own namespace of users, where we had no privileges to begin with."""

_NO_SETUID, _NO_DEVICES, _NO_EXEC, _BIND, _RECURSIVE, _PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_ATTRIBUTES_READ_ONLY, _ATTRIBUTES_NO_SETUID, _ATTRIBUTES_NO_DEVICES = 1, 2, 4
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_MOUNT_SETATTR = 442
_DEVICES = ("null", "zero", "urandom")

_libc = ctypes.CDLL(None, use_errno=True)


def leave_processes() -> bool:
    """Let the next child be the first process of a namespace of processes: when it ends, the kernel ends the rest.

    Returns:
        Whether the child may act as root (it then must give that up): true where we are root ourselves.

    Raises:
        OSError: the kernel does not allow it.
    """
    if os.geteuid() == 0:
        _call("unshare", NEW_PROCESSES)
        return True
    user, group = os.geteuid(), os.getegid()
    _call("unshare", NEW_USERS | NEW_PROCESSES)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{INNER_USER} {user} 1"),
        ("gid_map", f"{INNER_USER} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    return False


def leave_the_rest(visible: Sequence[str], disk_bytes: int, files: int, user: int) -> None:
    """Go where there is nothing but what the code may read, a small /tmp, and no network.

    Args:
        visible: files and folders that can be read there, at the same place as here.
        disk_bytes: size of /tmp, which lies in memory.
        files: how many files fit there.
        user: who owns /tmp.

    Raises:
        OSError: the kernel does not allow it.
    """
    _call("unshare", NEW_MOUNTS | NEW_NETWORK | NEW_IPC | NEW_NAMES | NEW_CGROUP)
    _mount("none", "/", None, _RECURSIVE | _PRIVATE)
    sources = [(path, os.open(path, os.O_PATH)) for path in visible]  # held, because /tmp is about to be covered
    devices = [(f"/dev/{name}", os.open(f"/dev/{name}", os.O_PATH)) for name in _DEVICES]
    here = "/tmp"
    _mount("tmpfs", here, "tmpfs", _NO_SETUID, "size=65536,nr_inodes=1024,mode=755")
    for path, descriptor in sources:
        _bind(descriptor, here + path, _ATTRIBUTES_READ_ONLY | _ATTRIBUTES_NO_SETUID | _ATTRIBUTES_NO_DEVICES)
    for path, descriptor in devices:
        _bind(descriptor, here + path, _ATTRIBUTES_READ_ONLY | _ATTRIBUTES_NO_SETUID)
    box = here + "/tmp"
    os.mkdir(box)
    options = f"size={disk_bytes},nr_inodes={files},mode=700,uid={user},gid={user}"
    _mount("tmpfs", box, "tmpfs", _NO_SETUID | _NO_DEVICES | _NO_EXEC, options)
    os.chdir(here)
    _syscall(_PIVOT_ROOT[os.uname().machine], b".", b".")
    _call("umount2", b".", 2)  # the old root lay on top of the new one; detach it
    _set_attributes("/", _ATTRIBUTES_READ_ONLY, recursive=False)
    os.chdir("/tmp")
    _call("sethostname", b"sandbox", 7)
    for _, descriptor in (*sources, *devices):
        os.close(descriptor)


def give_up_privileges(user: int, was_root: bool) -> None:
    """Be nobody, for good.

    Args:
        user: the user to become, where we were root.
        was_root: what `leave_processes` returned.

    Raises:
        OSError: the kernel does not allow it.
    """
    capability = 0
    drop_bound, clear_ambient, keep_no_new_privileges = 24, 47, 38
    while _libc.prctl(drop_bound, capability, 0, 0, 0) == 0:
        capability += 1
    _libc.prctl(clear_ambient, 4, 0, 0, 0)
    if was_root:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    version_3 = 0x20080522
    _syscall(_CAPSET[os.uname().machine], struct.pack("Ii", version_3, 0), struct.pack("6I", *[0] * 6))
    if _libc.prctl(keep_no_new_privileges, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot renounce new privileges")


def _bind(descriptor: int, target: str, attributes: int) -> None:
    source = f"/proc/self/fd/{descriptor}"
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    _mount(source, target, None, _BIND | _RECURSIVE)
    _set_attributes(target, attributes, recursive=True)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    _call("mount", source.encode(), target.encode(), kind and kind.encode(), flags, options.encode())


def _set_attributes(target: str, attributes: int, recursive: bool) -> None:
    at_current_folder, whole_tree = -100, 0x8000
    wanted = struct.pack("4Q", attributes, 0, 0, 0)
    _syscall(_MOUNT_SETATTR, at_current_folder, target.encode(), whole_tree if recursive else 0, wanted, len(wanted))


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*(ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments)):
        _fail(name)


def _syscall(number: int, *arguments: object) -> None:
    if _libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)):
        _fail(f"system call {number}")


def _fail(name: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{name}: {os.strerror(number)}")
