"""What the benchmarks on real clips share: BlazePose heavy, which follows one person, and running a step."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import median_filter

from pose_detector.blazepose import SIZE, BlazePose, following_crop, to_coco18
from pose_detector.crop import Crop, turn
from pose_detector.errors import InputError
from pose_detector.series import interpolate
from pose_detector.skeleton import torso_length

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("POSE_TRANSFER_SHARED", ROOT.parent / "shared"))
HEAVY = SHARED / "weights" / "mediapipe" / "pose_landmark_heavy.tflite"
VIDEOS = {".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi"}
PRESENT = 0.5  # how sure BlazePose must be that somebody is there
VISIBLE = 0.5  # how sure it must be of a keypoint that is judged
OUTLINE = 0.5  # where its soft outline is cut
MOST_LOOKS = 4
CALM = 4.0  # seconds over which the median of the torso's length is taken


@dataclass(frozen=True)
class Sight:
    """What BlazePose sees in a frame.

    Attributes:
        crop: The crop that it saw, in pixels of the frame.
        landmarks: (39, 4), x, y and depth in pixels of the frame, and how sure it is that each can be seen.
        present: How sure it is that somebody is there, in [0, 1].
        outline: (256, 256) float32 in the crop, 1 = the person.
    """

    crop: Crop
    landmarks: np.ndarray
    present: float
    outline: np.ndarray

    @property
    def keypoints(self) -> np.ndarray:
        """(18, 3) COCO-18; all 0 where nobody is there."""
        return to_coco18(self.landmarks[:, [0, 1, 3]]) * (self.present >= PRESENT)


class Judge:
    """BlazePose heavy, which follows one person from frame to frame.

    In each frame it looks again until the crop stays where it is, so that the next frame may be some way off.
    """

    def __init__(self, model: Path = HEAVY) -> None:
        if not model.is_file():
            raise InputError(f"{model} is missing; name pose_landmark_heavy.tflite with --judge")
        self._network = BlazePose(model)
        self._crop: Crop | None = None

    def forget(self) -> None:
        """The next frame is of another clip."""
        self._crop = None

    def settle(self, frame: np.ndarray, crop: Crop) -> tuple[Sight, Crop]:
        """Look at a frame until the crop stays, beginning with this one; gives the crop for the next frame too."""
        for _ in range(MOST_LOOKS):
            sight, following = self._look(frame, crop)
            if sight.present < PRESENT or _settled(crop, following):
                break
            crop = following
        return sight, following

    def _look(self, frame: np.ndarray, crop: Crop) -> tuple[Sight, Crop]:
        landmarks, present, outline = self._network.run(crop.cut(frame, SIZE))
        points, depth = crop.to_frame(landmarks[:, :2], SIZE), landmarks[:, 2] * crop.side / SIZE
        sight = Sight(crop, np.column_stack([points, depth, landmarks[:, 3]]), present, outline)
        return sight, following_crop(points)

    def __call__(self, frame: np.ndarray) -> Sight:
        """Look at the next frame (H, W, 3) uint8 RGB."""
        following = self._crop
        if following is None:
            tries = [self._look(frame, crop) for crop in first_crops(frame.shape[1], frame.shape[0])]
            following = max(tries, key=lambda found: found[0].present)[1]
        sight, following = self.settle(frame, following)
        if sight.present < PRESENT and self._crop is not None:  # lost: search the whole frame
            self._crop = None
            return self(frame)
        self._crop = following if sight.present >= PRESENT else None
        return sight


def first_crops(width: int, height: int) -> Iterator[Crop]:
    """Where a person may stand in a frame of which nothing is known."""
    middle, longest = (width - 1) / 2, max(width, height)
    yield Crop(middle, 0.5 * height, longest)
    yield Crop(middle, 0.5 * height, 1.2 * min(width, height))
    yield Crop(middle, 0.6 * height, 0.8 * longest)
    for x in (0.25, 0.75):
        yield Crop(x * width, 0.5 * height, 1.2 * min(width, height))


def _settled(crop: Crop, following: Crop) -> bool:
    moved = np.hypot(following.x - crop.x, following.y - crop.y)
    turned = abs(turn(crop.angle, following.angle))
    return bool(moved < 0.05 * crop.side and 0.9 < following.side / crop.side < 1.1 and turned < 0.2)


def steady_torso(keypoints: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Torso length that does not shrink where the person bends or is seen from above.

    Args:
        keypoints: (N, 18, 3).
        times: (N,) seconds.

    Returns:
        (N,) pixels, the median over `CALM` seconds; NaN where it is never seen.
    """
    length = torso_length(keypoints)
    known = ~np.isnan(length)
    if not known.any():
        return length
    length = interpolate(length, known)
    step = float(np.median(np.diff(times))) if len(times) > 1 else CALM
    return median_filter(length, 2 * round(CALM / step / 2) + 1, mode="nearest")


def videos(folder: Path) -> list[Path]:
    """The clips of a folder, by name.

    Raises:
        InputError: there are none.
    """
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in VIDEOS)
    if not found:
        raise InputError(f"{folder} holds no video ({', '.join(sorted(VIDEOS))})")
    return found


def run(script: str, arguments: Sequence[str], log: Path) -> tuple[float, float]:
    """Run a step; what it prints is added to a log.

    Args:
        script: its path from the root.
        arguments: of its command line.
        log: the file.

    Returns:
        wall seconds, and peak resident megabytes.

    Raises:
        InputError: it failed; the last line that it printed says why.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(ROOT / script), *arguments]
    with open(log, "ab") as file:
        file.write(f"\n$ {script} {' '.join(arguments)}\n".encode())
        file.flush()
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        last = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").strip().splitlines()[-1]
        raise InputError(f"{script}: {last.removeprefix('error: ')}")
    return seconds, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, kilobytes elsewhere
