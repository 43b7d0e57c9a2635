"""Training frames of a camera that moved, warped into one steady picture of the room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data import pictures
from data.annotations import image_name, mask_name
from data.detecting import JPEG_QUALITY
from data.exposure import even_exposure
from data.homography import footprint, warp

_MOST_GAIN = 1.6  # beside a frame the plate goes on, and a seam would show


def read_warped(
    folder: Path, numbers: Sequence[int], homographies: np.ndarray, size: tuple[int, int], outlines: bool = False
) -> Iterator[np.ndarray]:
    """Frames, or outlines, of these numbers from the folder that step 1 wrote them to, warped into a picture of
    (width, height); homographies (N, 3, 3) are of all frames."""
    for number in numbers:
        name = mask_name(number) if outlines else image_name(number)
        yield warp(pictures.read(folder / name, grey=outlines), homographies[number], size)


def warp_files(
    images: Path,
    masks: Path,
    numbers: Sequence[int],
    homographies: np.ndarray,
    frame_size: tuple[int, int],
    plate: np.ndarray,
) -> None:
    """Replace frames and outlines by what they are in the steady picture; what a frame does not show is the plate's.

    Args:
        images, masks: the folders.
        numbers: of the frames in them.
        homographies: (N, 3, 3) of all frames.
        frame_size: (width, height) of the frames.
        plate: (H, W, 3) uint8 RGB, the empty room.
    """
    size = plate.shape[1::-1]

    def work(number: int) -> None:
        outline = warp(pictures.read(masks / mask_name(number), grey=True), homographies[number], size)
        frame = warp(pictures.read(images / image_name(number)), homographies[number], size)
        seen = footprint(homographies[number], frame_size, size)
        frame = even_exposure(frame, plate, (seen > 0) & (outline < 64), _MOST_GAIN)
        pictures.write(images / image_name(number), cv2.copyTo(frame, seen, plate.copy()), JPEG_QUALITY)
        pictures.write(masks / mask_name(number), outline)

    with ThreadPoolExecutor(2) as pool:
        jobs = pool.map(work, numbers)
        for _ in tqdm(jobs, total=len(numbers), unit="frame", desc="stabilise", mininterval=0.5):
            pass
