"""Training pairs: the person's window in two successive frames, with poses, plate and texture to copy."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data import pictures
from data.annotations import Annotations, image_name, mask_name
from data.exposure import even_exposure
from data.progress import Bar
from data.video import resize
from main import appearance, painting, shadow, window
from main.matting import matte
from main.store import Store
from pose_detector.errors import InputError
from pose_detector.keypoints import scale_keypoints
from pose_detector.series import spread

MADE_BY = "python data/video2data.py --mode train --redo"


@dataclass
class Clip:
    """The training video, only the frames where the person was found, at the size that is generated.

    Attributes:
        frames: (N, h, w, 4) uint8 RGB and matte of a window round the person; beyond it there is only the room.
        origins: (N, 2) int x, y of the windows' corners in the frame.
        poses: (N, 18, 3) float32 pixels of the frame.
        numbers: (N,) frame numbers in the video.
        plate: (H, W, 3) uint8 RGB.
        light: (N, a, b, 4) uint8, see `shadow.missing_light`.
        room: the plate at the size of step 1's frames; None: the same size.
        sizes: (N,) size of the person in pixels; None: from the poses.
        texture: the windows, to copy from.
        shadows: what goes with the person.
    """

    frames: np.ndarray | Store
    origins: np.ndarray
    poses: np.ndarray
    numbers: np.ndarray
    plate: np.ndarray
    light: np.ndarray
    room: np.ndarray | None = None
    sizes: np.ndarray | None = None
    texture: appearance.Texture = field(init=False)
    shadows: shadow.Shadows = field(init=False)

    def __post_init__(self) -> None:
        if self.sizes is None:
            self.sizes = appearance.person_sizes(self.poses)
        self.texture = appearance.cut_up(self.frames, window.shift(self.poses, self.origins), self.sizes)
        self.shadows = shadow.gather(self.light, self.poses, self.sizes, self.size)

    @classmethod
    def of_frames(cls, frames: np.ndarray, poses: np.ndarray, numbers: np.ndarray, plate: np.ndarray) -> Clip:
        """From whole frames (N, H, W, 4)."""
        light = np.stack([shadow.missing_light(frame[..., :3], plate, frame[..., 3]) for frame in frames])
        return cls(frames, np.zeros((len(frames), 2), int), poses, numbers, plate, light)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of a frame in pixels."""
        return self.plate.shape[1::-1]

    @property
    def whole(self) -> np.ndarray:
        """The plate at the size of step 1's frames."""
        return self.plate if self.room is None else self.room

    @property
    def scale(self) -> np.ndarray:
        """(2,) pixels of these frames per pixel of step 1's frames, in x and y."""
        return np.array(self.size, np.float32) / self.whole.shape[1::-1]

    def show(self, index: int, onto: np.ndarray, origin: np.ndarray) -> np.ndarray:
        """A part of a frame: the plate's (h, w, 3) with this corner, and on it what is known of the frame."""
        onto = onto.copy()
        window.paste(onto, self.frames[index][..., :3], self.origins[index] - origin)
        return onto


@dataclass
class Bank:
    """The training frames that texture is copied from, before they are read.

    Attributes:
        rows: (N,) of the annotations.
        poses: (N, 18, 3) pixels of the frames at the size at which they are read.
        sizes: (N,) size of the person in them.
        size: (width, height) of that.
        scale: (2,) pixels of these frames per pixel of step 1's frames, in x and y.
    """

    rows: np.ndarray
    poses: np.ndarray
    sizes: np.ndarray
    size: tuple[int, int]
    scale: np.ndarray

    def only(self, index: np.ndarray) -> Bank:
        """Some of the frames."""
        return replace(self, rows=self.rows[index], poses=self.poses[index], sizes=self.sizes[index])


def source_bank(annotations: Annotations, most: int | None = None, most_height: int = 512) -> Bank:
    """The frames that show the person.

    Args:
        annotations: of the training video.
        most: the most frames, evenly spread; None: all.
        most_height: pixels that the person is high at most; a higher one is shrunk.

    Raises:
        InputError: there are too few.
    """
    rows = source_rows(annotations, most)
    size = window.generated_size(annotations.keypoints[rows], annotations.frame_size, most_height)
    scale = np.divide(size, annotations.frame_size)
    poses = scale_keypoints(annotations.keypoints, scale)
    return Bank(rows, poses[rows], appearance.person_sizes(poses)[rows], size, scale)


