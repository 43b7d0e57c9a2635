"""Examples for the bundled light network: labelled photos with a teacher's maps, and rendered figures."""

import math
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info
from tqdm import tqdm

from pose_detector.networks import HEATMAPS, PAFS, STRIDE
from pose_detector.training.augment import (
    Picture,
    View,
    crop,
    degrade,
    occlude,
    paste,
    set_upright,
    texture,
    untangle,
    vary_colours,
)

PHOTO_JOINTS = np.array([10, 9, 8, 11, 12, 13, 4, 3, 2, 5, 6, 7])  # of the photos' first 12 joints, in COCO-18
TEACHER_SIZE = (368, 432)  # height and width of the teacher's input
PERSON_SIZE = (184, 216)  # of the part of it in which one person is shown


@dataclass(kw_only=True)
class ExampleSettings:
    """What the examples are made of."""

    crops: tuple[tuple[int, int], ...] = ((128, 128), (160, 160), (160, 96), (192, 112), (208, 120))
    """Heights and widths of the crops, pixels; one is drawn for every batch. Narrow ones hold more of who stands."""
    batch_pixels: int = 12 * 160 * 160
    """Pixels in a batch."""
    photo_share: float = 0.8
    """Share of the examples that are photos, where there are some."""
    set_up: float = 0.45
    """Share of the photos in which the person is turned upright first: most of them do gymnastics, few dancers do."""
    scene_share: float = 0.54
    """Share of the other examples that are people in rendered rooms; the rest are figures on backdrops."""
    held_out_photos: int = 1000
    """The last photos are not learnt from."""
    seed: int = 0


