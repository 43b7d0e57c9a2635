"""How good is the result? Compares the rendered frames with a video of what they should show.

Give the truth with --truth: the end of the training video that was held out, the person driven by herself, or for the
sample pair what `python data/sample/render_sample.py --only truth --truth DIR` renders. Beside the result stand the
training frame nearest by pose, the empty background, and how many keypoints a pose network finds again in the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from tqdm import tqdm

from data import bars, pictures, video
from data.annotations import Annotations, image_name
from main import metrics
from main.cli import run_step
from main.config import Config
from main.dataset import MADE_BY
from main.device import prepare_device
from main.networks.perceptual import declare_missing_operators
from pose_detector.detector import Detector
from pose_detector.errors import InputError
from pose_detector.skeleton import (
    HEAD,
    LEFT_ELBOW,
    LEFT_WRIST,
    RIGHT_ELBOW,
    RIGHT_WRIST,
    body_size,
    bounding_box,
    torso_length,
)

Box = tuple[float, float, float, float]
Distance = Callable[[np.ndarray, np.ndarray], float]

SURE = 0.3  # confidence above which a keypoint in the real frame counts


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


Scores = dict[str, list[dict[str, float]]]  # by region, one a frame


def score(scores: Scores, picture: np.ndarray, real: np.ndarray, pose: np.ndarray, distance: Distance | None) -> None:
    """Add the figures of one frame (H, W, 3) uint8 RGB, region by region."""
    for name, box in regions(pose, picture.shape[1::-1]):
        found = metrics.compare(picture, real, box)
        ours, theirs = (metrics.within_box(p, box) for p in (picture, real))
        found["ms_ssim"] = metrics.ms_ssim(ours, theirs)
        found["lpips"] = distance(ours, theirs) if distance and min(ours.shape[:2]) >= 32 else float("nan")
        scores.setdefault(name, []).append(found)


def nearest_frames(poses: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """For each pose (N, 18, 3) the index (N,) of the pose of the bank (M, 18, 3) whose keypoints lie nearest, in
    pixels of the frame, missing ones left out."""
    nearest = np.zeros(len(poses), int)
    for i, pose in enumerate(poses):  # one by one: all pairs of two long videos would not fit into memory
        both = (pose[:, 2] > 0) & (bank[..., 2] > 0)  # (M, 18)
        far = (np.linalg.norm(pose[:, :2] - bank[..., :2], axis=-1) * both).sum(1) / np.maximum(both.sum(1), 1)
        nearest[i] = np.where(both.sum(1) < 6, np.inf, far).argmin()
    return nearest


def found_again(detector: Detector, picture: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which keypoints the detector is sure of in the real frame (18,) bool, and which of them it finds in the picture
    within 0.2 torso lengths of there."""
    (people, scores), (others, seen) = detector([real, picture])
    nothing = np.zeros(18, bool)
    if not len(people):
        return nothing, nothing
    best = scores.sum(1).argmax()
    truth = np.column_stack([people[best], scores[best]])
    torso = torso_length(truth)
    if not np.isfinite(torso):
        return nothing, nothing
    truth[truth[:, 2] <= SURE, 2] = 0
    sure = truth[:, 2] > 0
    if not len(others):
        return sure, nothing
    near = metrics.found(np.dstack([others, seen]), truth, torso)
    return sure, near[near.sum(1).argmax()]


def perceptual_distance(device: torch.device) -> Distance | None:
    """LPIPS (Zhang et al. 2018) of two uint8 pictures, or None if its network cannot be fetched."""
    declare_missing_operators()
    import lpips

    try:
        network = lpips.LPIPS(net="alex", verbose=False).to(device)
    except OSError as error:
        print(f"LPIPS is skipped: AlexNet's weights cannot be fetched ({error})")
        return None

    @torch.inference_mode()
    def distance(picture: np.ndarray, truth: np.ndarray) -> float:
        pair = (torch.from_numpy(np.ascontiguousarray(p)).permute(2, 0, 1)[None].to(device) for p in (picture, truth))
        return float(network(*(p.float() / 127.5 - 1 for p in pair)))

    return distance


def main(cfg: Config) -> None:
    """Print a table: region by figures, means over frames."""
    if cfg.truth is None:
        raise InputError("what should the result show? give the video with --truth")
    device = prepare_device(cfg.device, cfg.threads)
    dance = Annotations.load(cfg.norm_test_annotations, "python data/annot_normalize.py")
    person = Annotations.load(cfg.train_annotations, "python data/video2data.py --mode train")
    detector = Detector.load(cfg.evaluate_weights, device=device)
    distance = perceptual_distance(device) if cfg.lpips else None
    plate = person.shown(pictures.load(cfg.background_image, MADE_BY, person.frame_size))
    kept = np.flatnonzero(person.kept)
    nearest = person.frame_numbers[kept[nearest_frames(dance.keypoints, person.in_view().keypoints[kept])]]
    results: dict[str, Scores] = {"result": {}, "nearest training frame": {}, "background": {}}
    sure, again = [], []
    real_frames = video.read_frames(cfg.truth, dance.frame_size, bars.find_picture(cfg.truth)[0])
    truth = zip(dance.frame_numbers, dance.keypoints, nearest, real_frames, strict=False)
    for number, pose, source, (_, _, real) in tqdm(truth, total=dance.total_frames, unit="frame", desc="comparing"):
        ours = pictures.load(cfg.vis_dir / image_name(number), "python main/test.py", dance.frame_size)
        copy = person.shown(pictures.load(cfg.images_dir / image_name(source), MADE_BY, person.frame_size))
        for scores, picture in zip(results.values(), (ours, copy, plate), strict=True):
            score(scores, picture, real, pose, distance)
        for kept, seen in zip((sure, again), found_again(detector, ours, real), strict=True):
            kept.append(seen)
    print(f"{len(sure)} of {dance.total_frames} frames compared with {cfg.truth.name}")
    print(f"{'':31}{'PSNR dB':>9}{'SSIM':>8}{'MS-SSIM':>9}{'LPIPS':>8}{'sharpness':>11}")
    for name, scores in results.items():
        for region, found in scores.items():
            mean = {key: float(np.mean([frame[key] for frame in found])) for key in found[0]}
            print(
                f"{name + ', ' + region:31}{mean['psnr']:9.2f}{mean['ssim']:8.3f}{mean['ms_ssim']:9.3f}"
                f"{mean['lpips']:8.3f}{mean['sharpness']:11.2f}".replace("nan", "  -")
            )
    known, hits = np.array(sure), np.array(again)
    for name, joints in (("all keypoints", slice(None)), ("wrists", [RIGHT_WRIST, LEFT_WRIST])):
        share = hits[:, joints].sum() / max(known[:, joints].sum(), 1)
        print(f"{name} found again within 0.2 torso lengths: {share:.1%} of {known[:, joints].sum()}")


if __name__ == "__main__":
    run_step(main, "Compare the rendered frames with a video of what they should show.", writes=False)
