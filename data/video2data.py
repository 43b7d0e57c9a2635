"""Step 1: from a video to poses. With --mode train also to pictures, outlines and the empty room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data import background, bars, camera, pictures, report, shots, stabilise, video
from data.annotations import Annotations, fingerprint, image_name, kept_frames, mask_name
from data.detecting import CloseUp, Detect, find_people, look_closely, precomputed, read_masks, where_people_are
from data.files import atomic_path, replace_folder, staging
from data.frame_stats import FrameStats
from data.guesses import drop_guesses
from data.pose_files import Detection, poses_fingerprint, read_poses, write_poses
from data.progress import Bar
from main.cli import run_step
from main.config import Config
from main.perception import Networks
from pose_detector.cleaning import clean
from pose_detector.errors import InputError
from pose_detector.keypoints import scale_keypoints
from pose_detector.second_look import join
from pose_detector.tracking import Track, choose, choose_at, choose_of_two, track

_HOLD = 1.0  # seconds for which a person missed by the detector is taken to be still there


def main(config: Config) -> None:
    """Run the step; see the module's docstring."""
    if config.person_file and config.mode == "train":
        raise InputError(f"{config.person_file} holds what this step would make; go on with --mode test")
    prepare(config, Networks(config))


@dataclass
class Source:
    """The video of a run, and what the result depends on.

    Attributes:
        path: the video.
        info: what it says of itself.
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
        first: (N, 18, 3) the dancer's keypoints, those that are missed for a moment where they are before or after.
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


def prepare(config: Config, networks: Networks) -> None:
    """Annotate the video of `config.mode`, unless that is done already.

    Args:
        config: which video, and where things go.
        networks: see there.

    Raises:
        InputError: the video or the poses given for it cannot be used, or nobody is seen in it.
    """
    training = config.mode == "train"
    source, weights, second = _source(config, networks)
    if not config.redo and _is_done(config, source):
        print(f"already done: {source.goal} (--redo does it again)")
        return
    expected = max(1, round(source.info.duration * float(source.info.fps)))  # how many there are, only decoding tells
    _announce(source, expected, training)
    with ExitStack() as stack:
        images = stack.enter_context(staging(config.images_dir)) if training else None
        # Those of a dance are only for the preview.
        masks = stack.enter_context(staging(config.masks_dir)) if training or config.preview else None
        poses = stack.enter_context(staging(config.poses_dir)) if config.save_poses else None
        watched = _watch(config, source, _detector(source, networks, weights), images, expected)
        count = len(watched.times)
        kept = kept_frames(np.arange(count), expected, config.most_frames) if training else None
        # What shows the room is seen by one camera, whatever lies between; of a dance each shot has its own.
        same = np.where(watched.usable, 0, -1) if training else shots.numbers(watched.starts, count)
        cameras = camera.Cameras(source.size, same)
        keypoints, closer = _look_again(config, source, networks, second, watched, masks, kept, cameras)
        extra = closer.extra if closer is not None and _replaces(config, source) else None
        annotations = _annotate(source, watched, keypoints, extra, kept)
        if config.preview:
            outlines = None if closer is None else read_masks(masks, annotations.frame_numbers, source.size)
            _write_preview(config, source, annotations, watched.tracks, watched.chosen, outlines)
        if poses is not None:
            whole = shifted(watched.detections, source.corner)
            write_poses(poses, source.path.stem, whole, source.whole, source.info.stored)
            replace_folder(config.poses_dir, poses)
            print(f"written: {config.poses_dir}")
        path = cameras.path()
        annotations.camera = path.homographies
        dancer = held(annotations.keypoints, watched.starts, annotations.fps)
        usable = watched.usable
        room_frames = {i: frame for i, frame in watched.glimpses.items() if usable[i]}
        annotations.room = look_around(room_frames, watched.others, dancer, annotations.camera)
        if training:
            keep_only(annotations, usable)
        # From here on all lengths are pixels of the frames that are kept.
        framed, unseen = annotations.resized(source.frame_size), None
        annotations = framed
        if training:
            annotations, unseen = _publish(config, source, images, masks, framed, path, dancer, watched.others)
        annotations.save(source.goal)
    company = report.bystanders(watched.others, None if closer is None else closer.outside, count, annotations.fps)
    stats = watched.stats.resized(tuple(np.divide(source.frame_size, source.size)))
    for line in report.summary(framed, stats, company, path, unseen, watched.left_out if training else None):
        print(line)
    print(f"written: {source.goal}")


def _announce(source: Source, expected: int, training: bool) -> None:
    """Say what video it is, and what is wrong with its sound."""
    info = source.info
    if source.around is not None:
        left, top, right, bottom = source.picture
        print(f"bars around the picture, which is {right - left}x{bottom - top}: they are left out")
    print(f"{source.path.name}: {info.width}x{info.height}, {float(info.fps):.5g} fps, about {expected} frames")
    warning = None if training else video.check_sound(source.path)
    if warning:
        print(warning)


def _detector(source: Source, networks: Networks, weights: tuple[Path, str] | None) -> Detect:
    """The first look: a network, or the poses that are given."""
    if source.given:
        print(f"first look: poses from {source.given}")
        given = read_poses(source.given, source.info.frames, source.info.stored, source.whole)
        return precomputed(shifted(given, -source.corner))
    print(f"first look: {weights[0].name} ({weights[1]})")
    return networks.load_first(weights[0])


def _watch(config: Config, source: Source, detector: Detect, images: Path | None, expected: int) -> Watched:
    """The first look at every frame: who is who over time, the dancer, shots, and the frames that show the room."""
    stats = FrameStats()
    detections, times, glimpses, worn = find_people(
        source.path, source.size, detector, config.pose_batch, images, expected, stats,
        image_size=source.frame_size, most=config.most_frames, crop=source.picture,
    )  # fmt: skip
    _check_count(source, len(detections), len(times))
    fps = float(source.info.fps)
    starts = shots.find_shots(stats, fps)
    tracks = track(detections, fps, starts, worn)
    chosen = _dancer(config, source, tracks, times)
    seen = tracks[chosen].keypoints
    first = held(seen, starts, fps)
    rooms = shots.rooms(stats, starts, first, source.size)
    showing = shots.show_room(starts, rooms, (seen[..., 2] > 0).any(axis=1))
    left_out = shots.left_out(stats, starts, showing, fps)
    return Watched(detections, times, glimpses, stats, starts, tracks, chosen, first, left_out)


def _dancer(config: Config, source: Source, tracks: Sequence[Track], times: Sequence[float]) -> int:
    """Which of the people the settings mean."""
    place = _place(config)
    if config.dancer != "both":
        return choose_of_two(tracks, config.person)
    if place is None:
        return choose(tracks, config.person)
    frame = int(np.abs(np.subtract(times, place[0])).argmin())
    return choose_at(tracks, frame, place[1] * source.size[0], place[2] * source.size[1])


def _look_again(
    config: Config,
    source: Source,
    networks: Networks,
    second: tuple[str, Path, str] | None,
    watched: Watched,
    masks: Path | None,
    kept: np.ndarray | None,
    cameras: camera.Cameras,
) -> tuple[np.ndarray, CloseUp | None]:
    """The dancer's keypoints (N, 18, 3) after the second look, and what that saw; the camera is followed beside it."""
    seen, others = watched.tracks[watched.chosen].keypoints, watched.others
    if second is None:
        _watch_camera(source, cameras, [watched.first, *others])
        return seen, None
    kind, file, reason = second
    print(f"second look: {kind}, {file.name} ({reason})")
    looker = networks.load_second(kind, file)
    closer = look_closely(
        source.path, source.size, watched.first, looker, masks, watched.stats, others, mask_size=source.frame_size,
        kept=kept, crop=source.picture, shots=watched.starts, cameras=cameras,
    )  # fmt: skip
    if not _replaces(config, source):
        return seen, closer
    closer.keypoints = join(closer.keypoints, seen, looker.first_look_trust)
    drop_guesses(closer.keypoints, closer.extra, watched.stats, source.size)
    return closer.keypoints, closer


