"""Measurements of one video's person: where they are on the floor, and how their body is built."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data.retarget.bones import (
    KINDS,
    QUANTILE,
    ROOT,
    TREE,
    UPRIGHT,
    bone_lengths,
    by_kind,
    quantile,
    steady_quantile,
    without_jitter,
)
from data.retarget.floor import floor_line, odd
from data.retarget.sequence import PoseSequence
from data.retarget.view import View, guess_view
from pose_detector.series import interpolate
from pose_detector.skeleton import ANKLES, LEFT_HIP, LEFT_SHOULDER, NECK, RIGHT_HIP, RIGHT_SHOULDER

# Set by hand on `benchmarks/normalise.py`, as all numbers here.
FACING = 0.5  # of the usual width of shoulders and hips, above which a person faces the camera
SPREAD = (0.75, 0.95)  # quantiles of a bone's lengths whose ratio says how well it is known
MOSTLY, UPRIGHT_MOST = 0.6, 0.95  # quantiles of the height over time: the one mostly seen, and the stature
_SIDES = 1 / np.array([1, 2, 2, 2, 2, 1])  # share of each of `UPRIGHT` in the height: legs are two


@dataclass(frozen=True)
class Motion:
    """Measurements of one video's person.

    Attributes:
        keypoints: (N, 19, 2) pixels, missing ones filled in from their neighbours in time; the last is the root.
        filtered: (N, 19, 2) the same without spikes and most of the jitter, to be measured.
        seen: (N, 18) bool, the joints to rely on.
        measurable: (N, 18) bool, those of them from which lengths can be measured: the person faces the camera.
        floor: (N,) y of the floor under the person, pixels.
        centre: (N,) x of the middle of the body, pixels.
        view: the guessed camera.
        distance: (N,) from the camera along the floor, heights of the person.
        aside: (N,) to the right of where the camera is aimed, heights of the person.
        lengths: (kinds of bones,) in heights of the person; NaN where not seen.
        log_std: (kinds of bones,) standard deviations of their logarithms.
        jitter_bias: (kinds of bones,) logarithms of how much longer they look by jitter.
        stature: from the nose to the feet along the bones when most upright, heights of the person; NaN if unseen.
        crouch: logarithm of how much more that is than mostly.
    """

    keypoints: np.ndarray
    filtered: np.ndarray
    seen: np.ndarray
    measurable: np.ndarray
    floor: np.ndarray
    centre: np.ndarray
    view: View
    distance: np.ndarray
    aside: np.ndarray
    lengths: np.ndarray
    log_std: np.ndarray
    jitter_bias: np.ndarray
    stature: float
    crouch: float


def measure(poses: PoseSequence, anchor: tuple[int, ...] = ANKLES) -> Motion:
    """Camera, way and proportions of the person in one video.

    Args:
        poses: of that person.
        anchor: joints whose lowest point stands for the floor.

    Raises:
        InputError: the anchor joints are in no frame, or no bone is seen often enough.
    """
    seen, fps = poses.seen, poses.fps
    floor = floor_line(poses.keypoints, seen, fps, anchor)
    xy = complete(poses.keypoints)
    # Jitter and single wrong keypoints must not pass for long limbs.
    filtered = ndimage.median_filter(xy, (odd(0.3 * fps), 1, 1), mode="nearest")
    centre = body_centre(filtered, fps)
    measurable = seen & facing(filtered)[:, None]
    view = guess_view(filtered, measurable, floor, middle(centre, measurable), fps, poses.frame_size)
    # Before a low camera a pixel of floor is a long way: the lower it is, the longer the average over time.
    slope = np.tan(np.median(np.arctan2(view.height, view.distance(floor))))
    sigma = np.clip(0.04 / slope, 0.1, 0.5) * fps
    distance = view.distance(ndimage.gaussian_filter1d(floor, sigma, mode="nearest"))
    aside = distance * (centre - view.x) / (view.focal * np.cos(view.pitch))
    bones = measure_bones(filtered, measurable, view, distance)
    return Motion(
        xy, filtered, seen, measurable, floor, centre, view, distance, aside,
        *bones, *measure_stature(filtered, measurable, view, distance),
    )  # fmt: skip


def middle(way: np.ndarray, seen: np.ndarray) -> float:
    """The middle of a way (N,) without its outermost places, as far as one sees it (N, 18)."""
    return float(np.percentile(way[seen.any(1)], (5, 95)).mean())


def facing(xy: np.ndarray) -> np.ndarray:
    """(N,) bool, the frames of (N, 19, 2) in which the person faces the camera; all of them where these are too few."""
    wide = (xy[:, [LEFT_SHOULDER, LEFT_HIP], 0] - xy[:, [RIGHT_SHOULDER, RIGHT_HIP], 0]).sum(1)
    front = wide > FACING * np.quantile(wide, QUANTILE)
    return front if front.mean() > 0.3 else np.ones(len(xy), bool)


def measure_bones(
    xy: np.ndarray, seen: np.ndarray, view: View, distance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`Motion.lengths`, `log_std` and `jitter_bias` of keypoints (N, 19, 2) at a distance (N,) before a camera."""
    pooled = by_kind(bone_lengths(view.lift(xy, distance), seen))
    low, raw, high = (
        np.concatenate([quantile(values, q) for values in pooled]) for q in (SPREAD[0], QUANTILE, SPREAD[1])
    )
    jitter = view.jitter_at(distance)
    parts = [steady_quantile(values, kind, jitter) for values, kind in zip(pooled, KINDS, strict=True)]
    lengths = np.concatenate(parts)
    return lengths, np.log(high / low), np.log(raw / lengths)


