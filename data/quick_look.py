"""A quick look at a video, before hours are spent on it: step 1 on some frames of it, in seconds."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from data import bars, camera, report, video
from data.annotations import Annotations
from data.detecting import Detect, closer_size, outline_in_frame, points_in_frame, share_outside
from data.frame_stats import FrameStats
from pose_detector import skeleton
from pose_detector.crop import Crop
from pose_detector.keypoints import scale_keypoints
from pose_detector.look import Look, Looker
from pose_detector.second_look import find, join
from pose_detector.tracking import poses_of, scores_of

FRAMES = 20  # looked at: enough that a problem in `report.OFTEN` of the video shows in one of them
TIMED = 40  # successive frames by which the speed of decoding is measured
LEAST = 0.3  # of the best score in a frame: furniture that the network takes for somebody has less than 0.2


@dataclass
class QuickLook:
    """What was seen.

    Attributes:
        info: of the video.
        picture: where it lies between bars, pixels as displayed; they are left out of all that follows.
        times: (N,) seconds of the frames looked at.
        large: N of (H, W, 3) uint8 RGB, the video's own size, at most `detecting.LONGEST` long.
        frames: the same at working size.
        people: of each frame everybody's keypoints (P, 18, 3), as both networks see them.
        annotations: of the chosen one.
        outlines: (N, H, W) uint8, 255 = the dancer.
        lines: the advice, as of step 1.
        seconds: that a frame takes: "decode", "camera", "first", "second".
    """

    info: video.VideoInfo
    picture: bars.Box
    times: np.ndarray
    large: list[np.ndarray]
    frames: list[np.ndarray]
    people: list[np.ndarray]
    annotations: Annotations
    outlines: np.ndarray
    lines: list[str]
    seconds: dict[str, float]

    @property
    def count(self) -> int:
        """Frames of the whole video, about."""
        return max(2, round(self.info.duration * float(self.info.fps)))

    @property
    def dancer(self) -> np.ndarray:
        """(N, 18, 3) keypoints of the chosen one."""
        return self.annotations.keypoints

    @property
    def best(self) -> int:
        """Number of the frame that shows most people, of these where the dancer is seen best."""
        seen = [(len(people), float(pose[:, 2].sum())) for people, pose in zip(self.people, self.dancer, strict=True)]
        return max(range(len(seen)), key=seen.__getitem__)


def quick_look(
    path: Path,
    area: int,
    detector: Detect,
    batch: int,
    looker: Looker | None,
    person: int | None = None,
    place: tuple[float, float, float] | None = None,
) -> QuickLook:
    """Look at some frames of a video.

    Args:
        path: the video.
        area: of the working frames in pixels, about, see `video.working_size`.
        detector: the first look.
        batch: frames handed to it at once.
        looker: the second look; None: none.
        person: number of the dancer from the left; None: the largest.
        place: instead, seconds and the shares of width and height where the dancer is.

    Raises:
        InputError: the video cannot be used.
    """
    info, picture = video.probe(path), bars.find_picture(path)[0]
    width, height = picture[2] - picture[0], picture[3] - picture[1]
    size, own = video.working_size(width, height, area), closer_size(picture)
    some = video.sample_frames(path, FRAMES, own, picture)
    times, large = np.array([time for time, _ in some]), [frame for _, frame in some]
    frames = [video.resize(frame, size) for frame in large]
    people, first_seconds = _first_look(frames, detector, batch)
    chosen = follow_sparsely(people, times, size, person, place)
    seen = np.stack([people[i][k] if k >= 0 else np.zeros((18, 3), np.float32) for i, k in enumerate(chosen)])
    dancer, outlines, second_seconds = _second_look(large, seen, looker, size)
    others = [
        _others(np.delete(everybody, k, axis=0) if k >= 0 else everybody, frame, outline, looker)
        for everybody, k, frame, outline in zip(people, chosen, large, outlines, strict=True)
    ]
    people = [np.concatenate([pose[None][k < 0 :], rest]) for pose, k, rest in zip(seen, chosen, others, strict=True)]
    annotations = _annotations(path, info, times, dancer, size)
    lines = _advice(annotations, frames, outlines, list(map(len, others)), info)
    decode, follow = _reading(path, picture, own, size)
    seconds = {"decode": decode, "camera": follow, "first": first_seconds, "second": second_seconds}
    return QuickLook(info, picture, times, large, frames, people, annotations, outlines, lines, seconds)


def follow_sparsely(
    people: Sequence[np.ndarray],
    times: np.ndarray,
    size: tuple[int, int],
    person: int | None = None,
    place: tuple[float, float, float] | None = None,
) -> list[int]:
    """Which of the people (P, 18, 3) of each frame is the dancer, -1 for none; frames are too far apart to track.

    Without `person` and `place` it is the one with the highest score. With them the one who is there, and in the other
    frames the person nearest to where the dancer was in the frame before, or after.
    """
    if person is None and place is None:
        return [int(scores_of(everybody).argmax()) if len(everybody) else -1 for everybody in people]
    centres = [[pose[pose[:, 2] > 0, :2].mean(axis=0) for pose in everybody] for everybody in people]
    there = [i for i, everybody in enumerate(people) if len(everybody)]
    if not there:
        return [-1] * len(people)
    if place is not None:
        start = min(there, key=lambda i: abs(times[i] - place[0]))
        here = np.array(place[1:]) * size
    else:
        start = max(there, key=lambda i: (len(people[i]), -i))
        order = np.argsort([centre[0] for centre in centres[start]])
        here = centres[start][order[min(person or 0, len(order) - 1)]]
    chosen = [-1] * len(people)
    for steps in (range(start, len(people)), range(start, -1, -1)):
        where = here
        for i in steps:
            if len(people[i]):
                chosen[i] = int(np.argmin([np.linalg.norm(centre - where) for centre in centres[i]]))
                where = centres[i][chosen[i]]
    return chosen


def _first_look(frames: list[np.ndarray], detector: Detect, batch: int) -> tuple[list[np.ndarray], float]:
    """Everybody who counts in each frame, and the seconds that a frame takes once the network is warm."""
    parts = [frames[i : i + batch] for i in range(0, len(frames), batch)]
    found, began = [], 0.0
    for part in detector(iter([parts[0], *parts])):
        if not found:
            began = time.perf_counter()
        found.append(part)
    seconds = (time.perf_counter() - began) / max(1, len(frames))
    people = []
    for poses in (poses_of(one) for part in found[1:] for one in part):
        scores = scores_of(poses)
        people.append(poses[scores > LEAST * scores.max(initial=0.0)])
    return people, seconds


class _Timed:
    """A looker that times its looks."""

    def __init__(self, looker: Looker) -> None:
        self._looker, self.spent = looker, []
        self.first_look_trust = looker.first_look_trust

    def first_crop(self, keypoints: np.ndarray) -> Crop | None:
        return self._looker.first_crop(keypoints)

    def look(self, frame: np.ndarray, crop: Crop) -> Look:
        began = time.perf_counter()
        try:
            return self._looker.look(frame, crop)
        finally:
            self.spent.append(time.perf_counter() - began)


def _second_look(
    frames: list[np.ndarray], first: np.ndarray, looker: Looker | None, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Keypoints of the dancer, outlines, and the seconds of a look."""
    outlines = np.zeros((len(frames), size[1], size[0]), np.uint8)
    if looker is None:
        return first, outlines, 0.0
    scale = np.divide(frames[0].shape[1::-1], size)
    timed, second = _Timed(looker), np.zeros_like(first)
    for i, frame in enumerate(frames):
        look = find(frame, scale_keypoints(first[i], scale), timed)
        if look is not None:
            second[i] = points_in_frame(look.keypoints, scale, size)
            outlines[i] = outline_in_frame(look, frame.shape[1::-1], size)
    return join(second, first, looker.first_look_trust), outlines, float(np.median(timed.spent[1:] or [0.0]))


