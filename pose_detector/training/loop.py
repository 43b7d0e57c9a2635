"""What the training scripts share: settings, the learning rate, the averaged network, checkpoints."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from pose_detector.errors import InputError


@dataclass(kw_only=True)
class LoopSettings:
    """What every training is given."""

    cache: Path
    """Folder for prepared data and checkpoints."""
    learning_rate: float = 2e-3
    """At its highest; it follows the progress."""
    weight_decay: float = 1e-4
    average: float = 0.998
    """Decay per step of the moving average of the weights."""
    clip: float = 200.0
    """Largest norm of the gradient."""
    save_minutes: float = 10.0
    """Time between checkpoints; each is measured, and the best one exported."""
    threads: int = 2
    workers: int = 1
    """Processes that make examples."""
    device: str = "cpu"
    seed: int = 0


@dataclass
class Progress:
    """What a checkpoint holds: the networks, and how far they are.

    Attributes:
        network: What is trained.
        average: The moving average of its weights.
        optimizer: Of the network.
        seen: Examples so far.
        step: Steps so far.
        seconds: Time spent so far.
        best: The highest score that was measured.
    """

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    seen: int = 0
    step: int = 0
    seconds: float = 0.0
    best: float = 0.0

    def save(self, path: Path) -> None:
        """Write all of it; the file is replaced whole."""
        part = path.with_suffix(".part")
        torch.save({k: v.state_dict() if hasattr(v, "state_dict") else v for k, v in vars(self).items()}, part)
        os.replace(part, path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint, if it is there."""
        if not path.exists():
            return
        for key, value in torch.load(path, map_location="cpu", weights_only=True).items():
            part = getattr(self, key, None)
            if isinstance(part, nn.Module | torch.optim.Optimizer):
                part.load_state_dict(value)
            else:
                setattr(self, key, value)

    def take_step(self, loss: torch.Tensor, learning_rate: float, settings: LoopSettings) -> None:
        """One step of the optimiser down the gradient of a loss, and of the average towards the network."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip)
        self.optimizer.step()
        self.step += 1
        update_average(self.average, self.network, min(settings.average, 1 - 1 / (1 + self.step / 10)))


def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the average a step towards the network, buffers too."""
    with torch.no_grad():
        old, new = (list(n.state_dict().values()) for n in (average, network))
        moving = [i for i, value in enumerate(old) if value.is_floating_point()]
        for i in moving:
            old[i].lerp_(new[i], 1 - decay)
        for i in set(range(len(old))) - set(moving):
            old[i].copy_(new[i])


def one_cycle(share: float, rise: float) -> float:
    """Factor on the learning rate after a share of the training: a linear rise over the share `rise`, under half a
    cosine down to a hundredth."""
    share = min(share, 1.0)
    return min(share / rise, 1.0) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def parse_part(text: str) -> tuple[int, int]:
    """'1/4' -> (1, 4). Raises InputError for anything that is not a share."""
    try:
        share, shares = (int(number) for number in text.split("/"))
    except ValueError:
        share, shares = -1, 0
    if not 0 <= share < shares:
        raise InputError(f"--part {text} is not a share of the work; write 0/2 for the first of two")
    return share, shares
