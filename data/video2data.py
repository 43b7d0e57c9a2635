"""Step 1: from a video to poses. With --mode train also to pictures and the empty room."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data import background, report, skeleton, video
from data.annotations import Annotations, fingerprint, image_name
from data.files import atomic_path, replace_folder, staging
from data.pose_files import Detection, poses_fingerprint, read_poses, write_poses
from main.config import Config, run_step
from pose_detector.cleaning import clean
from pose_detector.errors import InputError
from pose_detector.tracking import choose, track

# Batches of frames (H, W, 3) uint8 RGB in; for each one a list of who is in its frames.
Detect = Callable[[Iterable[Sequence[np.ndarray]]], Generator[list[Detection]]]

# 51.8 dB on a real clip in half the bytes and a tenth of the time of PNG.
_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY, 98, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]  # fmt: skip
_HOLD = 1.0  # seconds for which a person missed by the detector is taken to be still there
_GLIMPSES = 20  # frames in which it is looked whether the camera moves


def main(config: Config) -> None:
    """Run the step; see the module's docstring."""

    # Torch takes seconds to import, which complaints about the video need not wait for.
    def find_weights() -> tuple[Path, str]:
        from pose_detector.weights import resolve

        return resolve(config.pose_weights)

    def load_detector(weights: Path) -> Detect:
        from main.device import prepare_device
        from pose_detector.detector import Detector

        device = prepare_device(config.device, config.threads)
        options = {"flip": config.pose_flip, "scales": config.pose_scales, "turns": config.pose_turns}
        return Detector.load(str(weights), device=device, **options).stream

    prepare(config, find_weights, load_detector)


def prepare(
    config: Config, find_weights: Callable[[], tuple[Path, str]], load_detector: Callable[[Path], Detect]
) -> None:
    """Annotate the video of `config.mode`, unless that is done already.

    Args:
        config: which video, and where things go.
        find_weights: gives the detector's weights file and why it is that one.
        load_detector: makes the detector from it, called only where it is needed.

    Raises:
        InputError: the video or the poses given for it cannot be used, or nobody is seen in it.
    """
    training = config.mode == "train"
    path = config.train_video_path if training else config.test_video_path
    given = config.train_poses if training else config.test_poses
    goal = config.train_annotations if training else config.test_annotations
    info = video.probe(path)
    if training and config.quality == "high":
        size = info.width // 2 * 2, info.height // 2 * 2
    else:
        size = video.working_size(info.width, info.height, config.frame_area)
    if given:
        origin = f"poses {given.name} {poses_fingerprint(given)}"
    else:
        weights, reason = find_weights()
        origin = f"weights {weights.name} {fingerprint(weights)}, flip {config.pose_flip}, scales {config.pose_scales}"
        origin += ", turned" if config.pose_turns else ""
    settings = f"frames {size[0]}x{size[1]}, {origin}, person {config.person}"
    digest = fingerprint(path)
    if not config.redo and _is_done(config, goal, digest, settings):
        print(f"already done: {goal} (--redo does it again)")
        return

    print(f"{path.name}: {info.width}x{info.height}, {float(info.fps):.5g} fps, {info.frames} frames")
    if given:
        print(f"poses: from {given}")
        detector = recite(read_poses(given, info.frames, info.stored, size))
    else:
        print(f"pose network: {weights.name} ({reason})")
        detector = load_detector(weights)
    with ExitStack() as stack:
        images = stack.enter_context(staging(config.images_dir)) if training else None
        poses = stack.enter_context(staging(config.poses_dir)) if config.save_poses else None
        detections, times, glimpses = detect(path, size, detector, config.pose_batch, images, info.frames)
        if len(times) < 2:
            raise InputError(f"{path}: only one frame can be decoded; export the video again")
        if len(detections) != len(times):
            raise InputError(
                f"{given} holds poses of {len(detections)} frames, but {len(times)} of {path.name} can be decoded;"
                " export the video again, and detect in that one"
            )
        tracks = track(detections, float(info.fps))
        chosen = choose(tracks, config.person)
        found = clean(tracks[chosen].keypoints, float(info.fps), people=len(tracks))
        annotations = Annotations(
            frame_numbers=np.arange(len(times), dtype=np.int64),
            times=np.asarray(times, np.float64),
            keypoints=found.keypoints.astype(np.float32),
            filled=found.filled,
            fps=float(info.fps),
            frame_size=size,
            total_frames=len(times),
            source=path.name,
            rotation=info.rotation,
            fingerprint=digest,
            settings=settings,
        )
        annotations.check()
        dancer = background.hold(annotations.keypoints, round(_HOLD * annotations.fps))
        shift = camera_shift(glimpses, detections, dancer)
        if config.preview:
            frames = tqdm(video.read_frames(path, size), total=len(times), unit="frame", desc="preview")
            drawn = report.preview((frame for *_, frame in frames), annotations, tracks, chosen)
            video.write_video(config.preview_video, drawn, info.fps, annotations.times, audio_from=path)
            print(f"written: {config.preview_video}")
        if poses is not None:
            write_poses(poses, path.stem, detections, size, info.stored)
            replace_folder(config.poses_dir, poses)
            print(f"written: {config.poses_dir}")
        unseen = None
        if images is not None:
            plate, unseen = make_plate(images, annotations.frame_size, detections, dancer)
            # From here on the old result is replaced. Without annotations the step counts as not done, so that a kill
            # in between leaves no pictures of one video beside poses of another.
            goal.unlink(missing_ok=True)
            replace_folder(config.images_dir, images)
            with atomic_path(config.background_image) as temporary:
                cv2.imwrite(str(temporary), plate[..., ::-1])
        annotations.save(goal)
    for line in report.summary(annotations, found.report, unseen, shift):
        print(line)
    print(f"written: {goal}")


