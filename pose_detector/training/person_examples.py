"""Training examples for the network of one person: crops of photos and of rendered people, with points and outlines.

Points are those of the network (`POINTS` of them): COCO-18 without the neck, then hands and feet. Each has x and y in
pixels and a weight: 0 = not known. In the examples a further flag marks points that are known to be hidden.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from pose_detector.blazepose import COCO18, EXTRA
from pose_detector.crop import Crop, lean
from pose_detector.person_network import POINTS
from pose_detector.training.augment import degrade, occlude, texture, vary_colours

BODY = np.array([0, *range(2, 18)])  # of COCO-18: all but the neck
MOVENET = np.array([0, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3])  # COCO-17 in the order of `BODY`
LEEDS = np.array([9, 8, 7, 10, 11, 12, 3, 2, 1, 4, 5, 6])  # points of the Leeds data set's first 12 joints
FACE = np.array([0, 13, 14, 15, 16])
RIGHT, LEFT = np.array([1, 2, 3, 7, 8, 9]), np.array([4, 5, 6, 10, 11, 12])  # arms, then legs
MIRROR = np.array([0, 4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9, 14, 13, 16, 15, 20, 21, 22, 17, 18, 19, 25, 26, 23, 24])
HIPS, SHOULDERS = [7, 10], [1, 4]


@dataclass
class Person:
    """A picture of somebody.

    Attributes:
        picture: (H, W, 3) uint8 RGB; where `cut_out`, only what the mask covers counts.
        points: (POINTS, 4) float32 x, y, weight, and 1 where the point is known not to be seen.
        mask: (H, W) uint8, 255 = the person, or None where that is not known.
        cut_out: Whether the person stands before nothing.
    """

    picture: np.ndarray
    points: np.ndarray
    mask: np.ndarray | None
    cut_out: bool = False
    box: np.ndarray = field(init=False)  # left, top, right, bottom

    def __post_init__(self) -> None:
        known = self.points[(self.points[:, 2] > 0) & (self.points[:, 3] == 0), :2]
        low, high = known.min(axis=0), known.max(axis=0)
        self.box = np.concatenate([low, high])
        if self.mask is not None and (self.mask > 127).any():
            y, x = (np.flatnonzero((self.mask > 127).any(axis=axis)) for axis in (1, 0))
            reach = 0.2 * (high - low).max()  # an outline of somebody else as well must not blow up the box
            outline = np.array([x[0], y[0], x[-1], y[-1]])
            self.box = np.concatenate([
                np.maximum(np.minimum(low, outline[:2]), low - reach),
                np.minimum(np.maximum(high, outline[2:]), high + reach),
            ])  # fmt: skip


def torso(points: np.ndarray) -> float:
    """Length of the torso of points (POINTS, >=2), pixels."""
    return float(np.linalg.norm(points[SHOULDERS, :2].mean(axis=0) - points[HIPS, :2].mean(axis=0)))


def join_labels(thunder: np.ndarray, landmarks: np.ndarray, hand: np.ndarray | None) -> tuple[np.ndarray, bool]:
    """One set of points from two teachers and, where there are some, labels by hand.

    Where the teachers agree within a quarter of the torso their mean counts in full; a label by hand nearby is averaged
    in. Where they do not, the label by hand counts, or else MoveNet, where it is confident, by half: measured, it is
    right twice as often. A face point that MoveNet does not see at all is turned away.

    Args:
        thunder: (17, 3) of MoveNet, COCO-17.
        landmarks: (39, 3) of BlazePose.
        hand: (14, 3) of the Leeds data set, or None.

    Returns:
        (POINTS, 4) float32 as in `Person`; whether the teachers see the same person.
    """
    t, b = thunder[MOVENET], landmarks[COCO18[BODY]]
    unit = max(torso(t), torso(b), 0.15 * float(np.ptp(b[:, :2], axis=0).max()), 1.0)
    gap = np.linalg.norm(t[:, :2] - b[:, :2], axis=1) / unit
    agreed = gap < 0.25
    mean = (t[:, :2] + b[:, :2]) / 2
    points = np.zeros((POINTS, 4), np.float32)
    body = points[:17]
    body[:, :2] = np.where(agreed[:, None], mean, t[:, :2])
    body[:, 2] = np.where(agreed, 1.0, np.where(t[:, 2] > 0.45, 0.5, 0.0))
    away = (t[:, 2] < 0.12) & np.isin(np.arange(17), FACE)
    body[away, 2:] = 0.5, 1
    if hand is not None:
        h = np.zeros((17, 3), np.float32)
        h[LEEDS] = hand[:12]
        for side in (slice(0, 3), slice(3, 6)):  # left and right are confused in some labels
            right, left = RIGHT[side], LEFT[side]
            there = (h[right, 2] > 0) & (h[left, 2] > 0)
            straight = gap_of(h, mean, right[there]) + gap_of(h, mean, left[there])
            swapped = gap_of(h[MIRROR[:17]], mean, right[there]) + gap_of(h[MIRROR[:17]], mean, left[there])
            if agreed[[*right, *left]].sum() > 3 and swapped < 0.5 * straight:
                h[[*right, *left]] = h[[*left, *right]]
        known = h[:, 2] > 0
        near = np.linalg.norm(h[:, :2] - body[:, :2], axis=1) < 0.4 * unit
        both, alone = known & near & (body[:, 2] > 0), known & ~agreed & ~near
        body[both, :2] = (body[both, :2] + h[both, :2]) / 2
        body[both, 2] = 1
        body[alone, :2], body[alone, 2] = h[alone, :2], 0.8
    extra = landmarks[EXTRA]
    ends = np.array([3, 3, 3, 6, 6, 6, 9, 9, 12, 12])  # the wrist or ankle that each belongs to
    points[17:, :2] = extra[:, :2]
    points[17:, 2] = (extra[:, 2] > 0.5) & agreed[ends]
    same = float(np.median(gap)) < 0.25
    return points, same


def gap_of(a: np.ndarray, b: np.ndarray, which: np.ndarray) -> float:
    """Sum of the distances of some points."""
    return float(np.linalg.norm(a[which, :2] - b[which, :2], axis=1).sum())


def load_photos(photos: Path, labels: Path, count: int = 1_000_000) -> list[Person]:
    """Photos with the labels that `label_photos.py` wrote, in one or several parts.

    Args:
        photos: The zip file.
        labels: Name of the labels' files, without a suffix.
        count: Photos from this number on are left out.
    """
    with np.load(photos.with_suffix(".npz")) as data:
        hand = None if "guess" in data else data["joints"]
        names = data["names"].tolist() if "names" in data else None
    people = []
    with zipfile.ZipFile(photos) as archive:
        names = names or sorted(archive.namelist())
        for part in sorted(labels.parent.glob(f"{labels.name}*.npz")):
            with np.load(part) as data, zipfile.ZipFile(part.with_suffix(".zip")) as masks:
                there = set(masks.namelist())
                for row, i in enumerate(data["index"].tolist()):
                    if i >= count or f"{i:05d}.png" not in there:
                        continue
                    points, same = join_labels(
                        data["thunder"][row], data["landmarks"][row], None if hand is None else hand[i]
                    )
                    if (points[:17, 2] > 0).sum() < 8:
                        continue
                    picture = cv2.imdecode(np.frombuffer(archive.read(names[i]), np.uint8), cv2.IMREAD_COLOR)
                    mask = cv2.imdecode(np.frombuffer(masks.read(f"{i:05d}.png"), np.uint8), cv2.IMREAD_GRAYSCALE)
                    good = same and mask is not None and data["present"][row] > 0.5 and (mask > 127).any()
                    people.append(Person(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), points, mask if good else None))
    return people


def load_rendered(folder: Path) -> list[Person]:
    """Figures that `render_people.py` wrote."""
    people = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as data:
            for i in range(sum(name.startswith("rgba") for name in data.files)):
                rgba, keypoints = data[f"rgba{i}"], data[f"keypoints{i}"]
                state = keypoints[[*BODY, *range(18, 28)], 2]
                points = np.zeros((POINTS, 4), np.float32)
                points[:, :2] = keypoints[[*BODY, *range(18, 28)], :2]
                points[:, 2] = state > 0
                points[FACE, 3] = state[FACE] == 1
                if (points[:17, 2] > 0).sum() >= 8:
                    people.append(Person(rgba[..., :3].copy(), points, rgba[..., 3].copy(), cut_out=True))
    return people


@dataclass(frozen=True)
class Mixture:
    """Of what the examples are made; shares in [0, 1]."""

    rendered: float = 0.25  # figures; the rest are photos
    moved: float = 0.15  # people cut out of their photo and put before another backdrop
    bystander: float = 0.15  # somebody else beside, behind or before the person
    hidden: float = 0.12  # shapes before the person
    part: float = 0.08  # crops that show a part of the person
    upright: float = 0.7  # people turned upright, where they do not stand
    turned: float = 0.03  # crops at any angle
    lean: float = 0.13  # standard deviation of all other angles, radians


class Examples(IterableDataset):
    """Endless batches: pictures (B, 3, S, S) uint8; points (B, POINTS, 4) float32 as in `Person`, in pixels of the
    crop; masks (B, S, S) uint8, and their weights (B,) float32.

    Args:
        sets: Of photos, from `load_photos`.
        shares: How often a photo is of each set.
        rendered: From `load_rendered`.
        size: S.
        batch: B.
        mixture: See there.
        seed: Of all chance.
    """

    def __init__(
        self,
        sets: list[list[Person]],
        shares: tuple[float, ...],
        rendered: list[Person],
        size: int,
        batch: int,
        mixture: Mixture,
        seed: list[int],
    ) -> None:
        self.sets, self.shares = sets, np.cumsum(shares) / sum(shares) if shares else None
        self.photos = [person for people in sets for person in people]
        self.rendered, self.size, self.batch = rendered, size, batch
        self.mixture, self.seed = mixture, seed
        self.outlined = [person for person in self.photos if person.mask is not None]
        rng = np.random.default_rng(seed)
        self.textures = [texture(256, rng) for _ in range(200)]

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        worker = get_worker_info()
        rng = np.random.default_rng([*self.seed, worker.id if worker else 0])
        while True:
            parts = zip(*(self.example(rng) for _ in range(self.batch)), strict=True)
            pictures, points, masks, weights = (torch.from_numpy(np.stack(part)) for part in parts)
            yield pictures.permute(0, 3, 1, 2), points, masks, weights.float()

    def example(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Picture (S, S, 3) uint8, points (POINTS, 4), mask (S, S) uint8, and whether the mask is known, float32."""
        mixture, size = self.mixture, self.size
        rendered = bool(self.rendered) and (not self.photos or rng.random() < mixture.rendered)
        source = self.rendered if rendered else self.sets[int(np.searchsorted(self.shares, rng.random()))]
        person = draw(source, rng)
        moved = person.cut_out or (person.mask is not None and rng.random() < mixture.moved)
        crop, mirrored = self.view(person, rng)
        border = cv2.BORDER_REPLICATE if rng.random() < 0.5 else cv2.BORDER_CONSTANT
        picture, mask = see(person, crop, size, mirrored, border)
        if moved:
            if person.cut_out and rng.random() < 0.6:
                picture = vary_colours(picture, rng)
            picture = blend(self.backdrop(rng), picture, mask)
        if self.outlined and rng.random() < mixture.bystander:
            picture, mask = self.add_bystander(picture, mask, rng)
        points = to_crop(person.points, crop, size, mirrored)
        picture = vary_colours(picture, rng)
        if rng.random() < mixture.hidden:
            occlude(picture, rng)
        return degrade(picture, rng), points, mask, np.float32(person.mask is not None)

    def view(self, person: Person, rng: np.random.Generator) -> tuple[Crop, bool]:
        """A crop as a careless follower would choose it, and whether it is mirrored."""
        mixture = self.mixture
        low, high = person.box[:2], person.box[2:]
        middle, extent = (low + high) / 2, float((high - low).max())
        angle = rng.normal(0, mixture.lean)
        if rng.random() < mixture.turned:
            angle = rng.uniform(-np.pi, np.pi)
        elif rng.random() < mixture.upright and (person.points[[*HIPS, *SHOULDERS], 2] > 0).all():
            angle += lean(person.points[SHOULDERS], person.points[HIPS])
        side = extent * float(np.exp(rng.normal(np.log(1.2), 0.13)))
        middle = middle + rng.normal(0, 0.07, 2) * extent
        if rng.random() < mixture.part:
            side *= rng.uniform(0.45, 0.85)
            middle = middle + rng.uniform(-0.3, 0.3, 2) * extent
        return Crop(*middle.tolist(), max(side, 24.0), angle), bool(rng.random() < 0.5)

    def backdrop(self, rng: np.random.Generator) -> np.ndarray:
        """(S, S, 3): a texture or a part of a photo, or both mixed."""
        size = self.size
        if rng.random() < 0.3 or not self.photos:
            source = self.textures[rng.integers(len(self.textures))]
        else:
            source = draw(self.photos, rng).picture
        side = int(min(source.shape[:2]) * rng.uniform(0.3, 1))
        y, x = (rng.integers(0, s - side + 1) for s in source.shape[:2])
        method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        return cv2.resize(source[y : y + side, x : x + side], (size, size), interpolation=method)

    def add_bystander(
        self, picture: np.ndarray, mask: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Somebody else: mostly beside or behind the person, at times a piece of them before."""
        other = draw(self.rendered if self.rendered and rng.random() < 0.4 else self.outlined, rng)
        extent = float((other.box[2:] - other.box[:2]).max())
        middle = (other.box[:2] + other.box[2:]) / 2
        front = rng.random() < 0.25
        reach = rng.uniform(0.25, 0.6) if not front else rng.uniform(0.45, 0.7)
        away = reach * rng.choice([-1, 1]) * np.array([1, rng.normal(0, 0.2)])
        side = extent * float(np.exp(rng.normal(np.log(1.5), 0.3)))
        crop = Crop(*(middle + away * side).tolist(), side, rng.normal(0, 0.1))
        above, cover = see(other, crop, self.size, bool(rng.random() < 0.5))
        if not front:
            cover = np.minimum(cover, 255 - mask)
        return blend(picture, above, cover), np.minimum(mask, 255 - cover)


def draw(people: list[Person], rng: np.random.Generator) -> Person:
    """One of them."""
    return people[rng.integers(len(people))]


def see(
    person: Person, crop: Crop, size: int, mirrored: bool, border: int = cv2.BORDER_CONSTANT
) -> tuple[np.ndarray, np.ndarray]:
    """Picture (S, S, 3) and mask (S, S) of a crop; what lies beyond the picture is black, or as `border` says."""
    matrix, flags = crop.matrix(size), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shown = cv2.warpAffine(person.picture, matrix, (size, size), flags=flags, borderMode=border)
    cover = np.zeros((size, size), np.uint8)
    if person.mask is not None:
        cover = cv2.warpAffine(person.mask, matrix, (size, size), flags=flags)
    return (cv2.flip(shown, 1), cv2.flip(cover, 1)) if mirrored else (shown, cover)


def to_crop(points: np.ndarray, crop: Crop, size: int, mirrored: bool) -> np.ndarray:
    """Points in pixels of the crop; those outside of it are not to be seen."""
    result = points.copy()
    result[:, :2] = crop.to_crop(points[:, :2].astype(np.float64), size)
    if mirrored:
        result[:, 0] = size - 1 - result[:, 0]
        result = result[MIRROR]
    outside = ((result[:, :2] < -0.5) | (result[:, :2] > size - 0.5)).any(axis=1)
    result[outside, 3] = 1
    return result


def blend(below: np.ndarray, above: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8 of two pictures, by the share (S, S) uint8 of the upper one."""
    share = cover.astype(np.uint16)[..., None]
    return ((below * (255 - share) + above * share + 127) // 255).astype(np.uint8)
