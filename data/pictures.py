"""Pictures as files. OpenCV itself fails on paths outside Windows' code page, and does not report a full disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pose_detector.errors import InputError
from pose_detector.untrusted import MOST_PIXELS, picture_size, read_bytes

_FULL_COLOUR = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]


def read(path: Path | str, grey: bool = False, layer: bool = False) -> np.ndarray | None:
    """A picture as (H, W, 3) uint8 RGB, (H, W) if `grey`, or (H, W, 4) RGBA if `layer`; None where the file is missing,
    no such PNG or JPEG picture, or one of more than 8K."""
    try:
        data = read_bytes(Path(path))
    except (FileNotFoundError, ValueError):
        return None
    size = picture_size(data)
    if size is None or not 0 < size[0] * size[1] <= MOST_PIXELS:
        return None
    mode = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_UNCHANGED if layer else cv2.IMREAD_COLOR
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    if layer:
        good = picture is not None and picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 4
        return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA) if good else None
    return picture if picture is None or grey else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def load(
    path: Path, made_by: str, size: tuple[int, int] | None = None, grey: bool = False, or_less: bool = False
) -> np.ndarray:
    """As `read`, of a picture that must be there.

    Args:
        path: of the picture.
        made_by: the command that makes it again.
        size: (width, height) in pixels that it must have; None: any.
        grey: as in `read`.
        or_less: a smaller one of that shape will do: a person's file stores no more pixels than step 4 needs.

    Raises:
        InputError: it is missing, damaged, or of another size.
    """
    picture = read(path, grey)
    if picture is None:
        raise InputError(f"{path} is missing or damaged; make it again with: {made_by}")
    width, height = picture.shape[1::-1]
    less = or_less and width < size[0] and abs(width * size[1] - height * size[0]) <= max(size)  # both sides rounded
    if size is not None and (width, height) != tuple(size) and not less:
        raise InputError(f"{path} is {width}x{height}, not {size[0]}x{size[1]}; make it again with: {made_by}")
    return picture


def write(path: Path | str, picture: np.ndarray, quality: int | None = None) -> None:
    """Write a picture (H, W, 3) uint8 RGB, (H, W, 4) RGBA or (H, W), in the format of the path's suffix.

    Args:
        path: where to; its folder is there.
        picture: what to write.
        quality: of a JPEG, 0 to 100, with its colours at full resolution; None: OpenCV's own, 95.

    Raises:
        OSError: the disk does not take it.
    """
    # No other parameters: OpenCV's own level of PNG is its fastest. Any other, even the lowest, takes twice as long.
    parameters = [] if quality is None else [cv2.IMWRITE_JPEG_QUALITY, quality, *_FULL_COLOUR]
    bgr = picture
    if picture.ndim == 3:
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR if picture.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    good, data = cv2.imencode(Path(path).suffix, bgr, parameters)
    assert good, path
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk does not say which file it was
        raise
