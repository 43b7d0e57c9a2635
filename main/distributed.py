"""Training in several processes at once, as `torchrun` starts them: each takes its own batch, gradients are
averaged, and the first process alone writes.

Gradients are averaged by hand: the networks are small, and the generator runs twice before each backward pass.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from main.device import prepare_device
from pose_detector.errors import InputError


@dataclass(frozen=True)
class Group:
    """The processes that train together."""

    rank: int = 0  # this one's number
    size: int = 1
    local: int = 0  # its number among those of the same computer

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            dist.barrier()

    def mean(self, values: Tensor) -> Tensor:
        """Mean over the processes; every one gets it."""
        if self.size > 1:
            dist.all_reduce(values)
            values /= self.size
        return values

    def any(self, here: bool, device: torch.device) -> bool:
        """Whether it is so in any process."""
        return bool(self.mean(torch.tensor(float(here), device=device)) > 0)

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes, in one exchange."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = self.mean(torch.cat([g.flatten() for g in gradients]))
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def broadcast(self, data: bytes, device: torch.device) -> bytes:
        """The first process's value, in every process; the others' own values are ignored."""
        if self.size == 1:
            return data
        length = torch.tensor([len(data)], device=device)
        dist.broadcast(length, 0)
        content = torch.empty(int(length), dtype=torch.uint8, device=device)
        if self.first:
            content.copy_(torch.from_numpy(np.frombuffer(data, np.uint8).copy()))
        dist.broadcast(content, 0)
        return content.cpu().numpy().tobytes()


ALONE = Group()


@contextmanager
def join(name: str, threads: int = 0) -> Iterator[tuple[Group, torch.device]]:
    """The group that `torchrun` made, or a group of one, and this process's own device.

    Args:
        name: of the device, as :func:`main.device.choose_device` takes it; of several GPUs each process gets its own.
        threads: CPU threads of torch; 0: as it chooses.

    Raises:
        InputError: there are more processes than GPUs.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE, prepare_device(name, threads)
        return
    if name == "cuda" or (name == "auto" and torch.cuda.is_available()):
        local, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= count:
            raise InputError(f"{local + 1} processes on a computer with {count} GPUs; start one for each")
        name = f"cuda:{local}"
        torch.cuda.set_device(local)  # before anything else: every process would take memory of the first GPU
    device = prepare_device(name, threads)
    nccl = device.type == "cuda" and dist.is_nccl_available()  # Windows has none
    # One process prepares the clip while others wait, and a long clip takes more than the usual 10 minutes.
    dist.init_process_group("nccl" if nccl else "gloo", timeout=timedelta(hours=12))
    try:
        yield Group(dist.get_rank(), size, int(os.environ.get("LOCAL_RANK", "0"))), device
    finally:
        dist.destroy_process_group()
