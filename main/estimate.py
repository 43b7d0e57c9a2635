"""How long each step will take on this machine, and how much disk: measured on some frames, and multiplied."""

from __future__ import annotations

import contextlib
import io
import math
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
from data.annotations import image_name, kept_frames, mask_name
from data.background import sample_indices
from data.detecting import JPEG_QUALITY
from data.progress import STEPS, Plan, in_words
from data.quick_look import QuickLook
from main import checkpoint, person_file
from main.batches import to_device
from main.config import Config
from main.dataset import Clip, load_clip, source_bank
from main.device import network_type
from main.frame_files import LONGEST, MOST_STREAMS
from main.rendering import WARM_UP, make_plan, prepare_generator, render, stretches
from main.trainer import batches_of, build_trainer, make_data, train_step
from pose_detector.errors import InputError

# Seconds, measured on two cores with AMX by `benchmarks/steps.py` (sample pair, 750 and 625 frames of 512x288). They
# are a tenth of the whole there.
START = 2.5  # of a process that imports torch
START_SMALL = 0.9  # of one that does not
PLATE = 1.1e-7  # a pixel of the frames that the empty room is made from
END = 1.0  # the end of step 1
RETARGET = 0.005  # a frame of step 2, with its preview
RENDERED = 8  # frames that the speed of step 4 is measured on, each core
COMPARISON = 1.7  # times the work that a frame of the result is, at its size
OUTLINE = 0.5  # times the work that a frame is in a person's file
REPORT = 3.0  # curves and sheets
REPORTED = 0.012  # a frame of the three small videos
ENCODED = 24  # frames that the speed of step 5 is measured on
# Bytes, measured on the sample pair and on clips of 60 frames; all of them together are a tenth of the whole there.
ANNOTATED = 350  # a frame of each file of poses
PREVIEWED, SOONEST = 0.8, 1500  # step 2's preview, in frames of the result; how many it shows at most
SOUND = 16_000  # a second, of either video
GRID = 5  # pictures of an epoch, in training frames
SMALL = 0.3e6, 0.115e6  # the report, and more for each second that it shows
SHOWN = 20.0  # seconds that it shows
BANKED = 0.05  # a pixel of those frames that a person's file holds


@dataclass(frozen=True)
class Speeds:
    """Seconds and bytes, as measured here.

    Attributes:
        step: seconds of a step of training.
        render: seconds in which a frame is rendered, with all cores at work.
        encode: seconds in which a frame of the result's size is encoded.
        write: seconds in which a training frame and its outline are compressed, in one thread.
        load, load_texture: seconds in which steps 3 and 4 read and matte such a frame.
        image, mask, encoded: bytes of a frame as JPEG, of its outline, of a frame of the result.
        beside: bytes of a frame of the dance, as high as in the comparison.
        saved, fresh: bytes of a checkpoint, and of one before training.
    """

    step: float
    render: float
    encode: float
    write: float
    load: float
    load_texture: float
    image: float
    mask: float
    encoded: float
    beside: float
    saved: float
    fresh: float


