"""What this machine has: processor, cores, memory, GPU, as far as this process may use them."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, Field

GIB = 1024**3
CGROUP = Path("/sys/fs/cgroup")


class Machine(BaseModel):
    """The machine a figure was measured on, without its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: str = Field(min_length=1)
    cores: int = Field(ge=1)
    memory_gib: float = Field(gt=0)
    gpu: str | None

    @classmethod
    def here(cls) -> Machine:
        """This machine."""
        return cls(cpu=cpu_model(), cores=cores(), memory_gib=round(memory_bytes() / GIB, 1), gpu=gpu_model())


def cores(cgroup: Path = CGROUP) -> int:
    """Cores this process may use: of the machine, of its affinity, and of its container, the fewest."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _first_line(cgroup / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        return max(1, min(affinity, int(quota) // int(period)))
    return affinity


def memory_bytes(cgroup: Path = CGROUP) -> int:
    """Memory this process may use: of the machine or of its container, the smaller."""
    total = int(psutil.virtual_memory().total)
    limit = _first_line(cgroup / "memory.max")
    return min(total, int(limit)) if limit.isdigit() else total


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        if line.lower().startswith("model name"):
            return line.partition(":")[2].strip()
    if platform.system() == "Darwin":
        answer = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, timeout=10
        )
        if answer.returncode == 0 and answer.stdout.strip():
            return answer.stdout.strip()
    return platform.processor() or platform.machine() or "unknown"


def gpu_model() -> str | None:
    """The accelerator torch would use, or None."""
    import torch  # seconds to import, and only some callers ask

    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name(0))
    if torch.backends.mps.is_available():
        return "Apple GPU (MPS)"
    return None


def _text(path: Path) -> str:
    """The text of a file, or nothing where there is no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _first_line(path: Path) -> str:
    return _text(path).partition("\n")[0].strip()
