"""System calls that code under test may not make: a seccomp filter, assembled without a library.

A list of what is denied, beside namespaces and limits: ways around the memory limit (shared memory that belongs to
nobody), into other processes, out of the network namespace (sockets of the hypervisor are not part of it), and into
corners of the kernel that plain programs never need. Standard library only: it runs inside the jail.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

# Numbers on x86_64 and aarch64; None where the architecture has no such call.
DENIED: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setns": (308, 268),
    "shmat": (30, 196),
    "shmget": (29, 194),
    "socket": (41, 198),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vmsplice": (278, 75),
}

# Architecture: token of the kernel's audit, column of the table, clone, clone3, prctl, ioctl.
ARCHITECTURES = {
    "x86_64": (0xC000003E, 0, 56, 435, 157, 16),
    "aarch64": (0xC00000B7, 1, 220, 435, 167, 29),
}

NEW_NAMESPACES = 0x7E020080  # every CLONE_NEW… flag that clone() takes
SET_DEATH_SIGNAL = 1  # of prctl: who clears it may outlive the supervisor
PUSH_INTO_TERMINAL = 0x5412  # TIOCSTI of ioctl: types on the terminal of whoever started us

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _SECOND_ARGUMENT = 0, 4, 16, 24
_KILL, _ALLOW, _ERROR = 0x80000000, 0x7FFF0000, 0x00050000


def filter_program(machine: str | None = None) -> bytes:
    """The filter as instructions of the kernel's packet filter, 8 bytes each.

    Args:
        machine: "x86_64" or "aarch64"; by default this machine's.

    Raises:
        OSError: the numbers of this architecture's calls are not known here.
    """
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        raise OSError(errno.ENOTSUP, f"no table of system calls for {machine}; there is one for x86_64 and aarch64")
    token, column, clone, clone3, prctl, ioctl = ARCHITECTURES[machine]
    denied = _ERROR | errno.EPERM
    program = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, token), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    if machine == "x86_64":  # the same calls by another door (x32)
        program += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, denied)]
    for number in sorted(n for row in DENIED.values() if (n := row[column]) is not None):
        program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, denied)]
    # The flags of clone3 lie in memory, which a filter cannot read; without clone3, libraries fall back to clone.
    program += [(_EQUAL, 0, 1, clone3), (_RETURN, 0, 0, _ERROR | errno.ENOSYS)]
    program += _where(clone, _FIRST_ARGUMENT, _ANY_BIT, NEW_NAMESPACES, denied)
    program += _where(prctl, _FIRST_ARGUMENT, _EQUAL, SET_DEATH_SIGNAL, denied)
    program += _where(ioctl, _SECOND_ARGUMENT, _EQUAL, PUSH_INTO_TERMINAL, denied)
    program += [(_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def install() -> None:
    """Put the filter on this process and all that it will start; it cannot be taken off.

    Raises:
        OSError: the kernel does not take it.
    """
    code = filter_program()
    instructions = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(code) // 8, ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    set_no_new_privileges, set_seccomp, filter_mode = 38, 22, 2
    for call in ((set_no_new_privileges, 1, 0, 0, 0), (set_seccomp, filter_mode, header, 0, 0)):
        if libc.prctl(*call):
            raise OSError(ctypes.get_errno(), "the kernel does not take the seccomp filter")


def _where(number: int, argument: int, test: int, value: int, action: int) -> list[tuple[int, int, int, int]]:
    """`action` where call `number` has an argument that passes `test`; allowed otherwise."""
    return [
        (_EQUAL, 0, 4, number),
        (_LOAD, 0, 0, argument),
        (test, 0, 1, value),
        (_RETURN, 0, 0, action),
        (_RETURN, 0, 0, _ALLOW),
    ]
