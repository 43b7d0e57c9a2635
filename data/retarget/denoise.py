"""Jitter taken out of a dance: what each keypoint does alone is damped, what they do together stays."""

from __future__ import annotations

import numpy as np

from data.retarget.measure import Motion

# Heights of the person by which a good detector errs, in training too: to take that away would make the dance's poses
# unlike those. Set by hand on `benchmarks/normalise.py`, class "oneself".
TREMOR = 0.008
SPIKE = 0.1  # heights of the person from the filtered place, beyond which a keypoint is wrong
REACH = 3.0  # standard deviations of the jitter by which a keypoint is moved at most


def denoise(dance: Motion, *same: Motion) -> np.ndarray:
    """The dance's keypoints (N, 19, 2) with less jitter, in pixels.

    A body's keypoints move together, jitter moves each alone. Of the principal components of all coordinates over time
    a dance hardly uses half, so that their median variance is jitter's, and each is damped by its share of that
    (Wiener's filter), save a detector's usual tremor. No keypoint is moved further than jitter reaches, so that what is
    done only once stays.

    Args:
        dance: one video.
        same: others of the same person before the same camera.
    """
    poses = np.concatenate([_without_spikes(motion) for motion in (dance, *same)]).reshape(-1, 38)
    poses -= poses.mean(0)
    variance, ways = np.linalg.eigh(poses.T @ poses / len(poses))
    tremor = TREMOR * np.median(_heights(dance))
    jitter = max(float(np.median(variance) - tremor**2), 0.0)
    lost = np.minimum(jitter / np.maximum(variance, 1e-9), 1)
    move = -(poses[: len(dance.keypoints)] @ ways * lost @ ways.T).reshape(-1, 19, 2)
    far = np.linalg.norm(move, axis=-1, keepdims=True)
    return dance.keypoints + move * np.minimum(1, REACH * np.sqrt(jitter) / np.maximum(far, 1e-9))


def _without_spikes(motion: Motion) -> np.ndarray:
    """Keypoints (N, 19, 2); filtered ones where they are off by more than `SPIKE`."""
    off = np.linalg.norm(motion.keypoints - motion.filtered, axis=-1, keepdims=True)
    return np.where(off > SPIKE * np.median(_heights(motion)), motion.filtered, motion.keypoints)


def _heights(motion: Motion) -> np.ndarray:
    """(N,) heights of the poses, pixels."""
    return np.ptp(motion.filtered[..., 1], axis=1)
