"""Size, sharpness, speed and memory of a result at the training video's own size. Prints two tables.

    python benchmarks/own_size.py CLIP [--workspace DIR] [settings of the steps, such as --quality high --epochs 0]

The person of the clip is driven by the clip itself, so what the result should show is known. Sharpness is that of the
result's finest detail (standard deviation of the Laplacian) relative to the clip's, at full size: in the person's box
and in the room, the rest of the frame. For memory alone any long clip will do.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from steps import ROOT, STEPS, measure

from data import pictures
from data.annotations import Annotations, image_name
from data.video import probe, read_frames
from main import metrics
from main.cli import parse
from pose_detector.series import spread
from pose_detector.skeleton import bounding_box

COMPARED = 60  # frames, evenly spread


def detail(picture: np.ndarray, where: np.ndarray) -> float:
    """Standard deviation of the Laplacian of a picture (H, W, 3) uint8 RGB where (H, W) bool says."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(cv2.Laplacian(grey, cv2.CV_32F)[where].std())


def compare(picture: np.ndarray, truth: np.ndarray, pose: np.ndarray) -> dict[str, float] | None:
    """Figures of one frame (H, W, 3) uint8 RGB whose person stands at a pose (18, 3); None without one."""
    box = bounding_box(pose, picture.shape[1::-1], margin=0.5)
    if box is None:
        return None
    room = np.ones(picture.shape[:2], bool)
    left, top, right, bottom = (int(side) for side in box)
    room[top : bottom + 1, left : right + 1] = False
    row = {f"person, {name}": value for name, value in metrics.compare(picture, truth, box).items()}
    if room.any():
        row["room, sharpness"] = detail(picture, room) / max(detail(truth, room), 1e-6)
    return row


def main() -> None:
    """Run the steps and print the tables."""
    clip, *settings = sys.argv[1:]
    settings += ["--train_video", clip, "--test_video", clip]
    if "--workspace" not in settings:
        settings += ["--workspace", tempfile.mkdtemp()]
    config = parse(__doc__ or "", settings)
    costs = {name: measure([sys.executable, str(ROOT / step[0]), *step[1:], *settings]) for name, *step in STEPS}
    dance = Annotations.load(config.norm_test_annotations)
    chosen = set(spread(dance.total_frames, COMPARED).tolist())
    frames = islice(read_frames(clip, dance.frame_size, dance.crop), dance.total_frames)
    rows = [
        compare(pictures.read(config.vis_dir / image_name(number)), truth, dance.keypoints[number])
        for number, _, truth in frames
        if number in chosen
    ]
    rows = [row for row in rows if row]
    result = probe(config.result_dir / "result.mp4")
    height = np.median([np.ptp(pose[pose[:, 2] > 0, 1]) for pose in dance.keypoints if (pose[:, 2] > 0).any()])
    print(f"\n{'':14}{'seconds':>9}{'peak MB':>9}{'frames/s':>10}")
    for name, (seconds, memory) in costs.items():
        print(f"{name:14}{seconds:9.1f}{memory:9.0f}{dance.total_frames / seconds:10.1f}")
    print(f"\n{Path(clip).name}, {config.quality}: {result.width}x{result.height}, a person {height:.0f} pixels high")
    for name in {name: 0 for row in rows for name in row}:
        print(f"{name:20}{np.mean([row[name] for row in rows if name in row]):8.3f}")


if __name__ == "__main__":
    main()
