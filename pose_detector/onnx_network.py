"""Keypoint networks in ONNX files, run by OpenCV."""

from pathlib import Path

import cv2
import numpy as np

from pose_detector.errors import InputError
from pose_detector.pafprocess import HEATMAPS, PAFS
from pose_detector.untrusted import MOST_PIXELS, input_shape, read_bytes, try_network

DEFAULT_SIZE = (368, 432)  # height and width, for networks that take any


class OnnxNetwork:
    """An OpenPose-format network: 18 keypoints and background, then 38 PAF channels, in one output or two.

    Channels-last inputs take BGR 0..255 (the TensorFlow family), channels-first ones (BGR - 128) / 256 (the Caffe and
    PyTorch family).

    Attributes:
        size: Height and width of the input, pixels.
    """

    def __init__(self, path: Path) -> None:
        """The network of a file.

        Args:
            path: The .onnx file.

        Raises:
            InputError: Not a network that OpenCV can run, or not one with such inputs.
        """
        try:
            content = read_bytes(path)
            shape = input_shape(content)
            try_network(path)
            self._network = cv2.dnn.readNetFromONNX(np.frombuffer(content, dtype=np.uint8))
        except (cv2.error, OSError, ValueError, IndexError) as error:
            reason = str(error) if isinstance(error, ValueError) else "perhaps cut short"
            raise InputError(f"{path}: not a network that OpenCV can read, {reason}") from None
        if len(shape) != 4 or 3 not in (shape[1], shape[3]):
            raise InputError(f"{path}: takes an input of shape {shape}; a picture with 3 colours is needed")
        self._path, self._channels_last = path, shape[3] == 3
        height, width = shape[1:3] if self._channels_last else shape[2:4]
        self.size = (height or DEFAULT_SIZE[0], width or DEFAULT_SIZE[1])
        if shape[0] > 1 or self.size[0] * self.size[1] > MOST_PIXELS:
            raise InputError(f"{path}: takes an input of shape {shape}; one picture of a usual size is needed")
        self._names = self._network.getUnconnectedOutLayersNames()

    def __call__(self, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(H, W, 3) uint8 RGB of the network's size -> heat maps (19, h, w) and PAFs (38, h, w), float32."""
        bgr = rgb[None, ..., ::-1].astype(np.float32)
        if not self._channels_last:
            bgr = (bgr.transpose(0, 3, 1, 2) - 128) / 256
        try:
            self._network.setInput(np.ascontiguousarray(bgr))
            outputs = self._network.forward(self._names)
        except cv2.error as error:
            raise InputError(f"{self._path}: OpenCV cannot run it ({error.err})") from None
        return split_outputs(outputs, self._path)


def split_outputs(outputs: list[np.ndarray], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Find heat maps (19, h, w) and PAFs (38, h, w) among outputs (1, C, h, w) or (1, h, w, C); later stages win."""
    heatmaps = pafs = None
    for output in outputs:
        if output.ndim != 4:
            continue
        maps = output[0]
        known = (HEATMAPS, PAFS, HEATMAPS + PAFS)
        if maps.shape[0] not in known and maps.shape[2] in known:
            maps = maps.transpose(2, 0, 1)
        if len(maps) in (HEATMAPS, HEATMAPS + PAFS):
            heatmaps = maps[:HEATMAPS]
        if len(maps) in (PAFS, HEATMAPS + PAFS):
            pafs = maps[-PAFS:]
    if heatmaps is None or pafs is None:
        shapes = ", ".join(str(o.shape) for o in outputs)
        raise InputError(f"{path}: its outputs {shapes} are not OpenPose's 19 heat maps and 38 PAF channels")
    return np.ascontiguousarray(heatmaps), np.ascontiguousarray(pafs)
