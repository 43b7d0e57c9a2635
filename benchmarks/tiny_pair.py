"""A tiny pair of videos from the sample, and the settings by which the five steps take seconds with it."""

from __future__ import annotations

from pathlib import Path

from data import video

ROOT = Path(__file__).resolve().parent.parent
SIZE = (160, 96)
TINY = (
    "--frame_area=15360", "--epochs=3", "--channels=16", "--stacks=1", "--detail=4", "--discriminator_channels=4",
    "--crop=64", "--validation_frames=2", "--perceptual=none", "--device=cpu", "--threads=1",
)  # fmt: skip
STEPS = {
    "video2data-train": ("data/video2data.py", "--mode=train"),
    "video2data-test": ("data/video2data.py", "--mode=test"),
    "annot_normalize": ("data/annot_normalize.py",),
    "train": ("main/train.py", "--continue_train"),
    "test": ("main/test.py",),
    "img2video": ("output/img2video.py",),
}


def cut(source: Path, goal: Path, count: int) -> None:
    """The first frames of a video, small, with its sound."""
    frames = [frame for _, (_, _, frame) in zip(range(count), video.read_frames(source, SIZE), strict=False)]
    video.write_video(goal, frames, video.probe(source).fps, audio_from=source)


def make(folder: Path, count: int) -> list[str]:
    """Cut both videos of the sample into a folder; returns the settings that name them."""
    settings = []
    for kind in ("train", "test"):
        cut(ROOT / "data" / "sample" / f"{kind}.mp4", folder / f"{kind}.mp4", count)
        settings.append(f"--{kind}_video={folder / kind}.mp4")
    return settings
