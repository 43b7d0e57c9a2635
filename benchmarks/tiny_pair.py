"""A tiny pair of videos from the sample, and settings with which the five steps take seconds. Tests use it too."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from data import video

ROOT = Path(__file__).resolve().parent.parent
SIZE = (160, 96)
MODEL = {
    "channels": 16, "stacks": 2, "detail": 4, "discriminator_channels": 4, "crop": 64, "perceptual": "none",
    "device": "cpu",
}  # fmt: skip
TINY = (
    "--frame_area=15360", "--epochs=3", "--validation_frames=2", "--threads=1",
    *(f"--{name}={value}" for name, value in MODEL.items()),
)  # fmt: skip
STEPS = {
    "video2data-train": ("data/video2data.py", "--mode=train"),
    "video2data-test": ("data/video2data.py", "--mode=test"),
    "annot_normalize": ("data/annot_normalize.py",),
    "train": ("main/train.py", "--continue_train"),
    "test": ("main/test.py",),
    "img2video": ("output/img2video.py",),
}


def cut(folder: Path, count: int, size: tuple[int, int] = SIZE) -> list[Path]:
    """The first frames of both videos of the sample at (width, height), with sound, as files in a folder."""
    paths = [folder / "train.mp4", folder / "test.mp4"]
    for path in paths:
        source = ROOT / "data" / "sample" / path.name
        frames = (frame for *_, frame in islice(video.read_frames(source, size), count))
        video.write_video(path, frames, video.probe(source).fps, audio_from=source)
    return paths


def make(folder: Path, count: int) -> list[str]:
    """The settings that name the two videos, made by `cut`."""
    return [f"--{path.stem}_video={path}" for path in cut(folder, count)]
