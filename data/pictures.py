"""Pictures as files. OpenCV itself opens no path outside the code page of Windows, and says nothing of a full disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def read(path: Path | str) -> np.ndarray | None:
    """A picture as (H, W, 3) uint8 RGB; None where the file is missing, empty or no picture."""
    try:
        data = np.fromfile(path, np.uint8)
    except FileNotFoundError:
        return None
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    return None if picture is None else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def write(path: Path | str, picture: np.ndarray, quality: int | None = None) -> None:
    """Write a picture (H, W, 3) uint8 RGB in the format of the path's suffix.

    Args:
        path: where to; its folder is there.
        picture: what to write.
        quality: of a JPEG, 0 to 100; None: OpenCV's own, 95.

    Raises:
        OSError: the disk does not take it.
    """
    # No other parameters: OpenCV's own level of PNG is its fastest. Any other, even the lowest, takes twice as long.
    parameters = [] if quality is None else [cv2.IMWRITE_JPEG_QUALITY, quality]
    good, data = cv2.imencode(Path(path).suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), parameters)
    assert good, path
    Path(path).write_bytes(data)
