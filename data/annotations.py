"""The file between the steps: one person's keypoints in every frame of a video, and what the video was."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from data.files import atomic_path, sha256
from data.homography import move_keypoints, rescaled
from data.media_file import LONGEST_FRAME
from pose_detector.errors import InputError
from pose_detector.keypoints import scale_keypoints
from pose_detector.look import EXTRA_NAMES
from pose_detector.untrusted import MOST_PIXELS, load_arrays

FORMAT_VERSION = 3
_MOST_SECONDS = 1e10  # of a video's clock, which may count from 1970 on
_FARTHEST = 1e5  # pixels that a keypoint may be away: further out, arithmetic in float32 loses them
_MOST_CONFIDENCE = 1e3
# Fields of a file that are not arrays.
_PLAIN = {
    float: ("fps",),
    int: ("total_frames", "rotation"),
    str: ("source", "fingerprint", "target_fingerprint", "settings"),
}


def image_name(number: int) -> str:
    """File name of a training frame."""
    return f"{number:06d}.jpg"


def mask_name(number: int) -> str:
    """File name of the person's outline in a training frame."""
    return f"{number:06d}.png"


def fingerprint(path: Path | str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a file's bytes."""
    return sha256(path)[:16]


def kept_frames(numbers: np.ndarray, expected: int, most: int) -> np.ndarray:
    """Which frames of a long training video are kept as pictures: pairs of successive ones, evenly spread.

    It depends on a frame's own number alone, so that it is known before the frame is decoded.

    Args:
        numbers: (N,) frame numbers, counted from 0.
        expected: how many frames the video says that it has.
        most: how many pictures there may be, about.

    Returns:
        (N,) bool.
    """
    return np.asarray(numbers) // 2 % max(1, -(-expected // most)) == 0


@dataclass
class Annotations:
    """Keypoints of one person in every frame of a video.

    Attributes:
        frame_numbers: (N,) int64, counted from 0 in the order of showing.
        times: (N,) float64 seconds on the video's own clock (its sound runs on the same one), strictly rising.
        keypoints: (N, 18, 3) float32 x, y in pixels of the working frame, and confidence; 0 = missing.
        filled: (N, 18) bool, true where the keypoint was not seen but filled in over time.
        fps: mean frames per second.
        frame_size: (width, height) of the working frame in pixels.
        total_frames: N.
        source: file name of the video.
        rotation: degrees clockwise by which its frames are turned to be shown upright: 0, 90, 180 or 270.
        fingerprint: of the video's bytes.
        target_fingerprint: in normalised annotations, of the video onto whose person they are normalised; else "".
        settings: what besides the video they depend on, as one line of text.
        extra: (N, 10, 3) float32, as `keypoints`, of hands and feet in the order of `look.EXTRA_NAMES`; None where they
            are not known, which is kept as zeros.
        room: (h, w, 4) uint8 from `rooms.room_picture`; None where it is not known, which is kept as 1x1 of zeros.
        camera: (N, 3, 3) float64, homographies from a frame's pixels to steady ones: to those of the picture into which
            the frames of a training video are laid where its camera moved (keypoints, pictures and outlines are in
            these pixels then, and `frame_size` is its size); to those of a dance's reference frame; from a dance's
            frames to the result in normalised annotations, where both show one room. None: identities.
        view: (4,) int64 left, top, right, bottom of the part of the frames that the result shows; None: all.
        kept: (N,) bool, the frames whose picture and outline are on disk, see `kept_frames`; None: all.
        picture: (4,) int64 left, top, right, bottom of the picture between bars, all that a working frame shows, in
            pixels of the video as displayed; None where the whole frame is shown, which is kept as zeros.
        target_picture: the same of the training video, in normalised annotations.
        shots: (S,) int64 numbers of the frames with which shots begin, the first is 0; None: one shot.
        usable: (N,) bool, training frames that show the room; None: all. Others have no keypoints.
    """

    frame_numbers: np.ndarray
    times: np.ndarray
    keypoints: np.ndarray
    filled: np.ndarray
    fps: float
    frame_size: tuple[int, int]
    total_frames: int
    source: str
    rotation: int
    fingerprint: str
    target_fingerprint: str = ""
    settings: str = ""
    extra: np.ndarray | None = None
    room: np.ndarray | None = None
    kept: np.ndarray | None = None
    camera: np.ndarray | None = None
    view: np.ndarray | None = None
    picture: np.ndarray | None = None
    target_picture: np.ndarray | None = None
    shots: np.ndarray | None = None
    usable: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.room is None:
            self.room = np.zeros((1, 1, 4), np.uint8)
        if self.extra is None:
            self.extra = np.zeros((self.total_frames, len(EXTRA_NAMES), 3), np.float32)
        if self.kept is None:
            self.kept = np.ones(self.total_frames, bool)
        if self.camera is None:
            self.camera = np.tile(np.eye(3), (self.total_frames, 1, 1))
        if self.view is None:
            self.view = np.array([0, 0, *self.frame_size], np.int64)
        if self.picture is None:
            self.picture = np.zeros(4, np.int64)
        if self.target_picture is None:
            self.target_picture = np.zeros(4, np.int64)
        if self.shots is None:
            self.shots = np.zeros(1, np.int64)
        if self.usable is None:
            self.usable = np.ones(self.total_frames, bool)

    def resized(self, size: tuple[int, int]) -> Annotations:
        """The same in pixels of frames of this (width, height)."""
        scale = np.divide(size, self.frame_size)
        keypoints, extra = scale_keypoints(self.keypoints, scale), scale_keypoints(self.extra, scale)
        return replace(
            self,
            keypoints=keypoints,
            extra=extra,
            frame_size=size,
            camera=rescaled(self.camera, scale),
            view=np.rint(self.view * np.tile(scale, 2)).astype(np.int64),
        )

    def in_view(self) -> Annotations:
        """The same in pixels of the view, which then is the whole frame."""
        if tuple(self.view.tolist()) == (0, 0, *self.frame_size):
            return self
        left, top, right, bottom = self.view.tolist()
        move = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])
        return replace(
            self,
            keypoints=move_keypoints(self.keypoints, move),
            extra=move_keypoints(self.extra, move),
            frame_size=(right - left, bottom - top),
            camera=move @ self.camera,
            view=None,
        )

    def shown(self, picture: np.ndarray) -> np.ndarray:
        """The part of a picture (H, W, ...) of these frames that the result shows."""
        left, top, right, bottom = self.view
        return picture[top:bottom, left:right]

    @property
    def crop(self) -> tuple[int, int, int, int] | None:
        """`picture` for `video.read_frames`; None where all of the frame is shown."""
        return tuple(self.picture.tolist()) if self.picture.any() else None

    def save(self, path: Path | str) -> None:
        """Write an .npz file in one go: a reader sees the old one or the new one."""
        self.check()
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(
                file, format_version=FORMAT_VERSION, **{f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}
            )

    @classmethod
    def load(cls, path: Path | str, made_by: str = "python data/video2data.py") -> Annotations:
        """Read and check a file.

        Args:
            path: the .npz file.
            made_by: the command that makes it, named where the file cannot be used.

        Raises:
            InputError: the file is missing, damaged, of another format version or inconsistent.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path} is missing; make it with: {made_by}")
        try:
            stored = load_arrays(path)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} is damaged or not an annotation file; make it again with: {made_by} --redo"
            ) from error
        version = stored.pop("format_version", None)
        if version is None or version.size != 1 or str(version) != str(FORMAT_VERSION):
            raise InputError(f"{path} is of another format version; make it again with: {made_by} --redo")
        try:
            values: dict[str, Any] = {f.name: stored[f.name] for f in fields(cls)}
            for kind, names in _PLAIN.items():
                values |= {name: kind(values[name]) for name in names}
            values["frame_size"] = (int(values["frame_size"][0]), int(values["frame_size"][1]))
            result = cls(**values)
            result.check()
        except (KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
            raise InputError(f"{path} is not usable ({error}); make it again with: {made_by} --redo") from error
        return result

    def check(self) -> None:
        """Raise ValueError, naming the field, where types, shapes or values do not fit together."""
        self._check_shapes()
        self._check_values()
        self._check_geometry()

    def _check_shapes(self) -> None:
        n = self.total_frames
        expected = {
            "frame_numbers": ((n,), np.int64),
            "times": ((n,), np.float64),
            "keypoints": ((n, 18, 3), np.float32),
            "filled": ((n, 18), np.bool_),
            "extra": ((n, len(EXTRA_NAMES), 3), np.float32),
            "kept": ((n,), np.bool_),
            "camera": ((n, 3, 3), np.float64),
            "view": ((4,), np.int64),
            "picture": ((4,), np.int64),
            "target_picture": ((4,), np.int64),
            "shots": ((len(self.shots),), np.int64),
            "usable": ((n,), np.bool_),
        }
        for name, (shape, dtype) in expected.items():
            value = getattr(self, name)
            if value.shape != shape or value.dtype != dtype:
                raise ValueError(f"{name} is {value.dtype} {value.shape} where {np.dtype(dtype)} {shape} is expected")
        if n < 1:
            raise ValueError("there are no frames")
        if self.room.ndim != 3 or self.room.shape[2] != 4 or self.room.dtype != np.uint8 or self.room.size > 1 << 20:
            raise ValueError(f"room is {self.room.dtype} {self.room.shape} where a small uint8 (h, w, 4) is expected")

    def _check_values(self) -> None:
        for name in ("keypoints", "extra"):
            value = getattr(self, name)
            if not ((value[..., 2] >= 0) & (value[..., 2] <= _MOST_CONFIDENCE)).all():
                raise ValueError(f"the confidences of {name} are not all 0 or more")
            if not (np.abs(value[..., :2]) <= _FARTHEST).all():
                raise ValueError(f"{name} are not all near the picture")
        steps = np.diff(self.times)
        if not ((np.abs(self.times) <= _MOST_SECONDS).all() and ((steps > 0) & (steps <= LONGEST_FRAME)).all()):
            raise ValueError("times do not rise, or by more than an hour at once")
        if not ((np.diff(self.frame_numbers) > 0).all() and 0 <= self.frame_numbers[0] <= self.frame_numbers[-1] < 1e9):
            raise ValueError("frame_numbers do not rise from 0 on")
        if not (0 < self.fps <= 1000 and min(self.frame_size) > 0 and math.prod(self.frame_size) <= MOST_PIXELS):
            raise ValueError("fps or frame_size is not positive, or is beyond 1000 frames a second or 8K")
        if not (self.shots[:1] == 0).all() or not (np.diff([*self.shots, self.total_frames]) > 0).all():
            raise ValueError("shots are not rising numbers of frames from 0 on")

    def _check_geometry(self) -> None:
        if self.rotation not in (0, 90, 180, 270):
            raise ValueError("rotation is not 0, 90, 180 or 270")
        for name, box in (("picture", self.picture), ("target_picture", self.target_picture)):
            if box.any() and not (0 <= box[0] < box[2] and 0 <= box[1] < box[3]):
                raise ValueError(f"{name} is not a box")
        if not np.isfinite(self.camera).all():
            raise ValueError("camera is not finite")
        left, top, right, bottom = self.view.tolist()
        if not (0 <= left < right <= self.frame_size[0] and 0 <= top < bottom <= self.frame_size[1]):
            raise ValueError("view is not within the frame")


def check_same_video(annotations: Annotations, video: Path | str, made_by: str) -> None:
    """Raise InputError unless the annotations were made from exactly this video file.

    Args:
        annotations: as loaded.
        video: the video that is there now.
        made_by: the command that makes the annotations anew.
    """
    if annotations.fingerprint != fingerprint(video):
        raise InputError(
            f"the annotations are of another video ({annotations.source}) than {video}; make them anew with: {made_by}"
        )
