"""Weights between two processes: they arrive bit for bit; an end that hangs, dies or never comes is named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from takes_weights import MEETING_S, told

from cluster.weight_channel import BUCKET_BYTES, Address, Offer, SyncFailed, WeightChannel

HOST = "127.0.0.1"
DEADLINE_S = 2.0


class Peer:
    """A process that takes weights."""

    def __init__(self, count: int) -> None:
        offer = Offer(HOST)
        script = Path(__file__).parent / "takes_weights.py"
        words = [str(script), HOST, str(offer.address.port), str(DEADLINE_S if count < 9 else MEETING_S), str(count)]
        self.process = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True)
        self.channel = WeightChannel.sender(offer, "gloo", "cpu", MEETING_S)
        assert self.line() == "here"

    def line(self) -> str:
        return self.process.stdout.readline().strip()

    def stand_still(self) -> None:
        """Stop it, and see that it has stopped."""
        os.kill(self.process.pid, signal.SIGSTOP)
        while psutil.Process(self.process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)

    def end(self) -> None:
        self.process.kill()
        self.process.wait(MEETING_S)
        self.process.stdout.close()
        self.channel.close()


@pytest.fixture
def peer():
    peers: list[Peer] = []

    def start(count: int = 9) -> Peer:
        peers.append(Peer(count))
        return peers[-1]

    yield start
    for one in peers:
        one.end()


def of_many_kinds(version: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(version)
    return {
        "half": torch.randn(3, 5).bfloat16(),
        "none": torch.zeros(0, 4),
        "one": torch.tensor(version),
        "turned": torch.randn(7, 3).T,
        "large": torch.randn(BUCKET_BYTES // 4 + 1),
        "small": torch.randn(11).double(),
    }


@pytest.mark.slow
def test_weights_arrive_bit_for_bit_version_after_version(peer):
    other, held = peer(), []
    for version in (3, 4):
        weights = of_many_kinds(version)
        other.channel.send(weights, version)
        assert json.loads(other.line()) == [version, told(weights)]
        held.append(other.channel._store.num_keys())
    assert held[0] == held[1], "nothing is kept of a version that has arrived"


@pytest.mark.slow
def test_a_receiver_that_hangs_in_the_middle_is_named_with_version_and_deadline(peer):
    other = peer()
    other.channel._deadline_s = DEADLINE_S
    other.stand_still()
    with pytest.raises(SyncFailed, match=r"of version 7 was not through after 2 s"):
        other.channel.send({"a": torch.randn(4 * BUCKET_BYTES // 4)}, 7)


@pytest.mark.slow
def test_a_receiver_that_dies_in_the_middle_is_noticed_before_the_deadline(peer):
    other = peer()
    other.stand_still()
    killing = threading.Timer(0.5, other.process.kill)
    killing.start()
    with pytest.raises(SyncFailed, match="version 8") as failed:
        other.channel.send({"a": torch.randn(4 * BUCKET_BYTES // 4)}, 8)
    killing.join()
    assert "was not through after" not in str(failed.value)


@pytest.mark.slow
def test_a_receiver_to_whom_nothing_is_sent_gives_up_by_itself(peer):
    version, cause = json.loads(peer(count=1).line())
    assert version is None and "no version was sent" in cause


@pytest.mark.slow
def test_a_sender_whom_nobody_meets_gives_up_by_itself():
    with pytest.raises(SyncFailed, match=r"did not come within 0\.5 s"):
        WeightChannel.sender(Offer(HOST), "gloo", "cpu", 0.5)


@pytest.mark.slow
def test_a_receiver_without_a_sender_gives_up_by_itself():
    offer = Offer(HOST)
    port = offer.address.port
    del offer
    with pytest.raises(SyncFailed, match="nobody sends"):
        WeightChannel.receiver(Address(HOST, port), HOST, "gloo", "cpu", 0.5)


def test_an_offer_listens_at_its_address_alone():
    offer = Offer(HOST)
    with open("/proc/net/tcp") as table:
        listening = {line.split()[1] for line in table.readlines()[1:] if line.split()[3] == "0A"}
    assert f"0100007F:{offer.address.port:04X}" in listening
    assert f"00000000:{offer.address.port:04X}" not in listening