def _annotate(
    source: Source, watched: Watched, keypoints: np.ndarray, extra: np.ndarray | None, kept: np.ndarray | None
) -> Annotations:
    """Annotations of the working frames, from keypoints that are cleaned within each shot."""
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


def _source(config: Config, networks: Networks) -> tuple[Source, tuple[Path, str] | None, tuple[str, Path, str] | None]:
    """The video of a run, and the weights of both looks with the reasons for them."""
    training = config.mode == "train"
    path = config.train_video_path if training else config.test_video_path
    given = config.train_poses if training else config.test_poses
    info = video.probe(path)
    picture, around = bars.find_picture(path)
    sides = picture[2] - picture[0], picture[3] - picture[1]
    size = frame_size = video.working_size(*sides, config.frame_area)
    if training and config.quality != "draft":
        frame_size = video.own_size(*sides)
    weights = second = None
    if given:
        origin = f"poses {given.name} {poses_fingerprint(given)}"
    else:
        weights = networks.first()
        file = weights[0]
        origin = f"weights {file.name} {fingerprint(file)}, flip {config.pose_flip}, scales {config.pose_scales}"
        origin += ", turned" if config.pose_turns else ""
    # The outlines of the person to train on are needed whoever says where the keypoints are.
    if training or (config.second_look != "none" and not given):
        second = networks.second()
        origin += f", second look {config.second_look}: {second[1].name} {fingerprint(second[1])}"
    settings = f"frames {size[0]}x{size[1]}, {origin}, person {config.person}"
    settings += " of two" if config.dancer != "both" else ""
    if training:
        settings += f", kept {frame_size[0]}x{frame_size[1]}, about {config.most_frames}"
    settings += "" if _place(config) is None else f" at {_place(config)}"
    goal = config.train_annotations if training else config.test_annotations
    source = Source(path, info, picture, around, size, frame_size, given, goal, fingerprint(path), settings)
    return source, weights, second


