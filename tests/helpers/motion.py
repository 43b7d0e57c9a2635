"""A person who dances, as keypoints whose truth is known."""

import numpy as np
from maps import STANDING
from scipy.ndimage import gaussian_filter1d

LIMBS = (((3, 4), 0.9, 0.14), ((6, 7), 0.9, 0.14), ((9, 10), 0.3, 0.18), ((12, 13), 0.3, 0.18))
"""Keypoints that turn about the one before, radians, and seconds of a change of mind."""


def dance(
    rng: np.random.Generator, frames: int, fps: float, torso: float = 80.0, neck: tuple[float, float] = (250.0, 120.0)
) -> np.ndarray:
    """Keypoints (frames, 18, 2) in pixels. Arms swing as fast as arms do (wrists up to some ten torso lengths per
    second), with rests; legs step; the body sways."""

    def wander(seconds: float, amplitude: float) -> np.ndarray:
        """(frames,) a smooth random course that changes its mind within about `seconds`."""
        sigma = seconds * fps
        course = gaussian_filter1d(rng.standard_normal(frames + int(8 * sigma) + 8), sigma)[int(4 * sigma) :][:frames]
        return amplitude * course / 0.53 * np.sqrt(sigma)  # the filter leaves a deviation of 0.53 / sqrt(sigma)

    energy = 1 / (1 + np.exp(-wander(1.0, 3.0)))  # now still, now fast
    poses = np.repeat(STANDING[None], frames, axis=0)
    for chain, swing, seconds in LIMBS:
        for first in (0, 1):
            angle = wander(seconds, swing * (1, 0.8)[first]) * energy
            turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=-1).reshape(-1, 2, 2)
            pivot = poses[:, [chain[0] - 1 + first]].copy()
            moved = list(chain[first:])
            poses[:, moved] = (poses[:, moved] - pivot) @ turn.transpose(0, 2, 1) + pivot
    sway = np.stack([wander(0.5, 0.3), wander(0.3, 0.05)], axis=-1)
    return (poses + sway[:, None]) * torso + np.asarray(neck)


def seen(poses: np.ndarray, confidence: float = 0.8) -> np.ndarray:
    """(..., 18, 3) poses with confidence, 0 where NaN."""
    missing = np.isnan(poses[..., :1])
    return np.concatenate([np.where(missing, 0, poses), np.where(missing, 0, confidence)], axis=-1).astype(np.float32)
