"""Where and in which number format the networks run."""

from __future__ import annotations

import functools
import shutil
import sys

import torch
import torch.nn.functional as F
from torch import nn

from pose_detector.errors import InputError


def prepare_device(name: str, threads: int = 0) -> torch.device:
    """The device of this name, with torch set to this number of CPU threads (0: its own choice)."""
    if threads:
        torch.set_num_threads(threads)
    device = choose_device(name)
    torch.backends.cudnn.benchmark = device.type == "cuda"  # windows have one size, so the search pays
    return device


def choose_device(name: str) -> torch.device:
    """The device of this name; "auto": the first GPU on which a trial succeeds, else the CPU, and a line on stderr says
    why where a GPU seems to be there. Raises InputError if a named device is not there or cannot compute."""
    if name != "auto":
        try:
            device = torch.device(name)
            try_out(device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise InputError(f"device {name!r} cannot be used here; try --device cpu, or auto") from error
        return device
    reason = unused_gpu()
    for kind, there in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())):
        if not there:
            continue
        try:
            try_out(torch.device(kind))
            return torch.device(kind)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = f"a trial on the GPU failed ({str(error).splitlines()[0]})"
    if reason:
        _tell(f"running on the CPU: {reason}")
    return torch.device("cpu")


@functools.cache
def _tell(line: str) -> None:
    """Print a line on stderr, once in a process."""
    print(line, file=sys.stderr)


def try_out(device: torch.device) -> None:
    """Do on the device what the networks need of it. To allocate memory proves nothing: a torch without kernels for an
    old card does that too."""
    picture = torch.ones(1, 1, 4, 4, device=device)
    moved = F.grid_sample(picture, picture.new_zeros(1, 4, 4, 2), "bicubic", "border", align_corners=False)
    F.conv2d(moved, picture[..., :3, :3]).sum().item()


def unused_gpu() -> str | None:
    """Why torch sees no GPU, where the computer seems to have one of NVIDIA's; else None."""
    if torch.cuda.is_available() or shutil.which("nvidia-smi") is None:
        return None
    if torch.version.cuda is None:
        return (
            f"this torch ({torch.__version__}) was built without CUDA; for the NVIDIA GPU install one of "
            "https://pytorch.org/get-started/locally"
        )
    return (
        f"this torch needs a driver for CUDA {torch.version.cuda}; update the NVIDIA driver, or install a torch for an "
        "earlier CUDA, see https://pytorch.org/get-started/locally"
    )


def network_type(device: torch.device, precision: str = "auto") -> torch.dtype:
    """The number format of the networks' convolutions on a device; weights and losses stay in float32.

    Args:
        device: where they run.
        precision: "float32", "bfloat16", or "auto": bfloat16 where the device computes in it, and not by emulation, and
            is faster.
    """
    if precision != "auto":
        return getattr(torch, precision)
    if device.type == "cuda":
        with torch.cuda.device(device):
            fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = device.type == "cpu" and cpu_likes_bfloat16()
    return torch.bfloat16 if fast else torch.float32


def cpu_likes_bfloat16() -> bool:
    """Whether the CPU multiplies in bfloat16 by tiles (AMX): convolutions are then 2 to 6 times as fast as in float32.
    The instructions of AVX-512 alone are no faster (0.6 times on the same CPU), and without them it is a tenth as fast.

    Queried, not measured: next to other work a short measurement gives varying answers.
    """
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))


def forward_type(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Context in which networks run in a number format of :func:`network_type`."""
    kind = device.type if device.type in ("cuda", "mps") else "cpu"
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)


def convert_convolutions(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Keep the weights of its convolutions in a number format, in place: for networks that are not trained, so that
    :func:`forward_type` need not convert them at every call."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.to(dtype)
    return network
