"""What the machine gives: threads, the precision that pays, and a name for the record."""

import os
import platform
from functools import cache
from pathlib import Path

import torch

from catalog.errors import RecipeError, near

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def device() -> torch.device:
    """Return where models go: the GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def set_threads(threads: int | None) -> int:
    """Set torch's threads and return their number: as asked, else OMP_NUM_THREADS, else all cores, shared among local ranks.

    Results are equal bit by bit only at the same number of threads.
    """
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    asked = threads or int(os.environ.get("OMP_NUM_THREADS") or 0) or max(1, cores() // ranks)
    torch.set_num_threads(asked)
    return asked


@cache
def has_bf16() -> bool:
    """Whether bf16 products are made in hardware: any CUDA device since Ampere, CPUs with avx512_bf16, amx_bf16 or ARM's bf16."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace") if Path("/proc/cpuinfo").is_file() else ""
    words = set(flags.split())
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})


def precision(asked: str) -> str:
    """Return fp32 or bf16 for `auto`, `fp32` or `bf16`. Raises RecipeError for anything else."""
    if asked == "auto":
        return "bf16" if has_bf16() else "fp32"
    if asked not in PRECISIONS:
        raise RecipeError(f"precision: {asked!r}{near(asked, ['auto', *PRECISIONS])}")
    return asked


def autocast(device: torch.device, asked: str) -> torch.autocast:
    """Return the context in which a forward pass runs at a precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision(asked) == "bf16")


def name() -> str:
    """Return the machine in words."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()} x {torch.cuda.device_count()}"
    models = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {cores()} cores"
