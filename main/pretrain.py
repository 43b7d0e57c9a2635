"""Train the generator that step 3 starts from, on rendered people; no picture of a real person goes into it.

    python main/pretrain.py [--people 80] [--minutes 15]

First short clips of people are rendered, each in other clothes and another room, into build/pretrain/people; those that
are there are kept, and `--render_only --part 0/2` shares that work among processes. Then generator and discriminator
learn from them as step 3 learns from one person, and main/weights/pretrained.pth is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
import tyro
from torch.utils.data import ConcatDataset, DataLoader, Subset, default_collate
from tqdm import tqdm

from data.files import atomic_path
from data.sample.figure import dressed_figure
from data.sample.motion import random_dance
from data.sample.pose import Pose, dance_stance, solve
from data.sample.renderer import Camera, downsample, from_linear, project, render_layer
from data.sample.room import backdrop, random_room, shade_backdrop
from main import checkpoint
from main.appearance import person_sizes
from main.batches import Batch
from main.config import ROOT, Config
from main.dataset import Clip, Pairs, even_exposure
from main.device import prepare_device
from main.matting import matte
from main.trainer import Trainer, build_trainer, start_pretrained, train_one_epoch, validate
from pose_detector.errors import InputError
from pose_detector.skeleton import MIRROR
from pose_detector.training.loop import parse_part

MOMENTS = 12  # of a dance that a clip shows, each by two successive frames
APART = 10  # frame numbers from one moment to the next; so a moment is never painted from itself
SECONDS = 24.0  # of the dance
SIZES = ((512, 288), (288, 512), (384, 224), (224, 384), (320, 320))  # width, height of a clip
CHECKED = 4  # people that are never trained on
TOGETHER = 8  # people from whom batches are mixed
STEPS = 250  # between two looks at the people that are never trained on
EASY = 0.3  # share of the people that are painted from frames of the same moment, too
REPEATS = 5  # crops of each pair before the next people come


@dataclass
class Settings:
    """Settings of the command line."""

    people: int = 80
    """How many clips of a person."""
    minutes: float = 15.0
    """How long to train."""
    cache: Path = ROOT / "build" / "pretrain" / "people"
    """Folder for the clips."""
    out: Path = checkpoint.PRETRAINED
    """The weights to write."""
    start: Literal["scratch", "pretrained"] = "scratch"
    """Begin anew, or go on from the weights of this repository."""
    render_only: bool = False
    """Stop when the clips are there."""
    part: str = "0/1"
    """Which share of the clips this process renders, such as 0/2 and 1/2."""
    seed: int = 0
    device: str = "auto"
    threads: int = 0
    """CPU threads of torch; 0: as it chooses."""


# ------------------------------------------------------------------------------------------------------------ rendering


def any_camera(rng: np.random.Generator, width: int, height: int) -> Camera:
    """A camera that sees a dancer near the origin, 50 to 85 % of the picture high or 40 to 75 % of it wide."""
    eye, distance = rng.uniform(0.5, 1.9), rng.uniform(2.8, 6.5)
    share = min(rng.uniform(0.5, 0.85) * height, rng.uniform(0.8, 1.5) * width)
    aim, x = rng.uniform(0.85, 1.0), rng.uniform(-0.3, 0.3)
    focal = share * distance / 1.75
    return Camera((x, eye, distance), math.atan2(eye - aim, distance), x / distance, focal, width, height)


def moments(rng: np.random.Generator, body, fps: float) -> tuple[Pose, Pose]:
    """Poses of a dance, and of one frame before each: phrases of a dance, some replaced by anything that dancers do."""
    times = np.sort(rng.uniform(1.0, SECONDS, MOMENTS))
    stance = random_dance(rng, SECONDS, rng.uniform(90, 140)).stance(np.sort(np.r_[times - 1 / fps, times]))
    both = solve(body, stance)
    order = np.argsort(np.r_[times - 1 / fps, times], kind="stable")
    back = np.argsort(order)
    before, now = both[back[:MOMENTS]], both[back[MOMENTS:]]
    for i in np.flatnonzero(rng.random(MOMENTS) < 0.2):
        pose = solve(body, dance_stance(rng))
        for poses, shift in ((before, rng.normal(0, 0.02, 3) * [1, 0, 1]), (now, 0.0)):
            poses.root[i], poses.rotations[i] = pose.root + shift, pose.rotations
    return before, now


def render_person(path: Path, seed: int) -> None:
    """Render one clip; its name is its number, and with the seed it decides what is in it.

    The file holds `frame{i}` (JPEG), `matte{i}` (PNG), `plate` (PNG) as bytes, keypoints (N, 18, 3) float32, and
    numbers (N,), where successive ones are successive frames.
    """
    number = int(path.stem.split("_")[-1])
    rng = np.random.default_rng([seed, number])
    width, height = SIZES[number % len(SIZES)]
    figure, room, camera = dressed_figure(rng), random_room(rng), any_camera(rng, width, height)
    behind = backdrop(room, camera, 2)
    content = {"plate": to_bytes(".png", from_linear(behind.linear))}
    keypoints, numbers = [], []
    for i, poses in enumerate(zip(*moments(rng, figure.body, rng.uniform(8, 30)), strict=False)):
        for k, pose in enumerate(poses):
            layer = render_layer([(figure, pose)], camera, room.light)
            linear = shade_backdrop(behind, layer, [(figure, pose)])
            cover = np.zeros((height, width), np.float32)
            x0, y0, x1, y1 = layer.box
            cover[y0:y1, x0:x1] = downsample(layer.alpha, layer.supersample)
            rest = linear[y0:y1, x0:x1] * (1 - cover[y0:y1, x0:x1, None])
            linear[y0:y1, x0:x1] = downsample(layer.colour, layer.supersample) + rest
            content[f"frame{len(numbers)}"] = to_bytes(".jpg", from_linear(linear))
            content[f"matte{len(numbers)}"] = to_bytes(".png", np.rint(255 * cover).astype(np.uint8))
            points = project(figure, pose, camera)
            points[~((points[:, :2] > -0.5) & (points[:, :2] < [width - 0.5, height - 0.5])).all(1)] = 0
            keypoints.append(points)
            numbers.append(APART * (i + 1) + k)
    with atomic_path(path) as temporary:
        np.savez(temporary, keypoints=np.stack(keypoints), numbers=np.array(numbers), **content)


def to_bytes(kind: str, picture: np.ndarray) -> np.ndarray:
    """A picture, RGB or grey, as the bytes of a file."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 97] if kind == ".jpg" else []
    return cv2.imencode(kind, picture[..., ::-1] if picture.ndim == 3 else picture, options)[1]


