"""Is a hand-held camera found? Shakes clips of a camera that stands by a known path, and prints the errors.

    python benchmarks/shake.py VIDEO ... [--frames 150] [--amount 1] [--out DIR] [--steps]

The path is that of a phone in the hand: it turns by some degrees (so the picture moves, and its corners a little
otherwise), rolls and zooms, all smoothly and with a tremor; every frame is warped by it, with the rolling brightness of
an automatic exposure, and encoded again. Errors are distances in pixels of the small picture (512x288 in area) between
where a frame's points are put and where they are, seen from the reference frame, over a grid and all frames.

--steps runs step 1 on the clip, and on the shaken one, and compares what both found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro
from judge import ROOT
from scipy.ndimage import gaussian_filter1d

from data import camera

FOCAL = 1.2  # longer sides of the picture, of the camera that is shaken
MARGIN = 1.18  # zoom that keeps the shaken frame within the clip's


@dataclass
class Settings:
    videos: tyro.conf.Positional[tuple[Path, ...]]  # of a camera that stands
    frames: int = 150  # of each
    amount: float = 1.0  # of the shaking; 1: as described above
    seed: int = 0
    out: Path = ROOT / "build" / "shake"  # where the shaken clips go


def shaking(count: int, fps: float, size: tuple[int, int], amount: float, seed: int) -> np.ndarray:
    """(N, 3, 3) homographies from a shaken frame's pixels to the clip's own, of frames of (width, height)."""
    rng = np.random.default_rng(seed)

    def noise(seconds: float) -> np.ndarray:
        values = gaussian_filter1d(rng.normal(size=count + 400), seconds * fps)[200 : 200 + count]
        return (values - values.mean()) / values.std()

    longer = max(size)
    sway, tremor = np.radians(1.1 * amount), np.radians(0.08 * amount)
    yaw, pitch = (sway * noise(0.8) + tremor * noise(0.06) for _ in range(2))
    roll = np.radians(0.6 * amount) * noise(0.8) + 0.5 * tremor * noise(0.06)
    zoom = np.exp(0.03 * amount * noise(1.5))
    limit = np.radians(2.6)
    yaw, pitch = np.clip(yaw, -limit, limit), np.clip(pitch, -limit, limit)
    x, y = (np.array(size) - 1) / 2
    inner = np.array([[FOCAL * longer, 0, x], [0, FOCAL * longer, y], [0, 0, 1]])
    result = np.empty((count, 3, 3))
    for n in range(count):
        turn, _ = cv2.Rodrigues(np.array([pitch[n], yaw[n], 0]))
        spin, _ = cv2.Rodrigues(np.array([0, 0, roll[n]]))
        lens = np.diag([1 / (MARGIN * zoom[n]), 1 / (MARGIN * zoom[n]), 1])
        result[n] = inner @ turn @ spin @ lens @ np.linalg.inv(inner)
    return camera.normalised(result)


def shaken(frames: Iterator[np.ndarray], path: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """The frames (H, W, 3) uint8 RGB as the shaken camera shows them, its noise and exposure included."""
    rng = np.random.default_rng(seed)
    gain = 1 + 0.06 * np.sin(np.arange(len(path)) / 17)
    for frame, matrix, light in zip(frames, path, gain, strict=False):
        size = frame.shape[1::-1]
        flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
        moved = cv2.warpPerspective(frame, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
        noisy = light * moved + rng.normal(0, 2, moved.shape).astype(np.float32)
        yield np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def errors(found: camera.Path, truth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N, 25) distances in pixels of the small picture; NaN where a frame could not be registered."""
    points = camera.grid(size, 5)
    true = np.linalg.inv(truth[found.reference]) @ truth
    grid = np.broadcast_to(points, (len(truth), 25, 2))
    way = camera.transform(found.homographies, grid) - camera.transform(true, grid)
    result = np.linalg.norm(way, axis=-1) * max(camera.small_size(size)) / max(size)
    result[~found.good] = np.nan
    return result
