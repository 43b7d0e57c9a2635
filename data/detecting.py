"""The two looks of step 1 at a video: everybody in every frame, then one person closely."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import astuple, dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np

from data import pictures, video
from data.annotations import image_name, kept_frames, mask_name
from data.bars import Box
from data.camera import Cameras
from data.frame_stats import FrameStats
from data.memo import Memo
from data.person_mask import people_mask
from data.pose_files import Detection
from data.progress import Bar
from pose_detector.clothes import clothes
from pose_detector.crop import Crop
from pose_detector.keypoints import scale_keypoints
from pose_detector.look import EXTRA_NAMES, Look, Looker
from pose_detector.second_look import find, follow
from pose_detector.series import spread

# Batches of frames (H, W, 3) uint8 RGB in; for each one a list of who is in its frames.
Detect = Callable[[Iterable[Sequence[np.ndarray]]], Generator[list[Detection]]]

GLIMPSES = 20  # frames in which it is looked whether the camera moves
CHECKS = 8  # looks at each other person, spread over the frames that they are in
LONGEST = 1920  # pixels of a frame's longer side beyond which a closer look sees nothing more
JPEG_QUALITY = 98  # 51.8 dB on a real clip in half the bytes and a tenth of the time of PNG


class Writer:
    """Writes pictures in background threads. When they fall behind, `write` waits, which bounds the memory.

    Args:
        most: bytes of pictures that may wait.
    """

    def __init__(self, most: float = 32e6) -> None:
        self._pool, self._pending, self._most = ThreadPoolExecutor(2), deque[tuple[Future, int]](), most

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)
        if kind is None:
            for future, _ in self._pending:
                future.result()

    def write(self, path: Path, picture: np.ndarray) -> None:
        """As `pictures.write`. Raises OSError, of an earlier one too."""
        quality = JPEG_QUALITY if path.suffix == ".jpg" else None
        self._pending.append((self._pool.submit(pictures.write, path, picture, quality), picture.nbytes))
        while self._pending and (sum(size for _, size in self._pending) > self._most or self._pending[0][0].done()):
            self._pending.popleft()[0].result()


def precomputed(poses: Sequence[Detection]) -> Detect:
    """A detector that returns known poses, frame by frame."""

    def detector(batches: Iterable[Sequence[np.ndarray]]) -> Generator[list[Detection]]:
        rest = iter(poses)
        for batch in batches:
            yield list(islice(rest, len(batch)))
        yield list(rest)

    return detector


def remembered(detector: Detect, memo: Memo) -> Detect:
    """The same detector; at batches that the memo knows, which are the first ones, it does not look again."""

    def remembering(batches: Iterable[Sequence[np.ndarray]]) -> Generator[list[Detection]]:
        number, waiting = 0, iter(batches)
        for batch in waiting:
            known = memo.recall([number, len(batch)])
            if known is None:
                waiting = chain([batch], waiting)
                break
            yield list(zip(known[::2], known[1::2], strict=True))
            number += 1
        with closing(detector(waiting)) as results:
            for found in results:
                memo.keep([number, len(found)], [array for people in found for array in people])
                yield found
                number += 1

    return remembering


class Remembered:
    """A looker that does not look again at crops that the memo knows, which are the first ones; see `look.Looker`."""

    def __init__(self, looker: Looker, memo: Memo) -> None:
        self._looker, self._memo = looker, memo
        self.first_look_trust = looker.first_look_trust

    def first_crop(self, keypoints: np.ndarray) -> Crop | None:
        """See `look.Looker`."""
        return self._looker.first_crop(keypoints)

    def look(self, frame: np.ndarray, crop: Crop) -> Look:
        """See `look.Looker`; the outline has 256 levels, as in the pictures that are written of it."""

        def compute() -> list[np.ndarray]:
            look = self._looker.look(frame, crop)
            outline = np.rint(255 * look.outline).astype(np.uint8)
            return [look.keypoints, look.extra, outline, np.array([look.presence, *astuple(look.following)])]

        keypoints, extra, outline, rest = self._memo(astuple(crop), compute)
        presence, *following = rest.tolist()
        return Look(keypoints, extra, outline / np.float32(255), presence, crop, Crop(*following))


def find_people(
    path: Path,
    size: tuple[int, int],
    detector: Detect,
    batch: int,
    images: Path | None,
    total: int,
    stats: FrameStats | None = None,
    *,
    image_size: tuple[int, int] | None = None,
    most: int | None = None,
    crop: Box | None = None,
) -> tuple[list[Detection], list[float], dict[int, np.ndarray], list[np.ndarray]]:
    """People in every frame of a video: decoding runs ahead of the detector, writing of pictures behind it.

    Args:
        path: the video.
        size: (width, height) of the working frames in pixels.
        detector: see `Detect`.
        batch: frames handed to it at once.
        images: folder to write the frames to, or None.
        total: number of frames expected.
        stats: collects measurements of every frame.
        image_size: (width, height) at which they are written; None: the working frames.
        most: how many are written at most, about, see `kept_frames`; None: all.
        crop: the picture between bars, see `video.read_frames`.

    Returns:
        detections and times in seconds, per frame; some `GLIMPSES` of the frames by their number; what the
        people of each frame wear, see `clothes.clothes`.
    """
    detections: list[Detection] = []
    times: list[float] = []
    glimpses: dict[int, np.ndarray] = {}
    worn: list[np.ndarray] = []
    looked_at: deque[np.ndarray] = deque()  # frames whose people are not known yet

    def batches() -> Generator[list[np.ndarray]]:
        with (
            closing(video.read_frames(path, image_size or size, crop)) as pictures,
            closing(_working_frames(pictures, size, stats, images, total, most)) as frames,
        ):
            while part := list(islice(frames, batch)):
                times.extend(time for _, time, _ in part)
                for i, _, frame in part:  # a file may announce less than it has
                    if i % max(1, total // GLIMPSES) == 0 and len(glimpses) < 2 * GLIMPSES:
                        glimpses[i] = frame
                looked_at.extend(frame for *_, frame in part)
                yield [frame for *_, frame in part]

    with (
        Bar(total=total, unit="frame", desc="first look") as bar,
        closing(batches()) as source,
        closing(detector(source)) as results,
    ):
        for found in results:
            detections += found
            worn += [clothes(looked_at.popleft(), *people) for people in found[: len(looked_at)]]
            bar.update(len(found))
    return detections, times, glimpses, worn


def _working_frames(
    frames: Iterable[tuple[int, float, np.ndarray]],
    size: tuple[int, int],
    stats: FrameStats | None,
    images: Path | None,
    total: int,
    most: int | None,
) -> Generator[tuple[int, float, np.ndarray]]:
    """The same index and time, and the frame at working size; measured, and written as it came. See `find_people`."""
    with Writer() as writer:
        for index, time, picture in frames:
            frame = video.resize(picture, size)
            if stats is not None:
                stats.add_frame(frame)
            if images is not None and kept_frames(index, total, most or total):
                writer.write(images / image_name(index), picture)
            yield index, time, frame


@dataclass
class CloseUp:
    """What the second look saw of one person.

    Attributes:
        keypoints: (N, 18, 3) float32 x, y in pixels of the working frame and confidence, 0 = missing.
        extra: (N, 10, 3) float32, the same of hands and feet, see `look.EXTRA_NAMES`.
        found: (N,) bool, the frames in which the person was found.
        outside: (P, N) share of the seen keypoints of each other person that lie outside the outline; 0
            without one, as who is seen instead of the dancer may be the dancer.
        confirmed: (P,) share of `CHECKS` looks in which the network, too, sees each other person.
    """

    keypoints: np.ndarray
    extra: np.ndarray
    found: np.ndarray
    outside: np.ndarray
    confirmed: np.ndarray

    @classmethod
    def of(cls, count: int, others: int) -> CloseUp:
        """For this many frames and other people, with nobody found yet."""
        return cls(
            np.zeros((count, 18, 3), np.float32),
            np.zeros((count, len(EXTRA_NAMES), 3), np.float32),
            np.zeros(count, bool),
            np.zeros((others, count)),
            np.zeros(others),
        )


def look_closely(
    path: Path,
    size: tuple[int, int],
    first: np.ndarray,
    looker: Looker,
    masks: Path | None,
    stats: FrameStats | None = None,
    others: Sequence[np.ndarray] = (),
    *,
    mask_size: tuple[int, int] | None = None,
    kept: np.ndarray | None = None,
    crop: Box | None = None,
    shots: Collection[int] = (),
    cameras: Cameras | None = None,
) -> CloseUp:
    """Look at one person again, in the video's own pixels.

    Args:
        path: the video.
        size: (width, height) of the working frames in pixels.
        first: (N, 18, 3) what the first look saw of the person, pixels of the working frames.
        looker: network for one person.
        masks: folder to write the outlines to, 255 = the person; or None.
        stats: collects measurements of every outline; it has those of every frame already.
        others: what the first look saw of other people (N, 18, 3).
        mask_size: (width, height) at which the outlines are written; None: as the working frames.
        kept: (N,) bool, the frames of which they are; None: all.
        crop: the picture between bars, see `video.read_frames`.
        shots: numbers of the frames with which shots begin.
        cameras: follow the camera through every frame; None: it is not followed.
    """
    info = video.probe(path)
    own = closer_size(crop or (0, 0, info.width, info.height))
    scale = np.divide(own, size)  # pixels of what is looked at per pixel of the working frame
    count = len(first)
    result = CloseUp.of(count, len(others))
    checks = [_spread_over((other[..., 2] > 0).any(axis=1)) for other in others]
    with Writer() as writer, closing(video.read_frames(path, own, crop)) as frames:
        pictures = (frame for *_, frame in islice(frames, count))
        bar = Bar(pictures, total=count, unit="frame", desc="second look")
        for i, (frame, look) in enumerate(follow(bar, scale_keypoints(first, scale), looker, shots)):
            if look is not None:
                result.found[i] = True
                result.keypoints[i] = points_in_frame(look.keypoints, scale, size)
                result.extra[i] = points_in_frame(look.extra, scale, size)
            outline = outline_in_frame(look, own, size)
            if masks is not None and (kept is None or kept[i]):
                same = mask_size is None or mask_size == size
                writer.write(masks / mask_name(i), outline if same else outline_in_frame(look, own, mask_size))
            if stats is not None:
                stats.add_outline(frame, outline)
            if cameras is not None:
                cameras.add(frame, np.maximum(outline, where_people_are([first[i], *(o[i] for o in others)], size)))
            for k, other in enumerate(others):
                result.outside[k, i] = share_outside(other[i], outline)
                if i in checks[k]:
                    seen = find(frame, scale_keypoints(other[i], scale), looker) is not None
                    result.confirmed[k] += seen / len(checks[k])
    return result


def _spread_over(there: np.ndarray) -> set[int]:
    """Numbers of at most `CHECKS` of the frames (N,) bool."""
    numbers = np.flatnonzero(there)
    return set(numbers[spread(len(numbers), CHECKS)].tolist())


def closer_size(box: Box) -> tuple[int, int]:
    """(width, height) in pixels at which the part `box` of a video is looked at closely: its own, up to `LONGEST`."""
    left, top, right, bottom = box
    shrink = min(1.0, LONGEST / max(right - left, bottom - top))
    return max(1, round((right - left) * shrink)), max(1, round((bottom - top) * shrink))


def points_in_frame(points: np.ndarray, scale: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Points (K, 3) as looked at, `scale` times as large, in pixels of a frame of `size`; 0 where they lie outside."""
    moved = scale_keypoints(points, 1 / scale)
    inside = ((moved[:, :2] > -0.5) & (moved[:, :2] < np.array(size) - 0.5)).all(axis=1)
    return np.where((inside & (points[:, 2] > 0))[:, None], moved, 0)


