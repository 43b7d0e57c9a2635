"""Step 1: from a video to poses. With --mode train also to pictures and the empty room."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data import background, skeleton, video
from data.annotations import Annotations, atomic_path, fingerprint, image_name
from main.config import Config, run_step
from pose_detector.cleaning import Report
from pose_detector.errors import InputError
from pose_detector.tracking import follow

Detect = Callable[[Sequence[np.ndarray]], list[tuple[np.ndarray, np.ndarray]]]

# 51.8 dB on a real clip in half the bytes and a tenth of the time of PNG.
_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY, 98, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]  # fmt: skip
_HOLD = 1.0  # seconds for which a person missed by the detector is taken to be still there
_ADVICE = {
    "head": "film from the front, with light on the face",
    "shoulders": "keep the upper body in the picture",
    "elbows": "wear clothes that differ from the background, and use more light",
    "wrists": "use more light or a shorter exposure: fast hands blur",
    "hips": "keep the whole body in the picture",
    "knees": "keep the whole body in the picture, and nothing in front of the legs",
    "ankles": "film the whole body, feet included",
}


def main(config: Config) -> None:
    """Run the step; see the module's docstring."""

    # Torch takes seconds to import, which complaints about the video need not wait for.
    def find_weights() -> tuple[Path, str]:
        from pose_detector.weights import resolve

        return resolve(config.pose_weights)

    def load_detector(weights: Path) -> Detect:
        from main.device import choose_device
        from pose_detector.detector import Detector

        return Detector.load(str(weights), device=choose_device(config.device))

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
        InputError: the video cannot be used, or nobody is seen in it.
    """
    training = config.mode == "train"
    path = config.train_video_path if training else config.test_video_path
    goal = config.train_annotations if training else config.test_annotations
    info = video.probe(path)
    size = video.working_size(info.width, info.height, config.frame_area)
    weights, reason = find_weights()
    settings = f"frames {size[0]}x{size[1]}, weights {weights.name} {fingerprint(weights)}, person {config.person}"
    digest = fingerprint(path)
    if not config.redo and _is_done(config, goal, digest, settings):
        print(f"already done: {goal} (--redo does it again)")
        return

    print(f"{path.name}: {info.width}x{info.height}, {float(info.fps):.5g} fps, {info.frames} frames")
    print(f"pose network: {weights.name} ({reason})")
    detector = load_detector(weights)
    with _staging(config.images_dir if training else None) as images:
        detections, times = detect(path, size, detector, config.pose_batch, images, info.frames)
        if len(times) < 2:
            raise InputError(f"{path}: only one frame can be decoded; export the video again")
        found = follow(detections, float(info.fps), config.person)
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
        unseen, shift = None, 0.0
        if images is not None:
            plate, unseen, shift = make_plate(images, annotations, detections)
            # From here on the old result is replaced. Without annotations the step counts as not done, so that a kill
            # in between leaves no pictures of one video beside poses of another.
            goal.unlink(missing_ok=True)
            _replace_folder(config.images_dir, images)
            with atomic_path(config.background_image) as temporary:
                cv2.imwrite(str(temporary), plate[..., ::-1])
        annotations.save(goal)
    for line in summary(annotations, found.report, unseen, shift):
        print(line)
    print(f"written: {goal}")


def detect(
    path: Path, size: tuple[int, int], detector: Detect, batch: int, images: Path | None, total: int
) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[float]]:
    """People in every frame of a video: decoding runs ahead of the detector, writing of pictures behind it.

    Args:
        path: the video.
        size: (width, height) of the working frames in pixels.
        detector: frames -> per frame keypoints (P, 18, 2) in pixels and scores (P, 18).
        batch: frames handed to it at once.
        images: folder to write the frames to, or None.
        total: number of frames expected, for the progress bar.

    Returns:
        detections and times in seconds, per frame.
    """
    detections: list[tuple[np.ndarray, np.ndarray]] = []
    times: list[float] = []
    waiting: list[np.ndarray] = []
    writing: list[Future] = []
    with ThreadPoolExecutor(2) as pool, tqdm(total=total, unit="frame", desc="poses", mininterval=0.5) as bar:

        def flush() -> None:
            if waiting:
                detections.extend(detector(waiting))
                bar.update(len(waiting))
                waiting.clear()
            # Whoever falls behind is waited for, which bounds the memory; a full disk is reported here.
            while len(writing) > 4 * batch or (writing and writing[0].done()):
                writing.pop(0).result()

        for index, time, frame in video.read_frames(path, size):
            times.append(time)
            waiting.append(frame)
            if images is not None:
                writing.append(pool.submit(_write_image, images / image_name(index), frame))
            if len(waiting) == batch:
                flush()
        flush()
        for future in writing:
            future.result()
    return detections, times


def make_plate(
    images: Path, annotations: Annotations, detections: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray, float]:
    """The room, from the pictures just written.

    Returns:
        the plate (H, W, 3) uint8 RGB; where it is made up (H, W) bool; how far the camera is away from where it was at
        first in a quarter of the frames, in pixels.
    """
    sample = background.sample_indices(annotations.total_frames, annotations.frame_size)
    dancer = background.hold(annotations.keypoints, round(_HOLD * annotations.fps))[sample]
    others = [_others(*detections[i], pose) for i, pose in zip(sample, dancer, strict=True)]
    few = range(0, len(sample), max(1, len(sample) // 20))
    everybody = [np.concatenate([others[i], dancer[i : i + 1]]) for i in few]
    motion = background.camera_motion([_read_image(images, sample[i]) for i in few], everybody)
    plate, unseen = background.background_plate((_read_image(images, i) for i in sample), dancer, others)
    return plate, unseen, float(np.nan_to_num(np.nanquantile(motion, 0.75))) if np.isfinite(motion).any() else 0.0


def summary(annotations: Annotations, report: Report, unseen: np.ndarray | None, shift: float = 0.0) -> list[str]:
    """What a user should know of the result, line by line, advice last.

    Args:
        annotations: the result.
        report: of the cleaning.
        unseen: (H, W) where the plate is made up, or None without one.
        shift: of the camera, in pixels.
    """
    n = annotations.total_frames
    present = n - report.frames_without_person
    people = "1 person" if report.people == 1 else f"{report.people} people"
    lines = [f"{n} frames, {people}; the dancer is in {present} of them ({present / n:.0%})"]
    present_rows = (annotations.keypoints[..., 2] > 0).any(1)
    seen = ((annotations.keypoints[..., 2] > 0) & ~annotations.filled)[present_rows]
    shares = {name: float(seen[:, list(joints)].mean()) for name, joints in skeleton.GROUPS.items()}
    lines.append("seen: " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items()))
    lines.append(
        f"keypoints filled in over time: {annotations.filled.sum()}, rejected as wrong: {report.outliers.sum()}, "
        f"sides exchanged: {report.swaps.sum()}, still missing: {report.missing.sum()} of {18 * n}"
    )
    if unseen is not None:
        lines.append(f"background: {1 - unseen.mean():.1%} of it seen, the rest filled in")
    if present < 0.8 * n:
        lines.append("advice: the dancer should be in the picture all the time; cut the video to where that is so")
    lines += [f"advice: few {name} are seen; {_ADVICE[name]}" for name, share in shares.items() if share < 0.7]
    if report.people > 1:
        lines.append("advice: if this is not the dancer you mean, name another with --person 0, 1, ... (left to right)")
    if shift > 0.005 * annotations.frame_size[0]:
        lines.append(
            f"advice: the camera moves (by {shift:.0f} pixels and more); put it on a stand, or the room smears"
        )
    if unseen is not None and unseen.mean() > 0.1:
        lines.append("advice: part of the room is never seen; a second of the empty room in the video would show it")
    return lines


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


@contextmanager
def _staging(folder: Path | None) -> Iterator[Path | None]:
    """A new folder beside `folder`, gone afterwards unless it was moved; None for None."""
    if folder is None:
        yield None
        return
    new = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(new, ignore_errors=True)  # of a run that was killed
    new.mkdir(parents=True)
    try:
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _replace_folder(folder: Path, new: Path) -> None:
    """Put `new` in the place of `folder`, so that nothing of an earlier, longer video stays."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    run_step(main, __doc__ or "")