def to_picture(data: np.ndarray) -> np.ndarray:
    """Bytes of an image file -> (H, W, 3) uint8 RGB, or (H, W) where it is grey."""
    picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    return picture[..., ::-1] if picture.ndim == 3 else picture


def render_people(settings: Settings) -> list[Path]:
    """Render the clips of this process's share that are not there yet; returns the paths of all."""
    settings.cache.mkdir(parents=True, exist_ok=True)
    paths = [settings.cache / f"person{settings.seed}_{i:04d}.npz" for i in range(settings.people)]
    share, shares = parse_part(settings.part)
    for path in tqdm([p for p in paths[share::shares] if not p.exists()], desc="rendering", unit="person"):
        render_person(path, settings.seed)
    return paths


# ------------------------------------------------------------------------------------------------- as a camera saw them


def read_person(path: Path, rng: np.random.Generator) -> Clip:
    """A rendered clip as steps 1 and 3 would have it: filmed by a phone, with keypoints and outline as networks see
    them. Colours, mirror image, blur, noise and errors are random."""
    with np.load(path, allow_pickle=False) as file:
        poses, numbers = file["keypoints"], file["numbers"]
        frames = [to_picture(file[f"frame{i}"]) for i in range(len(numbers))]
        mattes = [to_picture(file[f"matte{i}"]) for i in range(len(numbers))]
        plate = to_picture(file["plate"])
    if rng.random() < 0.5:
        poses = poses[:, MIRROR]
        poses[..., 0] = np.where(poses[..., 2] > 0, plate.shape[1] - 1 - poses[..., 0], 0)
        frames, mattes, plate = [f[:, ::-1] for f in frames], [m[:, ::-1] for m in mattes], plate[:, ::-1]
    sizes = person_sizes(poses)
    lens, colours = random_lens(rng), random_colours(rng)
    plate = np.ascontiguousarray(colours(lens(plate, None)))
    coarse = rng.uniform(0.01, 0.035)  # of the outline, torso lengths
    both = np.empty((len(frames), *plate.shape[:2], 4), np.uint8)
    for i, (frame, mask) in enumerate(zip(frames, mattes, strict=True)):
        picture = even_exposure(np.ascontiguousarray(colours(lens(frame, rng))), plate)
        outline = disturb_outline(np.ascontiguousarray(mask), coarse * float(sizes[i]), float(sizes[i]), rng)
        both[i, ..., :3], both[i, ..., 3] = picture, matte(picture, plate, outline, float(sizes[i]))
    return Clip.of_frames(both, disturb_keypoints(poses, sizes, rng), numbers, plate)


