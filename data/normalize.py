"""From the dancer's place, distance and size to the target's: "Everybody Dance Now", made robust.

The paper's rule (arXiv 1808.07371, appendix): the height of the feet in the picture tells how far away a person stands;
each video has a far and a close end, with the person's size there; between the ends position and size are linear. It
is exact for a camera over a flat floor. Here every one of its quantities is a robust statistic of joints really seen:

floor line   The lower of the two ankles, median filtered, with its rises of less than a second (jumps, kicks) cut
             out and bridged, then smoothed: where the floor is under the person, not where the feet are.
             Frames without ankles take it from their neighbours in time. Where a video hardly shows ankles, both
             videos use the knees instead, else the hips, else the neck.
far, close   5th and 95th percentile of the floor line over the whole video.
size         Sum of the lengths of torso, thigh, shin and neck, each a high quantile over the frames near an end.
             Neither raised arms nor crouching change it; a part that one video does not show is left out in both.
             Linear between far and close, never smaller when closer. One who stands still has one size.
depth        The dancer's range is mapped into the target's. It is squeezed to fit, but stretched to at most
             `MAX_STRETCH` times the change of size, so that a small sway does not become a walk. Who stands still,
             stands in the middle of the target's range; on a target who stands still, everybody stays on the spot.
travel       Left and right of the middle of the dancer's travel, scaled as the person is, about the middle of the
             target's; squeezed where head, trunk or legs would leave the picture (arms may), or leave it
             further than the target's own do.
jumps        Heights above the floor line scale as the person does.
bad frames   A frame with too few joints still has its place from its neighbours; missing joints stay missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data.skeleton import ANKLES, LEFT_HIP, LEFT_KNEE, NECK, NOSE, RIGHT_HIP, RIGHT_KNEE, body_size
from pose_detector.errors import InputError

MAX_STRETCH = 2.0  # of travel in depth, beyond what the change of size asks for
FLIGHT = 0.9  # seconds that feet may be off the floor
_ANCHORS = (ANKLES, (RIGHT_KNEE, LEFT_KNEE), (RIGHT_HIP, LEFT_HIP), (NECK,))
_BODY = [0, 1, 2, 5, *range(8, 18)]  # all but elbows and wrists
_MOST_SLOPE = 4.0  # growth of size per pixel of floor: body height over camera height, so a camera 0.4 m up
_QUANTILE = 0.85  # of a part's length: what foreshortening leaves whole


@dataclass(frozen=True)
class Motion:
    """What one video says of where its person is.

    Attributes:
        floor: (N,) y of the floor under the person, pixels.
        centre: (N,) x of the middle of the body, pixels, smoothed.
        far, close: ends of the floor line's range, pixels.
        stand: (x, y) the middle of where the person goes, pixels.
        far_parts, close_parts: lengths of torso, thigh, shin, neck at the two ends, pixels; NaN where not seen.
    """

    floor: np.ndarray
    centre: np.ndarray
    far: float
    close: float
    stand: tuple[float, float]
    far_parts: np.ndarray
    close_parts: np.ndarray


@dataclass(frozen=True)
class Report:
    """What normalisation did, for the summary.

    Attributes:
        anchor: joints that the floor line was taken from.
        scale: (N,) factor on the dancer's size in each frame.
        depth_gain: pixels of the target's floor for a pixel of the dancer's, over the middle scale; 1 = kept.
        travel_gain: share of the sideways travel that was kept.
        outside: share of the frames in which a seen joint lies outside the target's picture.
        floor: (N,) floor line in the target's picture, pixels.
    """

    anchor: str
    scale: np.ndarray
    depth_gain: float
    travel_gain: float
    outside: float
    floor: np.ndarray


def seen_mask(keypoints: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """(N, 18) bool: really seen, not filled in."""
    return (keypoints[..., 2] > 0) & ~filled


def normalise_global(
    dance: np.ndarray,
    dance_filled: np.ndarray,
    dance_fps: float,
    target: np.ndarray,
    target_filled: np.ndarray,
    target_fps: float,
    target_size: tuple[int, int],
) -> tuple[np.ndarray, Report]:
    """The dance as the target would do it, by one scale and shift a frame.

    Args:
        dance, target: (N, 18, 3) and (M, 18, 3) keypoints, each in pixels of its own video.
        dance_filled, target_filled: (N, 18) and (M, 18), true where a keypoint is a guess.
        dance_fps, target_fps: frames per second.
        target_size: (width, height) of the target's frames in pixels.

    Returns:
        (N, 18, 3) float32 keypoints in pixels of the target's frames, confidences as they were; and a report.

    Raises:
        InputError: a video shows too little of its person.
    """
    seen = {"dance": seen_mask(dance, dance_filled), "target": seen_mask(target, target_filled)}
    anchor = _common_anchor(seen["dance"], seen["target"])
    a = measure(dance, seen["dance"], dance_fps, anchor)
    b = measure(target, seen["target"], target_fps, anchor)
    common = ~np.isnan(a.far_parts + a.close_parts + b.far_parts + b.close_parts)
    if not common.any():
        raise InputError(
            "the two videos show no part of the body in common (torso, thigh, shin or neck); film the whole person"
        )

    ratio = _mean_size(b, common) / _mean_size(a, common)
    # Depth: the middle of the one range onto that of the other.
    gain = min((b.close - b.far) / max(a.close - a.far, 1e-6), MAX_STRETCH * ratio)
    floor = b.stand[1] + gain * (a.floor - a.stand[1])
    floor = np.clip(floor, b.floor.min(), b.floor.max())
    scale = _size_at(b, floor, common) / _size_at(a, a.floor, common)

    wanted = scale * (a.centre - a.stand[0])
    keep = _travel_kept(
        dance, seen["dance"], a.centre, scale, wanted, target, seen["target"], b.stand[0], target_size[0]
    )
    place = b.stand[0] + keep * wanted

    result = np.zeros(dance.shape, np.float32)
    result[..., 0] = scale[:, None] * (dance[..., 0] - a.centre[:, None]) + place[:, None]
    result[..., 1] = scale[:, None] * (dance[..., 1] - a.floor[:, None]) + floor[:, None]
    result[..., 2] = dance[..., 2]
    present = dance[..., 2] > 0
    result[~present] = 0
    x, y = result[..., 0], result[..., 1]
    beyond = present & ((x < 0) | (x > target_size[0] - 1) | (y < 0) | (y > target_size[1] - 1))
    return result, Report(
        anchor={_ANCHORS[0]: "ankles", _ANCHORS[1]: "knees", _ANCHORS[2]: "hips", _ANCHORS[3]: "neck"}[anchor],
        scale=scale,
        depth_gain=gain / ratio,
        travel_gain=keep,
        outside=float(beyond.any(1).mean()),
        floor=floor,
    )


def measure(keypoints: np.ndarray, seen: np.ndarray, fps: float, anchor: tuple[int, ...] = ANKLES) -> Motion:
    """Floor line, place and size of the person in one video.

    Args:
        keypoints: (N, 18, 3).
        seen: (N, 18) bool, the joints to rely on.
        fps: frames per second.
        anchor: joints whose lowest point stands for the floor.

    Raises:
        InputError: the anchor joints are in no frame.
    """
    floor = floor_line(keypoints, seen, fps, anchor)
    centre = _body_centre(keypoints, seen, fps)
    far, close = np.percentile(floor, (5, 95))
    lengths = _steady(part_lengths(keypoints, seen), fps)
    overall = _quantiles(lengths)
    total = float(np.nansum(overall)) or 1.0
    reach = float(close - far)
    # The size's slope over the floor line, from frames near the two ends, of the parts together.
    near_far = _quantiles(lengths[floor <= far + 0.25 * reach])
    near_close = _quantiles(lengths[floor >= close - 0.25 * reach])
    shared = ~np.isnan(near_far + near_close)
    growth, mean = 0.0, (near_far + near_close) / 2
    if shared.any() and reach > 0:
        at_far, at_close = floor[floor <= far + 0.25 * reach], floor[floor >= close - 0.25 * reach]
        between = max(float(np.median(at_close) - np.median(at_far)), 1e-9)
        part_of_total = float(near_far[shared].sum() + near_close[shared].sum()) / 2
        growth = float((near_close - near_far)[shared].sum()) / part_of_total * reach / between
        growth = float(np.clip(growth, 0.0, min(1.5, _MOST_SLOPE * reach / total)))
        growth *= reach**2 / (reach**2 + (0.05 * total) ** 2)  # a range as small as the noise tells nothing
    mean = np.where(np.isnan(mean), overall, mean)
    stand = (float(np.percentile(centre, (5, 95)).mean()), float(far + close) / 2)
    return Motion(floor, centre, float(far), float(close), stand, mean * (1 - growth / 2), mean * (1 + growth / 2))


def floor_line(keypoints: np.ndarray, seen: np.ndarray, fps: float, anchor: tuple[int, ...] = ANKLES) -> np.ndarray:
    """(N,) y of the floor under the person in pixels: the lowest anchor joint, without jumps, smoothed.

    Raises:
        InputError: the anchor joints are in no frame.
    """
    joints = list(anchor)
    lowest = np.where(seen[:, joints], keypoints[:, joints, 1], -np.inf).max(1)
    line = _interpolate(lowest, np.isfinite(lowest))
    line = ndimage.median_filter(line, size=_odd(0.25 * fps), mode="nearest")
    # A closing finds what rises and comes back; the floor there runs straight from where it left to where it landed.
    risen = ndimage.grey_closing(line, size=_odd(FLIGHT * fps), mode="nearest") - line
    sizes = body_size(keypoints * seen[..., None])
    flight = risen > 0.05 * np.nanmedian(sizes) if np.isfinite(sizes).any() else np.zeros(len(line), bool)
    around = ndimage.binary_dilation(flight, iterations=max(1, round(0.08 * fps)))
    line = _interpolate(line, ~(flight if around.all() else around))
    return ndimage.gaussian_filter1d(line, 0.15 * fps, mode="nearest")


def part_lengths(keypoints: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(N, 2, 4) lengths of torso, thigh, shin and neck to nose in pixels, right and left; NaN where not seen."""
    xy = np.where(seen[..., None], keypoints[..., :2], np.nan).astype(np.float64)
    hips = (xy[:, RIGHT_HIP] + xy[:, LEFT_HIP]) / 2
    sides = []
    for hip, knee, ankle in ((RIGHT_HIP, RIGHT_KNEE, ANKLES[0]), (LEFT_HIP, LEFT_KNEE, ANKLES[1])):
        ends = ((xy[:, NECK], hips), (xy[:, hip], xy[:, knee]), (xy[:, knee], xy[:, ankle]), (xy[:, NOSE], xy[:, NECK]))
        sides.append(np.stack([np.linalg.norm(p - q, axis=-1) for p, q in ends], -1))
    return np.stack(sides, 1)


