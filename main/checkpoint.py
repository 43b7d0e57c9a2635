"""Checkpoints: one file an epoch, written in one go, read without running code."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from data.files import atomic_path
from main.config import Config
from main.networks.generator import REACH, Generator
from pose_detector.errors import InputError

# Settings that the networks depend on: whoever goes on from a checkpoint takes them from there.
ARCHITECTURE = ("quality", "channels", "stacks", "detail", "discriminator_channels", "discriminator_scales")
FORMAT_VERSION = 1
BEST = "checkpoint-best.pth"
PRETRAINED = Path(__file__).resolve().parent / "weights" / "pretrained.pth"  # made by main/pretrain.py


def make_generator(config: Config) -> Generator:
    """An untrained generator as the settings say."""
    return Generator(config.channels, config.stacks, config.detail, REACH * config.enlarged)


def adopt(config: Config, state: dict[str, Any]) -> Config:
    """The settings, but for the networks those of a checkpoint."""
    return replace(config, **{name: state["config"].get(name, getattr(config, name)) for name in ARCHITECTURE})


def save(state: dict[str, Any], path: Path) -> None:
    """Write tensors and plain values; a kill leaves the old file or the new one. Raises OSError if the disk is full."""
    buffer = io.BytesIO()  # torch itself says of a full disk no more than a RuntimeError
    torch.save({"format_version": FORMAT_VERSION, **state}, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        InputError: it is missing, truncated, no checkpoint, or of another version of this program.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; make a checkpoint with: python main/train.py")
    return parse(path.read_bytes(), path)


def parse(data: bytes, path: Path, remedy: str = "choose another with --checkpoint, or train again") -> dict[str, Any]:
    """The content of a checkpoint file; raises InputError as :func:`load`, which ends with the remedy."""
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # what unpickling raises on foreign bytes is not bounded
        raise InputError(f"{path} is damaged or no checkpoint; {remedy}") from error
    if not isinstance(state, dict) or state.get("format_version") != FORMAT_VERSION or "generator" not in state:
        raise InputError(f"{path} is no checkpoint of this program's format {FORMAT_VERSION}; {remedy}")
    return state


def save_pretrained(networks: dict[str, torch.nn.Module], path: Path) -> None:
    """Write the weights of networks in half precision, for :func:`load_pretrained`."""
    halves = {
        name: {key: value.detach().cpu().half().contiguous() for key, value in network.state_dict().items()}
        for name, network in networks.items()
    }
    save(halves, path)


def load_pretrained(path: Path) -> dict[str, dict[str, torch.Tensor]]:
    """The weights of :func:`save_pretrained` by name of the network, "generator" at least.

    Raises:
        InputError: the file is missing, damaged, or something else.
    """
    remedy = "get it from the repository, make it with: python main/pretrain.py, or train with --start scratch"
    if not path.is_file():
        raise InputError(f"{path} is missing; {remedy}")
    state = parse(path.read_bytes(), path, remedy)
    del state["format_version"]
    for weights in state.values():
        if not isinstance(weights, dict) or not all(
            isinstance(value, torch.Tensor) and value.isfinite().all() for value in weights.values()
        ):
            raise InputError(f"{path} holds something else than finite weights; {remedy}")
    return state


def path_of(directory: Path, epoch: int) -> Path:
    """Where the checkpoint after an epoch (counted from 1) lies."""
    return directory / f"checkpoint-{epoch:04d}.pth"


def all_of(directory: Path) -> list[Path]:
    """The epochs' checkpoints, oldest first."""
    return sorted(p for p in directory.glob("checkpoint-*.pth") if re.fullmatch(r"checkpoint-\d{4,}\.pth", p.name))


def newest(directory: Path) -> Path | None:
    """The checkpoint of the latest epoch; None if there is none."""
    found = all_of(directory)
    return found[-1] if found else None


def prune(directory: Path, keep: int) -> None:
    """Delete all but the ``keep`` newest epochs' checkpoints."""
    for path in all_of(directory)[: -max(keep, 1)]:
        path.unlink()


def load_weights(module: torch.nn.Module, weights: dict[str, torch.Tensor], path: Path) -> None:
    """Put weights into a network, all or none. Raises InputError if they are of another shape."""
    there, here = ({key: tuple(value.shape) for key, value in of.items()} for of in (weights, module.state_dict()))
    for key in sorted(there | here):
        if there.get(key) != here.get(key):
            reason = f"{key} is {there.get(key, 'missing')} there, {here.get(key, 'missing')} here"
            raise InputError(f"{path} does not fit this network ({reason}); use the settings it was trained with")
    module.load_state_dict(weights)