def where_people_are(people: Iterable[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8, 255 where one of these people (18, 3) may be in a frame of (width, height)."""
    return 255 * people_mask(people, size).astype(np.uint8)


def outline_in_frame(look: Look | None, own: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """What was seen of a person in a frame of (width, height) `own` as an outline (H, W) uint8 at `size`; empty where
    nobody was."""
    if look is None:
        return np.zeros(size[::-1], np.uint8)
    return look.crop.put_back(np.rint(255 * look.outline).astype(np.uint8), own, size)


def share_outside(keypoints: np.ndarray, outline: np.ndarray) -> float:
    """Share of the seen keypoints (18, 3) that lie outside an outline (H, W) uint8; 0 where there are none,
    or no outline."""
    seen = keypoints[keypoints[:, 2] > 0, :2]
    if not len(seen) or not outline.any():
        return 0.0
    x, y = np.clip(np.rint(seen), 0, np.array(outline.shape[::-1]) - 1).astype(int).T
    return float((outline[y, x] <= 127).mean())


def read_masks(
    folder: Path, numbers: Iterable[int], size: tuple[int, int] | None = None
) -> Iterator[np.ndarray | None]:
    """Outlines (H, W) uint8 of these frames, as `look_closely` wrote them, or at (width, height) `size`; None of those
    that it did not."""
    for number in numbers:
        outline = pictures.read(folder / mask_name(number), grey=True)
        yield outline if outline is None or size is None else video.resize(outline, size)
