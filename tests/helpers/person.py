"""A workspace as step 1 and 2 leave it, with a painted stick figure in place of a person."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from stick_figure import Camera, figure, keypoints, stroll
from tiny_pair import MODEL

from data.annotations import Annotations, image_name, mask_name
from main import appearance
from main.config import Config
from main.matting import matte
from pose_detector import skeleton

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
    (source / "masks").mkdir()
    frames, poses, plate = painted(count)
    for number, frame in enumerate(frames):
        cv2.imwrite(str(source / "images" / image_name(number)), frame[..., ::-1])
        cv2.imwrite(str(source / "masks" / mask_name(number)), outline(frame, plate))
    cv2.imwrite(str(source / "train_bg_img.png"), plate[..., ::-1])
    annotations(poses).save(source / "annotations" / "train_annotations.npz")
    moves = painted(dance, seed=5)[1]
    annotations(moves, "dance", "person").save(source / "annotations" / "norm_test_annotations.npz")
    return path


def small(path: Path, **settings) -> Config:
    """Settings of steps 3 and 4 for such a workspace, quick."""
    config = Config(
        workspace=path, epochs=2, batch_size=4, validation_frames=2, learning_rate=2e-3, precision="float32",
        patience=0, max_minutes=0.0, **MODEL,
    )  # fmt: skip
    return replace(config, **settings)


def outline(frame, plate):
    """(H, W) uint8, 255 where a frame differs from the plate."""
    return np.where((frame != plate).any(-1), 255, 0).astype(np.uint8)


def with_mattes(frames, poses, plate):
    """Frames (N, H, W, 4) with the matte of each."""
    sizes = appearance.person_sizes(poses)
    return np.stack(
        [
            np.dstack([frame, matte(frame, plate, outline(frame, plate), float(size))])
            for frame, size in zip(frames, sizes, strict=True)
        ]
    )


def coloured(arm_up):
    """A red person with green forearms before a grey wall; the left forearm hangs, or lies before the chest."""
    pose = np.zeros((18, 3), np.float32)
    xy = {0: (80, 20), 1: (80, 40), 2: (66, 42), 3: (56, 60), 4: (50, 80), 5: (94, 42), 6: (104, 60), 7: (110, 80)}
    xy |= {8: (73, 80), 9: (73, 100), 10: (73, 120), 11: (87, 80), 12: (87, 100), 13: (87, 120)}
    if arm_up:
        xy[7] = (78, 58)
    for joint, place in xy.items():
        pose[joint] = *place, 1
    frame = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)
    plate = frame.copy()
    for a, b, width in ((1, 8, 26), (1, 11, 26), (8, 10, 12), (11, 13, 12), (0, 1, 14), (2, 3, 8), (5, 6, 8)):
        cv2.line(frame, xy[a], xy[b], (220, 20, 20), width)
    for a, b in ((3, 4), (6, 7)):
        cv2.line(frame, xy[a], xy[b], (20, 220, 20), 8)
    return pose, frame, plate


def clip(count=12):
    """Frames with mattes, poses and plate of a stick figure."""
    frames, poses, plate = painted(count)
    return with_mattes(frames, poses, plate), poses, plate
