"""Training frames of a camera that moved, laid into the one steady picture of the room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data import camera, pictures
from data.annotations import image_name, mask_name
from data.detecting import JPEG_QUALITY

_STEP = 72  # pixels of the shorter side among which brightness is compared
_MOST_GAIN = 1.6


def read_warped(
    folder: Path, numbers: Sequence[int], homographies: np.ndarray, size: tuple[int, int], outlines: bool = False
) -> Iterator[np.ndarray]:
    """Frames, or outlines, of these numbers from the folder that step 1 wrote them to, laid into a picture of
    (width, height); homographies (N, 3, 3) are of all frames."""
    for number in numbers:
        name = mask_name(number) if outlines else image_name(number)
        yield camera.lay(pictures.read(folder / name, grey=outlines), homographies[number], size)


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
        outline = camera.lay(pictures.read(masks / mask_name(number), grey=True), homographies[number], size)
        frame = camera.lay(pictures.read(images / image_name(number)), homographies[number], size)
        seen = camera.shown(homographies[number], frame_size, size)
        frame = cv2.LUT(frame, gains(frame, plate, (seen > 0) & (outline < 64)))
        pictures.write(images / image_name(number), cv2.copyTo(frame, seen, plate.copy()), JPEG_QUALITY)
        pictures.write(masks / mask_name(number), outline)

    with ThreadPoolExecutor(2) as pool:
        jobs = pool.map(work, numbers)
        for _ in tqdm(jobs, total=len(numbers), unit="frame", desc="stabilise", mininterval=0.5):
            pass


def gains(frame: np.ndarray, plate: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Table (1, 256, 3) uint8 that makes a frame as bright as the plate, both (H, W, 3) uint8, by what is `room` in
    it (H, W) bool: beside a frame the plate goes on, and the seam would show."""
    step = max(1, min(room.shape) // _STEP)
    some, reference, free = (p[::step, ::step] for p in (frame, plate, room))
    usable = free & (reference > 24).all(-1) & (reference < 250).all(-1) & (some < 250).all(-1)
    if usable.sum() < 50:
        ratio = np.ones(3)
    else:
        ratio = np.median((some[usable] + 1.0) / (reference[usable] + 1.0), 0)
    ratio = np.clip(ratio, 1 / _MOST_GAIN, _MOST_GAIN)
    return np.clip(np.rint(np.arange(256)[:, None] / ratio), 0, 255).astype(np.uint8)[None]
