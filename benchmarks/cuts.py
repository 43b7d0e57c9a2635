"""Are cuts, title cards, fades and breaks found? Cuts two clips up in known ways and runs step 1 on them.

    python benchmarks/cuts.py --out DIR [--train CLIP] [--dance CLIP] [further settings of step 1]

A training video with a title card, an end card, a black lead, fades, another scene: a row each with the largest and the
mean difference of its plate, in grey levels, from the plate of the same encoded video without the frames that are known
to be no room; and the frames that were left out beside those. A dance with a cut to a view enlarged by 1.3 and by 1.9,
to the mirrored view, to another room, and with breaks of 5 and 11 seconds in which the dancer is away or another scene
is shown: a row for each shot with the share of its frames in which the dancer is found where they are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro
from judge import ROOT, run
from tqdm import tqdm

from data import pictures
from data.annotations import Annotations, mask_name
from data.video import probe, read_frames, working_size, write_video
from main.config import Config
from pose_detector.errors import InputError
from pose_detector.skeleton import MIRROR, torso_length

NEAR = 0.5  # torso lengths within which the median keypoint is that of the same person
Frames = list[np.ndarray]


@dataclass
class Settings:
    train: Path = ROOT / "data" / "sample" / "train.mp4"
    dance: Path = ROOT / "data" / "sample" / "test.mp4"
    out: Path = ROOT / "build" / "cuts"
    frames: int = 200  # of each clip that are used
    only: tuple[str, ...] = ()  # names of rows; empty: all


@dataclass
class Material:
    """Frames of both clips at working size, the other room without its person, and the dancer's outlines."""

    train: Frames
    dance: Frames
    empty: np.ndarray  # the dance's room
    other: np.ndarray  # another room of the same size
    masks: Frames
    fps: float


def read(path: Path, count: int, size: tuple[int, int]) -> Frames:
    return [frame for _, (*_, frame) in zip(range(count), read_frames(path, size), strict=False)]


