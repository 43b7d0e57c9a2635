"""From pictures to people: `Detector`."""

import logging
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pose_detector import weights as files
from pose_detector.errors import InputError
from pose_detector.keypoints import scale_points
from pose_detector.mirror import CHANNELS, SIGNS
from pose_detector.networks import HEATMAPS, STRIDE, PoseNetwork, fuse_norms
from pose_detector.onnx_network import OnnxNetwork
from pose_detector.pafprocess import group

log = logging.getLogger(__name__)

PADDING = 128  # grey; in the networks' units 0

People = tuple[np.ndarray, np.ndarray]  # keypoints (P, 18, 2) in pixels of the frame, scores (P, 18)
Views = list[tuple["Letterbox", np.ndarray]]  # for each scale the letterbox, and a batch of its pictures
Inputs = list[Views]  # for each turn


@dataclass(frozen=True)
class Letterbox:
    """How frames of one size are fitted into a network's input: resized, then padded at the right and the bottom.

    Attributes:
        frame: Width and height of the frames, pixels.
        resized: Width and height after resizing.
        padded: Width and height of the network's input.
    """

    frame: tuple[int, int]
    resized: tuple[int, int]
    padded: tuple[int, int]

    @classmethod
    def to_height(cls, width: int, height: int, wanted: int) -> "Letterbox":
        """To a height; the padding fills up to whole cells."""
        resized = (max(1, round(width * wanted / height)), wanted)
        return cls((width, height), resized, tuple(-(-s // STRIDE) * STRIDE for s in resized))

    @classmethod
    def to_box(cls, width: int, height: int, box: tuple[int, int]) -> "Letterbox":
        """As large as a box of width and height allows."""
        scale = min(box[0] / width, box[1] / height)
        return cls((width, height), (max(1, round(width * scale)), max(1, round(height * scale))), box)

    def apply(self, frame: np.ndarray, padding: int = PADDING) -> np.ndarray:
        """Frame (H, W, 3) -> input (h, w, 3), uint8."""
        method = cv2.INTER_AREA if self.resized[1] < self.frame[1] else cv2.INTER_LINEAR
        picture = np.full((self.padded[1], self.padded[0], 3), padding, dtype=np.uint8)
        picture[: self.resized[1], : self.resized[0]] = cv2.resize(frame, self.resized, interpolation=method)
        return picture

    def to_frame(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) pixels of the input -> pixels of the frame."""
        scale = np.divide(self.frame, self.resized, dtype=np.float32)
        return scale_points(points, scale)


class Detector:
    """Finds people in pictures.

    Example:
        detector = Detector.load() for keypoints, scores in detector(frames):
            ...
    """

    def __init__(
        self,
        network: PoseNetwork | OnnxNetwork,
        device: torch.device | str = "cpu",
        height: int | None = None,
        dtype: torch.dtype | None = None,
        flip: bool = False,
        scales: Sequence[float] = (1.0,),
        turns: bool = False,
    ) -> None:
        """A detector around a network.

        Args:
            network: What gives the maps. A `PoseNetwork` is taken over: moved to the device and simplified.
            device: Where it runs; ONNX networks run on the CPU.
            height: Frames are resized to this height in pixels; larger finds smaller people and takes longer. None:
                what the network likes best. ONNX networks have their own size.
            dtype: None: float16 on CUDA devices, else float32.
            flip: Look at every frame in the mirror too, and average: takes twice as long and errs less.
            scales: Factors on the height. The maps of all are averaged, at the resolution of the largest.
            turns: Look at every frame turned by quarters too, and keep the most confident view of each person: takes
                four times as long and finds people who are upside down.

        Raises:
            InputError: The height or a scale is not positive, or does not suit the network.
        """
        if not scales or min(scales) <= 0:
            raise InputError(f"pose_scales must be positive numbers, not {tuple(scales)}")
        if isinstance(network, OnnxNetwork) and tuple(scales) != (1.0,):
            raise InputError("pose_scales: ONNX networks have one size; leave it at 1")
        self.network, self.device, self.flip = network, torch.device(device), flip
        self.scales, self.turns = sorted(scales, reverse=True), range(4 if turns else 1)
        self.dtype = dtype or (torch.float16 if self.device.type == "cuda" else torch.float32)
        if isinstance(network, PoseNetwork):
            self.height = height or network.default_height  # ONNX networks have none
            if self.height * self.scales[-1] < STRIDE:
                raise InputError(f"the network height must be at least {STRIDE} pixels, not {height}")
            fuse_norms(network).to(self.device, self.dtype, memory_format=torch.channels_last)

    @classmethod
    def load(cls, weights: str = "", directory: Path = files.FOLDER, **options: Any) -> "Detector":
        """Make a detector from weights, found as `weights.resolve` says.

        Args:
            weights: A .pth or .onnx file, "openpose", "light" or "".
            directory: Folder of own and fetched weights.
            options: As for `Detector`.

        Raises:
            InputError: The weights cannot be found, fetched or used.
        """
        path, reason = files.resolve(weights, directory)
        log.info("pose detector: %s (%s)", path, reason)
        network = OnnxNetwork(path) if path.suffix == ".onnx" else files.load_network(path)
        return cls(network, **options)

    def __call__(self, frames: Sequence[np.ndarray]) -> list[People]:
        """Find the people in frames.

        Args:
            frames: RGB uint8 (H, W, 3), all of one size. They go through the network in one batch.

        Returns:
            For every frame keypoints (P, 18, 2) float32 in pixels of the frame (x, y; COCO-18 order) and scores (P, 18)
            float32, 0 where a keypoint was not seen.
        """
        if not len(frames):
            return []
        inputs = self.prepare(frames)
        return self.people(self.maps(inputs), inputs)

    def stream(self, batches: Iterable[Sequence[np.ndarray]]) -> Generator[list[People]]:
        """The same for one batch after the other, while the network never waits.

        The next batch is fetched and resized in one thread, and the last one grouped in another.
        """
        iterator = iter(batches)
        with ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor(1) as behind:

            def fetch() -> Inputs | None:
                frames = next(iterator, None)
                return None if frames is None else self.prepare(frames)

            coming = ahead.submit(fetch)
            grouping: deque[Future[list[People]]] = deque()
            while (inputs := coming.result()) is not None:
                coming = ahead.submit(fetch)
                grouping.append(behind.submit(self.people, self.maps(inputs), inputs))
                if len(grouping) > 1:
                    yield grouping.popleft().result()
            for future in grouping:
                yield future.result()

    def prepare(self, frames: Sequence[np.ndarray]) -> Inputs:
        """Frames as inputs of the network, for every turn, largest scale first."""
        size = frames[0].shape[1::-1]
        if any(frame.shape[1::-1] != size for frame in frames):
            raise ValueError(f"all frames must be {size[0]}x{size[1]} pixels")
        return [self._prepare([np.rot90(frame, quarters) for frame in frames], size[1]) for quarters in self.turns]

    def _prepare(self, frames: Sequence[np.ndarray], upright: int) -> Views:
        """One turn; `upright` is the height of the frames before it, which all turns are scaled by."""
        width, height = frames[0].shape[1::-1]
        if isinstance(self.network, OnnxNetwork):
            boxes, padding = [Letterbox.to_box(width, height, self.network.size[::-1])], 0
        else:
            heights = [max(1, round(self.height * scale * height / upright)) for scale in self.scales]
            boxes, padding = [Letterbox.to_height(width, height, wanted) for wanted in heights], PADDING
        return [(box, np.stack([box.apply(frame, padding) for frame in frames])) for box in boxes]

    def maps(self, inputs: Inputs) -> list[np.ndarray]:
        """Heat maps and PAFs (B, 57, h, w) float32 for every turn, averaged over mirror and scales."""
        return [self._maps(views) for views in inputs]

    def _maps(self, views: Views) -> np.ndarray:
        with torch.inference_mode():
            found, first = [], views[0][0]
            for box, pictures in views:
                maps = self._run(pictures)
                if self.flip:  # the cells of the whole input lie symmetrically, padding included
                    mirrored = self._run(np.ascontiguousarray(pictures[:, :, ::-1]))
                    signs = torch.from_numpy(SIGNS).to(maps.device)[:, None, None]
                    maps = (maps + mirrored[:, CHANNELS].flip(3) * signs) / 2
                found.append(_resampled(maps, box, first) if found else maps)
            return (sum(found) / len(views)).contiguous().cpu().numpy()

    def people(self, maps: list[np.ndarray], inputs: Inputs) -> list[People]:
        """Group maps into people, in pixels of the frames that the inputs were made of; one list entry a frame."""
        found = []
        for views in zip(*maps, strict=True):
            seen = []
            for quarters, frame, ((box, _), *_) in zip(self.turns, views, inputs, strict=True):
                keypoints, scores = group(frame[:HEATMAPS], frame[HEATMAPS:], STRIDE)
                keypoints = turn_back(box.to_frame(keypoints), quarters, box.frame)
                seen.append((np.where(scores[..., None] > 0, keypoints, 0), scores))
            found.append(suppress(seen))
        return found

    def _run(self, pictures: np.ndarray) -> Tensor:
        """(B, h, w, 3) uint8 -> (B, 57, h / 8, w / 8) float32 on the device."""
        if isinstance(self.network, OnnxNetwork):
            return torch.from_numpy(np.stack([np.concatenate(self.network(picture)) for picture in pictures]))
        batch = torch.from_numpy(pictures).to(self.device)
        batch = batch.permute(0, 3, 1, 2).to(self.dtype) / 255  # channels_last in memory
        return torch.cat(self.network(batch), dim=1).float()


def turn_back(points: np.ndarray, quarters: int, size: tuple[int, int]) -> np.ndarray:
    """Points (..., 2) in pixels of a picture turned by `np.rot90(picture, quarters)`, in pixels before that.

    Args:
        size: Width and height of the turned picture.
    """
    for _ in range(quarters):
        x, y = points[..., 0], points[..., 1]
        points, size = np.stack([size[1] - 1 - y, x], axis=-1), size[::-1]
    return points


def suppress(views: list[People], overlap: float = 0.3) -> People:
    """The people of several views of a frame: of those that share a place, the ones whose scores sum to most (greedy
    non-maximum suppression).

    Two share a place where their boxes' intersection is more than `overlap` of the union. One view's people, which may
    well overlap, stay or go by the other views alone.
    """
    if len(views) == 1:
        return views[0]
    keypoints, scores = (np.concatenate(part) for part in zip(*views, strict=True))
    view = np.repeat(np.arange(len(views)), [len(part) for part, _ in views])
    low = np.where(scores[..., None] > 0, keypoints, np.inf).min(axis=1)
    high = np.where(scores[..., None] > 0, keypoints, -np.inf).max(axis=1)
    area = (high - low).prod(axis=1)
    kept: list[int] = []
    for i in np.argsort(-scores.sum(axis=1), kind="stable").tolist():
        common = (np.minimum(high[i], high[kept]) - np.maximum(low[i], low[kept])).clip(min=0).prod(axis=1)
        if not ((common > overlap * (area[i] + area[kept] - common)) & (view[kept] != view[i])).any():
            kept.append(i)
    return keypoints[kept], scores[kept]


def _resampled(maps: Tensor, box: Letterbox, wanted: Letterbox) -> Tensor:
    """Maps (B, C, h, w) of inputs letterboxed by `box`, at the cells of those of `wanted`."""
    axes = []
    for side in (0, 1):  # x, y; in cells of `box` from the edge, as shares of its side, then -1..1
        cells = (torch.arange(wanted.padded[side] // STRIDE, device=maps.device) + 0.5) * (
            box.resized[side] / wanted.resized[side]
        )
        axes.append(cells * STRIDE / box.padded[side] * 2 - 1)
    y, x = torch.meshgrid(axes[1], axes[0], indexing="ij")
    grid = torch.stack([x, y], dim=-1).expand(len(maps), -1, -1, -1)
    return functional.grid_sample(maps, grid, "bicubic", "border", align_corners=False)