def _others(poses: np.ndarray, frame: np.ndarray, outline: np.ndarray, looker: Looker | None) -> np.ndarray:
    """Those of poses (P, 18, 3) that are neither echoes of the dancer, most of whose keypoints lie on the outline
    (H, W), nor furniture, which the second look at the frame in its own size does not take for somebody."""
    scale = np.divide(frame.shape[1::-1], outline.shape[1::-1])
    apart = [not outline.any() or share_outside(pose, outline) > 0.5 for pose in poses]
    real = [
        there and (looker is None or find(frame, scale_keypoints(pose, scale), looker) is not None)
        for there, pose in zip(apart, poses, strict=True)
    ]
    return poses[np.array(real, bool)]


def _reading(path: Path, picture: bars.Box, own: tuple[int, int], size: tuple[int, int]) -> tuple[float, float]:
    """Seconds in which a frame is decoded, in one thread and those of the decoder, and in which the camera is followed
    from one to the next."""
    began, frames = 0.0, []
    reading: Generator = video.read_frames(path, own, picture)
    for *_, frame in islice(reading, TIMED):
        began = began or time.perf_counter()
        frames.append(frame)
    reading.close()
    decode = (time.perf_counter() - began) / max(1, len(frames) - 1)
    tracker, nobody = camera.Tracker(size), np.zeros(size[::-1], np.uint8)
    some = frames[: TIMED // 4]
    began = time.perf_counter()
    for frame in some:
        tracker.add(frame, nobody)
    return decode, (time.perf_counter() - began) / len(some)


def _annotations(
    path: Path, info: video.VideoInfo, times: np.ndarray, dancer: np.ndarray, size: tuple[int, int]
) -> Annotations:
    """What was seen, as if the video had these frames only."""
    count = len(times)
    return Annotations(
        frame_numbers=np.arange(count, dtype=np.int64),
        times=times,
        keypoints=dancer.astype(np.float32),
        filled=np.zeros((count, 18), bool),
        fps=count / info.duration,
        frame_size=size,
        total_frames=count,
        source=path.name,
        rotation=info.rotation,
        fingerprint="",
    )


def _advice(
    annotations: Annotations,
    frames: list[np.ndarray],
    outlines: np.ndarray,
    others: list[int],
    info: video.VideoInfo,
) -> list[str]:
    """As step 1 says it; the frames are too far apart to see cuts, and how the camera moves."""
    count = len(frames)
    stats = FrameStats()
    for frame in frames:
        stats.add_frame(frame)
    if outlines.any():
        for frame, outline in zip(frames, outlines, strict=True):
            stats.add_outline(frame, outline)
    stats.change = [0.0] * count
    first, *findings = report.summary(annotations, stats, np.array(others, int))
    first = first.replace(f"{count} frames", f"{count} of about {round(info.duration * float(info.fps))} frames")
    return [first, *findings]


def poster(seen: QuickLook) -> np.ndarray:
    """The frame that shows most, with everybody's skeleton, the dancer's outline and what lies outside it dimmed."""
    i = seen.best
    canvas, outline = seen.frames[i].copy(), np.uint8(seen.outlines[i] > 127)
    if outline.any():
        canvas[outline == 0] = (canvas[outline == 0] * 0.6).astype(np.uint8)
    for pose in seen.people[i]:
        canvas = cv2.addWeighted(canvas, 0.6, skeleton.draw(canvas, pose, 0.05), 0.4, 0)
    canvas = skeleton.draw(canvas, seen.dancer[i], 0.05)
    return skeleton.draw_outline(canvas, seen.outlines[i])