class Photos:
    """Labelled photos with a teacher's maps."""

    def __init__(self, path: Path, maps: Path | None = None, upright: Path | None = None) -> None:
        """`maps`, `upright`: what `mark_photos` and `mark_people` wrote, where they did."""
        with zipfile.ZipFile(path.with_suffix(".zip")) as archive:
            self.files = [archive.read(name) for name in sorted(archive.namelist())]
        self.joints = np.load(path.with_suffix(".npz"))["joints"]
        self.maps, self.upright = (
            np.load(p, mmap_mode="r") if p is not None and p.exists() else [] for p in (maps, upright)
        )

    def __len__(self) -> int:
        return len(self.files)

    def keypoints(self, index: int) -> np.ndarray:
        """(1, 18, 3) of the labelled person; the neck between the shoulders."""
        joints = self.joints[index]
        keypoints = np.zeros((1, 18, 3), dtype=np.float32)
        keypoints[0, PHOTO_JOINTS] = np.where(joints[:12, 2:] > 0, joints[:12], 0)
        if keypoints[0, [2, 5], 2].all():
            keypoints[0, 1] = keypoints[0, [2, 5]].mean(axis=0)
        return keypoints

    def __getitem__(self, index: int) -> Picture:
        rgb = cv2.cvtColor(
            cv2.imdecode(np.frombuffer(self.files[index], np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
        )
        keypoints, views = self.keypoints(index), []
        if index < len(self.upright) and self.upright[index].any():
            view = View(self.upright[index], set_upright(keypoints[0], PERSON_SIZE))
            keypoints[0] = untangle(keypoints[0], view)
            views.append(view)
        if index < len(self.maps) and self.maps[index].any():
            views.append(View(self.maps[index], teacher_matrix(*rgb.shape[:2])))
        return Picture(rgb, keypoints, complete=False, views=tuple(views))


def teacher_matrix(height: int, width: int) -> np.ndarray:
    """(2, 3) by which a picture is resized to fit the teacher's input."""
    scale = min(TEACHER_SIZE[0] / height, TEACHER_SIZE[1] / width)
    return np.float32([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]])


class Teacher:
    """OpenPose-format ONNX network."""

    def __init__(self, path: Path) -> None:
        self.network = cv2.dnn.readNetFromONNX(str(path))

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """RGB uint8 (368, 432, 3) -> maps as `View` holds them, (57, 46, 54) uint8."""
        self.network.setInput(rgb[None, ..., ::-1].astype(np.float32))
        found = self.network.forward()[0].transpose(2, 0, 1)
        found = np.concatenate([found[:HEATMAPS] * 255, found[HEATMAPS:] * 127 + 128])
        return np.clip(found.round(), 0, 255).astype(np.uint8)


def mark_photos(photos: Photos, count: int, teacher: Path, path: Path) -> None:
    """Run the teacher over the first photos; writes its maps as uint8 (N, 57, 46, 54). Goes on where it was stopped."""
    network, part = Teacher(teacher), path.with_suffix(".part.npy")
    shape = (count, HEATMAPS + PAFS, *(s // STRIDE for s in TEACHER_SIZE))
    maps = np.lib.format.open_memmap(part, "r+" if part.exists() else "w+", np.uint8, shape)
    for i in tqdm(range(count), desc="teacher", unit="photo"):
        if not maps[i].any():
            rgb = photos[i].rgb
            matrix = teacher_matrix(*rgb.shape[:2])
            maps[i] = network(cv2.warpAffine(rgb, matrix, TEACHER_SIZE[::-1], flags=cv2.INTER_CUBIC))
    maps.flush()
    os.replace(part, path)


def mark_people(photos: Photos, count: int, teacher: Path, path: Path) -> None:
    """Run the teacher over the labelled people, set upright; writes its maps as uint8 (N, 57, 23, 27).

    Few people in the photos stand, and the teacher finds few others. Four share an input. Goes on where it was stopped.
    """
    network, part = Teacher(teacher), path.with_suffix(".part.npy")
    height, width = (s // STRIDE for s in PERSON_SIZE)
    corners = ((0, 0), (0, width), (height, 0), (height, width))
    shape = (count, HEATMAPS + PAFS, height, width)
    maps = np.lib.format.open_memmap(part, "r+" if part.exists() else "w+", np.uint8, shape)
    for first in tqdm(range(0, count, 4), desc="teacher", unit="four people"):
        if maps[first].any():
            continue
        field = np.zeros((*TEACHER_SIZE, 3), dtype=np.uint8)
        for i, (y, x) in zip(range(first, count), corners, strict=False):
            person = photos[i]
            matrix = set_upright(person.keypoints[0], PERSON_SIZE)
            seen = cv2.warpAffine(person.rgb, matrix, PERSON_SIZE[::-1])
            field[y * STRIDE :, x * STRIDE :][: PERSON_SIZE[0], : PERSON_SIZE[1]] = seen
        found = network(field)
        for i, (y, x) in zip(range(first, count), corners, strict=False):
            maps[i] = found[:, y : y + height, x : x + width]
    maps.flush()
    os.replace(part, path)


class Examples(IterableDataset):
    """Endless batches: pictures (B, 3, H, W) uint8, maps and weights (B, 57, H / 8, W / 8)."""

    def __init__(
        self,
        photos: Photos | None,
        figures: list[Picture],
        scenes: list[Picture],
        settings: ExampleSettings,
        start: int,
    ) -> None:
        """`start`: how many examples were seen before; others follow."""
        self.photos, self.figures, self.scenes, self.settings, self.start = photos, figures, scenes, settings, start
        rng = np.random.default_rng(settings.seed)
        self.textures = [texture(256, rng) for _ in range(300)]

    def backdrop(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """A part of a procedural texture."""
        whole = self.textures[rng.integers(len(self.textures))]
        side = int(len(whole) * rng.uniform(0.4, 1))
        y, x = rng.integers(0, len(whole) - side + 1, 2)
        view = cv2.resize(whole[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA)
        return view[:, ::-1] if rng.random() < 0.5 else view

    def example(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One crop with its maps and weights: of a photo, a scene, or a backdrop or photo with figures before it."""
        settings, rgb = self.settings, self.backdrop(size, rng)
        maps = np.zeros((HEATMAPS + PAFS, size // STRIDE, size // STRIDE), dtype=np.float32)
        maps[18] = 1
        weights = np.ones_like(maps)
        photo = self.photos is not None and rng.random() < settings.photo_share
        scene = not photo and bool(self.scenes) and rng.random() < settings.scene_share
        below, upright, set_up = None, math.radians(18), 0.0
        if self.photos is not None and (photo or (not scene and rng.random() < 0.2)):
            below, set_up = self.photos[rng.integers(len(self.photos) - settings.held_out_photos)], settings.set_up
        elif scene:
            below, upright = self.scenes[rng.integers(len(self.scenes))], math.radians(6)
        if below is not None and below.keypoints[..., 2].sum() > 1:
            rgb, maps, weights, _ = crop(below, size, upright, rgb, rng, set_up)
        before = [0.9, 0.1, 0] if photo or scene else [0, 0.8, 0.2]
        for _ in range(rng.choice(3, p=before) if self.figures else 0):
            figure = self.figures[rng.integers(len(self.figures))]
            if rng.random() < 0.5:
                figure = Picture(vary_colours(figure.rgb, rng), figure.keypoints, figure.alpha)
            above = crop(figure, size, math.radians(10), rgb, rng)
            rgb, maps = above[0], paste((maps, weights), above)
        rgb = vary_colours(rgb, rng)
        if rng.random() < 0.3:
            occlude(rgb, rng)
        return degrade(rgb, rng), maps, weights

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        worker = get_worker_info()
        rng = np.random.default_rng([self.settings.seed, self.start, worker.id if worker else 0])
        while True:
            shape = self.settings.crops[rng.integers(len(self.settings.crops))]
            count = max(1, self.settings.batch_pixels // math.prod(shape))
            batch = [cut_middle(self.example(max(shape), rng), shape) for _ in range(count)]
            rgb, maps, weights = (np.stack(part) for part in zip(*batch, strict=True))
            yield torch.from_numpy(rgb).permute(0, 3, 1, 2), torch.from_numpy(maps), torch.from_numpy(weights)


def cut_middle(
    example: tuple[np.ndarray, np.ndarray, np.ndarray], shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The middle part of an example, of height and width in pixels, multiples of 8."""
    rgb, maps, weights = example
    height, width = (s // STRIDE for s in shape)
    y, x = (maps.shape[1] - height) // 2, (maps.shape[2] - width) // 2
    cells = np.s_[:, y : y + height, x : x + width]
    pixels = np.s_[y * STRIDE : (y + height) * STRIDE, x * STRIDE : (x + width) * STRIDE]
    return rgb[pixels], maps[cells], weights[cells]
