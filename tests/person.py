"""A workspace as step 1 and 2 leave it, with a painted stick figure in place of a person."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from stick_figure import Camera, figure, keypoints, stroll

from data import skeleton
from data.annotations import Annotations, image_name

SIZE = (160, 128)


def painted(count: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames (N, 128, 160, 3) uint8 RGB, keypoints (N, 18, 3) and the plate (128, 160, 3)."""
    poses = keypoints(figure(stroll(count, 0.3, 0.2, seed=seed)), Camera(1.0, 4.0, 1.6, SIZE))
    ramp = np.linspace(60, 160, SIZE[0], dtype=np.uint8)
    plate = np.stack([np.tile(ramp, (SIZE[1], 1))] * 3, -1)
    return np.stack([skeleton.draw(plate, pose, thickness=0.25) for pose in poses]), poses, plate


def annotations(poses: np.ndarray, digest: str = "person", target: str = "") -> Annotations:
    """As of a 25 fps video of these poses."""
    n = len(poses)
    return Annotations(
        np.arange(n), np.arange(n) / 25, poses, np.zeros((n, 18), bool), 25.0, SIZE, n, "person.mp4", 0, digest, target
    )


def workspace(path: Path, count: int = 16, dance: int = 6) -> Path:
    """Pictures, annotations of both videos and the plate, where the steps look for them."""
    source = path / "data" / "source"
    (source / "images").mkdir(parents=True)
    frames, poses, plate = painted(count)
    for number, frame in enumerate(frames):
        cv2.imwrite(str(source / "images" / image_name(number)), frame[..., ::-1])
    cv2.imwrite(str(source / "train_bg_img.png"), plate[..., ::-1])
    annotations(poses).save(source / "annotations" / "train_annotations.npz")
    moves = painted(dance, seed=5)[1]
    annotations(moves, "dance", "person").save(source / "annotations" / "norm_test_annotations.npz")
    return path
