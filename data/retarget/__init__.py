"""Motion retargeting: from the dancer's place, distance, size and proportions to the target's.

Two ways, `normalise(..., method)`:

"limbs"   From the keypoints of each video a camera over a flat floor is guessed (`view`). How high the feet stand in
          the picture then gives the distance of the person, and every pose becomes a flat figure that stands upright at
          that distance (`measure`). The figure's bones get the target's lengths (`compare`); it is put at the target's
          place, walks the dancer's way in steps of the target's size, and is seen through the target's camera
          (`limbs`).
"global"  The rule of "Everybody Dance Now" (arXiv 1808.07371, appendix), made robust: between a far and a close end of
          the feet's range, size and place are linear in the feet's height; one scale and shift a frame (`scale`).

What both need is measured by robust statistics of joints really seen:

floor line   The lower of the two ankles, median filtered, with its rises of less than a second (jumps, kicks) cut
             out and bridged, then smoothed: where the floor is under the person, not where the feet are (`floor`).
             Frames without ankles take it from their neighbours in time. Where a video hardly shows ankles, both
             videos use the knees instead, else the hips, else the neck.
lengths      A high quantile over time of what one sees of a bone: foreshortening only shortens. Less what jitter adds
             to it, which is much where the person is small in the picture (`bones`).
travel       Squeezed where head, trunk or legs would leave the picture (arms may), or leave it further than the
             target's own do (`travel`).
jitter       What each keypoint does alone is damped; what they do together is the dance (`denoise`).
bad frames   A frame with too few joints still has its place from its neighbours; missing joints stay missing.

`benchmarks/normalise.py` decides about every number in this folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.retarget.compare import same_person_and_camera
from data.retarget.denoise import denoise
from data.retarget.floor import ANCHORS, common_anchor
from data.retarget.limbs import move_by_limbs
from data.retarget.measure import Motion, measure
from data.retarget.scale import move_by_scale
from data.retarget.sequence import PoseSequence
from data.retarget.travel import travel_kept

__all__ = ["PoseSequence", "Retargeting", "joined", "normalise", "of_frames"]

SAME_RATE = 0.02  # logarithm of the ratio of two frame rates, up to which they are of one camera


@dataclass(frozen=True)
class Retargeting:
    """What was done.

    Attributes:
        anchor: joints that the floor line was taken from.
        unchanged: the dance shows the target before the target's camera, and was left where it is.
        scale: (N,) factor on the dancer's size in each frame.
        travel_gain: share of the sideways travel that was kept.
        floor: (N,) floor line in the target's picture, pixels.
        centre: (N,) x of the middle of the body there, pixels.
        floor_range, centre_range: where the target itself was, least and most, pixels.
    """

    anchor: str
    unchanged: bool
    scale: np.ndarray
    travel_gain: float
    floor: np.ndarray
    centre: np.ndarray
    floor_range: tuple[float, float]
    centre_range: tuple[float, float]


def of_frames(report: Retargeting, frames: slice) -> Retargeting:
    """The report of some of the frames."""
    return replace(report, **{name: getattr(report, name)[frames] for name in ("scale", "floor", "centre")})


def joined(reports: Sequence[Retargeting]) -> Retargeting:
    """One report of several that follow each other: the worst of what there is one of."""
    if len(reports) == 1:
        return reports[0]
    anchors = list(ANCHORS)
    return replace(
        reports[0],
        anchor=max((report.anchor for report in reports), key=anchors.index),
        unchanged=all(report.unchanged for report in reports),
        travel_gain=min(report.travel_gain for report in reports),
        **{
            name: np.concatenate([getattr(report, name) for report in reports]) for name in ("scale", "floor", "centre")
        },
    )


def normalise(
    dance: PoseSequence, target: PoseSequence, method: str = "limbs", same_camera: bool = False
) -> tuple[np.ndarray, Retargeting]:
    """The dance as the target would do it.

    Args:
        dance, target: each in pixels of its own video.
        method: "limbs" or "global".
        same_camera: whether both are known to be filmed in one room from one place; the poses stay where they are then.
            Otherwise it is guessed from the poses.

    Returns:
        (N, 18, 3) float32 keypoints in pixels of the target's frames, confidences as they were; and what was done.

    Raises:
        InputError: a video shows too little of its person.
    """
    anchor = common_anchor(dance.seen, target.seen)
    dancer, goal = (measure(poses, ANCHORS[anchor]) for poses in (dance, target))
    unchanged = method == "limbs" and (
        (same_camera and dance.frame_size == target.frame_size) or _looks_unchanged(dance, target, dancer, goal)
    )
    dancer = replace(dancer, keypoints=denoise(dancer, goal) if unchanged else denoise(dancer))
    if method == "limbs":
        # Where nothing is to be changed, the dancer is their own target.
        moved = move_by_limbs(dancer, dancer if unchanged else goal, ANCHORS[anchor], target.frame_size[1])
    else:
        moved = move_by_scale(dancer, goal)
    offset, wanted = moved.keypoints[:, :18, 0] - moved.place[:, None], moved.place - moved.stand
    kept = 1.0 if unchanged else travel_kept(offset, dance.seen, wanted, moved.stand, target)
    xy = moved.keypoints[:, :18] - ((1 - kept) * wanted)[:, None, None] * [1, 0]

    confidence = dance.keypoints[..., 2:]
    result = np.where(confidence > 0, np.concatenate([xy, confidence], -1), 0).astype(np.float32)
    return result, Retargeting(
        anchor=anchor,
        unchanged=unchanged,
        scale=moved.scale,
        travel_gain=kept,
        floor=moved.floor,
        centre=moved.stand + kept * wanted,
        floor_range=(float(goal.floor.min()), float(goal.floor.max())),
        centre_range=(float(goal.centre.min()), float(goal.centre.max())),
    )


def _looks_unchanged(dance: PoseSequence, target: PoseSequence, dancer: Motion, goal: Motion) -> bool:
    """Whether the poses look as if both were one person before one camera."""
    same_rate = bool(abs(np.log(dance.fps / target.fps)) < SAME_RATE)
    return dance.frame_size == target.frame_size and same_rate and same_person_and_camera(dancer, goal)
