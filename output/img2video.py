"""Step 5: from rendered frames to the video with its sound, a comparison: dance | skeleton | result, and a report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data import bars, pictures, provenance, video
from data.annotations import Annotations, check_same_video, image_name
from data.files import sha256
from data.progress import Bar
from main.cli import run_step
from main.config import Config
from output import report
from pose_detector import skeleton
from pose_detector.errors import InputError

_RENDER = "python main/test.py"
_REMAKE = "python data/video2data.py --mode train --redo, then the steps after it"


def main(config: Config) -> None:
    """Run the step; see the module's docstring."""
    dance = Annotations.load(config.norm_test_annotations, "python data/annot_normalize.py")
    source = config.test_video_path
    info = video.probe(source)
    check_same_video(dance, source, "python data/video2data.py --mode test, then the steps after it")
    paths = rendered_frames(config.vis_dir, dance.frame_numbers)
    if config.rendered_of.is_file() and config.rendered_of.read_text(encoding="utf-8") != dance.fingerprint:
        raise InputError(f"the pictures in {config.vis_dir} show another dance; render this one with: {_RENDER}")
    result, comparison = config.result_dir / "result.mp4", config.result_dir / "comparison.mp4"
    show = provenance.mark if config.mark else lambda picture: picture
    frames = (pictures.load(path, _RENDER) for path in Bar(paths, unit="frame", desc="result"))
    if dance.target_picture.any():
        around, box = read_around(config.frame_image, dance.target_picture), dance.target_picture.tolist()
        frames = (bars.put_back(frame, around, box) for frame in frames)
    tags = provenance.tags(origin(config, dance))
    frames = map(show, frames)
    video.write_video(result, frames, info.fps, dance.times, audio_from=source, crf=config.crf, metadata=tags)
    beside = side_by_side(source, dance, paths, report.dim_room(config, video.preview_size(*dance.frame_size)))
    beside = map(show, Bar(beside, unit="frame", total=len(paths), desc="comparison"))
    # The result's sound is ready to be copied, and begins with its first frame.
    times = dance.times - dance.times[0]
    video.write_video(comparison, beside, info.fps, times, audio_from=result, crf=config.crf, metadata=tags)
    if video.probe(result).has_audio:
        sound = "with its sound"
    elif info.has_audio:
        sound = "without its sound, which cannot be used"
    else:
        sound = "without sound, as the dance has none that can be read"
    print(f"{len(paths)} frames at {float(info.fps):.5g} fps, {sound}")
    page = report.write(config, (show(pictures.load(path, _RENDER)) for path in paths), dance, tags)
    print(f"written: {page}")
    print(f"written: {comparison}")
    print(f"written: {result}")


def origin(config: Config, dance: Annotations) -> dict[str, str]:
    """SHA-256 of the files that a result was made from, by what they are; of a video that is gone, how it begins."""
    sources = {}
    if config.person_file:
        sources["person file"] = sha256(config.person_file)
    elif config.train_video_path.is_file():
        sources["train video"] = sha256(config.train_video_path)
    else:
        sources["train video"] = f"{dance.target_fingerprint}..."
    if config.partner:
        sources["second person file"] = sha256(config.partner)
    return sources | {"dance": sha256(config.test_video_path)}


def read_around(path: Path, box: np.ndarray) -> np.ndarray:
    """The frame (H, W, 3) uint8 RGB that lies around the training video's picture.

    Raises:
        InputError: it is missing, or has no place for a picture of left, top, right, bottom.
    """
    around = pictures.read(path)
    if around is None or around.shape[1] < box[2] or around.shape[0] < box[3]:
        raise InputError(f"{path} is missing, or of another training video; make it again with: {_REMAKE}")
    return around


def rendered_frames(folder: Path, numbers: np.ndarray) -> list[Path]:
    """The pictures of these frame numbers, and no others that may lie there.

    Raises:
        InputError: some are missing.
    """
    paths = [folder / image_name(number) for number in numbers]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(paths)} rendered frames are missing, the first is {missing[0]}; "
            f"render them with: {_RENDER}"
        )
    return paths


def side_by_side(source: Path, dance: Annotations, paths: list[Path], room: np.ndarray) -> Iterator[np.ndarray]:
    """Frames of dance | normalised skeleton | result, all as high as the room, uint8 RGB.

    Args:
        source: the dance's video.
        dance: its normalised poses.
        paths: rendered pictures, one a frame.
        room: (H, W, 3) uint8 RGB, what is behind the skeleton.

    Raises:
        InputError: the dance has fewer frames than poses.
    """
    height, width = room.shape[:2]
    dance = dance.resized((width, height))
    info = video.probe(source)
    left, top, right, bottom = dance.crop or (0, 0, info.width, info.height)
    beside = (2 * max(1, round(height * (right - left) / (bottom - top) / 2)), height)
    frames = video.read_frames(source, beside, dance.crop)
    for keypoints, path in zip(dance.keypoints, paths, strict=True):
        _, _, frame = next(frames, (0, 0.0, None))
        if frame is None:  # another version of FFmpeg may decode less of a damaged file
            raise InputError(f"{source} has fewer frames than step 1 found; do all steps again from that one on")
        result = video.resize(pictures.load(path, _RENDER), (width, height))
        yield np.hstack([frame, skeleton.draw(room, keypoints), result])


if __name__ == "__main__":
    run_step(main, __doc__ or "")