def small_clips(
    cfg: Config, seen: QuickLook, size: tuple[int, int], folder: Path
) -> tuple[Clip, Clip, dict[str, float]]:
    """The frames of a quick look as clips to train on and to render from: too few to learn well, but as slow as all.

    Args:
        cfg: the settings.
        seen: the training video.
        size: (width, height) of the frames that step 1 keeps.
        folder: an empty one.

    Returns:
        both clips, and of `Speeds`: write, load, load_texture, image, mask.

    Raises:
        InputError: the dancer is hardly seen.
    """
    if ((seen.dancer[..., 2] > 0).sum(axis=1) >= 4).sum() < 4:
        raise InputError(
            f"{seen.info.path.name}: no person was found in it; use a video in which somebody is seen from head to foot"
        )
    frames = [video.resize(frame, size) for frame in seen.large]
    plate = folder / "plate.png"
    pictures.write(plate, np.median(frames[:: max(1, len(frames) // 5)], axis=0).astype(np.uint8))
    began, images, masks = time.perf_counter(), [], []
    for i, (frame, outline) in enumerate(zip(frames, seen.outlines, strict=True)):
        images.append(folder / image_name(i))
        masks.append(folder / mask_name(i))
        pictures.write(images[-1], frame, JPEG_QUALITY)
        pictures.write(masks[-1], video.resize(outline, size))
    write = (time.perf_counter() - began) / len(frames)
    annotations = seen.annotations.resized(size)
    clips, seconds = [], []
    for bank in (
        source_bank(annotations, most_height=cfg.most_height),
        source_bank(annotations, cfg.bank, cfg.most_texture),
    ):
        began = time.perf_counter()
        with contextlib.redirect_stderr(io.StringIO()):  # its bar
            clips.append(load_clip(annotations, folder, folder, plate, bank))
        seconds.append((time.perf_counter() - began) / len(bank.rows))
    image, mask = (float(np.mean([path.stat().st_size for path in paths])) for paths in (images, masks))
    files = {"write": write, "load": seconds[0], "load_texture": seconds[1], "image": image, "mask": mask}
    return clips[0], clips[1], files


def measure(cfg: Config, device: torch.device, person: QuickLook, dance: QuickLook, size: tuple[int, int]) -> Speeds:
    """Read, train, render and encode a little. The networks are those of the settings, untrained.

    Args:
        cfg: the settings.
        device: where the networks run.
        person: the training video.
        dance: the other one.
        size: (width, height) of the training frames that step 1 keeps, and of the result.
    """
    with tempfile.TemporaryDirectory() as folder:
        clip, texture, files = small_clips(cfg, person, size, Path(folder))
        step, saved, fresh = _training_speed(cfg, device, clip)
        render_ = _rendering_speed(cfg, device, texture, person.annotations.resized(size).keypoints)
        some = islice(video.read_frames(person.info.path, size, person.picture), ENCODED)
        encode, encoded = _encoding_speed(cfg, [frame for *_, frame in some], Path(folder))
        some = islice(video.read_frames(dance.info.path, beside_size(dance, size), dance.picture), ENCODED)
        _, beside = _encoding_speed(cfg, [frame for *_, frame in some], Path(folder))
    return Speeds(
        step=step, render=render_, encode=encode, encoded=encoded, beside=beside, saved=saved, fresh=fresh, **files
    )


def beside_size(dance: QuickLook, size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the dance in the comparison with a result of (width, height) `size`."""
    left, top, right, bottom = dance.picture
    height = video.preview_size(*size)[1]
    return 2 * max(1, round(height * (right - left) / (bottom - top) / 2)), height


def _training_speed(cfg: Config, device: torch.device, clip: Clip) -> tuple[float, float, float]:
    """Seconds of a step, and bytes of a checkpoint and of one before training."""
    trainer = build_trainer(cfg, device)
    sizes = [sum(p.numel() for p in net.parameters()) for net in (trainer.generator, trainer.discriminator)]
    # Weights and the averaged ones; and two moments of Adam.
    fresh = 4.0 * (2 * sizes[0] + sizes[1])
    saved = fresh + 8.0 * sum(sizes)
    if not cfg.epochs:
        return 0.0, fresh, fresh
    pairs, _ = make_data(clip, 1.0, replace(cfg, apart=1.0))
    with closing(batches_of(pairs, trainer)) as batches:
        times = []
        for batch in islice(batches, 3):
            train_step(trainer, to_device(batch, device))["pixel"].item()
            times.append(time.perf_counter())
    seconds = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0
    return seconds, saved, fresh


def _rendering_speed(cfg: Config, device: torch.device, clip: Clip, poses: np.ndarray) -> float:
    """Seconds a frame of poses (N, 18, 3), pixels of step 1's frames, rendered as step 4 does: a stretch each core."""
    generator = prepare_generator(checkpoint.make_generator(cfg), device, network_type(device, cfg.precision))
    cores = torch.get_num_threads()
    streams = min(cores, MOST_STREAMS)
    whole = poses[(poses[..., 2] > 0).sum(axis=1) >= 4]
    plan = make_plan(clip, np.resize(whole, (RENDERED, *whole.shape[1:])), cfg.most_height)
    list(render(generator, clip, plan, device, range(1)))
    torch.set_num_threads(max(1, cores // streams))
    began = time.perf_counter()
    with ThreadPoolExecutor(streams) as pool:
        list(pool.map(lambda _: len(list(render(generator, clip, plan, device))), range(streams)))
    torch.set_num_threads(cores)
    return (time.perf_counter() - began) / (streams * RENDERED)


def _encoding_speed(cfg: Config, frames: list[np.ndarray], folder: Path) -> tuple[float, float]:
    """Seconds and bytes of a frame, JPEG read and H.264 written."""
    data = [cv2.imencode(".jpg", frame)[1] for frame in frames]
    path = folder / "some.mp4"
    began = time.perf_counter()
    video.write_video(path, (cv2.imdecode(one, cv2.IMREAD_COLOR) for one in data), 25, crf=cfg.crf)
    return (time.perf_counter() - began) / len(frames), path.stat().st_size / len(frames)


def plan(
    cfg: Config, person: QuickLook, dance: QuickLook, size: tuple[int, int], speeds: Speeds, trained: float = 0.0
) -> Plan:
    """Seconds of every part of every step, in order; see `data.progress`.

    Args:
        cfg: the settings.
        person: the training video.
        dance: the other one.
        size: (width, height) of the training frames that step 1 keeps.
        speeds: measured here.
        trained: minutes trained already.
    """
    n, m = frames_kept(cfg, person), dance.count
    training, _ = training_time(cfg, n, speeds, trained)
    writing = {"train": n * speeds.write / min(2, os.cpu_count() or 1), "test": 0.0}  # in two threads
    plate = PLATE * len(sample_indices(n, size)) * size[0] * size[1]
    beside = np.prod(np.divide(video.preview_size(*size), size)) * COMPARISON  # pixels per pixel of the result
    parts = len(stretches(m, max(4 * MOST_STREAMS, -(-m // LONGEST))))
    looks = [
        (f"1 {mode}", name, seconds)
        for mode, seen, end in (("train", person, plate + END), ("test", dance, END))
        for name, seconds in (
            ("start", START),
            ("first look", seen.count * (seen.seconds["first"] + seen.seconds["decode"]) + writing[mode]),
            ("second look", seen.count * sum(seen.seconds[name] for name in ("second", "decode", "camera"))),
            ("end", end),
        )
    ]
    return [
        *looks,
        ("2", "preview", START_SMALL + m * RETARGET),
        ("3", "start", START),
        ("3", "reading", speeds.load * n * bool(cfg.epochs)),
        ("3", "training", training),
        ("3", "end", 2 * cfg.validation_frames * speeds.render * bool(cfg.epochs)),  # of an epoch cut short
        ("3", "person's file, frames", min(n, cfg.bank) * speeds.encode),
        ("3", "person's file, outlines", min(n, cfg.bank) * speeds.encode * OUTLINE),
        ("4", "start", START),
        ("4", "reading", speeds.load_texture * min(n, cfg.bank)),
        ("4", "rendering", (m + parts * WARM_UP) * speeds.render),
        ("5", "result", START_SMALL + m * speeds.encode),
        ("5", "comparison", m * speeds.encode * beside),
        ("5", "report", REPORT + min(1.0, 20 / dance.info.duration) * m * REPORTED),
    ]


def training_time(cfg: Config, frames: int, speeds: Speeds, trained: float = 0.0) -> tuple[float, int]:
    """Seconds of training on so many frames after so many minutes of it, and the number of epochs, of which the last
    one may be cut short."""
    steps = max(1, round(0.94 * frames) // cfg.batch_size)
    epoch = steps * speeds.step + 2 * cfg.validation_frames * speeds.render
    seconds = cfg.epochs * epoch
    if cfg.max_minutes:
        seconds = min(seconds, max(0.0, 60 * (cfg.max_minutes - trained)))
    return seconds, min(cfg.epochs, math.ceil(seconds / epoch))


def frames_kept(cfg: Config, person: QuickLook) -> int:
    """How many training frames step 1 keeps."""
    return int(kept_frames(np.arange(person.count), person.count, cfg.most_frames).sum())


def disk(cfg: Config, person: QuickLook, dance: QuickLook, size: tuple[int, int], speeds: Speeds) -> dict[str, float]:
    """Bytes that each step writes; arguments as of `plan`."""
    n, m, seconds = frames_kept(cfg, person), dance.count, dance.info.duration
    _, epochs = training_time(cfg, n, speeds)
    kept = min(epochs + 1, cfg.keep_checkpoints)  # beside the best one
    checkpoints = kept * speeds.saved - (speeds.saved - speeds.fresh) * (kept > epochs) + speeds.saved * (epochs > 0)
    pixels = min(n, cfg.bank) * size[0] * size[1]
    kept_person = min(person_file.BUDGET, BANKED * pixels) + speeds.fresh / 4
    beside = float(np.prod(np.divide(video.preview_size(*size), size)))
    comparison = m * (speeds.beside + 2 * beside * speeds.encoded)  # the skeleton is as much as the result
    sound = SOUND * seconds * dance.info.has_audio
    return {
        "1 train": n * (speeds.image + speeds.mask) + ANNOTATED * person.count,
        "1 test": ANNOTATED * m,
        "2": ANNOTATED * m + min(m, SOONEST) * PREVIEWED * min(speeds.encoded, beside * speeds.encoded),
        "3": checkpoints + (epochs + 1) * GRID * speeds.image * (cfg.epochs > 0) + kept_person * (cfg.epochs > 0),
        "4": m * speeds.image,
        "5": m * speeds.encoded + comparison + 2 * sound + SMALL[0] + SMALL[1] * min(SHOWN, seconds),
    }


def table(timing: Plan, bytes_: dict[str, float]) -> list[str]:
    """Lines with time and disk of every step and of all."""
    lines = []
    for step, name in STEPS.items():
        seconds = sum(seconds for one, _, seconds in timing if one == step)
        lines.append(f"{f'step {step[0]}, {name}':<36}{in_words(seconds):>12}{_megabytes(bytes_.get(step, 0.0)):>10}")
    seconds = sum(seconds for *_, seconds in timing)
    lines.append(f"{'all':<36}{in_words(seconds):>12}{_megabytes(sum(bytes_.values())):>10}")
    return lines


def _megabytes(count: float) -> str:
    return "" if not count else f"{count / 1e9:.1f} GB" if count > 1e9 else f"{count / 1e6:.0f} MB"
