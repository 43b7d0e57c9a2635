"""A dance that steps 1 to 4 are done with: poses and pictures are made up, as many as the dance shows frames."""

from pathlib import Path

import cv2
import numpy as np

from data import video
from data.annotations import Annotations, fingerprint, image_name
from main.config import Config
from output import img2video


def step_5(workspace: Path, source: Path, target_picture: np.ndarray | None = None) -> tuple[Path, Path]:
    """Run step 5 for a dance; the result and the comparison. `target_picture` as in `Annotations`."""
    config = Config(workspace=workspace, test_video=source)
    info = video.probe(source)
    times = np.array([t for _, t, _ in video.read_frames(source)])
    count = len(times)
    Annotations(
        frame_numbers=np.arange(count),
        times=times,
        keypoints=np.zeros((count, 18, 3), np.float32),
        filled=np.zeros((count, 18), bool),
        fps=float(info.fps),
        frame_size=(96, 64),
        total_frames=count,
        source=source.name,
        rotation=info.rotation,
        fingerprint=fingerprint(source),
        target_picture=target_picture,
    ).save(config.norm_test_annotations)
    config.vis_dir.mkdir(parents=True)
    for i in range(count):
        cv2.imwrite(str(config.vis_dir / image_name(i)), np.full((64, 96, 3), 20 + i, np.uint8))
    img2video.main(config)
    return config.result_dir / "result.mp4", config.result_dir / "comparison.mp4"