def load_clip(
    annotations: Annotations, images_dir: Path, masks_dir: Path, plate_path: Path, bank: Bank | None = None
) -> Clip:
    """Read what step 1 wrote of the training video.

    Args:
        annotations: of the training video.
        images_dir: its frames.
        masks_dir: the person's outline in each of them.
        plate_path: the background plate.
        bank: which frames, and at which size; None: all that show the person.

    Raises:
        InputError: a picture is missing or of another size.
    """
    bank = bank or source_bank(annotations)
    rows, poses, sizes, size = bank.rows, bank.poses, bank.sizes, bank.size
    room = pictures.load(plate_path, MADE_BY, annotations.frame_size)
    plate = resize(room, size, sharp=True)
    # Somewhat larger than the window that is generated: it is that of another frame when pairs are cut.
    part = tuple(side + window.MULTIPLE for side in window.window_size(poses, size))
    origins = window.window_origins(poses, part, size, smooth=False).astype(int)
    frames = Store((len(rows), *part[::-1], 4), images_dir.parent)
    light = np.empty((len(rows), *shadow.cells_of(size)[::-1], 4), np.uint8)

    def keep(i: int) -> None:
        number, origin = annotations.frame_numbers[rows[i]], origins[i]
        picture = pictures.load(images_dir / image_name(number), MADE_BY, annotations.frame_size, or_less=True)
        outline = pictures.load(masks_dir / mask_name(number), MADE_BY, annotations.frame_size, True, or_less=True)
        picture, outline = resize(picture, size, sharp=True), resize(outline, size)
        picture = even_exposure(picture, plate)
        view, empty, outline = (window.cut(p, origin, part) for p in (picture, plate, outline))
        cover = matte(view, empty, outline, sizes[i])
        frames[i] = np.dstack([view, cover])
        whole = np.zeros(size[::-1], np.uint8)
        window.paste(whole, cover, origin)
        light[i] = shadow.missing_light(picture, plate, whole)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # each holds a whole frame
        for _ in Bar(pool.map(keep, range(len(rows))), total=len(rows), unit="frame", desc="reading"):
            pass
    whole = None if size == tuple(annotations.frame_size) else room
    return Clip(frames, origins, poses, annotations.frame_numbers[rows], plate, light, whole, sizes)


def source_rows(annotations: Annotations, most: int | None = None) -> np.ndarray:
    """Rows of the annotations whose frames texture is copied from; at most `most`, evenly spread.

    Raises:
        InputError: there are too few.
    """
    whole = (annotations.keypoints[..., 2] > 0).sum(1) >= 4  # fewer say nothing about where the body is
    rows = np.flatnonzero(whole & annotations.kept)
    if len(rows) < 2:
        raise InputError(
            f"{annotations.source} shows a person in {len(rows)} frames: too few to train on; film a longer video"
        )
    return rows if most is None else rows[spread(len(rows), most)]


