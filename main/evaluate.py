"""How good is the result? Compares the rendered frames with a video of what they should show.

Give the truth with --truth: the end of the training video that was held out, the person driven by herself, or for the
sample pair what `python data/sample/render_sample.py --only truth --truth DIR` renders.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from data import video
from data.annotations import Annotations
from data.skeleton import HEAD, LEFT_ELBOW, LEFT_WRIST, RIGHT_ELBOW, RIGHT_WRIST, body_size, bounding_box
from main import metrics
from main.config import Config, run_step
from main.dataset import read_picture
from pose_detector.errors import InputError

Box = tuple[float, float, float, float]


def regions(pose: np.ndarray, frame_size: tuple[int, int]) -> Iterator[tuple[str, Box]]:
    """Named boxes (left, top, right, bottom) in pixels of what a pose (18, 3) shows; a hand lies beyond its wrist."""
    width, height = frame_size
    yield "frame", (0, 0, width - 1, height - 1)
    person = bounding_box(pose, frame_size, margin=0.5)
    if person is None:
        return
    yield "person", person
    size = float(body_size(pose))
    head = pose[list(HEAD)]
    if (head[:, 2] > 0).any():
        yield "face", square(head[head[:, 2] > 0, :2].mean(0), 0.35 * size, frame_size)
    for elbow, wrist in ((RIGHT_ELBOW, RIGHT_WRIST), (LEFT_ELBOW, LEFT_WRIST)):
        if (pose[[elbow, wrist], 2] > 0).all():
            hand = pose[wrist, :2] + 0.3 * (pose[wrist, :2] - pose[elbow, :2])
            yield "hands", square(hand, 0.25 * size, frame_size)


def square(middle: np.ndarray, reach: float, frame_size: tuple[int, int]) -> Box:
    """Box ``reach`` pixels about a point, clipped to the frame."""
    limit = np.array(frame_size) - 1
    (x0, y0), (x1, y1) = np.clip(middle - reach, 0, limit), np.clip(middle + reach, 0, limit)
    return float(x0), float(y0), float(x1), float(y1)


def main(cfg: Config) -> None:
    """Print a table: region by PSNR, SSIM and sharpness, means over frames."""
    if cfg.truth is None:
        raise InputError("what should the result show? give the video with --truth")
    dance = Annotations.load(cfg.norm_test_annotations, "python data/annot_normalize.py")
    scores: dict[str, list[dict[str, float]]] = {}
    compared = 0
    truth = zip(dance.frame_numbers, dance.keypoints, video.read_frames(cfg.truth, dance.frame_size), strict=False)
    for number, pose, (_, _, real) in tqdm(truth, total=dance.total_frames, unit="frame", desc="comparing"):
        ours = read_picture(cfg.vis_dir / f"{number:06d}.png", dance.frame_size, "python main/test.py")
        for name, box in regions(pose, dance.frame_size):
            scores.setdefault(name, []).append(metrics.compare(ours, real, box))
        compared += 1
    print(f"{compared} of {dance.total_frames} frames compared with {cfg.truth.name}")
    print(f"{'':8}{'PSNR dB':>9}{'SSIM':>7}{'sharpness':>11}")
    for name, found in scores.items():
        mean = {key: float(np.mean([score[key] for score in found])) for key in found[0]}
        print(f"{name:8}{mean['psnr']:9.2f}{mean['ssim']:7.3f}{mean['sharpness']:11.2f}")


if __name__ == "__main__":
    run_step(main, "Compare the rendered frames with a video of what they should show.")
