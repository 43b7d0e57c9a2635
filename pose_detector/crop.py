"""Square crops of one person: their place in a frame, and the way of pixels and points there and back."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Crop:
    """A square part of a frame, which may be turned and may reach beyond the frame.

    Attributes:
        x, y: Its centre, pixels of the frame.
        side: Its side, pixels of the frame.
        angle: Direction of its upper edge, radians clockwise from the frame's: 0 is upright.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    def matrix(self, size: int) -> np.ndarray:
        """(2, 3) float64 from pixels of the crop, `size` on each side, to pixels of the frame."""
        scale, cos, sin = self.side / size, np.cos(self.angle), np.sin(self.angle)
        linear = scale * np.array([[cos, -sin], [sin, cos]])
        return np.column_stack([linear, [self.x, self.y] - linear @ np.full(2, (size - 1) / 2)])

    def cut(self, frame: np.ndarray, size: int) -> np.ndarray:
        """The pixels (size, size, C) uint8 of the crop in a frame (H, W, C); black beyond the frame."""
        matrix = self.matrix(size)
        # An affine warp reads four pixels for each of its own; what is shrunk more than that is averaged first.
        shrink = int(self.side / size)
        if shrink > 1:
            corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) @ matrix[:, :2].T + matrix[:, 2]
            low = np.maximum(np.floor(corners.min(axis=0)).astype(int) // shrink * shrink, 0)
            high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + shrink, frame.shape[1::-1])
            count = (high - low) // shrink
            if (count < 1).any():
                return np.zeros((size, size, frame.shape[2]), np.uint8)
            high = low + count * shrink
            frame = cv2.resize(frame[low[1] : high[1], low[0] : high[0]], count.tolist(), interpolation=cv2.INTER_AREA)
            matrix = np.column_stack([matrix[:, :2], matrix[:, 2] - low - (shrink - 1) / 2]) / shrink
        return cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)

    def to_frame(self, points: np.ndarray, size: int) -> np.ndarray:
        """Points (..., 2) in pixels of the crop -> pixels of the frame."""
        matrix = self.matrix(size)
        return points @ matrix[:, :2].T + matrix[:, 2]

    def to_crop(self, points: np.ndarray, size: int) -> np.ndarray:
        """Points (..., 2) in pixels of the frame -> pixels of the crop."""
        matrix = self.matrix(size)
        return (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T

    def put_back(
        self, picture: np.ndarray, frame_size: tuple[int, int], size: tuple[int, int] | None = None
    ) -> np.ndarray:
        """A picture (S, S) or (S, S, C) of the crop as it lies in a frame of (width, height), 0 elsewhere; the frame is
        shown at `size`, or as it is."""
        size = size or frame_size
        scale = np.divide(frame_size, size)
        matrix = self.matrix(len(picture))
        matrix = np.column_stack([matrix[:, :2], matrix[:, 2] + 0.5]) / scale[:, None]
        matrix[:, 2] -= 0.5
        return cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR)


def lean(shoulders: np.ndarray, hips: np.ndarray) -> float:
    """Angle of a trunk against the vertical, radians clockwise, from (2, >=2) shoulders and hips."""
    dx, dy = shoulders[:, :2].mean(axis=0) - hips[:, :2].mean(axis=0)
    return float(np.arctan2(dx, -dy))


def turn(before: float, after: float) -> float:
    """Radians from one angle to another, the short way: -pi to pi."""
    return (after - before + np.pi) % (2 * np.pi) - np.pi


def body_circle(keypoints: np.ndarray, margin: float) -> Crop | None:
    """The upright square around a circle that encloses a body.

    Args:
        keypoints: (18, 3) COCO-18; the circle's centre is the middle of the hips, or else of what is seen.
        margin: Its radius, in distances to the farthest keypoint.
    """
    seen = keypoints[:, 2] > 0
    if seen.sum() < 3:
        return None
    hips, shoulders = keypoints[[8, 11]], keypoints[[2, 5]]
    points, angle = keypoints[seen, :2], 0.0
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    if (hips[:, 2] > 0).all():
        middle = hips[:, :2].mean(axis=0)
        if (shoulders[:, 2] > 0).all():
            angle = lean(shoulders, hips)
    radius = float(np.linalg.norm(points - middle, axis=1).max())
    return Crop(*middle.tolist(), 2 * margin * max(radius, 8.0), angle) if radius > 0 else None
