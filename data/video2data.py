"""Step 1: from a video to poses. With --mode train also to pictures, outlines and the empty room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from data import bars, camera, pictures, report, shots, sound, training_set, video, watching
from data.annotations import Annotations, fingerprint, image_name, kept_frames, mask_name
from data.detecting import CloseUp, Detect, Remembered, precomputed, read_masks, remembered
from data.files import atomic_path, discard, replace_folder, staging
from data.memo import Memo
from data.pose_files import Detection, poses_fingerprint, read_poses, write_poses
from data.progress import Bar
from data.watching import Source, Watched
from main.cli import run_step
from main.config import Config
from main.perception import Networks
from pose_detector.errors import InputError
from pose_detector.tracking import Track, choose, choose_at, choose_of_two


def main(config: Config) -> None:
    """Run the step; see the module's docstring."""
    if config.person_file and config.mode == "train":
        raise InputError(f"{config.person_file} holds what this step would make; go on with --mode test")
    prepare(config, Networks(config))


def prepare(config: Config, networks: Networks) -> None:
    """Annotate the video of `config.mode`, unless that is done already. What the networks see is kept at once, so that
    a run that was stopped goes on from there.

    Args:
        config: which video, and where things go.
        networks: see there.

    Raises:
        InputError: the video or the poses given for it cannot be used, or nobody is seen in it.
    """
    training = config.mode == "train"
    source, weights, second = _source(config, networks)
    if not config.redo and _is_done(config, source):
        discard(source.notes)
        print(f"already done: {source.goal} (--redo does it again)")
        return
    expected = max(1, round(source.info.duration * float(source.info.fps)))  # only decoding shows how many there are
    _announce(source, expected, training)
    with ExitStack() as stack:
        images = stack.enter_context(staging(config.images_dir)) if training else None
        # Those of a dance are only for the preview.
        masks = stack.enter_context(staging(config.masks_dir)) if training or config.preview else None
        poses = stack.enter_context(staging(config.poses_dir)) if config.save_poses else None
        work = f"{source.digest} {source.settings}, batches of {config.pose_batch}"
        noted = stack.enter_context(staging(source.notes, work))
        watched = _watch(config, source, networks, weights, expected, images, noted)
        count = len(watched.times)
        kept = kept_frames(np.arange(count), expected, config.most_frames) if training else None
        # All frames that show the training video's room have one camera; each shot of a dance has its own.
        same = np.where(watched.usable, 0, -1) if training else shots.numbers(watched.starts, count)
        cameras = camera.Cameras(source.size, same, stack.enter_context(Memo(noted / "camera")))
        keypoints, closer = _look_again(config, source, networks, second, watched, masks, kept, cameras, noted)
        extra = closer.extra if closer is not None and _replaces(config, source) else None
        annotations = watching.annotate(source, watched, keypoints, extra, kept)
        if config.preview:
            outlines = None if closer is None else read_masks(masks, annotations.frame_numbers, source.size)
            _write_preview(config, source, annotations, watched.tracks, watched.chosen, outlines)
        if poses is not None:
            _write_poses(config, source, watched.detections, poses)
        path = cameras.path()
        annotations.camera = path.homographies
        seen = watching.held(annotations.keypoints, watched.starts, annotations.fps)
        annotations.room = watching.look_around(watched, seen, annotations.camera)
        if training:
            training_set.keep_only(annotations, watched.usable)
        # From here on all lengths are pixels of the frames that are kept.
        framed, unseen = annotations.resized(source.frame_size), None
        annotations = framed
        if training:
            annotations, plate, unseen = training_set.finish(
                images, masks, framed, path, seen, watched.others, source.size
            )
            _publish(config, source, images, masks, plate)
        annotations.save(source.goal)
    discard(source.notes)
    _report(source, watched, closer, framed, path, unseen, training)