def split(count: int, share: float = 0.06, blocks: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Indices to train on and to validate on: ``blocks`` stretches spread over the clip are held out."""
    length = max(1, round(share * count / blocks))
    held = np.zeros(count, bool)
    for block in range(blocks):
        middle = round((block + 0.5) * count / blocks)
        held[max(middle - length // 2, 0) : middle - length // 2 + length] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


class Pairs(Dataset):
    """Pairs of successive frames. Item ``i`` depends on the seed, the epoch and ``i`` alone.

    Args:
        clip: the training video.
        queries: (Q,) indices of the frames that items show; each one's pair is the frame before it.
        bank: (B,) indices of the frames that texture may be copied from.
        size: (width, height) of the window in pixels; smaller than the person, it is a crop.
        apart: texture for a frame is never taken from frames nearer than this, as at test time none will be.
        augment: put the window anywhere on the person and disturb the pose; off for validation: round the person.
        seed: of all random numbers.
    """

    def __init__(
        self,
        clip: Clip,
        queries: np.ndarray,
        bank: np.ndarray,
        size: tuple[int, int],
        apart: int,
        augment: bool,
        seed: int,
    ) -> None:
        self.clip, self.bank, self.size, self.augment, self.seed = clip, bank, size, augment, seed
        numbers = clip.numbers
        before = np.maximum(queries - 1, 0)
        follows = numbers[before] == numbers[queries] - 1
        self.queries, self.before = queries[follows], before[follows]
        if not len(self.queries):
            raise InputError("the training video has no two successive frames that show the person")
        self.origins = window.window_origins(clip.poses, size, clip.size, smooth=False)
        near = np.abs(numbers[self.queries][:, None] - numbers[bank][None]) < apart
        if near.all(1).any():
            near = numbers[self.queries][:, None] == numbers[bank][None]  # a very short clip
        keep = min(4, len(bank))
        poses = clip.poses[self.queries], clip.sizes[self.queries], clip.poses[bank], clip.sizes[bank]
        best = appearance.choose_sources(*poses, lambda costs: np.argsort(costs, axis=1)[:, :keep], near)
        self.sources = best.transpose(1, 0, 2)  # (Q, sources, 4) best first
        costs = shadow.match_costs(*poses)
        costs[near] = np.inf
        self.shades = shadow.choose(costs)
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.queries)

    def __getitem__(self, item: int) -> dict[str, Tensor]:
        """Two successive windows, frame t - 1 then t, in the same place:

        keypoints (2, 18, 3) pixels of the window; uint8 RGB: references (2, LAYERS, 4, H, W), pictures (2, 3, H, W),
        plate (3, H, W), with the person's shadow.
        """
        rng = np.random.default_rng([self.seed, self.epoch, item])
        clip = self.clip
        origin = self.origins[self.queries[item]].astype(int)
        if self.augment:
            origin = self._crop(self.clip.poses[self.queries[item]], rng)
            sources = self.bank[self.sources[item][np.arange(len(appearance.SOURCES)), self._ranks(rng)]]
        else:
            sources = self.bank[self.sources[item][:, 0]]
        keypoints, references = [], []
        for index in (self.before[item], self.queries[item]):
            pose, person = window.shift(clip.poses[index], origin), float(clip.sizes[index])
            if self.augment:
                pose = disturb(pose, person, rng)
            keypoints.append(pose)
            references.append(painting.paint_references(pose, person, self.size, sources, clip.texture))
        shades = [values[item] for values in self.shades]
        light = shadow.cast(clip.shadows, clip.poses[index], person, self.bank[shades[0]], shades[1])
        plate = shadow.shade(window.cut(clip.plate, origin, self.size), light, origin, clip.size)
        shown = [clip.show(index, plate, origin) for index in (self.before[item], self.queries[item])]
        return {
            "keypoints": torch.from_numpy(np.stack(keypoints)),
            "references": torch.from_numpy(np.stack(references)),
            "pictures": torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2).contiguous(),
            "plate": torch.from_numpy(plate).permute(2, 0, 1).contiguous(),
        }

    def _crop(self, pose: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Corner of a window somewhere on the person, within the frame."""
        joint = rng.choice(np.flatnonzero(pose[:, 2] > 0))
        middle = pose[joint, :2] + rng.normal(0, 0.15, 2) * self.size
        most = np.maximum(np.array(self.clip.size) - self.size, 0)
        return np.clip(np.rint(middle - np.array(self.size) / 2).astype(int), 0, most)

    def _ranks(self, rng: np.random.Generator) -> np.ndarray:
        """Which of the frames most alike each source is: mostly the best, at times another, as for an unknown pose."""
        count = len(appearance.SOURCES)
        return np.where(rng.random(count) < 0.7, 0, rng.integers(0, self.sources.shape[2], count))


def disturb(pose: np.ndarray, person: float, rng: np.random.Generator) -> np.ndarray:
    """The pose as a detector might have seen it: jitter of 1.5 % of the person's size, now and then a joint missing."""
    noisy = pose.copy()
    noisy[:, :2] += rng.normal(0, 0.015 * person, (18, 2)) * (pose[:, 2:] > 0)
    noisy[rng.random(18) < 0.01] = 0
    return noisy
