"""Steps 1, 2 and 4 frame by frame, without knowledge of later frames: for live pictures."""

from __future__ import annotations

import numpy as np

from main import appearance, shadow, window
from main.dataset import Clip
from main.rendering import Plan
from pose_detector.skeleton import ANKLES, LEFT_HIP, NECK, RIGHT_HIP, body_size

CALIBRATE = 1.0  # seconds of the dance by which its person is measured, once
HELD = 0.3  # seconds for which a keypoint that is no longer seen stays with the body
SWITCH = 0.04  # cost of copying from another frame: twice that of `appearance.choose_steadily`, which may wait
# One Euro filter (Casiez, Roussel, Vogel 2012): hertz that pass when nothing moves, and how many more pass a body size
# a second. At 25 frames a second a tremble shrinks to 0.4 of itself; a hand that moves 3 body sizes a second is late
# by 0.02 s, half a frame.
CUTOFF, FASTER = 1.5, 2.0
MIDDLE, SIZE, LIGHT = 0.3, 0.1, 0.2  # share of the new value in running means: of window, person's size, shadows
MOST = 1 << 17  # frames of a plan: 87 minutes at 25 frames a second


class Smoother:
    """Keypoints (18, 3) of successive moments, without tremble; what is missing for a moment stays."""

    def __init__(self) -> None:
        self._time: float | None = None
        self._place = np.zeros((18, 2))
        self._speed = np.zeros((18, 2))
        self._seen = np.full(18, -np.inf)

    def __call__(self, keypoints: np.ndarray, time: float) -> np.ndarray:
        """Filtered keypoints.

        Args:
            keypoints: (18, 3) pixels; confidence 0 = missing.
            time: seconds, later than that of the call before.
        """
        seen = keypoints[:, 2] > 0
        place = keypoints[:, :2].astype(np.float64)
        if self._time is not None and time > self._time:
            step, size = time - self._time, np.nan_to_num(float(body_size(keypoints)), nan=50.0)
            known = seen & (time - self._seen < HELD)
            speed = np.where(known[:, None], (place - self._place) / step, 0)
            self._speed += _share(1.0, step) * (speed - self._speed)
            pass_ = CUTOFF + FASTER * np.linalg.norm(self._speed, axis=1, keepdims=True) / size
            filtered = self._place + _share(pass_, step) * (place - self._place)
            moved = np.median(filtered[known] - self._place[known], axis=0) if known.sum() >= 3 else np.zeros(2)
            place = np.where(known[:, None], filtered, np.where(seen[:, None], place, self._place + moved))
        self._place, self._time = place, time
        self._seen = np.where(seen, time, self._seen)
        there = time - self._seen < HELD
        result = np.column_stack([place, np.where(there, np.maximum(keypoints[:, 2], 0.1), 0)])
        result[~there] = 0
        return result.astype(np.float32)


def _share(cutoff: float | np.ndarray, step: float) -> float | np.ndarray:
    """Share of the new value in a low-pass filter of first order."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * step))


class Placer:
    """The dancer's keypoints to the target's size and place: one scale and one shift for the whole dance, fixed by its
    first `CALIBRATE` seconds. So steps sideways and towards the camera stay as they are, in the target's scale; unlike
    step 2 it knows neither cameras nor the length of each bone.

    Args:
        target: (N, 18, 3) keypoints of the train video.
    """

    def __init__(self, target: np.ndarray) -> None:
        self._target = stance(target)
        self._poses: list[np.ndarray] = []
        self._began: float | None = None
        self._dancer: tuple[np.ndarray, float] | None = None

    def __call__(self, keypoints: np.ndarray, time: float) -> np.ndarray | None:
        """Keypoints (18, 3) in the target's picture; None while the dancer is being measured."""
        if self._dancer is None:
            if not np.isfinite(stance(keypoints[None])[1]):
                return None
            self._began = time if self._began is None else self._began
            self._poses.append(keypoints)
            if time - self._began < CALIBRATE:
                return None
            self._dancer = stance(np.stack(self._poses))
        (there, tall), (here, own) = self._target, self._dancer
        moved = keypoints.copy()
        moved[:, :2] = (keypoints[:, :2] - here) * (tall / own) + there
        moved[keypoints[:, 2] <= 0] = 0
        return moved


