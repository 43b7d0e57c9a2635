"""Keypoint networks in ONNX files, run by OpenCV."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from pose_detector.errors import InputError
from pose_detector.pafprocess import HEATMAPS, PAFS
from pose_detector.untrusted import MOST_PIXELS, read_bytes, try_network

DEFAULT_SIZE = (368, 432)  # height and width, for networks that take any


class OnnxNetwork:
    """An OpenPose-format network: 18 keypoints and background, then 38 PAF channels, in one output or two.

    Channels-last inputs take BGR 0..255 (the TensorFlow family), channels-first ones (BGR - 128) / 256 (the Caffe and
    PyTorch family).

    Attributes:
        size: Height and width of the input, pixels.
    """

    def __init__(self, path: Path, tried: bool = False) -> None:
        """The network of a file.

        Args:
            path: The .onnx file.
            tried: Whether this is the trial itself, see `untrusted.try_network`.

        Raises:
            InputError: Not a network that OpenCV can run, or not one with such inputs.
        """
        try:
            content = read_bytes(path)
            shape = input_shape(content)
            if not tried:
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


def input_shape(model: bytes) -> list[int]:
    """Shape of the first input of an ONNX file; 0 where it is left open.

    OpenCV does not provide it. Field numbers are those of onnx.proto: ModelProto.graph 7; GraphProto.initializer 5 (its
    name 8) and input 11 (its name 1, type 2); TypeProto.tensor_type 1, its shape 2, dim 1, dim_value 1.

    Raises:
        ValueError, IndexError: The bytes are not an ONNX file.
    """
    graph = _only(model, 7)
    constants = {bytes(_only(field, 8)) for number, field in _fields(graph) if number == 5}
    for number, field in _fields(graph):
        if number == 11 and bytes(_only(field, 1)) not in constants:
            shape = _only(_only(_only(field, 2), 1), 2)
            return [next((int(v) for n, v in _fields(dim) if n == 1), 0) for n, dim in _fields(shape) if n == 1]
    raise ValueError("no input")


def _only(message: memoryview | bytes, wanted: int) -> memoryview:
    for number, value in _fields(message):
        if number == wanted and not isinstance(value, int):
            return value
    raise ValueError(f"no field {wanted}")


def _fields(message: memoryview | bytes) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of a protobuf message, one level deep."""
    view, at = memoryview(message), 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = view[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(view):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
            continue
        length = varint() if kind == 2 else {1: 8, 5: 4}.get(kind, -1)
        if length < 0 or at + length > len(view):
            raise ValueError("not protobuf")
        yield key >> 3, view[at : at + length]
        at += length
