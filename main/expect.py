"""How long each step will take on this machine, and how much disk: measured on some frames, and multiplied."""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch

from data import pictures, video
from data.detecting import JPEG_QUALITY
from data.glance import Glance
from data.progress import Plan, in_words
from main import checkpoint, train, window
from main.config import Config
from main.dataset import Clip
from main.device import network_type
from main.rendering import WARM_UP, make_plan, prepare_generator, render
from pose_detector.errors import InputError
from pose_detector.keypoints import scale_keypoints

# Seconds, measured on two cores with AMX by `benchmarks/steps.py` (sample pair, 750 and 625 frames of 512x288). They
# are a tenth of the whole there.
START = 2.5  # of a process that imports torch
START_SMALL = 0.9  # of one that does not
PLATE = 4.0  # the empty room and the end of step 1
RETARGET = 0.005  # a frame of step 2, with its preview
MATTE = 6.0e-8  # a pixel of the clip that steps 3 and 4 read
STREAMS = 8  # as in step 4
RENDERED = 8  # frames that the speed of step 4 is measured on, each core
COMPARISON = 2.7  # times the pixels of the result
REPORT = 3.0  # curves and sheets
ENCODED = 24  # frames that the speed of step 5 is measured on


@dataclass(frozen=True)
class Speeds:
    """Seconds and bytes, as measured here.

    Attributes:
        step: seconds of a step of training.
        render: seconds in which a frame is rendered, with all cores at work.
        encode: seconds in which a frame of the result's size is encoded.
        write: seconds in which a training frame and its outline are compressed, in one thread.
        image, mask, picture, encoded: bytes of a frame as JPEG, of its outline, of a rendered frame as PNG, of a frame
            of the result.
        saved: bytes of a checkpoint.
    """

    step: float
    render: float
    encode: float
    write: float
    image: float
    mask: float
    picture: float
    encoded: float
    saved: float


def small_clip(seen: Glance) -> Clip:
    """The frames of a glance as a clip to train on and to render from: too small to be good, but as slow as the whole.

    Raises:
        InputError: the dancer is hardly seen.
    """
    whole = np.flatnonzero((seen.dancer[..., 2] > 0).sum(axis=1) >= 4)
    if len(whole) < 4:
        raise InputError(
            f"{seen.info.path.name}: no person was found in it; use a video in which somebody is seen from head to foot"
        )
    height, width = seen.frames[0].shape[:2]
    size = window.generated_size(seen.dancer[whole], (width, height))
    room = np.median([seen.frames[i] for i in whole], axis=0).astype(np.uint8)
    frames = np.stack(
        [
            np.dstack(
                [video.resize(seen.frames[i], size), cv2.resize(seen.outlines[i], size, interpolation=cv2.INTER_AREA)]
            )
            for i in whole
        ]
    )
    poses = scale_keypoints(seen.dancer[whole], np.array(size, np.float32) / (width, height))
    return Clip(frames, poses, np.arange(len(whole)), video.resize(room, size), room)


