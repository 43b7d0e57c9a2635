"""Rendered figures and scenes that the bundled light network learns from."""

import math
from pathlib import Path

import numpy as np

from data.files import atomic_path
from data.sample.figure import random_figure, restyle
from data.sample.pose import Pose, random_pose
from data.sample.renderer import Camera, Light, render_figure
from data.sample.room import random_camera, random_room, render_frame
from pose_detector.skeleton import HEAD
from pose_detector.training.augment import Picture

FIGURES_PER_FILE, FIGURES_PER_BODY, SCENES_PER_ROOM = 50, 10, 12


def render_figures(path: Path, seed: int) -> None:
    """Render figures of random bodies, looks, poses, cameras and light, cut out of a black ground, into one file."""
    rng = np.random.default_rng([seed, int(path.stem)])
    size, content = 256, {}
    ground = np.zeros((size, size, 3), dtype=np.uint8)
    for i in range(FIGURES_PER_FILE):
        if i % FIGURES_PER_BODY == 0:
            body = random_figure(rng)
        figure = restyle(body, rng)
        distance, height = rng.uniform(2.5, 8), rng.normal(1.1, 0.35)
        camera = Camera(
            position=(rng.normal(0, 0.2), height, distance),
            pitch=math.atan2(height - 0.95, distance),
            focal=rng.uniform(90, 115) * math.hypot(distance, height - 0.95),
            width=size,
            height=size,
        )
        lamps = Light(direction=(rng.normal(0, 0.7), rng.uniform(0.2, 1), rng.normal(0.5, 0.5)))
        pose = random_pose(rng, figure.body)
        rgb, keypoints, visible, alpha = render_figure(figure, pose, camera, ground, light=lamps, shadows=bool(i % 2))
        keypoints[:, 2] = worth_finding(keypoints, visible, (size, size))
        rgb = rgb / np.maximum(alpha, 0.02)[..., None] ** (1 / 2.2)  # light was mixed with black at the edges
        rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
        y, x = max(rows[0] - 2, 0), max(columns[0] - 2, 0)
        keypoints[:, :2] -= [x, y]
        part = np.s_[y : rows[-1] + 3, x : columns[-1] + 3]
        rgba = np.dstack([np.clip(rgb, 0, 255), alpha * 255]).round().astype(np.uint8)
        content |= {f"rgba{i}": rgba[part], f"keypoints{i}": keypoints.astype(np.float32)}
    with atomic_path(path) as temporary:
        np.savez(temporary, **content)


def worth_finding(keypoints: np.ndarray, visible: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which keypoints (..., 18, 3) in a picture of width and height the network shall mark: a hidden elbow can be
    guessed, but a face turned away has no nose."""
    inside = ((keypoints[..., :2] > 0) & (keypoints[..., :2] < np.array(size) - 1)).all(axis=-1)
    return inside & (visible | ~np.isin(np.arange(18), HEAD))


def render_scenes(path: Path, seed: int) -> None:
    """Render one or two random people at random places of a random room, many times, into one file."""
    rng = np.random.default_rng([seed, 1, int(path.stem[5:])])
    size = (512, 288) if rng.random() < 0.75 else (288, 512)
    room, camera = random_room(rng), random_camera(rng, *size)
    bodies = [random_figure(rng) for _ in range(2)]
    content = {}
    for i in range(SCENES_PER_ROOM):
        people = []
        for body in bodies if rng.random() < 0.15 else [bodies[i % 2]]:
            figure = restyle(body, rng)
            pose = random_pose(rng, figure.body)
            place = rng.normal(0, 1, 3) * [0.7, 0, 0.3]
            people.append((figure, Pose(pose.root + place, pose.rotations)))
        rgb, keypoints, visible = render_frame(people, camera, room)
        keypoints[..., 2] = worth_finding(keypoints, visible, size)
        content |= {f"rgb{i}": rgb, f"keypoints{i}": keypoints[keypoints[..., 2].sum(axis=1) > 4].astype(np.float32)}
    with atomic_path(path) as temporary:
        np.savez(temporary, **content)


def load_scenes(folder: Path) -> list[Picture]:
    """All scenes rendered so far in which there is somebody."""
    scenes = []
    for path in sorted(folder.glob("scene*[0-9].npz")):
        with np.load(path) as content:
            scenes += [Picture(content[f"rgb{i}"], content[f"keypoints{i}"]) for i in range(SCENES_PER_ROOM)]
    return [scene for scene in scenes if len(scene.keypoints)]


def load_figures(folder: Path) -> list[Picture]:
    """All figures rendered so far."""
    figures = []
    for path in sorted(folder.glob("[0-9]*[0-9].npz")):
        with np.load(path) as content:
            for i in range(FIGURES_PER_FILE):
                rgba = content[f"rgba{i}"]
                figures.append(Picture(rgba[..., :3].copy(), content[f"keypoints{i}"][None], rgba[..., 3].copy()))
    return figures
