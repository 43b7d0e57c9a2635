"""Where and in which number format the networks run."""

from __future__ import annotations

import torch

from pose_detector.errors import InputError


def prepare_device(name: str, threads: int = 0) -> torch.device:
    """The device of this name, with torch set to so many CPU threads (0: as it chooses)."""
    if threads:
        torch.set_num_threads(threads)
    return choose_device(name)


def choose_device(name: str) -> torch.device:
    """The device of this name; "auto": the first GPU, else the CPU. Raises InputError if it is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"device {name!r} cannot be used here; try --device cpu, or auto") from error
    return device


def forward_type(device: torch.device) -> torch.autocast:
    """Context in which networks run: bfloat16 on a GPU that has it, full precision elsewhere (faster on CPUs)."""
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type if device.type == "cuda" else "cpu", dtype=torch.bfloat16, enabled=fast)