def measure_stature(xy: np.ndarray, seen: np.ndarray, view: View, distance: np.ndarray) -> tuple[float, float]:
    """`Motion.stature` and `crouch`. Little of it is jitter: what that adds to one bone it takes from the next."""
    flat = view.lift(xy, distance)
    known = ~np.isnan(bone_lengths(flat, seen)[:, UPRIGHT])
    whole = bone_lengths(flat, np.ones_like(seen))[known.mean(1) >= 0.5][:, UPRIGHT]
    if (known.mean(0) < 0.1).any() or not len(whole):
        return np.nan, np.nan
    typical = np.median(whole, 0)
    variance = 2 * view.jitter_at(distance) ** 2
    mostly, most = np.quantile(whole @ _SIDES, (MOSTLY, UPRIGHT_MOST))
    stature = float(most - (typical - without_jitter(typical, variance)) @ _SIDES)
    return stature, float(np.log(most / mostly))


def complete(keypoints: np.ndarray) -> np.ndarray:
    """(N, 19, 2) pixels of (N, 18, 3): missing keypoints from the frames around, relative to the body; and the root.

    A joint that is never seen lies where the one before it does.
    """
    xy, seen = keypoints[..., :2].astype(np.float64), keypoints[..., 2] > 0
    hips, trunk = [RIGHT_HIP, LEFT_HIP], [NECK, RIGHT_HIP, LEFT_HIP]
    whole = seen[:, trunk].all(1)
    if whole.any():
        centre = interpolate(xy[:, trunk].mean(1), whole)
    else:
        number = np.maximum(seen.sum(1), 1)[:, None]
        centre = interpolate((xy * seen[..., None]).sum(1) / number, seen.any(1))
    result = np.empty((len(xy), 19, 2))
    for joint in range(18):
        known = seen[:, joint]
        result[:, joint] = centre + interpolate(xy[:, joint] - centre, known) if known.any() else np.nan
    result[:, ROOT] = result[:, hips].mean(1) if seen[:, hips].any(0).all() else centre
    for joint, before, _ in TREE:
        if not seen[:, joint].any():
            result[:, joint] = result[:, before]
    return result


def body_centre(filtered: np.ndarray, fps: float) -> np.ndarray:
    """(N,) x of the trunk of (N, 19, 2) filled keypoints, smoothed: pixels."""
    x = filtered[:, [NECK, ROOT], 0].mean(1)
    x = ndimage.median_filter(x, size=odd(0.2 * fps), mode="nearest")
    return ndimage.gaussian_filter1d(x, 0.2 * fps, mode="nearest")
