"""From pictures to people: `Detector`."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from pose_detector import weights as files
from pose_detector.errors import InputError
from pose_detector.mirror import CHANNELS, SIGNS
from pose_detector.networks import HEATMAPS, STRIDE, PoseNetwork, fuse_norms
from pose_detector.onnx_network import OnnxNetwork
from pose_detector.pafprocess import group

log = logging.getLogger(__name__)

PADDING = 128  # grey; in the networks' units 0


@dataclass(frozen=True)
class Fit:
    """How frames of one size are laid into a network's input: resized, then padded at the right and the bottom.

    Attributes:
        frame: Width and height of the frames, pixels.
        resized: Width and height after resizing.
        padded: Width and height of the network's input.
    """

    frame: tuple[int, int]
    resized: tuple[int, int]
    padded: tuple[int, int]

    @classmethod
    def to_height(cls, width: int, height: int, wanted: int) -> "Fit":
        """To a height; the padding fills up to whole cells."""
        resized = (max(1, round(width * wanted / height)), wanted)
        return cls((width, height), resized, tuple(-(-s // STRIDE) * STRIDE for s in resized))

    @classmethod
    def to_box(cls, width: int, height: int, box: tuple[int, int]) -> "Fit":
        """As large as a box of width and height allows."""
        scale = min(box[0] / width, box[1] / height)
        return cls((width, height), (max(1, round(width * scale)), max(1, round(height * scale))), box)

    def lay(self, frame: np.ndarray, padding: int = PADDING) -> np.ndarray:
        """Frame (H, W, 3) -> input (h, w, 3), uint8."""
        method = cv2.INTER_AREA if self.resized[1] < self.frame[1] else cv2.INTER_LINEAR
        picture = np.full((self.padded[1], self.padded[0], 3), padding, dtype=np.uint8)
        picture[: self.resized[1], : self.resized[0]] = cv2.resize(frame, self.resized, interpolation=method)
        return picture

    def to_frame(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) pixels of the input -> pixels of the frame."""
        scale = np.divide(self.frame, self.resized, dtype=np.float32)
        return (points + np.float32(0.5)) * scale - np.float32(0.5)


class Detector:
    """Finds people in pictures.

    Example:
        detector = Detector.load()
        for keypoints, scores in detector(frames):
            ...
    """

    def __init__(
        self,
        network: PoseNetwork | OnnxNetwork,
        device: torch.device | str = "cpu",
        height: int | None = None,
        dtype: torch.dtype | None = None,
        flip: bool = False,
    ) -> None:
        """
        Args:
            network: What gives the maps. A `PoseNetwork` is taken over: moved to the device and simplified.
            device: Where it runs; ONNX networks run on the CPU.
            height: Frames are resized to so many pixels; larger finds smaller people and takes longer. None: what the
                network likes best. ONNX networks have their own size.
            dtype: None: float16 on CUDA devices, else float32.
            flip: Look at every frame in the mirror too, and average: takes twice as long and errs less.

        Raises:
            InputError: The height is not positive.
        """
        if height is not None and height < STRIDE:
            raise InputError(f"the network height must be at least {STRIDE} pixels, not {height}")
        self.network, self.device, self.height, self.flip = network, torch.device(device), height, flip
        self.dtype = dtype or (torch.float16 if self.device.type == "cuda" else torch.float32)
        if isinstance(network, PoseNetwork):
            self.height = height or network.default_height
            fuse_norms(network).to(self.device, self.dtype, memory_format=torch.channels_last)

    @classmethod
    def load(
        cls,
        weights: str = "",
        directory: Path = files.FOLDER,
        device: torch.device | str = "cpu",
        height: int | None = None,
        dtype: torch.dtype | None = None,
        flip: bool = False,
    ) -> "Detector":
        """Make a detector from weights, found as `weights.resolve` says.

        Args:
            weights: A .pth or .onnx file, "openpose", "light" or "".
            directory: Folder of own and fetched weights.
            device, height, dtype, flip: As for `Detector`.

        Raises:
            InputError: The weights cannot be found, fetched or used.
        """
        path, reason = files.resolve(weights, directory)
        log.info("pose detector: %s (%s)", path, reason)
        network = OnnxNetwork(path) if path.suffix == ".onnx" else files.load_network(path)
        return cls(network, device, height, dtype, flip)

    def __call__(self, frames: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Find the people in frames.

        Args:
            frames: RGB uint8 (H, W, 3), all of one size. They go through the network in one batch.

        Returns:
            For every frame keypoints (P, 18, 2) float32 in pixels of the frame (x, y; COCO-18 order) and scores (P, 18)
            float32, 0 where a keypoint was not seen.
        """
        if not len(frames):
            return []
        fit = self.fit(*frames[0].shape[1::-1])
        found = []
        for heatmaps, pafs in zip(*self.maps(frames, fit), strict=True):
            keypoints, scores = group(heatmaps, pafs, STRIDE)
            found.append((np.where(scores[..., None] > 0, fit.to_frame(keypoints), 0), scores))
        return found

    def fit(self, width: int, height: int) -> Fit:
        """How frames of a size are laid into the network's input."""
        if isinstance(self.network, OnnxNetwork):
            return Fit.to_box(width, height, self.network.size[::-1])
        return Fit.to_height(width, height, self.height)

    def maps(self, frames: Sequence[np.ndarray], fit: Fit) -> tuple[np.ndarray, np.ndarray]:
        """Heat maps (B, 19, h, w) and PAFs (B, 38, h, w) of frames, float32."""
        if any(frame.shape[1::-1] != fit.frame for frame in frames):
            raise ValueError(f"all frames must be {fit.frame[0]}x{fit.frame[1]} pixels")
        pictures = np.stack(
            [fit.lay(frame, 0 if isinstance(self.network, OnnxNetwork) else PADDING) for frame in frames]
        )
        maps = self._run(pictures)
        if self.flip:  # the cells of the whole input lie symmetrically, padding included
            mirrored = self._run(np.ascontiguousarray(pictures[:, :, ::-1]))[:, CHANNELS, :, ::-1]
            maps = (maps + mirrored * SIGNS[:, None, None]) / 2
        return maps[:, :HEATMAPS], maps[:, HEATMAPS:]

    def _run(self, pictures: np.ndarray) -> np.ndarray:
        """(B, h, w, 3) uint8 -> (B, 57, h / 8, w / 8) float32."""
        if isinstance(self.network, OnnxNetwork):
            return np.stack([np.concatenate(self.network(picture)) for picture in pictures])
        with torch.inference_mode():
            batch = torch.from_numpy(pictures).to(self.device)
            batch = batch.permute(0, 3, 1, 2).to(self.dtype) / 255  # channels_last in memory
            return torch.cat(self.network(batch), dim=1).float().contiguous().cpu().numpy()
