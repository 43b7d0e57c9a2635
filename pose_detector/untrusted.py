"""Files of unknown origin, possibly damaged: read without running code in them, or taking more memory than their size
justifies. Errors are ValueErrors with a short reason; callers add what to do."""

from __future__ import annotations

import io
import math
import os
import stat
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

MOST_BYTES = 256 << 20  # of all arrays of a file: annotations of six hours at 30 frames a second
MOST_FILE = 1 << 30  # bytes of a file that is read whole; the largest known weights have a fifth of it
MOST_PIXELS = 1 << 25  # of a picture or a frame: 8K, which is 7680x4320
_MOST_ARRAYS = 1000  # of an .npz file
_MOST_VALUES = 100_000  # of a checkpoint, tensors and plain values: ours have some thousands
_MOST_SHARED = 4  # times that a value of a file may be part of a tensor
_TORCH_ZIP, _TORCH_LEGACY = b"PK\x03\x04", b"\x80\x02"  # how files of torch.save begin, since 1.6 and before

TRIAL_SECONDS = 60  # that a network may take to be read and run once in a trial
_TRIAL_BYTES = 1 << 30  # of memory for it, and eight times its file: VGG-19's maps, and its weights laid out anew


def read_bytes(path: Path) -> bytes:
    """All of a file.

    Raises:
        ValueError: it is larger than `MOST_FILE`, or a device, which may never end.
        OSError: it cannot be read.
    """
    state = path.stat()
    if not stat.S_ISREG(state.st_mode) or state.st_size > MOST_FILE:
        raise ValueError("the file is too large, or none")
    return path.read_bytes()


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; no objects, so nothing is unpickled.

    Raises:
        ValueError: it is not one, is damaged, or announces more than `MOST_BYTES`.
        OSError: it cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
                # A zip entry is never unpacked beyond the size in its directory.
                if len(entries) > _MOST_ARRAYS or sum(entry.file_size for entry in entries) > MOST_BYTES:
                    raise ValueError("it announces too much data")
                return {entry.filename.removesuffix(".npy"): _array(archive.read(entry)) for entry in entries}
        except Exception as error:  # what reading foreign bytes raises is not bounded
            raise ValueError(str(error) or type(error).__name__) from error


