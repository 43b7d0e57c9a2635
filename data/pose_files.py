"""Poses from elsewhere, and for elsewhere: folders of JSON files as OpenPose, DWPose and rtmlib tools write them.

A file holds one frame, `{"people": [{"pose_keypoints_2d": [x, y, confidence, ...]}]}`, or a list of frames. Known are
COCO-18 and BODY_25 (OpenPose's doc/02_output.md), in pixels of the video as it is shown, in shares of its sides
(`--keypoint_scale 3`), or in pixels or shares of the `canvas_width` and `canvas_height` that ControlNet's tools add.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from pose_detector.errors import InputError

Detection = tuple[np.ndarray, np.ndarray]  # keypoints (P, 18, 2) in pixels, scores (P, 18), of one frame

_BODY_25 = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]  # of its keypoints, those of COCO-18
_LAYOUTS = {18: list(range(18)), 25: _BODY_25}
_MOST_BYTES = 32 << 20  # of a file: half an hour of one person as a list; parsed it takes twenty times the memory
_LONGEST_SIDE = 1 << 16  # pixels of a canvas; points farther out count as unseen
_MOST_PEOPLE = 200  # in a frame
_SHARES = 2.0  # where no coordinate is greater they are shares: in pixels that would be nobody


def read_poses(source: Path, frames: int, video_size: tuple[int, int], size: tuple[int, int]) -> list[Detection]:
    """Everybody's keypoints in every frame, from the .json files of a folder in the order of their numbers.

    Args:
        source: the folder, or a file that holds a list of frames.
        frames: how many frames the video has.
        video_size: (width, height) of the video as shown, in pixels.
        size: (width, height) of the frames in whose pixels the keypoints are wanted.

    Raises:
        InputError: the files are missing or broken, hold something else, or are of another video.
    """
    rows: list[np.ndarray] = []  # (P, 18, 3) a frame
    canvases: set[tuple[float, float]] = set()
    numbers: list[int] = []
    for path in pose_paths(source):
        for frame in _frames(path):
            rows.append(np.array([_person(p, path) for p in _people(frame, path)]).reshape(-1, 18, 3))
            numbers.append(_number(path))
            if "canvas_width" in frame:
                canvases.add((_side(frame["canvas_width"]), _side(frame.get("canvas_height"))))
    if len(rows) != frames:
        gaps = sorted(set(range(numbers[0], numbers[-1])) - set(numbers)) if numbers else []
        first = f" (the first one missing is number {gaps[0]})" if gaps else ""
        raise InputError(
            f"{source} holds poses of {len(rows)} frames, but the video has {frames}{first}; detect in all its frames"
        )
    canvas = _canvas(source, canvases, video_size)
    seen = np.concatenate([people[people[..., 2] > 0, :2] for people in rows])
    if len(seen) and seen.max() <= _SHARES:
        return [_scaled(people, 0.0, (1, 1), size) for people in rows]
    if len(seen) and np.mean(((seen < -0.1 * canvas) | (seen > 1.1 * canvas)).any(axis=1)) > 0.02:
        raise InputError(
            f"{source}: the poses lie outside the pictures, which are {canvas[0]:g}x{canvas[1]:g};"
            " write them in pixels of the video as it is shown, or as shares of its sides (--keypoint_scale 0 or 3)"
        )
    return [_scaled(people, 0.5, canvas, size) for people in rows]


def write_poses(
    folder: Path, name: str, detections: Sequence[Detection], size: tuple[int, int], video_size: tuple[int, int]
) -> None:
    """Write what OpenPose would with `--write_json`: COCO-18, pixels of the video as shown, a file a frame.

    Args:
        folder: where to, it is there.
        name: first part of the files' names, the video's as a rule.
        detections: per frame, in pixels of frames of `size`.
        size: (width, height).
        video_size: (width, height).
    """
    for number, (keypoints, scores) in enumerate(detections):
        points, confidence = _scaled(np.concatenate([keypoints, scores[..., None]], axis=-1), 0.5, size, video_size)
        rows = np.concatenate([points, confidence[..., None]], axis=-1).reshape(len(points), 54).astype(np.float64)
        people = [{"person_id": [-1], "pose_keypoints_2d": row.round(4).tolist()} for row in rows]
        text = json.dumps({"version": 1.3, "people": people}, separators=(",", ":"))
        (folder / f"{name}_{number:012d}_keypoints.json").write_text(text, encoding="utf-8")


def pose_paths(source: Path) -> list[Path]:
    """The .json files of a folder in the order of their numbers, or the one file.

    Raises:
        InputError: there are none, or two have the same number.
    """
    if not source.exists():
        raise InputError(f"{source} is missing; give a folder of OpenPose's .json files, one a frame")
    paths = [source] if source.is_file() else sorted(source.glob("*.json"), key=lambda path: (_number(path), path.name))
    if not paths:
        raise InputError(f"{source} holds no .json files; give the folder that OpenPose's --write_json names")
    for one, other in pairwise(paths):
        if _number(one) == _number(other):
            raise InputError(
                f"{source}: {one.name} and {other.name} are of one frame; keep the files of one video only"
            )
    return paths


def poses_fingerprint(source: Path) -> str:
    """As `data.annotations.fingerprint`, of all the files.

    Raises:
        InputError: as `pose_paths`.
    """
    digest = hashlib.sha256()
    for path in pose_paths(source):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _number(path: Path) -> int:
    """Frame number: the last one in the file's name; -1 without any."""
    found = re.findall(r"\d+", path.stem.removesuffix("_keypoints"))
    return int(found[-1]) if found else -1


