"""A stick figure that walks, waves, jumps and squats on a floor before a pinhole camera: keypoints with known truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Camera:
    """Height over the floor in metres, distance to the stage's middle in metres, focal length in frame heights."""

    height: float = 1.3
    distance: float = 4.0
    focal: float = 1.2
    size: tuple[int, int] = (512, 288)

    def project(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) metres (x right, y up, z towards the camera) to (..., 2) pixels; it looks straight ahead."""
        width, height = self.size
        depth = self.distance - points[..., 2]
        scale = self.focal * height / depth
        return np.stack([width / 2 + scale * points[..., 0], height / 2 + scale * (self.height - points[..., 1])], -1)


def figure(
    places: np.ndarray,
    tall: float = 1.7,
    up: np.ndarray | None = None,
    squat: np.ndarray | None = None,
    phase: float = 0.0,
) -> np.ndarray:
    """Joints (N, 18, 3) in metres of somebody who waves.

    Args:
        places: (N, 2) x and z of the feet in metres.
        tall: body height in metres.
        up: (N,) metres that the feet are off the floor.
        squat: (N,) 0 standing to 1 crouching deeply.
        phase: of the waving, radians.
    """
    n = len(places)
    t = np.arange(n)
    up = np.zeros(n) if up is None else up
    squat = np.zeros(n) if squat is None else squat
    thigh, shin, torso, neck = 0.245 * tall, 0.246 * tall, 0.29 * tall, 0.12 * tall
    bend = squat * 1.1  # of the thigh from the vertical, forwards
    joints = np.zeros((n, 18, 3))
    ankle = 0.045 * tall
    knee = ankle + shin * np.cos(0.5 * bend)
    hip = knee + thigh * np.cos(bend)
    chest = hip + torso
    for side, (h, k, a, s, e, w) in {-1: (8, 9, 10, 2, 3, 4), 1: (11, 12, 13, 5, 6, 7)}.items():
        joints[:, h] = np.stack([np.full(n, side * 0.06 * tall), hip, 0 * t], -1)
        joints[:, k] = np.stack([np.full(n, side * 0.07 * tall), knee, thigh * np.sin(bend)], -1)
        joints[:, a] = np.stack([np.full(n, side * 0.08 * tall), np.full(n, ankle), 0 * t], -1)
        joints[:, s] = np.stack([np.full(n, side * 0.115 * tall), chest, 0 * t], -1)
        swing = 0.7 + 0.9 * np.sin(0.21 * t + phase + side)
        arm = np.stack([side * np.sin(swing), -np.cos(swing), 0 * t], -1)
        joints[:, e] = joints[:, s] + 0.17 * tall * arm
        joints[:, w] = joints[:, e] + 0.15 * tall * arm
    joints[:, 1, 1] = chest
    joints[:, 0] = np.stack([0 * t, chest + neck, np.full(n, 0.05 * tall)], -1)
    for joint, x, y in ((14, -0.018, 0.02), (15, 0.018, 0.02), (16, -0.045, 0.01), (17, 0.045, 0.01)):
        joints[:, joint] = joints[:, 0] + np.array([x, y, -0.02]) * tall
    joints[..., 1] += up[:, None]
    joints[..., 0] += places[:, None, 0]
    joints[..., 2] += places[:, None, 1]
    return joints


def keypoints(joints: np.ndarray, camera: Camera) -> np.ndarray:
    """(N, 18, 3) float32 pixels with confidence 1."""
    xy = camera.project(joints)
    return np.concatenate([xy, np.ones((*xy.shape[:-1], 1))], -1).astype(np.float32)


def stroll(n: int, wide: float = 0.8, deep: float = 0.6, seed: int = 0) -> np.ndarray:
    """(N, 2) places in metres: a smooth walk to and fro within half-widths `wide` and `deep`."""
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, 2)
    t = np.arange(n) / n
    return np.stack([wide * np.sin(2 * np.pi * 2 * t + phase[0]), deep * np.sin(2 * np.pi * 3 * t + phase[1])], -1)
