"""Step 1: from a video to poses. With --mode train also to pictures, outlines and the empty room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data import background, camera, laying, pictures, report, video
from data.annotations import Annotations, fingerprint, image_name, kept_frames, mask_name
from data.detecting import Detect, find_people, look_closely, precomputed, read_masks, where_people_are
from data.files import atomic_path, replace_folder, staging
from data.frame_stats import FrameStats, cuts, longest_shot
from data.guesses import drop_guesses
from data.pose_files import poses_fingerprint, read_poses, write_poses
from data.progress import Bar
from main.config import Config, run_step
from pose_detector.cleaning import clean
from pose_detector.errors import InputError
from pose_detector.keypoints import scale_keypoints
from pose_detector.look import Looker
from pose_detector.second_look import join
from pose_detector.tracking import Track, choose, choose_at, choose_of_two, track

LONGEST_SIDE = 3840  # pixels of the frames that are kept: 4K
_HOLD = 1.0  # seconds for which a person missed by the detector is taken to be still there


def main(config: Config) -> None:
    """Run the step; see the module's docstring."""
    if config.person_file and config.mode == "train":
        raise InputError(f"{config.person_file} holds what this step would make; go on with --mode test")
    prepare(config, Networks(config))


class Networks:
    """The networks that the settings name. Torch takes seconds to import, which complaints about the video need not
    wait for."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def first(self) -> tuple[Path, str]:
        """Weights of the first look, and why these."""
        from pose_detector.weights import resolve

        return resolve(self.config.pose_weights, offline=self.config.offline)

    def load_first(self, weights: Path) -> Detect:
        """The first look itself."""
        from main.device import prepare_device
        from pose_detector.detector import Detector

        config = self.config
        device = prepare_device(config.device, config.threads)
        options = {"flip": config.pose_flip, "scales": config.pose_scales, "turns": config.pose_turns}
        return Detector.load(str(weights), device=device, **options).stream

    def second(self) -> tuple[str, Path, str]:
        """Kind and weights of the second look, and why these."""
        from pose_detector.model_files import resolve_second_look

        config = self.config
        # Whoever wants the first look's keypoints still needs the outline.
        name = "bundled" if config.second_look == "none" else config.second_look
        return resolve_second_look(name, config.second_look_model, offline=config.offline)

    def load_second(self, kind: str, weights: Path) -> Looker:
        """The second look itself."""
        if kind == "blazepose":
            from pose_detector.blazepose import BlazePose

            return BlazePose(weights, self.config.threads or 2)
        from main.device import network_type, prepare_device
        from pose_detector.person_network import Bundled, load

        device = prepare_device(self.config.device, self.config.threads)
        return Bundled(load(weights), device, network_type(device, self.config.precision))


@dataclass
class Source:
    """The video of a run, and what the result depends on.

    Attributes:
        path: the video.
        info: what it says of itself.
        size: (width, height) in pixels of the frames that are looked at.
        frame_size: (width, height) of those that are kept, and whose pixels the result counts.
        given: folder of poses from elsewhere, or None.
        goal: the annotation file to write.
        digest: of the video's bytes.
        settings: what else the result depends on.
    """

    path: Path
    info: video.VideoInfo
    size: tuple[int, int]
    frame_size: tuple[int, int]
    given: Path | None
    goal: Path
    digest: str
    settings: str


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
    info = source.info
    expected = max(1, round(info.duration * float(info.fps)))  # how many there are, only decoding tells
    print(f"{source.path.name}: {info.width}x{info.height}, {float(info.fps):.5g} fps, about {expected} frames")
    warning = None if training else video.check_sound(source.path)
    if warning:
        print(warning)
    with ExitStack() as stack:
        images = stack.enter_context(staging(config.images_dir)) if training else None
        # Those of a dance are only for the preview.
        masks = stack.enter_context(staging(config.masks_dir)) if training or config.preview else None
        poses = stack.enter_context(staging(config.poses_dir)) if config.save_poses else None
        if source.given:
            print(f"first look: poses from {source.given}")
            detector = precomputed(read_poses(source.given, info.frames, info.stored, source.size))
        else:
            print(f"first look: {weights[0].name} ({weights[1]})")
            detector = networks.load_first(weights[0])
        stats = FrameStats()
        detections, times, glimpses = find_people(
            source.path, source.size, detector, config.pose_batch, images, expected, stats,
            image_size=source.frame_size, most=config.most_frames,
        )  # fmt: skip
        _check_count(source, len(detections), len(times))
        fps = float(info.fps)
        kept = kept_frames(np.arange(len(times)), expected, config.most_frames)
        tracks = track(detections, fps)
        place = _place(config)
        if config.dancer != "both":
            chosen = choose_of_two(tracks, config.person)
        elif place is None:
            chosen = choose(tracks, config.person)
        else:
            frame = int(np.abs(np.subtract(times, place[0])).argmin())
            chosen = choose_at(tracks, frame, place[1] * source.size[0], place[2] * source.size[1])
        seen = tracks[chosen].keypoints
        others = [track.keypoints for i, track in enumerate(tracks) if i != chosen]
        first = background.hold(seen, round(_HOLD * fps))
        tracker = camera.Tracker(source.size)
        closer = None
        if second is not None:
            kind, file, reason = second
            print(f"second look: {kind}, {file.name} ({reason})")
            looker = networks.load_second(kind, file)
            closer = look_closely(
                source.path, source.size, first, looker, masks, stats, others,
                mask_size=source.frame_size, kept=kept if training else None, tracker=tracker,
            )  # fmt: skip
            if _replaces(config, source):
                closer.keypoints = join(closer.keypoints, seen, looker.first_look_trust)
                drop_guesses(closer.keypoints, closer.extra, stats, source.size)
                seen = closer.keypoints
        else:
            _watch_camera(source, tracker, [first, *others])
        found = clean(seen, fps, people=len(tracks))
        annotations = Annotations(
            frame_numbers=np.arange(len(times), dtype=np.int64),
            times=np.asarray(times, np.float64),
            keypoints=found.keypoints.astype(np.float32),
            filled=found.filled,
            fps=fps,
            frame_size=source.size,
            total_frames=len(times),
            source=source.path.name,
            rotation=info.rotation,
            fingerprint=source.digest,
            settings=source.settings,
            extra=closer.extra if closer is not None and _replaces(config, source) else None,
            kept=kept if training else None,
        )
        annotations.check()
        if config.preview:
            outlines = None if closer is None else read_masks(masks, annotations.frame_numbers, source.size)
            _write_preview(config, source, annotations, tracks, chosen, outlines)
        if poses is not None:
            write_poses(poses, source.path.stem, detections, source.size, info.stored)
            replace_folder(config.poses_dir, poses)
            print(f"written: {config.poses_dir}")
        dancer = background.hold(annotations.keypoints, round(_HOLD * fps))
        # Between shots the camera has not moved.
        shot = longest_shot(cuts(stats.change, fps), len(times))
        path = tracker.path(*shot)
        annotations.camera[slice(*shot)] = path.homographies
        annotations.room = look_around(glimpses, others, dancer, shot, annotations.camera)
        # From here on all lengths are pixels of the frames that are kept.
        annotations = annotations.resized(source.frame_size)
        framed, scale = annotations, np.divide(source.frame_size, source.size)
        unseen = None
        if training:
            everybody = scale_keypoints(dancer, scale), [scale_keypoints(keypoints, scale) for keypoints in others]
            if not path.still:
                annotations, everybody = _steady(annotations, path, shot, everybody)
            unseen = _publish(config, source, images, masks, annotations, *everybody)
        annotations.save(source.goal)
    company = report.bystanders(others, None if closer is None else closer.outside, len(times), fps)
    for line in report.summary(framed, stats.resized(tuple(scale)), company, path, unseen):
        print(line)
    print(f"written: {source.goal}")


def _source(config: Config, networks: Networks) -> tuple[Source, tuple[Path, str] | None, tuple[str, Path, str] | None]:
    """The video of a run, and the weights of both looks with the reasons for them."""
    training = config.mode == "train"
    path = config.train_video_path if training else config.test_video_path
    given = config.train_poses if training else config.test_poses
    info = video.probe(path)
    size = frame_size = video.working_size(info.width, info.height, config.frame_area)
    if training and config.quality != "draft":
        frame_size = own_size(info)
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
    return Source(path, info, size, frame_size, given, goal, fingerprint(path), settings), weights, second


def own_size(info: video.VideoInfo) -> tuple[int, int]:
    """(width, height) of the training frames at the video's own resolution, up to 4K, with even sides."""
    shrink = min(1.0, LONGEST_SIDE / max(info.width, info.height))
    width, height = (max(2, int(side * shrink) // 2 * 2) for side in (info.width, info.height))
    return width, height


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
        video.read_frames(source.path, source.size), total=len(annotations.times), unit="frame", desc="preview"
    )
    drawn = report.preview((frame for *_, frame in frames), annotations, tracks, chosen, outlines)
    video.write_video(config.preview_video, drawn, source.info.fps, annotations.times, audio_from=source.path)
    print(f"written: {config.preview_video}")


def _watch_camera(source: Source, tracker: camera.Tracker, people: Sequence[np.ndarray]) -> None:
    """Follow the camera of a video without a second look; people (N, 18, 3) are left out."""
    frames = Bar(video.read_frames(source.path, source.size), total=len(people[0]), unit="frame", desc="camera")
    for (_, _, frame), *poses in zip(frames, *people, strict=False):
        tracker.add(frame, where_people_are(poses, source.size))


def _steady(
    annotations: Annotations,
    path: camera.Path,
    shot: tuple[int, int],
    everybody: tuple[np.ndarray, list[np.ndarray]],
) -> tuple[Annotations, tuple[np.ndarray, list[np.ndarray]]]:
    """Annotations, and the keypoints of the dancer and of others, in the steady picture of a camera that moved in a
    shot, from those in the frames. Frames that could not be registered have no keypoints."""
    scaled = replace(path, homographies=annotations.camera[slice(*shot)])
    homographies, size, view = camera.canvas(scaled, annotations.frame_size)
    of_all = np.repeat(homographies[path.reference][None], annotations.total_frames, 0)
    of_all[slice(*shot)] = homographies
    good = np.zeros(annotations.total_frames, bool)
    good[slice(*shot)] = path.good

    def move(keypoints: np.ndarray) -> np.ndarray:
        return np.where(good[:, None, None], camera.move_keypoints(keypoints, of_all), 0).astype(np.float32)

    dancer, others = everybody
    steady = replace(
        annotations,
        keypoints=move(annotations.keypoints),
        extra=move(annotations.extra),
        kept=annotations.kept & good,
        frame_size=size,
        camera=of_all,
        view=view,
    )
    return steady, (move(dancer), [move(other) for other in others])


def _publish(
    config: Config,
    source: Source,
    images: Path,
    masks: Path,
    annotations: Annotations,
    dancer: np.ndarray,
    others: Sequence[np.ndarray],
) -> np.ndarray:
    """Make the plate from frames that are kept, and put pictures, outlines and plate in the place of old ones; tells
    where the plate is made up (H, W) bool. Keypoints are in pixels of the plate."""
    kept, size = np.flatnonzero(annotations.kept), annotations.frame_size
    sample = kept[background.sample_indices(len(kept), size)]
    frames, outlines, shown = (pictures.read(images / image_name(i)) for i in sample), read_masks(masks, sample), None
    moved = not np.array_equal(annotations.camera, np.broadcast_to(np.eye(3), annotations.camera.shape))
    if moved:
        frames = laying.laid(images, sample, annotations.camera, size)
        outlines = laying.laid(masks, sample, annotations.camera, size, outlines=True)
        shown = (camera.shown(annotations.camera[i], source.frame_size, size) for i in sample)
    plate, unseen = background.background_plate(
        frames, dancer[sample], [crowd(others, i) for i in sample], outlines, shown
    )
    if moved:
        laying.lay_all(images, masks, kept, annotations.camera, source.frame_size, plate)
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
    left, top, right, bottom = annotations.view
    return unseen[top:bottom, left:right]


def crowd(others: Sequence[np.ndarray], frame: int) -> np.ndarray:
    """(P, 18, 3) the people of a frame, from their keypoints (N, 18, 3) in all frames."""
    people = np.array([keypoints[frame] for keypoints in others], np.float32).reshape(-1, 18, 3)
    return people[(people[..., 2] > 0).any(1)]


def look_around(
    glimpses: dict[int, np.ndarray],
    others: Sequence[np.ndarray],
    dancer: np.ndarray,
    shot: tuple[int, int],
    homographies: np.ndarray,
) -> np.ndarray:
    """The room without the people, as the camera mostly saw it; see `background.room_picture`.

    Args:
        glimpses: frames (H, W, 3) by their number.
        others: for each of the other people their keypoints (N, 18, 3) in every frame.
        dancer: (N, 18, 3), of every frame.
        shot: number of its first frame, and of the one after its last.
        homographies: (N, 3, 3) to the reference frame.
    """
    frames, people = [], []
    for i, frame in glimpses.items():
        if shot[0] <= i < shot[1]:
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
    return config.background_image.is_file() and all(
        (config.images_dir / image_name(i)).is_file() and (config.masks_dir / mask_name(i)).is_file()
        for i in old.frame_numbers[old.kept]
    )


if __name__ == "__main__":
    run_step(main, __doc__ or "")
