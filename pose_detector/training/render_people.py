"""Rendered people in all kinds of clothes, cut out of their ground, with exact keypoints.

    python pose_detector/training/render_people.py --out FOLDER --files N --seed S [--part 0/2]

Each file holds 50 figures: `rgba{i}` (h, w, 4) uint8, cropped to the figure, straight colour, alpha is the person's
coverage; `keypoints{i}` (28, 3) float32, x and y in pixels of the crop and 0 = not in the picture, 1 = hidden,
2 = visible: COCO-18, then where little finger and index begin and the middle of the thumb of the right hand, of the
left, heel and toe of the right foot, of the left. Files that exist are left as they are; several processes share the
work with `--part 0/2`, `--part 1/2`.
"""

import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import tyro
from tqdm import tqdm

from data.files import atomic_path
from data.sample.figure import Figure, dressed_figure, recolour
from data.sample.pose import Pose, dance_stance, solve
from data.sample.renderer import (
    Camera,
    Light,
    downsample,
    from_linear,
    hands_and_feet,
    project,
    render_layer,
    visibility,
)
from pose_detector.errors import InputError
from pose_detector.training.loop import parse_part

FIGURES_PER_FILE = 50
FIGURES_PER_BODY = 3
SIZE = 256  # pixels, width and height of the canvas


@dataclass
class Settings:
    """Settings of the command line."""

    out: Path
    """Folder for the files."""
    files: int = 40
    """How many files of 50 figures."""
    seed: int = 0
    part: str = "0/1"
    """Which share of the files this process renders, such as 0/2 and 1/2."""


def random_camera(rng: np.random.Generator) -> Camera:
    """A camera that sees a standing person from head to foot, from near or far, high or low."""
    distance, height = rng.uniform(2.5, 8), rng.normal(1.1, 0.35)
    if rng.random() < 0.1:
        height = rng.uniform(0.2, 2.4)
    return Camera(
        position=(rng.normal(0, 0.2), height, distance),
        pitch=math.atan2(height - 0.95, distance),
        focal=rng.uniform(90, 115) * math.hypot(distance, height - 0.95),
        width=SIZE,
        height=SIZE,
    )


def random_light(rng: np.random.Generator) -> Light:
    """A lamp from the front half, hard or soft, warm or cold."""
    hard, warm = rng.uniform(0.25, 1.1), rng.normal(0, 0.08)
    tint = np.array([1 + warm, 1, 1 - warm])
    return Light(
        direction=(rng.normal(0, 0.7), rng.uniform(0.2, 1), rng.normal(0.5, 0.5)),
        key=tuple(1.65 * hard * tint),
        sky=tuple((0.95 - 0.4 * hard) * tint),
        ground=tuple((0.55 - 0.25 * hard) * tint),
    )


def cut_out(
    figure: Figure, pose: Pose, camera: Camera, light: Light, shadows: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The picture (h, w, 4) uint8 of a figure, cropped to it, and its keypoints (28, 3) float32, as the files hold
    them."""
    layer = render_layer([(figure, pose)], camera, light, shadows=shadows)
    colour, cover = (downsample(image, layer.supersample) for image in (layer.colour, layer.alpha))
    rgb = from_linear(colour / np.maximum(cover, 1e-3)[..., None])
    rgba = np.dstack([rgb, np.round(cover * 255).astype(np.uint8)])
    extra, extra_visible = hands_and_feet(layer, 0, figure, pose, camera)
    keypoints = np.concatenate([project(figure, pose, camera), extra])
    visible = np.concatenate([visibility(layer, 0, figure, pose, camera), extra_visible])
    inside = ((keypoints[:, :2] > -0.5) & (keypoints[:, :2] < SIZE - 0.5)).all(axis=1)
    keypoints[:, 2] = inside * (1 + visible)
    rows, columns = (np.flatnonzero(rgba[..., 3].any(axis=axis)) for axis in (1, 0))
    top, left = rows[0], columns[0]
    keypoints[:, :2] -= [layer.box[0] + left, layer.box[1] + top]
    return rgba[top : rows[-1] + 1, left : columns[-1] + 1], keypoints.astype(np.float32)


def render_people(path: Path, seed: int) -> None:
    """Render one file; its name is its number, and with the seed it decides what is in it."""
    rng = np.random.default_rng([seed, int(path.stem.split("_")[-1])])
    content = {}
    for i in range(FIGURES_PER_FILE):
        if i % FIGURES_PER_BODY == 0:
            body = dressed_figure(rng)
        moving = rng.random() < 0.4
        figure = replace(
            recolour(body, rng),
            force=tuple(rng.normal(0, [4, 1, 4]) * moving),
            spin=float(rng.uniform(0, 5)) if rng.random() < 0.3 else 0.0,
        )
        pose = solve(figure.body, dance_stance(rng))
        rgba, keypoints = cut_out(figure, pose, random_camera(rng), random_light(rng), shadows=rng.random() < 0.6)
        content |= {f"rgba{i}": rgba, f"keypoints{i}": keypoints}
    with atomic_path(path) as temporary:
        np.savez(temporary, **content)


def main(settings: Settings) -> None:
    """Render the files that are not there yet."""
    cv2.setNumThreads(1)
    share, shares = parse_part(settings.part)
    try:
        settings.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {settings.out}: {error.strerror}; name a folder that can be written") from error
    paths = [settings.out / f"people{settings.seed}_{i:04d}.npz" for i in range(share, settings.files, shares)]
    for path in tqdm([path for path in paths if not path.exists()], desc="rendering", unit="file"):
        render_people(path, settings.seed)


if __name__ == "__main__":
    try:
        main(tyro.cli(Settings, description=__doc__))
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
