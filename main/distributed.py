"""Training in several processes at once, as `torchrun` starts them: each takes its share of every batch, gradients are
averaged, and the first process alone writes.

Gradients are averaged by hand: the networks are small, and the generator runs twice before each backward pass.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from pose_detector.errors import InputError


@dataclass(frozen=True)
class Group:
    """The processes that train together."""

    rank: int = 0  # this one's number
    size: int = 1

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

    def share(self, batch_size: int) -> int:
        """This process's part of a batch. Raises InputError if it cannot be shared evenly."""
        if batch_size % self.size:
            raise InputError(f"{self.size} processes cannot share a batch of {batch_size}; set --batch_size")
        return batch_size // self.size


ALONE = Group()


@contextmanager
def join(device: torch.device) -> Iterator[tuple[Group, torch.device]]:
    """The group that `torchrun` made, or a group of one, and this process's own device."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE, device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Group(dist.get_rank(), size), device
    finally:
        dist.destroy_process_group()
