"""Step 1's view of a whole video: who is who over time, which of them is the dancer, and what shows the room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data import bars, camera, shots, video
from data.annotations import Annotations
from data.detecting import CloseUp, Detect, find_people, look_closely, where_people_are
from data.frame_stats import FrameStats
from data.guesses import drop_guesses
from data.homography import move_keypoints, warp
from data.person_mask import hold
from data.pose_files import Detection
from data.progress import Bar
from data.rooms import room_picture
from pose_detector.cleaning import clean
from pose_detector.errors import InputError
from pose_detector.look import Looker
from pose_detector.second_look import join
from pose_detector.tracking import Track, track

_HOLD = 1.0  # seconds for which a person missed by the detector is taken to be still there

# From the people over time and (N,) seconds of the frames to the number of the dancer among them.
Choose = Callable[[Sequence[Track], Sequence[float]], int]


@dataclass
class Source:
    """The video of a run, and what the result depends on.

    Attributes:
        path: the video.
        info: from its head.
        picture: where it lies between bars, pixels as displayed; all of the frame where there are none.
        around: (H, W, 3) uint8 RGB, the frame with what lies around the picture; None: nothing.
        size: (width, height) in pixels of the frames that are looked at.
        frame_size: (width, height) of those that are kept, and whose pixels the result counts.
        given: folder of poses from elsewhere, or None.
        goal: the annotation file to write.
        digest: of the video's bytes.
        settings: what else the result depends on.
    """

    path: Path
    info: video.VideoInfo
    picture: bars.Box
    around: np.ndarray | None
    size: tuple[int, int]
    frame_size: tuple[int, int]
    given: Path | None
    goal: Path
    digest: str
    settings: str

    @property
    def notes(self) -> Path:
        """Stands for what the networks saw, kept beside the goal until that is written; see `files.staging`."""
        return self.goal.with_suffix("")

    @property
    def corner(self) -> np.ndarray:
        """(2,) of the picture in the frame, in pixels of the frames that are looked at."""
        left, top, right, bottom = self.picture
        return np.array([left * self.size[0] / (right - left), top * self.size[1] / (bottom - top)])

    @property
    def whole(self) -> tuple[float, float]:
        """(width, height) of the frame with its bars, in pixels of the frames that are looked at."""
        left, top, right, bottom = self.picture
        width, height = self.info.width / (right - left), self.info.height / (bottom - top)
        return width * self.size[0], height * self.size[1]


@dataclass
class Watched:
    """What the first look saw of a video.

    Attributes:
        detections: who is in each frame.
        times: (N,) seconds of the frames.
        glimpses: some frames (H, W, 3) by their number.
        stats: measurements of every frame.
        starts: numbers of the frames with which shots begin.
        tracks: the people over time.
        chosen: which of them is the dancer.
        first: (N, 18, 3) the dancer's keypoints, with short gaps filled from the nearest frame.
        left_out: for each reason (N,) bool, the frames that do not show the room.
    """

    detections: list[Detection]
    times: list[float]
    glimpses: dict[int, np.ndarray]
    stats: FrameStats
    starts: np.ndarray
    tracks: list[Track]
    chosen: int
    first: np.ndarray
    left_out: dict[str, np.ndarray]

    @property
    def others(self) -> list[np.ndarray]:
        """(N, 18, 3) of each of the other people."""
        return [track.keypoints for i, track in enumerate(self.tracks) if i != self.chosen]

    @property
    def usable(self) -> np.ndarray:
        """(N,) bool, the frames that show the room."""
        return ~np.any(list(self.left_out.values()), axis=0)


def watch(
    source: Source, detector: Detect, batch: int, choose: Choose, expected: int, images: Path | None, most_images: int
) -> Watched:
    """The first look at every frame.

    Args:
        source: the video.
        detector: sees everybody in a frame.
        batch: frames handed to it at once.
        choose: picks the dancer.
        expected: number of frames, about.
        images: folder to write frames to, or None.
        most_images: how many, about.

    Raises:
        InputError: the video has one frame, or poses that were given are of another number of frames.
    """
    stats = FrameStats()
    detections, times, glimpses, worn = find_people(
        source.path, source.size, detector, batch, images, expected, stats,
        image_size=source.frame_size, most=most_images, crop=source.picture,
    )  # fmt: skip
    _check_count(source, len(detections), len(times))
    fps = float(source.info.fps)
    starts = shots.find_shots(stats, fps)
    tracks = track(detections, fps, starts, worn)
    chosen = choose(tracks, times)
    seen = tracks[chosen].keypoints
    first = held(seen, starts, fps)
    rooms = shots.rooms(stats, starts, first, source.size)
    showing = shots.show_room(starts, rooms, (seen[..., 2] > 0).any(axis=1))
    left_out = shots.left_out(stats, starts, showing, fps)
    return Watched(detections, times, glimpses, stats, starts, tracks, chosen, first, left_out)


def _check_count(source: Source, detections: int, frames: int) -> None:
    if frames < 2:
        raise InputError(f"{source.path}: only one frame can be decoded; export the video again")
    if detections != frames:
        raise InputError(
            f"{source.given} holds poses of {detections} frames, but {frames} of {source.path.name} can be decoded;"
            " export the video again, and detect in that one"
        )


def look_again(
    source: Source,
    watched: Watched,
    looker: Looker,
    cameras: camera.Cameras,
    masks: Path | None,
    kept: np.ndarray | None,
    replaces: bool,
) -> tuple[np.ndarray, CloseUp]:
    """The second look at the dancer, beside which the camera is followed.

    Args:
        source: the video.
        watched: what the first look saw.
        looker: sees one person closely.
        cameras: follow the camera through every frame.
        masks: folder to write outlines to, or None.
        kept: (N,) bool, of which frames; None: of all.
        replaces: whether it gives the keypoints, and not only the outline.

    Returns:
        the dancer's keypoints (N, 18, 3) after both looks, and what the second one saw.
    """
    seen, others = watched.tracks[watched.chosen].keypoints, watched.others
    closer = look_closely(
        source.path, source.size, watched.first, looker, masks, watched.stats, others, mask_size=source.frame_size,
        kept=kept, crop=source.picture, shots=watched.starts, cameras=cameras,
    )  # fmt: skip
    if not replaces:
        return seen, closer
    closer.keypoints = join(closer.keypoints, seen, looker.first_look_trust)
    drop_guesses(closer.keypoints, closer.extra, watched.stats, source.size)
    return closer.keypoints, closer


def follow_camera(source: Source, watched: Watched, cameras: camera.Cameras) -> None:
    """Follow the camera of a video without a second look; people are left out."""
    everybody = [watched.first, *watched.others]
    frames = video.read_frames(source.path, source.size, source.picture)
    frames = Bar(frames, total=len(watched.first), unit="frame", desc="camera")
    for (_, _, frame), *poses in zip(frames, *everybody, strict=False):
        cameras.add(frame, where_people_are(poses, source.size))


def annotate(
    source: Source, watched: Watched, keypoints: np.ndarray, extra: np.ndarray | None, kept: np.ndarray | None
) -> Annotations:
    """Annotations of the working frames, from keypoints (N, 18, 3) that are cleaned within each shot; `extra` and
    `kept` as in `Annotations`."""
    count, fps = len(watched.times), float(source.info.fps)
    parts = shots.parts(watched.starts, count)
    found = [clean(keypoints[part], fps) for part in parts]
    annotations = Annotations(
        frame_numbers=np.arange(count, dtype=np.int64),
        times=np.asarray(watched.times, np.float64),
        keypoints=np.concatenate([cleaned.keypoints for cleaned in found]).astype(np.float32),
        filled=np.concatenate([cleaned.filled for cleaned in found]),
        fps=fps,
        frame_size=source.size,
        total_frames=count,
        source=source.path.name,
        rotation=source.info.rotation,
        fingerprint=source.digest,
        settings=source.settings,
        extra=extra,
        kept=kept,
        picture=None if source.around is None else np.array(source.picture, np.int64),
        shots=watched.starts,
    )
    annotations.check()
    return annotations


def held(keypoints: np.ndarray, starts: np.ndarray, fps: float) -> np.ndarray:
    """Keypoints (N, 18, 3) with short gaps filled from the nearest frame, within each shot."""
    return shots.in_each(starts, lambda part: hold(part, round(_HOLD * fps)), keypoints)


def crowd(others: Sequence[np.ndarray], frame: int) -> np.ndarray:
    """(P, 18, 3) the people of a frame, from their keypoints (N, 18, 3) in all frames."""
    people = np.array([keypoints[frame] for keypoints in others], np.float32).reshape(-1, 18, 3)
    return people[(people[..., 2] > 0).any(1)]


def look_around(watched: Watched, dancer: np.ndarray, homographies: np.ndarray) -> np.ndarray | None:
    """The room without the people, as the camera mostly saw it; see `room_picture`. None where no glimpse
    shows it.

    Args:
        watched: what the first look saw.
        dancer: (N, 18, 3) keypoints in every frame.
        homographies: (N, 3, 3) to the reference frame.
    """
    usable, frames, people = watched.usable, [], []
    for i, frame in watched.glimpses.items():
        if not usable[i]:
            continue
        everybody = np.concatenate([crowd(watched.others, i), dancer[i : i + 1]])
        moved = not np.array_equal(homographies[i], np.eye(3))
        frames.append(warp(frame, homographies[i], frame.shape[1::-1]) if moved else frame)
        people.append(move_keypoints(everybody, homographies[i]))
    return room_picture(frames, people) if frames else None