def card(like: np.ndarray, text: str) -> np.ndarray:
    """A title: light letters on dark blue."""
    frame = np.full_like(like, (20, 30, 70))
    height, width = frame.shape[:2]
    cv2.putText(frame, text, (width // 8, height // 2), cv2.FONT_HERSHEY_DUPLEX, width / 300, (240, 230, 200), 2)
    return frame


def faded(frames: Frames, count: int) -> Frames:
    """The first ones come from black."""
    return [np.rint(f * min(1.0, i / count)).astype(np.uint8) for i, f in enumerate(frames)]


def trains(m: Material) -> dict[str, tuple[Frames, np.ndarray]]:
    """Training videos by name, and which of their frames are no room."""
    frames, second = m.train, round(m.fps)
    title, end = card(frames[0], "MY DANCE"), card(frames[0], "THANK YOU")
    scene = [cv2.resize(f, frames[0].shape[1::-1]) for f in m.dance[: 2 * second]]
    black = [np.zeros_like(frames[0])] * (second // 2)
    ramps = faded(faded(frames, second)[::-1], second)[::-1]

    def put(before: Frames, middle: Frames, after: Frames = []) -> tuple[Frames, np.ndarray]:  # noqa: B006
        flags = np.ones(len(before) + len(middle) + len(after), bool)
        flags[len(before) : len(before) + len(middle)] = False
        return [*before, *middle, *after], flags

    dim = np.zeros(len(frames), bool)
    dim[:second] = dim[-second:] = True
    return {
        "clean": put([], frames),
        "title card 3 s": put([title] * (3 * second), frames),
        "end card 3 s": put([], frames, [end] * (3 * second)),
        "black lead 0.5 s": put(black, frames),
        "fades 1 s": (ramps, dim),
        "another scene 2 s": put([], frames, scene),
        "all of them": (
            [title] * (3 * second) + black + ramps + scene + [end] * (3 * second),
            np.r_[[True] * (3 * second + len(black)), dim, [True] * (len(scene) + 3 * second)],
        ),
    }


def enlarged(frames: Frames, factor: float, keypoints: np.ndarray) -> tuple[Frames, np.ndarray]:
    """A part of the frames around where the dancer mostly is."""
    height, width = frames[0].shape[:2]
    size = np.array([width, height]) / factor
    seen = keypoints[..., 2] > 0
    middle = [np.median(keypoints[..., axis][seen]) for axis in (0, 1)]
    corner = np.clip(np.array(middle) - size / 2, 0, np.array([width, height]) - size).astype(int)
    x, y = corner
    w, h = size.astype(int)
    moved = keypoints.copy()
    moved[..., :2] = (keypoints[..., :2] - corner) * ((width / w), (height / h))
    return [cv2.resize(f[y : y + h, x : x + w], (width, height), interpolation=cv2.INTER_CUBIC) for f in frames], moved


def mirrored(frames: Frames, keypoints: np.ndarray) -> tuple[Frames, np.ndarray]:
    moved = keypoints.copy()
    moved[..., 0] = frames[0].shape[1] - 1 - moved[..., 0]
    # Left and right are exchanged too.
    return [f[:, ::-1].copy() for f in frames], moved[:, MIRROR]


def elsewhere(frames: Frames, masks: Frames, room: np.ndarray) -> Frames:
    """The dancer cut out and put into another room."""
    shares = [cv2.GaussianBlur(cv2.dilate(m, np.ones((3, 3))), (0, 0), 1)[..., None] / 255 for m in masks]
    return [np.rint(s * f + (1 - s) * room).astype(np.uint8) for f, s in zip(frames, shares, strict=True)]


def dances(m: Material, truth: np.ndarray) -> dict[str, list[tuple[Frames, np.ndarray | None]]]:
    """Dances by name: shots with their keypoints, or None where the dancer is away."""
    half = len(m.dance) // 2
    first, rest = m.dance[:half], m.dance[half:]
    before, after = truth[:half], truth[half:]
    scene = m.other

    def pause(seconds: float, room: np.ndarray) -> tuple[Frames, None]:
        return [room] * round(seconds * m.fps), None

    return {
        "clean": [(m.dance, truth)],
        "enlarged by 1.3": [(first, before), enlarged(rest, 1.3, after)],
        "enlarged by 1.9": [(first, before), enlarged(rest, 1.9, after)],
        "mirrored": [(first, before), mirrored(rest, after)],
        "another room": [(first, before), (elsewhere(rest, m.masks[half:], m.other), after)],
        "away for 5 s": [(first, before), pause(5, m.empty), (rest, after)],
        "away for 11 s": [(first, before), pause(11, m.empty), (rest, after)],
        "another scene for 5 s": [(first, before), pause(5, scene), (rest, after)],
        "another scene for 11 s, then mirrored": [(first, before), pause(11, scene), mirrored(rest, after)],
    }


def found(annotations: Annotations, begin: int, truth: np.ndarray) -> float:
    """Share of a shot's frames in which the dancer is found where they are, of those in which the clean clip has it."""
    ours = annotations.keypoints[begin : begin + len(truth)]
    width = annotations.frame_size[0]
    both = (ours[..., 2] > 0) & (truth[..., 2] > 0)
    away = np.where(both, np.linalg.norm(ours[..., :2] - truth[..., :2], axis=-1), np.nan)
    known = (truth[..., 2] > 0).sum(axis=1) >= 4
    torso = np.nanmedian(torso_length(truth)) if known.any() else width / 10
    near = np.zeros(len(truth), bool)
    some = both.sum(axis=1) >= 4
    near[some] = np.nanmedian(away[some], axis=1) < NEAR * torso
    return float(near[known].mean())


def hidden(config: Config) -> np.ndarray:
    """(H, W) bool, where the person, or the shadow, is in more than half of the frames of a training video."""
    masks = (pictures.read(path, grey=True) for path in sorted(config.masks_dir.iterdir()))
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (31, 31))
    return np.mean([cv2.dilate(mask, around) > 64 for mask in masks], axis=0) > 0.5


def without(path: Path, flags: np.ndarray) -> Frames:
    """The frames of an encoded video, as decoded, but for those that are flagged (N,) bool."""
    return [frame for i, _, frame in read_frames(path) if not flags[i]]


def plate_difference(config: Config, reference: Config) -> np.ndarray:
    """(n, 3) by how many grey levels two plates differ, single pixels aside, where the person does not nearly always
    stand: there nothing tells what is right."""
    plates = [pictures.read(c.background_image).astype(np.float32) for c in (config, reference)]
    return np.abs(cv2.blur(plates[0] - plates[1], (3, 3)))[~hidden(reference)]


class Step:
    """Runs step 1 on frames, each in a workspace of its own."""

    def __init__(self, out: Path, fps: float, further: Sequence[str]) -> None:
        self.out, self.fps, self.further = out, fps, further

    def __call__(self, name: str, mode: str, frames: Frames, lossless: bool = False) -> Config:
        folder = self.out / f"{mode} {name}".replace(" ", "_").replace(",", "")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{mode}.mp4"
        write_video(path, frames, self.fps, crf=0 if lossless else 10, preset="veryfast", full_colour=lossless)
        common = ["--workspace", str(folder), f"--{mode}_video", str(path), "--redo", *self.further]
        run("data/video2data.py", ["--mode", mode, *common], folder / "log.txt")
        return Config(workspace=folder, train_video=path, test_video=path)


def material(settings: Settings, step: Callable[..., Config]) -> tuple[Material, np.ndarray]:
    """What the clips are cut up from, and the dancer's keypoints in the clean dance."""
    info = probe(settings.dance)
    size = working_size(info.width, info.height)
    dance = read(settings.dance, settings.frames, size)
    own = probe(settings.train)
    train = read(settings.train, settings.frames, working_size(own.width, own.height))
    one = step("dance", "train", dance)  # for its plate and outlines
    other = pictures.read(step("clean", "train", train).background_image)
    masks = [pictures.read(one.masks_dir / mask_name(i), grey=True) for i in range(len(dance))]
    empty = pictures.read(one.background_image)
    fps = float(info.fps)
    truth = Annotations.load(step("clean", "test", dance).test_annotations).keypoints
    return Material(train, dance, empty, cv2.resize(other, size), masks, fps), truth


def main(settings: Settings, further: Sequence[str] = ()) -> None:
    """Run everything and print both tables."""
    settings.out.mkdir(parents=True, exist_ok=True)
    step = Step(settings.out, float(probe(settings.dance).fps), further)
    parts, truth = material(settings, step)
    wanted = lambda name: not settings.only or name in settings.only  # noqa: E731
    lines = [f"{'training video':40}{'largest':>9}{'mean':>7}{'left out':>10}{'of':>6}{'too many':>10}"]
    for name, (frames, flags) in tqdm(trains(parts).items(), desc="training videos"):
        if not wanted(name):
            continue
        config = step(name, "train", frames)
        reference = step(f"{name} without", "train", without(config.train_video_path, flags), lossless=True)
        away = plate_difference(config, reference)
        gone = ~Annotations.load(config.train_annotations).usable
        lines.append(
            f"{name:40}{away.max():9.1f}{away.mean():7.2f}{(gone & flags).sum():10}{flags.sum():6}"
            f"{(gone & ~flags).sum():10}"
        )
    lines.append(f"\n{'dance':40}{'shots':>7}{'found':>7}  share of the frames with the dancer, shot by shot")
    for name, shots in tqdm(dances(parts, truth).items(), desc="dances"):
        if not wanted(name):
            continue
        config = step(name, "test", [frame for frames, _ in shots for frame in frames])
        annotations, begin, shares = Annotations.load(config.test_annotations), 0, []
        for frames, keypoints in shots:
            if keypoints is None:
                away = (annotations.keypoints[begin : begin + len(frames), :, 2] > 0).any(axis=1).mean()
                shares.append(f"({away:.0%} away)")
            else:
                shares.append(f"{found(annotations, begin, keypoints):.1%}")
            begin += len(frames)
        lines.append(f"{name:40}{len(shots):7}{len(annotations.shots):7}  {'  '.join(shares)}")
    print("\n".join(lines))
    (settings.out / "table.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        chosen, rest = tyro.cli(Settings, description=__doc__, return_unknown_args=True)
        main(chosen, rest)
    except InputError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)