def _report(
    source: Source,
    watched: Watched,
    closer: CloseUp | None,
    annotations: Annotations,
    path: camera.Path,
    unseen: np.ndarray | None,
    training: bool,
) -> None:
    """Say what was seen, and what could be filmed better; `annotations` are in pixels of the frames that are kept."""
    outside, confirmed = (None, None) if closer is None else (closer.outside, closer.confirmed)
    company = report.bystanders(watched.others, outside, annotations.total_frames, annotations.fps, confirmed)
    stats = watched.stats.resized(tuple(np.divide(source.frame_size, source.size)))
    for line in report.summary(annotations, stats, company, path, unseen, watched.left_out if training else None):
        print(line)
    print(f"written: {source.goal}")


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
    # Training needs the person's outlines, wherever the keypoints come from.
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


def _announce(source: Source, expected: int, training: bool) -> None:
    """Say what video it is, and what is wrong with its sound."""
    info = source.info
    if source.around is not None:
        left, top, right, bottom = source.picture
        print(f"bars around the picture, which is {right - left}x{bottom - top}: they are left out")
    print(f"{source.path.name}: {info.width}x{info.height}, {float(info.fps):.5g} fps, about {expected} frames")
    warning = None if training else sound.check(source.path)
    if warning:
        print(warning)


def _watch(
    config: Config,
    source: Source,
    networks: Networks,
    weights: tuple[Path, str] | None,
    expected: int,
    images: Path | None,
    noted: Path,
) -> Watched:
    """The first look, see `watching.watch`."""
    dancer = partial(_dancer, config, source)
    try:
        with Memo(noted / "first_look") as memo:
            detector = _detector(source, networks, weights, memo)
            return watching.watch(source, detector, config.pose_batch, dancer, expected, images, config.most_frames)
    except InputError:  # nobody is in it, or it cannot be read: nothing to go on from
        discard(source.notes)
        raise


def _detector(source: Source, networks: Networks, weights: tuple[Path, str] | None, memo: Memo) -> Detect:
    """The first look: a network, or the poses that are given."""
    if source.given:
        print(f"first look: poses from {source.given}")
        given = read_poses(source.given, source.info.frames, source.info.stored, source.whole)
        return precomputed(shifted(given, -source.corner))
    print(f"first look: {weights[0].name} ({weights[1]})")
    return remembered(networks.load_first(weights[0]), memo)


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
    noted: Path,
) -> tuple[np.ndarray, CloseUp | None]:
    """The dancer's keypoints (N, 18, 3) after the second look, and what that saw; the camera is followed beside it."""
    if second is None:
        watching.follow_camera(source, watched, cameras)
        return watched.tracks[watched.chosen].keypoints, None
    kind, file, reason = second
    print(f"second look: {kind}, {file.name} ({reason})")
    with Memo(noted / "second_look") as memo:
        looker = Remembered(networks.load_second(kind, file), memo)
        return watching.look_again(source, watched, looker, cameras, masks, kept, _replaces(config, source))


def _replaces(config: Config, source: Source) -> bool:
    """Whether the second look gives the keypoints, and not only the outline."""
    return config.second_look != "none" and source.given is None


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


def _write_poses(config: Config, source: Source, detections: Sequence[Detection], folder: Path) -> None:
    """Write everybody as OpenPose's files, first into a folder beside the old ones."""
    whole = shifted(detections, source.corner)
    write_poses(folder, source.path.stem, whole, source.whole, source.info.stored)
    replace_folder(config.poses_dir, folder)
    print(f"written: {config.poses_dir}")


def _publish(config: Config, source: Source, images: Path, masks: Path, plate: np.ndarray) -> None:
    """Put pictures, outlines and plate in the place of old ones."""
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


def shifted(detections: Sequence[Detection], by: np.ndarray) -> list[Detection]:
    """The same people, moved by (2,) pixels; what is missing stays at 0, 0."""
    return [
        (np.where(scores[..., None] > 0, points + by, 0).astype(np.float32), scores) for points, scores in detections
    ]


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