def _steady(lengths: np.ndarray, fps: float) -> np.ndarray:
    """Lengths (N, 2, 4) median filtered over the frames that show them: jitter must not pass for long limbs."""
    result = lengths.copy()
    for side in range(lengths.shape[1]):
        for part in range(lengths.shape[2]):
            known = np.flatnonzero(~np.isnan(lengths[:, side, part]))
            if len(known):
                values = ndimage.median_filter(lengths[known, side, part], size=_odd(0.4 * fps), mode="nearest")
                result[known, side, part] = values
    return result


def _quantiles(lengths: np.ndarray) -> np.ndarray:
    """(4,) high quantile of each part's length over frames and sides; NaN where it is seen too rarely."""
    result = np.full(lengths.shape[-1], np.nan)
    for part in range(len(result)):
        values = lengths[..., part]
        values = values[~np.isnan(values)]
        if len(values) >= max(1, 0.1 * len(lengths)):
            result[part] = np.quantile(values, _QUANTILE)
    return result


def _size_at(motion: Motion, floor: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """(N,) size in pixels of a person who stands at this floor line, of the parts asked for."""
    far, close = motion.far_parts[parts].sum(), motion.close_parts[parts].sum()
    reach = motion.close - motion.far
    share = (floor - motion.far) / reach if reach > 1e-6 else np.full(len(floor), 0.5)
    return np.maximum(far + share * (close - far), 0.25 * (far + close) / 2)


def _mean_size(motion: Motion, parts: np.ndarray) -> float:
    return float((motion.far_parts + motion.close_parts)[parts].sum()) / 2


def _common_anchor(*seen: np.ndarray) -> tuple[int, ...]:
    for anchor in _ANCHORS:
        if all(s[:, list(anchor)].any(1).mean() >= 0.2 for s in seen):
            return anchor
    raise InputError("the person is seen in too few frames of one of the videos to normalise; film the whole body")


def _body_centre(keypoints: np.ndarray, seen: np.ndarray, fps: float) -> np.ndarray:
    """(N,) x of the trunk, from neighbours in time where it is not seen, smoothed."""
    trunk = [NECK, RIGHT_HIP, LEFT_HIP]
    weights = seen[:, trunk] * np.array([2.0, 1.0, 1.0])
    # With one of the joints missing the others lie to its side: take whole trunks where there are enough of them.
    whole = (weights > 0).all(1)
    use = whole if whole.mean() > 0.3 else weights.any(1)
    if not use.any():
        use, weights, trunk = seen.any(1), seen.astype(float), list(range(18))
    total = np.maximum(weights.sum(1), 1e-9)
    x = (weights * keypoints[:, trunk, 0]).sum(1) / total
    x = _interpolate(x, use)
    x = ndimage.median_filter(x, size=_odd(0.2 * fps), mode="nearest")
    return ndimage.gaussian_filter1d(x, 0.2 * fps, mode="nearest")


def _interpolate(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    index = np.arange(len(values))
    if not known.any():
        raise InputError("the person is seen in no frame; film the whole body, or name another one with --person")
    return np.interp(index, index[known], values[known].astype(np.float64))


def _travel_kept(
    dance: np.ndarray,
    dance_seen: np.ndarray,
    centre: np.ndarray,
    scale: np.ndarray,
    wanted: np.ndarray,
    target: np.ndarray,
    target_seen: np.ndarray,
    stand: float,
    width: int,
) -> float:
    """Share of the wanted travel (N,) in pixels that keeps the body in the picture, or as far outside as the target."""
    own = target[:, _BODY, 0][target_seen[:, _BODY]]
    left, right = own.min(initial=0.0), own.max(initial=width - 1.0)
    seen = dance_seen[:, _BODY]
    offset = scale[:, None] * (dance[:, _BODY, 0] - centre[:, None])
    low = np.where(seen, offset, np.inf).min(1)
    high = np.where(seen, offset, -np.inf).max(1)
    room = np.where(wanted < 0, stand + low - left, right - stand - high)
    # A pose that is too wide for the picture wherever it stands has no say.
    counts = seen.any(1) & (room > 0) & (wanted != 0)
    if not counts.any():
        return 1.0
    share = np.minimum(1.0, room[counts] / np.abs(wanted[counts]))
    return float(np.quantile(share, 0.02))


def _odd(length: float) -> int:
    return 2 * max(0, round((length - 1) / 2)) + 1
