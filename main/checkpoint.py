"""Checkpoints: one file an epoch, written in one go, read without running code."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from data.files import atomic_path
from main.config import Config, check
from main.networks.generator import REACH, Generator
from pose_detector.errors import InputError
from pose_detector.untrusted import finite, load_tensors, read_bytes

# Settings that the networks depend on: a run that resumes takes them from its checkpoint.
ARCHITECTURE = ("quality", "channels", "stacks", "detail", "discriminator_channels", "discriminator_scales")
FORMAT_VERSION = 1
BEST = "checkpoint-best.pth"
_REMEDY = "choose another with --checkpoint, or train again"
# What a checkpoint holds beside networks: type, and where it is a number the least and the most.
_FIELDS: dict[str, tuple[type, float | None, float | None]] = {
    "fingerprint": (str, None, None),
    "config": (dict, None, None),
    "averaged": (dict, None, None),
    "discriminator": (dict, None, None),
    "generator_optimizer": (dict, None, None),
    "discriminator_optimizer": (dict, None, None),
    "rng": (torch.Tensor, None, None),
    "epoch": (int, 0, 10**6),
    "step": (int, 0, 10**12),
    "epoch_step": (int, 0, 10**9),
    "minutes": (float, 0, 10**7),
    "best": (float, -math.inf, 1),  # SSIM; -inf before the first epoch
}
PRETRAINED = Path(__file__).resolve().parent / "weights" / "pretrained.pth"  # made by main/pretrain.py


def make_generator(config: Config) -> Generator:
    """An untrained generator as the settings say."""
    return Generator(config.channels, config.stacks, config.detail, REACH * config.enlarged)


def adopt(config: Config, state: dict[str, Any]) -> Config:
    """The settings, but for the networks those of a checkpoint. Raises InputError if they are not valid."""
    stored = {name: state["config"].get(name, getattr(config, name)) for name in ARCHITECTURE}
    if any(type(value) is not type(getattr(config, name)) for name, value in stored.items()):
        raise InputError(f"the checkpoint's settings are damaged ({stored}); train again")
    adopted = replace(config, **stored)
    check(adopted)
    return adopted


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
    return parse(_read(path, _REMEDY), path)


def parse(data: bytes, path: Path) -> dict[str, Any]:
    """The content of a checkpoint file; raises InputError as :func:`load`."""
    state = _parse(data, path, _REMEDY)
    for name, (kind, low, high) in _FIELDS.items():
        value = state.get(name)
        fits = isinstance(value, kind) and not isinstance(value, bool)
        if not fits or (low is not None and not low <= value <= high):
            raise InputError(f"{path} is damaged: its {name} is missing or makes no sense; {_REMEDY}")
    return state


def _read(path: Path, remedy: str) -> bytes:
    try:
        return read_bytes(path)
    except ValueError as error:
        raise InputError(f"{path}: {error}; {remedy}") from None


def _parse(data: bytes, path: Path, remedy: str) -> dict[str, Any]:
    try:
        state = load_tensors(data)
    except ValueError as error:
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
    state = _parse(_read(path, remedy), path, remedy)
    del state["format_version"]
    for weights in state.values():
        if (
            not isinstance(weights, dict)
            or not all(isinstance(value, torch.Tensor) for value in weights.values())
            or not finite(weights)
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


def best(directory: Path) -> Path | None:
    """The checkpoint that did best in validation, or the latest one where none was validated; None if there is none."""
    path = directory / BEST
    return path if path.is_file() else newest(directory)


def prune(directory: Path, keep: int) -> None:
    """Delete all but the ``keep`` newest epochs' checkpoints."""
    for path in all_of(directory)[: -max(keep, 1)]:
        path.unlink()


def load_weights(module: torch.nn.Module, weights: dict[str, torch.Tensor], path: Path) -> None:
    """Put weights into a network, all or none. Raises InputError if they are of another shape."""
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise InputError(f"{path} is damaged: it lacks weights; {_REMEDY}")
    there, here = ({key: tuple(value.shape) for key, value in of.items()} for of in (weights, module.state_dict()))
    for key in sorted(there | here):
        if there.get(key) != here.get(key):
            reason = f"{key} is {there.get(key, 'missing')} there, {here.get(key, 'missing')} here"
            raise InputError(f"{path} does not fit this network ({reason}); use the settings it was trained with")
    if not finite(weights):
        raise InputError(f"{path} is damaged: some weights are infinite or NaN; {_REMEDY}")
    module.load_state_dict(weights)


def load_optimizer(optimizer: torch.optim.Adam, stored: dict[str, Any], path: Path) -> None:
    """Put back what Adam has gathered; rates and the like stay this program's own. Raises InputError if it is of other
    parameters."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments = stored.get("state")
    try:
        fits = set(moments) <= set(range(len(parameters))) and all(
            finite(values)
            and values["exp_avg"].shape == values["exp_avg_sq"].shape == parameters[index].shape
            and bool((values["exp_avg_sq"] >= 0).all())
            and values["step"].numel() == 1
            for index, values in moments.items()
        )
    except (TypeError, KeyError, AttributeError):
        fits = False
    if not fits:
        raise InputError(f"{path} is damaged: the state of its optimizers does not fit; {_REMEDY}")
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})


def set_random_state(state: torch.Tensor, path: Path) -> None:
    """Go on with torch's random numbers. Raises InputError if the state is not valid."""
    try:
        torch.set_rng_state(state)
    except (RuntimeError, TypeError):
        raise InputError(f"{path} is damaged: its random state cannot be used; {_REMEDY}") from None