def stance(poses: np.ndarray) -> tuple[np.ndarray, float]:
    """Where the person of (N, 18, 3) stands, (2,) pixels, and how high the neck is over the feet: medians over the
    frames that show both; NaN where none does."""
    seen = poses[..., 2] > 0
    whole = seen[:, list(ANKLES)].any(1) & seen[:, [NECK, RIGHT_HIP, LEFT_HIP]].all(1)
    if not whole.any():
        return np.full(2, np.nan), np.nan
    poses, seen = poses[whole], seen[whole]
    floor = np.where(seen[:, list(ANKLES)], poses[:, list(ANKLES), 1], -np.inf).max(1)
    middle = poses[:, [RIGHT_HIP, LEFT_HIP], 0].mean(1)
    return np.array([np.median(middle), np.median(floor)]), float(np.median(floor - poses[:, NECK, 1]))


class GrowingPlan:
    """A `Plan` whose rows are filled while it is rendered.

    Args:
        clip: what is copied from.
        most: how many frames it may hold.
    """

    def __init__(self, clip: Clip, most: int = MOST) -> None:
        self._clip = clip
        width, height = window.window_size(clip.poses, clip.size)
        room = [max(-(-side // window.MULTIPLE), 2) * window.MULTIPLE for side in clip.size]
        size = min(width + window.MULTIPLE, room[0]), min(height + window.MULTIPLE, room[1])
        near = min(shadow.NEIGHBOURS + 1, len(clip.poses))
        corners = np.zeros((most, 2), int)
        self.plan = Plan(
            poses=np.zeros((most, 18, 3), np.float32),
            size=size,
            large=size,
            corners=corners,
            origins=corners,
            persons=np.full(most, 50.0, np.float32),
            sources=np.zeros((len(appearance.SOURCES), most), int),
            shades=(np.zeros((most, near), int), np.zeros((most, near), np.float32)),
        )
        self.length = 0
        self._middle: np.ndarray | None = None
        self._person: float | None = None
        self._sources: np.ndarray | None = None
        self._light: np.ndarray | None = None

    def add(self, pose: np.ndarray) -> int:
        """Decide how the next frame is rendered; returns its number.

        Args:
            pose: (18, 3) pixels of the clip's frames.
        """
        t, plan, clip = self.length, self.plan, self._clip
        self.length += 1
        plan.poses[t] = pose
        size = float(body_size(pose))
        seen = pose[pose[:, 2] > 0, :2]
        if len(seen) < 4 or not np.isfinite(size):
            plan.poses[t] = 0
            self._middle = self._person = self._sources = self._light = None  # the next person begins anew
            return t
        self._person = max(_towards(self._person, size, SIZE), 2.0)
        self._middle = _towards(self._middle, (seen.min(0) + seen.max(0)) / 2, MIDDLE)
        corner = np.rint(self._middle - np.array(plan.size) / 2)
        plan.origins[t] = np.clip(corner, 0, np.maximum(np.array(clip.size) - plan.size, 0))
        persons = np.array([self._person], np.float32)
        plan.persons[t] = self._person
        plan.sources[:, t] = self._sources = self._choose(pose, persons)
        light = np.minimum(shadow.match_costs(pose[None], persons, clip.poses, clip.sizes), 1e3)
        self._light = _towards(self._light, light, LIGHT)
        plan.shades[0][t], plan.shades[1][t] = (values[0] for values in shadow.choose(self._light))
        return t

    def _choose(self, pose: np.ndarray, persons: np.ndarray) -> np.ndarray:
        """(len(SOURCES),) frames of the clip to copy from, better those of the frame before, or the next ones."""
        before = iter([] if self._sources is None else self._sources)

        def choose(costs: np.ndarray) -> np.ndarray:  # (1, N), of one source after the other
            last = next(before, None)
            if last is not None:
                step = np.arange(costs.shape[1]) - last
                costs = costs + np.where((step == 0) | (step == 1), 0, np.float32(SWITCH))
            return costs.argmin(1)

        clip = self._clip
        return appearance.choose_sources(pose[None], persons, clip.poses, clip.sizes, choose)[:, 0]


def _towards(mean: np.ndarray | float | None, value: np.ndarray | float, share: float) -> np.ndarray | float:
    """A running mean, which begins with the first value."""
    return value if mean is None else mean + share * (value - mean)
