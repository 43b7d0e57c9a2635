"""Speed and accuracy of the grouping beside the published algorithm.

    python benchmarks/grouping.py

Maps are drawn from known poses (tests/helpers/maps.py) with noise of 0.02. Times are medians on one thread.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))

from grouping_reference import group_reference
from maps import draw_maps, scene

from pose_detector.pafprocess import group

Grouping = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
SCENES = ((1, 46, 82), (20, 46, 164))  # people, height, width
NOISE = 0.02


def milliseconds(grouping: Grouping, maps: tuple[np.ndarray, np.ndarray], repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        grouping(*maps)
        times.append(1e3 * (time.perf_counter() - start))
    return times


def accuracy(poses: np.ndarray, keypoints: np.ndarray, scores: np.ndarray) -> tuple[int, int, list[float]]:
    """People found (14 keypoints within a cell), people too many, distances of all their keypoints in pixels."""
    distances = np.linalg.norm(poses[:, None] - keypoints[None], axis=-1)  # (true, found, 18)
    distances[:, scores == 0] = np.nan
    near = (distances < 8).sum(axis=-1)
    found = np.flatnonzero(near.max(axis=1, initial=0) >= 14)
    skeletons = near.argmax(axis=1)[found] if len(found) else []
    errors = distances[found, skeletons].ravel() if len(found) else np.zeros(0)
    return len(set(skeletons)), len(keypoints) - len(set(skeletons)), list(errors[~np.isnan(errors)])


def measure(grouping: Grouping, people: int, height: int, width: int, scenes: int, repeats: int) -> str:
    rng = np.random.default_rng(0)
    times, errors, found, extra = [], [], 0, 0
    for _ in range(scenes):
        poses = scene(rng, people, height, width)
        maps = tuple(
            (m + NOISE * rng.standard_normal(m.shape)).astype(np.float32) for m in draw_maps(poses, height, width)
        )
        times += milliseconds(grouping, maps, repeats)
        here = accuracy(poses, *grouping(*maps))
        found, extra, errors = found + here[0], extra + here[1], errors + here[2]
    return (
        f"{np.median(times):9.3f} {100 * found / (scenes * people):7.1f} {extra:6d}"
        f" {len(errors) / max(found, 1):8.2f} {np.mean(errors):8.2f} {np.quantile(errors, 0.95):8.2f}"
    )


def main() -> None:
    cv2.setNumThreads(1)
    print(f"{'':26}{'ms':>9} {'found %':>7} {'extra':>6} {'kpts/p.':>8} {'mean px':>8} {'95 % px':>8}")
    for people, height, width in SCENES:
        for name, grouping, repeats in (("pafprocess", group, 50), ("NumPy", group_reference, 1)):
            row = measure(grouping, people, height, width, scenes=10, repeats=repeats)
            print(f"{people:2d} on {height}x{width:<5}{name:14}{row}")


if __name__ == "__main__":
    main()
