"""Every setting of the five steps, in one place.

Change a default here, or give it on the command line of any step (``--epochs 40``).
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import tyro

from pose_detector.errors import InputError

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Config:
    """All settings; units stand in the comments."""

    # ---- Files ------------------------------------------------------------------------------------------------------
    workspace: Path = ROOT  # folder that holds data/source and output; another one for another pair
    train_video: Path | None = None  # the person who shall dance; None: data/source/train.mp4
    test_video: Path | None = None  # the dance; None: data/source/test.mp4

    # ---- All steps --------------------------------------------------------------------------------------------------
    device: str = "auto"  # "cpu", "cuda", "cuda:1", "mps"; auto: the first GPU, else the CPU
    seed: int = 0  # of every random number
    threads: int = 0  # CPU threads of torch; 0: as torch chooses

    # ---- Step 1: data/video2data.py ---------------------------------------------------------------------------------
    mode: Literal["train", "test"] = "train"  # which of the two videos to read
    frame_area: int = 512 * 288  # pixels of a working frame; its sides follow the video's own aspect ratio
    pose_weights: str = ""  # a .pth or .onnx file, or "openpose" (209 MB, fetched once); empty: the bundled one
    person: int | None = None  # which person, counted from 0 left to right; None: largest and present longest
    redo: bool = False  # detect again although the result for this video and these settings is there

    # ---- Step 3: main/train.py --------------------------------------------------------------------------------------
    epochs: int = 40  # passes over the training frames
    max_minutes: float = 0.0  # stop training, saved and usable, after so many minutes; 0: no limit
    continue_train: bool = False  # go on from the newest checkpoint in output/model_dump
    batch_size: int = 4  # pairs of successive frames in a step

    # ---- Step 4: main/test.py ---------------------------------------------------------------------------------------
    checkpoint: Path | None = None  # which to render with; None: the newest in output/model_dump

    # ---- Where things lie -------------------------------------------------------------------------------------------
    @property
    def source_dir(self) -> Path:
        return self.workspace / "data" / "source"

    @property
    def train_video_path(self) -> Path:
        return self.train_video or self.source_dir / "train.mp4"

    @property
    def test_video_path(self) -> Path:
        return self.test_video or self.source_dir / "test.mp4"

    @property
    def images_dir(self) -> Path:
        return self.source_dir / "images"

    @property
    def train_annotations(self) -> Path:
        return self.source_dir / "annotations" / "train_annotations.npz"

    @property
    def test_annotations(self) -> Path:
        return self.source_dir / "annotations" / "test_annotations.npz"

    @property
    def norm_test_annotations(self) -> Path:
        return self.source_dir / "annotations" / "norm_test_annotations.npz"

    @property
    def background_image(self) -> Path:
        return self.source_dir / "train_bg_img.png"

    @property
    def checkpoint_dir(self) -> Path:
        return self.workspace / "output" / "model_dump"

    @property
    def vis_dir(self) -> Path:
        return self.workspace / "output" / "vis"

    @property
    def result_dir(self) -> Path:
        return self.workspace / "output" / "result"

    def as_dict(self) -> dict[str, object]:
        """Settings as plain values, as a checkpoint keeps them."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}


def parse(description: str, argv: list[str] | None = None) -> Config:
    """Config from the command line (``sys.argv`` by default). A bad setting ends the process: one line, status 2."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(Config, args=argv, description=description)
    except SystemExit as stop:
        if stop.code:
            # tyro frames its message; what stands above the first rule says it all.
            text = re.sub(r"[╭╮╰╯│]", " ", complaint.getvalue().split("│ ──")[0]).split("\n", 1)[-1]
            print(f"error: {' '.join(text.split())} (--help lists every setting)", file=sys.stderr)
        raise


def run_step(step: Callable[[Config], None], description: str) -> None:
    """Run a step script: its settings from the command line, an :class:`InputError` as one line and status 2."""
    config = parse(description)
    try:
        step(config)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