def _frames(path: Path) -> list[dict]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} is larger than {_MOST_BYTES >> 20} MB; write one file a frame")
        content = json.loads(path.read_text(encoding="utf-8"))
    except InputError:
        raise
    except (OSError, ValueError, RecursionError):
        raise InputError(f"{path} is not JSON, or cut short; write it again") from None
    frames = content if isinstance(content, list) else [content]
    if not all(isinstance(frame, dict) for frame in frames):
        raise InputError(f"{path} is not a file by OpenPose: frames are {{...}} with a list of people")
    return frames


def _people(frame: dict, path: Path) -> list[list]:
    people = frame.get("people")
    if not isinstance(people, list) or not all(isinstance(p, dict) for p in people):
        raise InputError(f'{path} is not a file by OpenPose: it has no list "people"')
    if len(people) > _MOST_PEOPLE:
        raise InputError(f"{path} holds {len(people)} people, more than {_MOST_PEOPLE}; detect with a higher threshold")
    return [p["pose_keypoints_2d"] for p in people if p.get("pose_keypoints_2d")]  # empty: a hand, a face, no body


def _person(values: object, path: Path) -> np.ndarray:
    """(18, 3) float64 COCO-18 as in the file; zeros where missing."""
    try:
        table = np.array(values, np.float64)
        layout = _LAYOUTS[len(table) // 3]
        table = table.reshape(-1, 3)[layout]
    except (ValueError, TypeError, KeyError, OverflowError):
        count = len(values) if isinstance(values, list) else "no list of"
        raise InputError(
            f"{path}: a person has {count} values, not 54 numbers (COCO-18) or 75 (BODY_25): choose one of these models"
        ) from None
    # Some tools write -1, -1 for what is not seen.
    unseen = ~(np.abs(table) < _LONGEST_SIDE).all(axis=1) | ~(table[:, 2] > 0) | (table[:, :2] < 0).all(axis=1)
    table[unseen] = 0
    return table


def _side(value: object) -> float:
    """A canvas's side in pixels; 0 if it is not valid."""
    return float(value) if isinstance(value, int | float) and 0 < value <= _LONGEST_SIDE else 0.0


def _canvas(source: Path, canvases: set[tuple[float, float]], video_size: tuple[int, int]) -> np.ndarray:
    """(2,) width and height in pixels of the pictures that the poses are of: the files' canvas, or else the video."""
    if not canvases:
        return np.array(video_size, np.float64)
    if len(canvases) > 1 or not all(side > 0 for c in canvases for side in c):
        raise InputError(f"{source}: canvas_width and canvas_height are not one size; detect in the video as it is")
    canvas = np.array(canvases.pop(), np.float64)
    if abs(np.log(canvas[0] / canvas[1] * video_size[1] / video_size[0])) > 0.1:
        raise InputError(
            f"{source}: the poses are of pictures of {canvas[0]:g}x{canvas[1]:g}, the video shows"
            f" {video_size[0]}x{video_size[1]}; detect in the video as it is, upright and not cropped"
        )
    return canvas


def _scaled(people: np.ndarray, centre: float, size: Sequence[float], wanted: Sequence[float]) -> Detection:
    """Keypoints (P, 18, 2) float32 and scores (P, 18) of people (P, 18, 3) in pictures of `size`, in those `wanted`.

    `centre` is where the middle of the first pixel lies, from its edge, in the units of `size`.
    """
    scores = people[..., 2].astype(np.float32)
    points = (people[..., :2] + centre) * (np.asarray(wanted, np.float64) / size) - 0.5
    return np.where(scores[..., None] > 0, points, 0).astype(np.float32), scores