def _place(config: Config) -> tuple[float, float, float] | None:
    """Where the dancer is, if the settings say so."""
    return config.train_dancer if config.mode == "train" else config.test_dancer


def _replaces(config: Config, source: Source) -> bool:
    """Whether the second look tells the keypoints, and not only the outline."""
    return config.second_look != "none" and source.given is None


def _check_count(source: Source, detections: int, frames: int) -> None:
    if frames < 2:
        raise InputError(f"{source.path}: only one frame can be decoded; export the video again")
    if detections != frames:
        raise InputError(
            f"{source.given} holds poses of {detections} frames, but {frames} of {source.path.name} can be decoded;"
            " export the video again, and detect in that one"
        )


def _write_preview(
    config: Config,
    source: Source,
    annotations: Annotations,
    tracks: Sequence[Track],
    chosen: int,
    outlines: Iterable[np.ndarray] | None,
) -> None:
    frames = Bar(
        video.read_frames(source.path, source.size, source.picture),
        total=len(annotations.times),
        unit="frame",
        desc="preview",
    )
    drawn = report.preview((frame for *_, frame in frames), annotations, tracks, chosen, outlines)
    video.write_video(config.preview_video, drawn, source.info.fps, annotations.times, audio_from=source.path)
    print(f"written: {config.preview_video}")


def held(keypoints: np.ndarray, starts: np.ndarray, fps: float) -> np.ndarray:
    """Keypoints (N, 18, 3) with those that are missed for a moment where they are before or after, within each shot."""
    return shots.in_each(starts, lambda part: background.hold(part, round(_HOLD * fps)), keypoints)


def shifted(detections: Sequence[Detection], by: np.ndarray) -> list[Detection]:
    """The same people, moved by (2,) pixels; what is missing stays at 0, 0."""
    return [
        (np.where(scores[..., None] > 0, points + by, 0).astype(np.float32), scores) for points, scores in detections
    ]


def keep_only(annotations: Annotations, usable: np.ndarray) -> None:
    """Take out in place what was seen in frames that are not `usable` (N,) bool, and in the first ones of later shots:
    pairs of successive frames are to be of one shot."""
    annotations.usable = usable.copy()
    annotations.usable[annotations.shots[1:]] = False
    annotations.kept = annotations.kept & annotations.usable
    for values in (annotations.keypoints, annotations.extra, annotations.filled):
        values[~annotations.usable] = 0


def _watch_camera(source: Source, cameras: camera.Cameras, people: Sequence[np.ndarray]) -> None:
    """Follow the camera of a video without a second look; people (N, 18, 3) are left out."""
    frames = video.read_frames(source.path, source.size, source.picture)
    frames = Bar(frames, total=len(people[0]), unit="frame", desc="camera")
    for (_, _, frame), *poses in zip(frames, *people, strict=False):
        cameras.add(frame, where_people_are(poses, source.size))


def _steady(
    annotations: Annotations, path: camera.Path, everybody: tuple[np.ndarray, list[np.ndarray]]
) -> tuple[Annotations, tuple[np.ndarray, list[np.ndarray]]]:
    """Annotations, and the keypoints of the dancer and of others, in the steady picture of a camera that moved, from
    those in the frames. Frames that could not be registered have no keypoints."""
    scaled = replace(path, homographies=annotations.camera)
    homographies, size, view = camera.canvas(scaled, annotations.frame_size)

    def move(keypoints: np.ndarray) -> np.ndarray:
        moved = camera.move_keypoints(keypoints, homographies)
        return np.where(path.good[:, None, None], moved, 0).astype(np.float32)

    dancer, others = everybody
    steady = replace(
        annotations,
        keypoints=move(annotations.keypoints),
        extra=move(annotations.extra),
        kept=annotations.kept & path.good,
        frame_size=size,
        camera=homographies,
        view=view,
    )
    return steady, (move(dancer), [move(other) for other in others])


