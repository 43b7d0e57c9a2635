"""What step 1 leaves of a video to train on: pictures and outlines in one steady view, and the empty room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from data import background, camera, pictures, stabilise
from data.annotations import Annotations, image_name, mask_name
from data.detecting import read_masks
from data.homography import footprint, move_keypoints
from data.watching import crowd
from pose_detector.keypoints import scale_keypoints


def keep_only(annotations: Annotations, usable: np.ndarray) -> None:
    """Remove in place what was seen in frames that are not `usable` (N,) bool, and in the first frames of later shots:
    pairs of successive frames must be of one shot."""
    annotations.usable = usable.copy()
    annotations.usable[annotations.shots[1:]] = False
    annotations.kept = annotations.kept & annotations.usable
    for values in (annotations.keypoints, annotations.extra, annotations.filled):
        values[~annotations.usable] = 0


def finish(
    images: Path,
    masks: Path,
    annotations: Annotations,
    path: camera.Path,
    dancer: np.ndarray,
    others: Sequence[np.ndarray],
    looked_at: tuple[int, int],
) -> tuple[Annotations, np.ndarray, np.ndarray]:
    """Warp pictures and outlines into one steady view, in place, and make the empty room from them.

    Args:
        images, masks: folders of those of the frames that are kept; others are removed.
        annotations: in pixels of these frames.
        path: the camera's.
        dancer: (N, 18, 3) keypoints in pixels of the frames that were looked at.
        others: the same of each of the other people.
        looked_at: (width, height) of those.

    Returns:
        annotations in pixels of the plate; the plate (H, W, 3) uint8 RGB; where it is made up (H, W) bool, in the
        reference frame.
    """
    frame_size = annotations.frame_size
    scale = np.divide(frame_size, looked_at)
    everybody = scale_keypoints(dancer, scale), [scale_keypoints(keypoints, scale) for keypoints in others]
    if not path.still:
        annotations, everybody = _steady(annotations, path, everybody)
    plate, unseen = _make_plate(images, masks, annotations, frame_size, *everybody)
    for i in annotations.frame_numbers[~annotations.kept]:
        (images / image_name(i)).unlink(missing_ok=True)
        (masks / mask_name(i)).unlink(missing_ok=True)
    return annotations, plate, annotations.shown(unseen)


def _steady(
    annotations: Annotations, path: camera.Path, everybody: tuple[np.ndarray, list[np.ndarray]]
) -> tuple[Annotations, tuple[np.ndarray, list[np.ndarray]]]:
    """Annotations, and the keypoints of the dancer and of others, in the steady picture of a camera that moved, from
    those in the frames. Frames that could not be registered have no keypoints."""
    scaled = replace(path, homographies=annotations.camera)
    homographies, size, view = camera.canvas(scaled, annotations.frame_size)

    def move(keypoints: np.ndarray) -> np.ndarray:
        moved = move_keypoints(keypoints, homographies)
        return np.where(path.good[:, None, None], moved, 0).astype(np.float32)

    dancer, others = everybody
    steady = replace(
        annotations,
        keypoints=move(annotations.keypoints),
        extra=move(annotations.extra),
        kept=annotations.kept & path.good,
        frame_size=size,
        camera=homographies,
        view=view,
    )
    return steady, (move(dancer), [move(other) for other in others])


def _make_plate(
    images: Path,
    masks: Path,
    annotations: Annotations,
    frame_size: tuple[int, int],
    dancer: np.ndarray,
    others: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """The plate (H, W, 3) from frames that are kept, and where it is made up (H, W) bool; pictures and outlines of a
    camera that moved are warped onto it. Keypoints are in pixels of the plate."""
    kept, size = np.flatnonzero(annotations.kept), annotations.frame_size
    sample = kept[background.sample_indices(len(kept), size)]
    frames, outlines, shown = (pictures.read(images / image_name(i)) for i in sample), read_masks(masks, sample), None
    moved = not np.array_equal(annotations.camera, np.broadcast_to(np.eye(3), annotations.camera.shape))
    if moved:
        frames = stabilise.read_warped(images, sample, annotations.camera, size)
        outlines = stabilise.read_warped(masks, sample, annotations.camera, size, outlines=True)
        shown = (footprint(annotations.camera[i], frame_size, size) for i in sample)
    plate, unseen = background.background_plate(
        frames, dancer[sample], [crowd(others, i) for i in sample], outlines, shown
    )
    if moved:
        stabilise.warp_files(images, masks, kept, annotations.camera, frame_size, plate)
    return plate, unseen
