"""The camera of a video, guessed from its person's keypoints over a flat floor."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from data.retarget.bones import (
    KINDS,
    QUANTILE,
    TREE,
    UPRIGHT,
    bone_lengths,
    quantile,
    steady_quantile,
    usual_lengths,
)
from pose_detector.errors import InputError
from pose_detector.series import spread
from pose_detector.skeleton import NECK

FOCAL = 1.2  # of a camera that nothing is known of, in longer sides of the picture; near the middle of what is usual
# Standard deviation of a coordinate after step 1, in roots of the picture's area: 1.4 working pixels.
JITTER = 0.0037
# The prior. Camera height in heights of the person, median and standard deviation of the logarithm: that of people who
# film each other, set by hand.
USUAL_HEIGHT, HEIGHT_SPREAD = 0.72, 0.45
BUILD = 0.12  # standard deviation of the logarithm of a bone's length over what the others lead to expect, among people
# Independent observations a second when sizes are compared over the floor; set by hand on `benchmarks/normalise.py`.
EVIDENCE = 0.2
SLOPES = (0.03, 1.6, 32)  # tangents tried, of how steeply the camera looks down at the feet: least, most, how many
MOST_FRAMES = 1000  # that are looked at


@dataclass(frozen=True)
class View:
    """A guessed camera over a flat floor, aimed at where the person mostly is. Lengths are in heights of the person.

    Attributes:
        focal: pixels.
        x, y: where in the picture it is aimed, pixels.
        pitch: radians, positive looks down.
        height: over the floor.
        jitter: standard deviation of the keypoints' coordinates in its pictures, pixels.
    """

    focal: float
    x: float
    y: float
    pitch: float
    height: float
    jitter: float

    def distance(self, y: np.ndarray) -> np.ndarray:
        """How far away along the floor that is what stands at `y` in the picture; nothing is beyond the horizon."""
        angle = self.pitch + np.arctan((y - self.y) / self.focal)
        return self.height / np.tan(np.clip(angle, 0.01, 1.4))

    def lift(self, xy: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """Pixels (N, K, 2) onto upright planes at a distance (N,): (N, K, 2) to the right and up from the floor."""
        a, b = (xy[..., 0] - self.x) / self.focal, (xy[..., 1] - self.y) / self.focal
        reach = distance[:, None] / np.maximum(np.cos(self.pitch) - b * np.sin(self.pitch), 0.1)
        return np.stack([reach * a, self.height - reach * (np.sin(self.pitch) + b * np.cos(self.pitch))], -1)

    def project(self, plane: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """The inverse of `lift`."""
        below, distance = self.height - plane[..., 1], distance[:, None]
        depth = np.maximum(distance * np.cos(self.pitch) + below * np.sin(self.pitch), 0.05)
        down = below * np.cos(self.pitch) - distance * np.sin(self.pitch)
        return np.stack([self.x + self.focal * plane[..., 0] / depth, self.y + self.focal * down / depth], -1)

    def jitter_at(self, distance: np.ndarray) -> float:
        """`jitter` in heights of the person, of who is mostly at this distance (N,)."""
        return self.jitter / self.focal * float(np.median(distance))


def guess_view(
    xy: np.ndarray, seen: np.ndarray, floor: np.ndarray, x: float, fps: float, frame_size: tuple[int, int]
) -> View:
    """The camera under which the person's size changes least over the floor, and the build is the most usual.

    Tried is how steeply the camera looks down at the feet (`SLOPES`). The guess is the mean of the logarithms of the
    slopes, weighted by their posterior. Who hardly moves in depth says nothing by their size; then long thighs over
    short shins and neck speak for a high camera, and the usual height of cameras is a prior.

    Args:
        xy: (N, 19, 2) keypoints and root, pixels.
        seen: (N, 18) bool, those to measure by.
        floor: (N,) y of the floor under the person, pixels.
        x: of the middle of the person's way, pixels.
        fps: frames per second.
        frame_size: (width, height) in pixels.

    Raises:
        InputError: no bone is seen in a tenth of the frames.
    """
    some, evidence = spread(len(xy), MOST_FRAMES), EVIDENCE * len(floor) / fps
    xy, seen, line = xy[some], seen[some], floor[some]
    focal, jitter = FOCAL * max(frame_size), JITTER * np.sqrt(frame_size[0] * frame_size[1])
    y = float(np.median((xy[:, NECK, 1] + line) / 2))
    below = np.arctan((np.median(line) - y) / focal)

    def view_at(slope: float) -> tuple[View, float]:
        flat = View(focal, x, y, float(np.arctan(slope) - below), 1.0, jitter)
        return _fit_height(flat, xy, seen, line, evidence)

    slopes = np.linspace(np.log(SLOPES[0]), np.log(SLOPES[1]), SLOPES[2])
    misfit = np.array([view_at(np.exp(slope))[1] for slope in slopes])
    return view_at(np.exp(np.average(slopes, weights=np.exp(misfit.min() - misfit))))[0]


def _fit_height(view: View, xy: np.ndarray, seen: np.ndarray, line: np.ndarray, evidence: float) -> tuple[View, float]:
    """The camera with the height that gives the person's bones their usual sum, and its negative log posterior."""
    distance = view.distance(line)
    bones = bone_lengths(view.lift(xy, distance), seen)[:, UPRIGHT]
    upper = quantile(bones)
    known = ~np.isnan(upper)
    if not known.any():
        raise InputError("the person is never seen from head to foot in one of the videos; film the whole body")
    kinds = [TREE[bone][2] for bone in UPRIGHT]
    unit = view.jitter_at(distance)
    parts = np.concatenate([steady_quantile(bones[:, [i]], kind, unit) for i, kind in enumerate(kinds)])[known]
    usual = usual_lengths(view.pitch)[[KINDS.index(kind) for kind in kinds]][known]
    view = replace(view, height=float(usual.sum() / parts.sum()))

    # Likelihood: the better the camera, the narrower each bone's lengths lie below their upper quantile (the pinball
    # loss of quantile regression). Priors: the camera's height, and the build.
    over = np.log(np.maximum(bones[:, known], 1e-6) / upper[known])
    pinball = np.nanmean(np.where(over > 0, QUANTILE * over, (QUANTILE - 1) * over), 0)
    likelihood = evidence * float(np.log(pinball + 1e-4).sum())
    height = (np.log(view.height / USUAL_HEIGHT) / HEIGHT_SPREAD) ** 2
    build = known.sum() * np.log(parts / usual).var() / BUILD**2
    return view, likelihood + (height + build) / 2