def _publish(
    config: Config,
    source: Source,
    images: Path,
    masks: Path,
    annotations: Annotations,
    path: camera.Path,
    dancer: np.ndarray,
    others: Sequence[np.ndarray],
) -> tuple[Annotations, np.ndarray]:
    """Put pictures, outlines and plate in the place of old ones.

    Args:
        config: where they go.
        source: the video.
        images: folder of the pictures of frames that are kept.
        masks: folder of their outlines.
        annotations: in pixels of the frames that are kept.
        path: the camera's.
        dancer: (N, 18, 3) keypoints in pixels of the frames that are looked at.
        others: the same of each of the other people.

    Returns:
        annotations in pixels of the plate; where the plate is made up (H, W) bool, in the reference frame.
    """
    scale = np.divide(source.frame_size, source.size)
    everybody = scale_keypoints(dancer, scale), [scale_keypoints(keypoints, scale) for keypoints in others]
    if not path.still:
        annotations, everybody = _steady(annotations, path, everybody)
    plate, unseen = _make_plate(source, images, masks, annotations, *everybody)
    for i in annotations.frame_numbers[~annotations.kept]:
        (images / image_name(i)).unlink(missing_ok=True)
        (masks / mask_name(i)).unlink(missing_ok=True)
    # From here on the old result is replaced. Without annotations the step counts as not done, so that a kill
    # in between leaves no pictures of one video beside poses of another.
    source.goal.unlink(missing_ok=True)
    replace_folder(config.images_dir, images)
    replace_folder(config.masks_dir, masks)
    with atomic_path(config.background_image) as temporary:
        pictures.write(temporary, plate)
    config.frame_image.unlink(missing_ok=True)
    if source.around is not None:
        with atomic_path(config.frame_image) as temporary:
            pictures.write(temporary, source.around)
    left, top, right, bottom = annotations.view
    return annotations, unseen[top:bottom, left:right]


def _make_plate(
    source: Source,
    images: Path,
    masks: Path,
    annotations: Annotations,
    dancer: np.ndarray,
    others: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """The plate (H, W, 3) from frames that are kept, and where it is made up (H, W) bool; pictures and outlines of a
    camera that moved are laid onto it. Keypoints are in pixels of the plate."""
    kept, size = np.flatnonzero(annotations.kept), annotations.frame_size
    sample = kept[background.sample_indices(len(kept), size)]
    frames, outlines, shown = (pictures.read(images / image_name(i)) for i in sample), read_masks(masks, sample), None
    moved = not np.array_equal(annotations.camera, np.broadcast_to(np.eye(3), annotations.camera.shape))
    if moved:
        frames = stabilise.read_warped(images, sample, annotations.camera, size)
        outlines = stabilise.read_warped(masks, sample, annotations.camera, size, outlines=True)
        shown = (camera.shown(annotations.camera[i], source.frame_size, size) for i in sample)
    plate, unseen = background.background_plate(
        frames, dancer[sample], [crowd(others, i) for i in sample], outlines, shown
    )
    if moved:
        stabilise.warp_files(images, masks, kept, annotations.camera, source.frame_size, plate)
    return plate, unseen


def crowd(others: Sequence[np.ndarray], frame: int) -> np.ndarray:
    """(P, 18, 3) the people of a frame, from their keypoints (N, 18, 3) in all frames."""
    people = np.array([keypoints[frame] for keypoints in others], np.float32).reshape(-1, 18, 3)
    return people[(people[..., 2] > 0).any(1)]


def look_around(
    glimpses: dict[int, np.ndarray], others: Sequence[np.ndarray], dancer: np.ndarray, homographies: np.ndarray
) -> np.ndarray | None:
    """The room without the people, as the camera mostly saw it; see `background.room_picture`. None without glimpses.

    Args:
        glimpses: frames (H, W, 3) by their number.
        others: for each of the other people their keypoints (N, 18, 3) in every frame.
        dancer: (N, 18, 3), of every frame.
        homographies: (N, 3, 3) to the reference frame.
    """
    if not glimpses:
        return None
    frames, people = [], []
    for i, frame in glimpses.items():
        everybody = np.concatenate([crowd(others, i), dancer[i : i + 1]])
        moved = not np.array_equal(homographies[i], np.eye(3))
        frames.append(camera.lay(frame, homographies[i], frame.shape[1::-1]) if moved else frame)
        people.append(camera.move_keypoints(everybody, homographies[i]))
    return background.room_picture(frames, people)


def _is_done(config: Config, source: Source) -> bool:
    try:
        old = Annotations.load(source.goal)
    except InputError:
        return False
    if old.fingerprint != source.digest or old.settings != source.settings:
        return False
    if (config.preview and not config.preview_video.is_file()) or (config.save_poses and not config.poses_dir.is_dir()):
        return False
    if config.mode == "test":
        return True
    if source.around is not None and not config.frame_image.is_file():
        return False
    return config.background_image.is_file() and all(
        (config.images_dir / image_name(i)).is_file() and (config.masks_dir / mask_name(i)).is_file()
        for i in old.frame_numbers[old.kept]
    )


if __name__ == "__main__":
    run_step(main, __doc__ or "")