def measure(cfg: Config, device: torch.device, person: Glance, dance: Glance) -> Speeds:
    """Train, render and encode a little. The networks are those of the settings, untrained."""
    clip = small_clip(person)
    step, saved = _training_speed(cfg, device, clip)
    frames = [frame for *_, frame in islice(video.read_frames(dance.info.path, person.frames[0].shape[1::-1]), ENCODED)]
    encode, encoded = _encoding_speed(cfg, frames)
    some = person.frames[:: max(1, len(person.frames) // 5)]
    began = time.perf_counter()
    image = _mean_size(some, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, *pictures.FULL_COLOUR])
    mask = _mean_size(list(person.outlines[: len(some)]), ".png", [])
    write = (time.perf_counter() - began) / len(some)
    picture = _mean_size(some, ".png", [])
    return Speeds(step, _rendering_speed(cfg, device, clip), encode, write, image, mask, picture, encoded, saved)


def _training_speed(cfg: Config, device: torch.device, clip: Clip) -> tuple[float, float]:
    """Seconds of a step, and bytes of a checkpoint."""
    trainer = train.build_trainer(cfg, device)
    if not cfg.epochs:
        return 0.0, 4.0 * sum(p.numel() for net in (trainer.generator, trainer.averaged) for p in net.parameters())
    pairs, _ = train.make_data(clip, 1.0, replace(cfg, apart=1.0))
    with closing(train.batches_of(pairs, trainer)) as batches:
        times = []
        for batch in islice(batches, 3):
            train.train_step(trainer, train.to_device(batch, device))["pixel"].item()
            times.append(time.perf_counter())
    # Weights, two moments of Adam, and the averaged weights.
    sizes = [sum(p.numel() for p in net.parameters()) for net in (trainer.generator, trainer.discriminator)]
    seconds = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0
    return seconds, 4.0 * (4 * sizes[0] + 3 * sizes[1])


def _rendering_speed(cfg: Config, device: torch.device, clip: Clip) -> float:
    """Seconds a frame, rendered as step 4 does: a stretch each core."""
    generator = prepare_generator(checkpoint.make_generator(cfg), device, network_type(device, cfg.precision))
    cores = torch.get_num_threads()
    streams = min(cores, STREAMS)
    plan = make_plan(clip, np.resize(clip.poses, (RENDERED, *clip.poses.shape[1:])))
    list(render(generator, clip, plan, device, range(1)))
    torch.set_num_threads(max(1, cores // streams))
    began = time.perf_counter()
    with ThreadPoolExecutor(streams) as pool:
        list(pool.map(lambda _: len(list(render(generator, clip, plan, device))), range(streams)))
    torch.set_num_threads(cores)
    return (time.perf_counter() - began) / (streams * RENDERED)


def _encoding_speed(cfg: Config, frames: list[np.ndarray]) -> tuple[float, float]:
    """Seconds and bytes of a frame, PNG read and H.264 written."""
    data = [cv2.imencode(".png", frame)[1] for frame in frames]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.mp4"
        began = time.perf_counter()
        video.write_video(path, (cv2.imdecode(one, cv2.IMREAD_COLOR) for one in data), 25, crf=cfg.crf)
        return (time.perf_counter() - began) / len(frames), path.stat().st_size / len(frames)


def _mean_size(frames: list[np.ndarray], suffix: str, parameters: list[int]) -> float:
    return float(np.mean([len(cv2.imencode(suffix, frame, parameters)[1]) for frame in frames]))


def plan(cfg: Config, person: Glance, dance: Glance, speeds: Speeds, trained: float = 0.0) -> Plan:
    """Seconds of every part of every step, in order; see `data.progress`.

    Args:
        cfg: the settings.
        person: the training video.
        dance: the other one.
        speeds: measured here.
        trained: minutes trained already.
    """
    n, m = person.count, dance.count
    pixels = float(person.frames[0].shape[0] * person.frames[0].shape[1])
    steps = max(1, round(0.94 * n) // cfg.batch_size)
    validation = 2 * cfg.validation_frames * speeds.render
    training = cfg.epochs * (steps * speeds.step + validation)
    if cfg.max_minutes:
        training = min(training, max(0.0, 60 * (cfg.max_minutes - trained)))
    load = MATTE * pixels
    writing = {"train": speeds.write / min(2, os.cpu_count() or 1), "test": 0.0}  # in two threads
    parts = max(1, min(max(4 * STREAMS, m // 300), m // (8 * WARM_UP)))
    looks = [
        (f"1 {mode}", name, seconds)
        for mode, seen, end in (("train", person, PLATE), ("test", dance, PLATE / 4))
        for name, seconds in (
            ("start", START),
            ("first look", seen.count * (seen.seconds["first"] + seen.seconds["decode"] + writing[mode])),
            ("second look", seen.count * (seen.seconds["second"] + seen.seconds["decode"])),
            ("end", end),
        )
    ]
    return [
        *looks,
        ("2", "preview", START_SMALL + m * RETARGET),
        ("3", "load", START + load * n * bool(cfg.epochs)),
        ("3", "training", training),
        ("4", "load", START + load * min(n, cfg.bank)),
        ("4", "rendering", (m + parts * WARM_UP) * speeds.render),
        ("5", "result", START_SMALL + m * speeds.encode),
        ("5", "comparison", m * speeds.encode * (COMPARISON - 1)),
        ("5", "report", REPORT + min(1.0, 20 / dance.info.duration) * m * speeds.encode),
    ]


def disk(cfg: Config, person: Glance, dance: Glance, speeds: Speeds) -> dict[str, float]:
    """Bytes that each step writes."""
    n, m = person.count, dance.count
    epochs = min(cfg.epochs + 1, cfg.keep_checkpoints + 1)
    return {
        "1 train": n * (speeds.image + speeds.mask),
        "3": epochs * speeds.saved,
        "4": m * speeds.picture,
        "5": m * speeds.encoded * (1 + COMPARISON),
    }


NAMES = {
    "1 train": "step 1, the person's video",
    "1 test": "step 1, the dance",
    "2": "step 2, the poses onto the person",
    "3": "step 3, training",
    "4": "step 4, rendering",
    "5": "step 5, video and sound",
}


def table(timing: Plan, bytes_: dict[str, float]) -> list[str]:
    """Lines with time and disk of every step and of all."""
    lines = []
    for step, name in NAMES.items():
        seconds = sum(seconds for one, _, seconds in timing if one == step)
        lines.append(f"{name:<36}{in_words(seconds):>12}{_megabytes(bytes_.get(step, 0.0)):>10}")
    seconds = sum(seconds for *_, seconds in timing)
    lines.append(f"{'all':<36}{in_words(seconds):>12}{_megabytes(sum(bytes_.values())):>10}")
    return lines


def _megabytes(count: float) -> str:
    return "" if not count else f"{count / 1e9:.1f} GB" if count > 1e9 else f"{count / 1e6:.0f} MB"