def recite(poses: Sequence[Detection]) -> Detect:
    """A detector that tells what is known already, frame by frame."""

    def detector(batches: Iterable[Sequence[np.ndarray]]) -> Generator[list[Detection]]:
        rest = iter(poses)
        for batch in batches:
            yield list(islice(rest, len(batch)))
        yield list(rest)

    return detector


def detect(
    path: Path, size: tuple[int, int], detector: Detect, batch: int, images: Path | None, total: int
) -> tuple[list[Detection], list[float], dict[int, np.ndarray]]:
    """People in every frame of a video: decoding runs ahead of the detector, writing of pictures behind it.

    Args:
        path: the video.
        size: (width, height) of the working frames in pixels.
        detector: see `Detect`.
        batch: frames handed to it at once.
        images: folder to write the frames to, or None.
        total: number of frames expected.

    Returns:
        detections and times in seconds, per frame; some `_GLIMPSES` of the frames by their number.
    """
    detections: list[Detection] = []
    times: list[float] = []
    glimpses: dict[int, np.ndarray] = {}

    def batches() -> Generator[list[np.ndarray]]:
        writing: list[Future] = []
        with ThreadPoolExecutor(2) as pool, closing(video.read_frames(path, size)) as frames:
            while part := list(islice(frames, batch)):
                for index, time, frame in part:
                    times.append(time)
                    if index % max(1, total // _GLIMPSES) == 0:
                        glimpses[index] = frame
                    if images is not None:
                        writing.append(pool.submit(_write_image, images / image_name(index), frame))
                yield [frame for *_, frame in part]
                # Whoever falls behind is waited for, which bounds the memory; a full disk is reported here.
                while len(writing) > 4 * batch or (writing and writing[0].done()):
                    writing.pop(0).result()
            for future in writing:
                future.result()

    with (
        tqdm(total=total, unit="frame", desc="poses", mininterval=0.5) as bar,
        closing(batches()) as source,
        closing(detector(source)) as results,
    ):
        for found in results:
            detections += found
            bar.update(len(found))
    return detections, times, glimpses


def camera_shift(glimpses: dict[int, np.ndarray], detections: Sequence[Detection], dancer: np.ndarray) -> float:
    """How far the camera is away from where it was at first in a quarter of the frames, in pixels.

    Args:
        glimpses: frames (H, W, 3) by their number.
        detections: of every frame.
        dancer: (N, 18, 3), of every frame.
    """
    everybody = [np.concatenate([_others(*detections[i], dancer[i]), dancer[i : i + 1]]) for i in glimpses]
    motion = background.camera_motion(list(glimpses.values()), everybody)
    return float(np.nan_to_num(np.nanquantile(motion, 0.75))) if np.isfinite(motion).any() else 0.0


def make_plate(
    images: Path, frame_size: tuple[int, int], detections: Sequence[Detection], dancer: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The room, from the pictures just written.

    Returns:
        the plate (H, W, 3) uint8 RGB; where it is made up (H, W) bool.
    """
    sample = background.sample_indices(len(dancer), frame_size)
    others = [_others(*detections[i], dancer[i]) for i in sample]
    return background.background_plate((_read_image(images, i) for i in sample), dancer[sample], others)


def _others(keypoints: np.ndarray, scores: np.ndarray, dancer: np.ndarray) -> np.ndarray:
    """(P, 18, 3) the people of a frame who are not the dancer (18, 3)."""
    people = np.concatenate([keypoints, np.asarray(scores)[..., None]], -1).astype(np.float32).reshape(-1, 18, 3)
    both = (people[..., 2] > 0) & (dancer[:, 2] > 0)
    distance = np.linalg.norm(people[..., :2] - dancer[:, :2], axis=-1)
    mean = np.where(both, distance, 0).sum(1) / np.maximum(both.sum(1), 1)
    near = 0.6 * np.nan_to_num(skeleton.body_size(dancer))
    return people[~both.any(1) | (mean > near)]


def _is_done(config: Config, goal: Path, digest: str, settings: str) -> bool:
    try:
        old = Annotations.load(goal)
    except InputError:
        return False
    if old.fingerprint != digest or old.settings != settings:
        return False
    if (config.preview and not config.preview_video.is_file()) or (config.save_poses and not config.poses_dir.is_dir()):
        return False
    if config.mode == "test":
        return True
    return config.background_image.is_file() and all(
        (config.images_dir / image_name(i)).is_file() for i in old.frame_numbers
    )


def _write_image(path: Path, frame: np.ndarray) -> None:
    good, data = cv2.imencode(path.suffix, frame[..., ::-1], _JPEG)
    assert good, path
    path.write_bytes(data)


def _read_image(folder: Path, number: int) -> np.ndarray:
    return cv2.imread(str(folder / image_name(number)))[..., ::-1]


if __name__ == "__main__":
    run_step(main, __doc__ or "")
