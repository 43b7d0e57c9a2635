"""For a dance of two, between steps 4 and 5: both persons, rendered alone, in the first one's room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from data import pictures
from data.annotations import Annotations, image_name, mask_name
from data.detecting import JPEG_QUALITY
from data.files import replace_folder, staging
from data.progress import Bar
from data.retarget.floor import floor_line
from data.retarget.measure import complete
from main.cli import run_step
from main.config import Config
from pose_detector.errors import InputError
from pose_detector.series import interpolate
from pose_detector.skeleton import body_size

_RENDER = "python main/test.py --partner FILE --dancer first, and again with second"
BEYOND = 0.3  # torso lengths that hands and hair go beyond the keypoints
STEADY = 0.5  # seconds: standard deviation of the filter over sizes, so that nobody swells with a bent knee


def main(config: Config) -> None:
    """Run the step; see the module's docstring."""
    if not config.partner:
        raise InputError("two persons are needed: --person_file FILE --partner FILE")
    both = [config.of_dancer("first"), config.of_dancer("second")]
    moves = [Annotations.load(c.norm_test_annotations, "python data/annot_normalize.py") for c in both]
    seen = [Annotations.load(c.test_annotations, "python data/video2data.py --mode test") for c in both]
    room = pictures.read(both[0].background_image)
    target = Annotations.load(both[0].train_annotations, "python data/video2data.py --mode train")
    if room is None or not np.array_equal(moves[0].frame_numbers, moves[1].frame_numbers):
        raise InputError(f"the two dancers do not belong together; render both anew: {_RENDER}")
    room = target.shown(room)
    placed, places, front = place(seen, moves, room.shape[1])
    moves[0].save(config.norm_test_annotations)
    with staging(config.vis_dir) as fresh:
        numbers = moves[0].frame_numbers
        layers = zip(*(_layers(c.vis_dir, numbers) for c in both), strict=True)
        for t, pair in enumerate(Bar(layers, total=len(numbers), unit="frame", desc="both")):
            picture = room
            order = (1, 0) if front[t] == 0 else (0, 1)
            for i in order:
                picture = lay(picture, pair[i], places[i][t])
            pictures.write(fresh / image_name(numbers[t]), picture, JPEG_QUALITY)
        (fresh / config.rendered_of.name).write_text(moves[0].fingerprint, encoding="utf-8")
        replace_folder(config.vis_dir, fresh)
    print(f"second dancer: {placed}")
    print(f"written: {config.vis_dir}; next: python output/img2video.py")


def place(
    seen: list[Annotations], moves: list[Annotations], width: int
) -> tuple[str, tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Place both in the first one's room.

    The first one stays where they alone would be. How far the second one is from them, and how much larger, is as in
    the dance, in the first one's scale. Where that leaves the room, both are shifted.

    Args:
        seen: the two dancers, as step 1 saw them.
        moves: the same after step 2, each in their own room.
        width: of the first one's room, pixels.

    Returns:
        a line on it; for each of the two (N, 2, 3) affine maps from their own frames; (N,) who is in front, 0 or 1.
    """
    (here, size), (there, other) = (feet(a) for a in seen)
    (first, scale), (second, own) = (feet(a) for a in moves)
    ratio = scale / size  # pixels of the room per pixel of the dance
    goal = first + ratio[:, None] * (there - here)
    factor = gaussian_filter1d(other * ratio / own, STEADY * seen[0].fps, mode="nearest")
    offset = goal - factor[:, None] * second
    ends = [reach(moves[0].keypoints), reach(moves[1].keypoints) * factor + offset[:, 0]]
    hands = float(np.median(scale)) * BEYOND
    low = min(np.quantile(e[0], 0.02) for e in ends) - hands
    high = max(np.quantile(e[1], 0.98) for e in ends) + hands
    shift = 0.0
    if low < 0 or high > width:
        shift = (width - low - high) / 2 if high - low > width else max(0.0, -low) - max(0.0, high - width)
    shift = round(shift)
    still = np.tile(np.array([[1.0, 0, shift], [0, 1, 0]]), (len(first), 1, 1))
    moved = np.zeros_like(still)
    moved[:, 0, 0] = moved[:, 1, 1] = factor
    moved[..., 2] = offset + np.array([shift, 0])
    line = f"size x {np.median(factor):.2f}, both moved by {shift} pixels to stay in the room"
    return line, (still, moved), (goal[:, 1] > first[:, 1]).astype(int)


def reach(keypoints: np.ndarray) -> np.ndarray:
    """(2, N) x of the leftmost and of the rightmost keypoint of (N, 18, 3), gaps filled: pixels."""
    x = np.where(keypoints[..., 2] > 0, keypoints[..., 0], np.nan)
    known = np.isfinite(x).any(1)
    return np.stack([interpolate(extreme.reduce(x, 1), known) for extreme in (np.fmin, np.fmax)])


def feet(annotations: Annotations) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) where the person stands, x of the trunk and y of the floor, and (N,) how large they are: pixels."""
    keypoints = annotations.keypoints
    seen = keypoints[..., 2] > 0
    fps = annotations.fps
    trunk = complete(keypoints)[:, [1, 18], 0].mean(1)
    sizes = body_size(keypoints)
    sizes = interpolate(sizes, np.isfinite(sizes))
    x, sizes = (gaussian_filter1d(v, STEADY * fps, mode="nearest") for v in (trunk, sizes))
    return np.stack([x, floor_line(keypoints, seen, fps)], 1), sizes


def lay(picture: np.ndarray, layer: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) uint8 with a layer (h, w, 4), colours multiplied by coverage, over it by a (2, 3) map."""
    height, width = picture.shape[:2]
    layer = cv2.warpAffine(layer, matrix, (width, height), flags=cv2.INTER_LINEAR)
    left = cv2.merge([255 - layer[..., 3]] * 3)
    return cv2.add(cv2.multiply(picture, left, scale=1 / 255), np.ascontiguousarray(layer[..., :3]))


def _layers(folder: Path, numbers: np.ndarray) -> Iterator[np.ndarray]:
    for number in numbers:
        path = folder / mask_name(number)
        layer = pictures.read(path, layer=True)
        if layer is None:
            raise InputError(f"{path} is missing or no layer; render it with: {_RENDER}")
        yield layer


if __name__ == "__main__":
    run_step(main, __doc__ or "")
