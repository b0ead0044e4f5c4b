"""The filter, run here by a small machine of our own, and by the kernel."""

from __future__ import annotations

import errno
import os
import struct
import sys

import pytest

from rewards.sandbox import seccomp
from rewards.sandbox.seccomp import ARCHITECTURES, DENIED, filter_program

ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000


def decide(machine: str, number: int, arguments: tuple[int, ...] = (), token: int | None = None) -> int:
    """What the kernel would say: an interpreter of the instructions that the filter uses."""
    data = struct.pack("=iIQ6Q", number, token or ARCHITECTURES[machine][0], 0, *arguments, *[0] * (6 - len(arguments)))
    program = list(struct.iter_unpack("=HBBI", filter_program(machine)))
    place, loaded = 0, 0
    while True:
        code, yes, no, value = program[place]
        place += 1
        if code == 0x20:
            (loaded,) = struct.unpack_from("=I", data, value)
        elif code == 0x06:
            return value
        else:
            test = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[code]
            place += yes if test else no


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
def test_every_listed_call_is_denied(machine):
    column = ARCHITECTURES[machine][1]
    for row in DENIED.values():
        if row[column] is not None:
            assert decide(machine, row[column]) == ERROR | errno.EPERM


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
def test_ordinary_calls_are_allowed(machine):
    read, write = {"x86_64": (0, 1), "aarch64": (63, 64)}[machine]
    for number in (read, write):
        assert decide(machine, number) == ALLOW


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
def test_a_fork_and_a_thread_are_allowed_and_a_new_namespace_is_not(machine):
    clone, clone3 = ARCHITECTURES[machine][2:4]
    assert decide(machine, clone, (17,)) == ALLOW
    assert decide(machine, clone, (0x3D0F00,)) == ALLOW
    for namespace in (0x10000000, 0x20000000, 0x40000000, 0x00020000):
        assert decide(machine, clone, (17 | namespace,)) == ERROR | errno.EPERM
    assert decide(machine, clone3) == ERROR | errno.ENOSYS


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
def test_the_death_signal_and_the_terminal_are_out_of_reach(machine):
    prctl, ioctl = ARCHITECTURES[machine][4:6]
    assert decide(machine, prctl, (1, 0)) == ERROR | errno.EPERM
    assert decide(machine, prctl, (15, 0)) == ALLOW  # the name of a thread
    assert decide(machine, ioctl, (0, 0x5412)) == ERROR | errno.EPERM
    assert decide(machine, ioctl, (0, 0x5413)) == ALLOW


def test_calls_by_another_door_are_denied():
    assert decide("x86_64", 0, token=0x40000003) == KILL  # 32 bits
    assert decide("x86_64", 0x40000000 | 41) == ERROR | errno.EPERM  # x32


def test_an_unknown_architecture_is_refused():
    with pytest.raises(OSError, match="no table of system calls for pdp11"):
        filter_program("pdp11")


@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine not in ARCHITECTURES, reason="needs this kernel")
def test_the_kernel_takes_the_filter_and_it_works():
    child = os.fork()
    if child == 0:
        code = 1
        try:
            seccomp.install()
            try:
                __import__("socket").socket()
            except PermissionError:
                code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