def _array(content: bytes) -> np.ndarray:
    """The array of an .npy file whose head and size agree: numpy would allocate whatever size the head states."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError("an array is of an unknown version")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, in_columns, kind = read(file)
    if kind.kind not in "biufU":
        raise ValueError("an array holds something else than numbers or text")
    data = content[file.tell() :]
    count = 1
    for side in shape:
        count *= side
    if min(shape, default=0) < 0 or count * kind.itemsize != len(data):
        raise ValueError("the size of an array is wrong")
    flat = np.frombuffer(data, kind) if kind.itemsize else np.zeros(count if not shape else 0, kind)
    return flat.reshape(shape, order="F" if in_columns else "C").copy()


def load_tensors(content: bytes) -> object:
    """What `torch.save` wrote: dicts, lists, tuples, plain values, and dense tensors on the CPU. No code of it is run.

    Raises:
        ValueError: it is something else, damaged, or its tensors are larger than `_MOST_SHARED` files of its size.
    """
    import torch

    try:
        if content.startswith(_TORCH_ZIP):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                entries = archive.infolist()
            # Torch does not pack, so nothing can be larger than the file.
            if any(e.compress_type for e in entries) or sum(e.file_size for e in entries) > len(content):
                raise ValueError("it announces more data than it holds")
        elif not content.startswith(_TORCH_LEGACY):
            raise ValueError("not a file of torch.save")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # as above
        raise ValueError(str(error).partition("\n")[0] or type(error).__name__) from error
    _check_plain(result, _MOST_SHARED * len(content))
    return result


def _check_plain(value: object, most_bytes: int) -> None:
    """Raise ValueError unless a value holds plain values only, and its tensors no more than `most_bytes`."""
    import torch

    waiting, seen, size = [value], 0, 0
    while waiting:
        item = waiting.pop()
        seen += 1
        if seen > _MOST_VALUES:
            raise ValueError("it holds too many values")
        if isinstance(item, dict):
            if not all(type(key) in (str, int) for key in item):
                raise ValueError("a key is neither a word nor a number")
            waiting += item.values()
        elif isinstance(item, list | tuple):
            if len(item) > _MOST_VALUES:
                raise ValueError("it holds too many values")
            waiting += item
        elif isinstance(item, torch.Tensor):
            if item.layout != torch.strided or item.is_quantized or item.is_complex() or item.device.type != "cpu":
                raise ValueError("a tensor is of an unusual kind")
            size += item.numel() * item.element_size()
            if size > most_bytes:
                raise ValueError("its tensors are larger than the file")
        elif not (item is None or isinstance(item, str | int | float)):
            raise ValueError(f"it holds a {type(item).__name__}")


def finite(tensors: dict[str, torch.Tensor]) -> bool:
    """Whether no value of these tensors is infinite or NaN."""
    return all(bool(value.isfinite().all()) for value in tensors.values())


def picture_size(content: bytes) -> tuple[int, int] | None:
    """(width, height) in pixels, from the head of a PNG or JPEG file; None: it is neither, or damaged.

    By the PNG specification, 5.2 and 11.2.2, and ITU-T T.81, B.1.1 and B.2.2.
    """
    if content[:8] == b"\x89PNG\r\n\x1a\n" and content[12:16] == b"IHDR" and len(content) >= 24:
        return struct.unpack(">II", content[16:24])
    at = 2
    while content[:2] == b"\xff\xd8" and at + 9 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame's head
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 1 if marker == 0xFF else 2 + length  # 0xFF may be repeated before a marker
    return None


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


# ---- Trials in a process of their own --------------------------------------------------------------------------------


def try_network(path: Path) -> None:
    """Read a foreign .onnx or .tflite network and run it once, in a process of its own: of some damaged files the
    native libraries crash, or never return. Whether it is the right network is not looked at.

    Raises:
        ValueError: it crashes, or takes more than `TRIAL_SECONDS` or the memory that such a file may need.
    """
    root = str(Path(__file__).resolve().parent.parent)
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pose_detector.untrusted", str(path)],
            env={**os.environ, "PYTHONPATH": paths},
            timeout=TRIAL_SECONDS,
            check=False,
            capture_output=True,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"it did not end within {TRIAL_SECONDS} s") from None
    if done.returncode:
        raise ValueError("it needs too much memory" if done.returncode == _NO_MEMORY else "it crashes its reader")


_NO_MEMORY = 3  # exit status of a trial


def _trial(path: Path) -> None:
    """In the process of a trial. A file that the reader itself refuses is not a crash: it will refuse it again."""
    try:
        import resource

        most = _TRIAL_BYTES + 8 * path.stat().st_size
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    except (ImportError, ValueError, OSError):  # Windows, macOS
        pass
    try:
        if path.suffix == ".onnx":
            _try_onnx(path)
        else:
            _try_tflite(path)
    except MemoryError:
        sys.exit(_NO_MEMORY)
    except Exception as error:
        sys.exit(_NO_MEMORY if "memory" in str(error).lower() else 0)


def _try_onnx(path: Path) -> None:
    import cv2

    content = read_bytes(path)
    shape = [side or 368 for side in input_shape(content)]
    network = cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8))
    if math.prod(shape) <= 3 * MOST_PIXELS:  # else it is refused for that
        network.setInput(np.random.default_rng(0).standard_normal(shape, np.float32))
        network.forward(network.getUnconnectedOutLayersNames())


def _try_tflite(path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    network = Interpreter(str(path), num_threads=1)
    network.allocate_tensors()
    for detail in network.get_input_details():
        network.set_tensor(detail["index"], np.full(detail["shape"], 0.5).astype(detail["dtype"]))
    network.invoke()
    for detail in network.get_output_details():
        network.get_tensor(detail["index"])


if __name__ == "__main__":
    _trial(Path(sys.argv[1]))
