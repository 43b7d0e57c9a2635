"""The frames of a dance as files: rendered in stretches side by side, each picture under its frame's number."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data import pictures
from data.annotations import Annotations, image_name, mask_name
from data.detecting import JPEG_QUALITY
from data.files import atomic_path
from data.progress import Bar
from main import checkpoint
from main.config import Config
from main.dataset import Clip, load_clip, source_bank
from main.device import network_type
from main.networks.generator import Generator
from main.rendering import Plan, make_plan, prepare_generator, render, stretches

MOST_STREAMS = 8  # stretches of the dance that are rendered at a time, one a core
LONGEST = 300  # frames of a stretch; one that was interrupted is rendered again from its beginning


def load_generator(cfg: Config, state: dict[str, Any], path: Path, device: torch.device) -> tuple[Generator, Config]:
    """The averaged generator of a checkpoint, ready to render, and the settings with those that it was trained with.

    Args:
        cfg: the settings.
        state: the checkpoint's content.
        path: where it was read from.
        device: where to render.

    Raises:
        InputError: the weights are others.
    """
    dtype = network_type(device, cfg.precision)
    cfg = checkpoint.adopt(cfg, state)
    generator = checkpoint.make_generator(cfg)
    checkpoint.load_weights(generator, state["averaged"], path)
    return prepare_generator(generator, device, dtype), cfg


def load_planned(cfg: Config, person: Annotations, poses: np.ndarray) -> tuple[Clip, Plan]:
    """The plan of a dance (N, 18, 3), in pixels of the result, and of the training video what it needs."""
    poses = poses + np.float32([*person.view[:2], 0]) * (poses[..., 2:] > 0)
    bank = source_bank(person, cfg.bank, cfg.most_texture)
    plan, used = make_plan(bank, poses, cfg.most_height).with_used()
    return load_clip(person, cfg.images_dir, cfg.masks_dir, cfg.background_image, bank.only(used)), plan


def paths_of(folder: Path, numbers: np.ndarray, alone: bool) -> list[Path]:
    """Where the rendered frames lie; those of a person alone are PNG, as JPEG knows no coverage."""
    return [folder / (mask_name(number) if alone else image_name(number)) for number in numbers]


def render_pictures(
    generator: Generator,
    clip: Clip,
    plan: Plan,
    numbers: np.ndarray,
    folder: Path,
    device: torch.device,
    show: Callable[[np.ndarray, int], np.ndarray] = lambda picture, _: picture,
    alone: bool = False,
) -> None:
    """Render a dance into a folder, one picture a frame under the frame's number (JPEG, at 50 dB); stretches of it side
    by side, as many as torch has threads, which are shared among them. Stretches whose pictures are all there are left
    out. `show` turns a picture, given its place in the plan, into what is written.

    Raises:
        OSError: a picture could not be written.
    """
    cores = torch.get_num_threads()
    streams = min(cores, MOST_STREAMS)
    # More than are rendered at a time, so that all end together.
    parts = stretches(len(plan), max(4 * streams, -(-len(plan) // LONGEST)))
    paths = paths_of(folder, numbers, alone)
    left = [frames for frames in parts if not all(paths[t].is_file() for t in frames)]
    stop = threading.Event()

    def work(frames: range) -> None:
        for t, picture in zip(frames, render(generator, clip, plan, device, frames, alone), strict=True):
            if stop.is_set():
                return
            with atomic_path(paths[t]) as temporary:
                pictures.write(temporary, show(picture, t), None if alone else JPEG_QUALITY)
            with bar.get_lock():
                bar.update()

    torch.set_num_threads(max(1, cores // min(streams, len(parts))))
    done = len(plan) - sum(map(len, left))
    bar = Bar(total=len(plan), initial=done, unit="frame", desc="rendering")
    with bar, ThreadPoolExecutor(streams) as pool:
        try:
            for job in as_completed([pool.submit(work, frames) for frames in left]):
                job.result()
        finally:
            stop.set()
            torch.set_num_threads(cores)