def random_lens(rng: np.random.Generator):
    """What a camera does to every picture of a clip: blur, noise and compression, from none to much.

    Returns:
        function of a picture (H, W, 3) uint8 and of the generator of its noise; None for a plate, which has none.
    """
    blur = rng.uniform(0.0, 0.9) if rng.random() < 0.7 else 0.0
    noise = rng.uniform(0, 5) if rng.random() < 0.7 else 0.0
    quality = int(rng.uniform(35, 96))

    def film(picture: np.ndarray, source: np.random.Generator | None) -> np.ndarray:
        if blur > 0.2:
            picture = cv2.GaussianBlur(picture, (0, 0), blur)
        if source is None:
            return picture
        if noise > 0.5:
            grain = cv2.resize(
                source.normal(0, noise, (*(-(-side // 2) for side in picture.shape[:2]), 3)).astype(np.float32),
                picture.shape[1::-1],
                interpolation=cv2.INTER_CUBIC,
            )
            picture = np.clip(picture + grain, 0, 255).astype(np.uint8)
        return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)

    return film


def random_colours(rng: np.random.Generator):
    """Function that changes exposure, contrast, tint, hue and saturation of pictures (H, W, 3) uint8, always alike."""
    gain, gamma = rng.uniform(0.75, 1.2) * (1 + rng.normal(0, 0.05, 3)), np.exp(rng.normal(0, 0.2))
    saturation, hue = np.exp(rng.normal(-0.1, 0.3)), rng.normal(0, 0.25) if rng.random() < 0.5 else 0.0
    grey = np.full((3, 3), 1 / 3)
    axis = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    turn = grey + saturation * (math.cos(hue) * (np.eye(3) - grey) + math.sin(hue) * axis)
    levels = (np.linspace(0, 1, 256)[:, None] ** gamma * gain * 255).clip(0, 255).round().astype(np.uint8)[None]

    def change(picture: np.ndarray) -> np.ndarray:
        return cv2.LUT(cv2.transform(picture, turn), levels)

    return change


def disturb_outline(mask: np.ndarray, coarse: float, size: float, rng: np.random.Generator) -> np.ndarray:
    """An outline (H, W) uint8 as a network of low resolution sees it.

    Args:
        mask: (H, W) uint8, the true one.
        coarse: width of its blur, pixels.
        size: of the person, pixels; the errors are about 1.5 % of it, and wave along the outline.
        rng: of the errors.
    """
    height, width = mask.shape
    few = (max(2, round(width / (0.3 * size))), max(2, round(height / (0.3 * size))))
    error = cv2.resize(rng.normal(0, 1, few[::-1]).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), max(coarse, 0.5))
    moved = soft + 0.4 * min(1.0, 0.015 * size / max(coarse, 0.5)) * error * 4 * soft * (1 - soft)
    return np.rint(255 / (1 + np.exp(-(moved - 0.5) * 12))).astype(np.uint8)


def disturb_keypoints(poses: np.ndarray, sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keypoints (N, 18, 3) as a network sees them: each a little beside the truth in the whole clip (2 % of the size),
    a little more in each frame (1 %), now and then missing."""
    beside = rng.normal(0, 0.02, (1, 18, 2)) + rng.normal(0, 0.01, (len(poses), 18, 2))
    seen = (poses[..., 2] > 0) & (rng.random(poses.shape[:2]) > 0.01)
    moved = poses.copy()
    moved[..., :2] += beside * sizes[:, None, None]
    moved[~seen] = 0
    return moved


# ------------------------------------------------------------------------------------------------------------- training


def pairs_of(clip: Clip, crop: int, augment: bool, seed: int, apart: int = APART // 2) -> Pairs:
    """The successive frames of a rendered clip, painted from frames at least `apart` away: from other moments, or, if
    1, from the other frame of the same one too."""
    every = np.arange(len(clip.poses))
    side = (min(crop, clip.size[0]), min(crop, clip.size[1]))
    return Pairs(clip, every, every, side, apart, augment, seed)


def endless(paths: list[Path], cfg: Config) -> Iterator[Batch]:
    """Batches for ever: a few people at a time, each filmed anew whenever it is their turn again."""
    turn = 0
    while True:
        rng = np.random.default_rng([cfg.seed, turn])
        order = rng.permutation(len(paths))
        for start in range(0, len(order), TOGETHER):
            chosen = [paths[i] for i in order[start : start + TOGETHER]]
            people = []
            for path in chosen:  # a training video of minutes shows most poses almost so once more: easy ones, too
                apart = 1 if rng.random() < EASY else APART // 2
                people.append(pairs_of(read_person(path, rng), cfg.crop, True, int(rng.integers(1 << 31)), apart))
            items = [(p, i, k) for p, who in enumerate(people) for i in range(len(who)) for k in range(REPEATS)]
            items = rng.permutation(items).tolist()
            for at in range(0, len(items) - cfg.batch_size + 1, cfg.batch_size):
                batch = []
                for p, i, k in items[at : at + cfg.batch_size]:
                    people[p].epoch = k
                    batch.append(people[p][i])
                yield default_collate(batch)
        turn += 1


def pretrain(paths: list[Path], cfg: Config, device: torch.device, most_steps: int = 1 << 30) -> Trainer:
    """Train on rendered clips; the first `CHECKED` are only looked at.

    Args:
        paths: of the clips.
        cfg: settings of step 3; it takes ``cfg.max_minutes`` if that is not 0.
        device: where to train.
        most_steps: end after so many.
    """
    checked, trained = paths[:CHECKED], paths[CHECKED:]
    clips = [read_person(path, np.random.default_rng(i)) for i, path in enumerate(checked)]
    some = [Subset(pairs_of(clip, 256, augment=False, seed=0), range(0, MOMENTS, 3)) for clip in clips]
    checks = DataLoader(ConcatDataset(some), 1)
    trainer = build_trainer(cfg, device)
    start_pretrained(trainer)
    report(trainer, checks)
    ends = trainer.began + 60 * cfg.max_minutes if cfg.max_minutes else math.inf
    batches = endless(trained, cfg)
    whole = True
    with tqdm(unit="step", desc="pretraining", mininterval=1.0) as bar:
        while whole and trainer.step < most_steps:
            whole = train_one_epoch(trainer, islice(batches, STEPS), bar, 1 << 30, ends)
            trainer.epoch += 1
            report(trainer, checks)
    return trainer


def report(trainer: Trainer, checks: DataLoader) -> None:
    """Print how well the people that are not trained on are drawn."""
    scores, _ = validate(trainer, checks)
    terms = " ".join(f"{name} {value:.4f}" for name, value in trainer.history.items())
    tqdm.write(
        f"step {trainer.step} ({trainer.minutes:.1f} min): PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}, "
        f"sharpness {scores['sharpness']:.2f} | {terms}"
    )


def main(settings: Settings) -> None:
    """Render what is missing, train, write the weights."""
    cv2.setNumThreads(1)
    paths = render_people(settings)
    if settings.render_only:
        return
    paths = [path for path in paths if path.exists()]
    if len(paths) <= CHECKED:
        raise InputError(f"{len(paths)} people are too few; give at least --people {CHECKED + 1}")
    device = prepare_device(settings.device, settings.threads)
    cfg = Config(start=settings.start, seed=settings.seed, max_minutes=settings.minutes, epochs=1 << 30)
    trainer = pretrain(paths, cfg, device)
    checkpoint.save_pretrained({"generator": trainer.averaged, "discriminator": trainer.discriminator}, settings.out)
    print(f"{settings.out}: {settings.out.stat().st_size / 1e6:.1f} MB after {trainer.step} steps")


if __name__ == "__main__":
    try:
        main(tyro.cli(Settings, description=__doc__))
    except InputError as error:
        raise SystemExit(f"error: {error}") from error
