"""From the dancer's place, distance, size and proportions to the target's.

Two ways, `normalise(..., method)`:

"limbs"   From the keypoints of each video a camera over a flat floor is guessed. How high the feet stand in the picture
          then tells how far away the person is, and every pose becomes a flat figure that stands upright at that
          distance. The figure's bones get the target's lengths, it is put at the target's place, walks the dancer's way
          in steps of the target's size, and is seen through the target's camera.
"global"  The rule of "Everybody Dance Now" (arXiv 1808.07371, appendix), made robust: between a far and a close end of
          the feet's range, size and place are linear in the feet's height; one scale and shift a frame.

What both need is measured by robust statistics of joints really seen:

floor line   The lower of the two ankles, median filtered, with its rises of less than a second (jumps, kicks) cut
             out and bridged, then smoothed: where the floor is under the person, not where the feet are.
             Frames without ankles take it from their neighbours in time. Where a video hardly shows ankles, both
             videos use the knees instead, else the hips, else the neck.
lengths      A high quantile over time of what one sees of a bone: foreshortening only shortens. Less what jitter adds
             to it, which is much where the person is small in the picture.
travel       Squeezed where head, trunk or legs would leave the picture (arms may), or leave it further than the
             target's own do.
jitter       What each keypoint does alone is damped; what they do together is the dance.
bad frames   A frame with too few joints still has its place from its neighbours; missing joints stay missing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.special import ndtri

from pose_detector.errors import InputError
from pose_detector.skeleton import (
    ANKLES,
    LEFT_HIP,
    LEFT_KNEE,
    LEFT_SHOULDER,
    NECK,
    RIGHT_HIP,
    RIGHT_KNEE,
    RIGHT_SHOULDER,
    body_size,
)

FLIGHT = 0.9  # seconds that feet may be off the floor
_ANCHORS = {
    "ankles": ANKLES,
    "knees": (RIGHT_KNEE, LEFT_KNEE),
    "hips": (RIGHT_HIP, LEFT_HIP),
    "neck": (NECK,),
}
_BODY = [0, 1, 2, 5, *range(8, 18)]  # all but elbows and wrists
_QUANTILE = 0.85  # of a part's length: what foreshortening leaves whole
_JITTER = 0.0037  # standard deviation of a coordinate after step 1, in roots of the picture's area: 1.4 working pixels

_MAX_STRETCH = 2.0  # "global": of travel in depth, beyond what the change of size asks for
_MOST_SLOPE = 4.0  # "global": growth of size per pixel of floor: body height over camera height, so a camera 0.4 m up
# ---- "limbs" ---------------------------------------------------------------------------------------------------------
FOCAL = 1.2  # of a camera nobody told about, in longer sides of the picture
# Camera height in heights of the person, to be expected before looking: median, standard deviation of the logarithm.
_USUAL_HEIGHT, _HEIGHT_SPREAD = 0.72, 0.45
_WEIGHT = 0.2  # independent observations a second when sizes are compared over the floor


@dataclass(frozen=True)
class View:
    """A guessed camera over a flat floor, aimed at where the person mostly is. Lengths are in heights of the person.

    focal: pixels. x, y: of the picture, where it is aimed. pitch: radians, positive looks down. height: over the floor.
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


# The skeleton from the root outwards: joint, the one before, the kind of bone between; 18 stands for the middle of the
# hips.
_ROOT = 18
_TREE = (
    (1, _ROOT, "torso"), (8, _ROOT, "hips"), (11, _ROOT, "hips"), (9, 8, "thigh"), (12, 11, "thigh"),
    (10, 9, "shin"), (13, 12, "shin"), (0, 1, "neck"), (2, 1, "shoulders"), (5, 1, "shoulders"),
    (3, 2, "upper arm"), (6, 5, "upper arm"), (4, 3, "forearm"), (7, 6, "forearm"),
    (14, 0, "eyes"), (15, 0, "eyes"), (16, 0, "ears"), (17, 0, "ears"),
)  # fmt: skip
_KINDS = tuple(dict.fromkeys(kind for *_, kind in _TREE))
_STATURE = ("torso", "thigh", "shin", "neck")  # height is measured by them
# Lengths as a camera that looks straight ahead sees them on who dances facing it, in heights of the person. To one that
# looks down, what is ahead of the body looks lower: by how much, for a tangent of 1, a bone's outer end is further
# ahead than its inner one. It is knees and nose.
_USUAL = {
    "torso": 0.275, "hips": 0.054, "thigh": 0.22, "shin": 0.22, "neck": 0.13,
    "shoulders": 0.105, "upper arm": 0.165, "forearm": 0.133, "eyes": 0.029, "ears": 0.068,
}  # fmt: skip
_AHEAD = {"thigh": 0.09, "shin": -0.09, "neck": -0.09}
_BUILD = 0.12  # standard deviation of the logarithm of such a length over what the others lead to expect
_SHAKE = {"torso": 1.5, "hips": 0.5}  # variance of a bone's length in that of a coordinate; 2: two ends, no mean of two
_UPRIGHT = [i for i, (*_, kind) in enumerate(_TREE) if kind in _STATURE]
_TREMOR = 0.008  # of the height, by which a good detector errs, in training too: to take that away does harm
_HOME = (0.5, 0.7)  # heights across and along that one may stand from where the target was and still be at home
_VARIETY = 0.08  # standard deviation of the logarithm of a bone's share of the height among people
_VAGUE = 0.045  # of somebody's height over another's, told by their bones; by their whole height 0.03


@dataclass(frozen=True)
class Motion:
    """What one video says of its person.

    Attributes:
        keypoints: (N, 19, 2) pixels, missing ones filled in from their neighbours in time; the last is the root.
        calm: (N, 19, 2) the same without spikes and most of the jitter, to be measured.
        seen: (N, 18) bool, the joints to rely on.
        told: (N, 18) bool, those among them that tell lengths: of who faces the camera.
        floor: (N,) y of the floor under the person, pixels.
        centre: (N,) x of the middle of the body, pixels.
        view: the guessed camera.
        distance: (N,) from the camera along the floor, heights of the person.
        aside: (N,) to the right of where the camera is aimed, heights of the person.
        lengths: (kinds of bones,) in heights of the person; NaN where not seen.
        doubt: (kinds of bones,) standard deviations of their logarithms.
        shaken: (kinds of bones,) logarithms of how much longer they look by jitter.
        tall: from the nose to the feet along the bones, at its most upright, in heights of the person; NaN if unseen.
        crouch: logarithm of how much more that is than mostly.
    """

    keypoints: np.ndarray
    calm: np.ndarray
    seen: np.ndarray
    told: np.ndarray
    floor: np.ndarray
    centre: np.ndarray
    view: View
    distance: np.ndarray
    aside: np.ndarray
    lengths: np.ndarray
    doubt: np.ndarray
    shaken: np.ndarray
    tall: float
    crouch: float


@dataclass(frozen=True)
class Report:
    """What normalisation did, for whoever wants to know.

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


def normalise(
    dance: np.ndarray,
    dance_filled: np.ndarray,
    dance_fps: float,
    dance_size: tuple[int, int],
    target: np.ndarray,
    target_filled: np.ndarray,
    target_fps: float,
    target_size: tuple[int, int],
    method: str = "limbs",
    same_camera: bool = False,
) -> tuple[np.ndarray, Report]:
    """The dance as the target would do it.

    Args:
        dance, target: (N, 18, 3) and (M, 18, 3) keypoints, each in pixels of its own video.
        dance_filled, target_filled: (N, 18) and (M, 18), true where a keypoint is a guess.
        dance_fps, target_fps: frames per second.
        dance_size, target_size: (width, height) of the frames in pixels.
        method: "limbs" or "global".
        same_camera: whether both are known to be filmed in one room from one place; the poses stay where they are then.
            Otherwise it is guessed from the poses.

    Returns:
        (N, 18, 3) float32 keypoints in pixels of the target's frames, confidences as they were; and a report.

    Raises:
        InputError: a video shows too little of its person.
    """
    seen_a, seen_b = ((k[..., 2] > 0) & ~filled for k, filled in ((dance, dance_filled), (target, target_filled)))
    anchor = _common_anchor(seen_a, seen_b)
    a = measure(dance, seen_a, dance_fps, dance_size, _ANCHORS[anchor])
    b = goal = measure(target, seen_b, target_fps, target_size, _ANCHORS[anchor])
    alike = dance_size == target_size and abs(np.log(dance_fps / target_fps)) < 0.02
    home = method == "limbs" and dance_size == target_size and (same_camera or (alike and at_home(a, b)))
    a = replace(a, keypoints=quiet(a, b) if home else quiet(a))
    if home:
        b = a
    moved = _by_limbs(a, b, list(_ANCHORS[anchor]), target_size[1]) if method == "limbs" else _by_scale(a, b)
    keep = 1.0
    if a is not b:
        offset = moved.keypoints[:, :18, 0] - moved.place[:, None]
        keep = _travel_kept(offset, seen_a, moved.place - moved.stand, moved.stand, target, seen_b, target_size[0])
    xy = moved.keypoints[:, :18] - ((1 - keep) * (moved.place - moved.stand))[:, None, None] * [1, 0]

    present = dance[..., 2:] > 0
    result = np.where(present, np.concatenate([xy, dance[..., 2:]], -1), 0).astype(np.float32)
    return result, Report(
        anchor=anchor,
        unchanged=a is b,
        scale=moved.scale,
        travel_gain=keep,
        floor=moved.floor,
        centre=moved.stand + keep * (moved.place - moved.stand),
        floor_range=(float(goal.floor.min()), float(goal.floor.max())),
        centre_range=(float(goal.centre.min()), float(goal.centre.max())),
    )


@dataclass(frozen=True)
class _Moved:
    """The dance at the target's place: keypoints (N, 19, 2), factor on the size, x where it goes and of the middle of
    its way, floor line; (N,) each."""

    keypoints: np.ndarray
    scale: np.ndarray
    place: np.ndarray
    stand: np.ndarray
    floor: np.ndarray


def _by_limbs(a: Motion, b: Motion, feet: list[int], height: int) -> _Moved:
    """Dance a as target b by bones and cameras; see the module's docstring. The target's frames are `height` high."""
    ratio = bone_ratios(a, b)
    legs = (ratio["thigh"] + ratio["shin"]) / 2
    there, away = _middle(b.aside, b.seen), _middle(b.distance, b.seen)
    way = legs * (a.aside - _middle(a.aside, a.seen))
    # Who comes so near that the feet would leave the picture, or further than the target's own, stops there.
    nearest = min(away, float(b.view.distance(np.maximum(b.floor.max(), height - 1))))
    distance = np.clip(away + legs * (a.distance - _middle(a.distance, a.seen)), nearest, 3 * away)

    flat = a.view.lift(a.keypoints, a.distance)
    built = np.empty_like(flat)
    built[:, _ROOT, 0] = there + way + legs * (flat[:, _ROOT, 0] - a.aside)
    built[:, _ROOT, 1] = legs * flat[:, _ROOT, 1]
    for joint, before, kind in _TREE:
        built[:, joint] = built[:, before] + ratio[kind] * (flat[:, joint] - flat[:, before])
    built[..., 1] += (legs * flat[:, feet, 1].min(1) - built[:, feet, 1].min(1))[:, None]

    middle = np.stack([np.full(len(way), there), np.zeros(len(way))], -1)
    stand, place = (
        b.view.project(on_floor[:, None], distance)[:, 0] for on_floor in (middle, middle + way[:, None] * [1, 0])
    )
    scale = (b.view.focal / distance) / (a.view.focal / a.distance)
    return _Moved(b.view.project(built, distance), scale * legs, place[:, 0], stand[:, 0], stand[:, 1])


def _by_scale(a: Motion, b: Motion) -> _Moved:
    """Dance a as target b by the paper's rule: size and place linear between a far and a close end."""
    ends = [np.percentile(motion.floor, (5, 95)) for motion in (a, b)]
    lengths = [bone_lengths(motion.calm, motion.seen)[:, _UPRIGHT] for motion in (a, b)]
    overall = [quantile(values, _QUANTILE) for values in lengths]
    common = ~np.isnan(overall[0] + overall[1])
    if not common.any():
        raise InputError(
            "the two videos show no part of the body in common (torso, thigh, shin or neck); film the whole person"
        )
    sizes = []
    for motion, values, whole, (far, close) in zip((a, b), lengths, overall, ends, strict=True):
        reach, growth = close - far, 0.0
        at_far, at_close = motion.floor <= far + 0.25 * reach, motion.floor >= close - 0.25 * reach
        small, large = (quantile(values[at][:, common], _QUANTILE) for at in (at_far, at_close))
        both = ~np.isnan(small + large)
        total = np.where(both, (small + large) / 2, whole[common]).sum()
        between = np.median(motion.floor[at_close]) - np.median(motion.floor[at_far])
        if both.any() and between > 0:
            growth = 2 * float((large - small)[both].sum() / (large + small)[both].sum()) * reach / between
            growth = np.clip(growth, 0, min(1.5, _MOST_SLOPE * reach / total))
            growth *= reach**2 / (reach**2 + (0.05 * total) ** 2)  # a range as small as the noise tells nothing
        sizes.append((total * (1 - growth / 2), total * (1 + growth / 2)))

    def size_at(which: int, line: np.ndarray) -> np.ndarray:
        (far, close), (small, large) = ends[which], sizes[which]
        share = (line - far) / (close - far) if close - far > 1e-6 else np.full(len(line), 0.5)
        return np.maximum(small + share * (large - small), (small + large) / 8)

    ratio = sum(sizes[1]) / sum(sizes[0])
    # Depth: the middle of the one range onto that of the other. It is squeezed to fit, but a sway becomes no walk.
    gain = min(np.ptp(ends[1]) / max(np.ptp(ends[0]), 1e-6), _MAX_STRETCH * ratio)
    floor = np.clip(ends[1].mean() + gain * (a.floor - ends[0].mean()), b.floor.min(), b.floor.max())
    scale = size_at(1, floor) / size_at(0, a.floor)
    stand = np.full(len(floor), _middle(b.centre, b.seen))
    place = stand + scale * (a.centre - _middle(a.centre, a.seen))
    here, there = np.stack([a.centre, a.floor], -1)[:, None], np.stack([place, floor], -1)[:, None]
    return _Moved(there + scale[:, None, None] * (a.keypoints - here), scale, place, stand, floor)


def quiet(dance: Motion, *same: Motion) -> np.ndarray:
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
    tremor = _TREMOR * np.median(np.ptp(dance.calm[..., 1], axis=1))
    jitter = max(float(np.median(variance) - tremor**2), 0.0)
    lost = np.minimum(jitter / np.maximum(variance, 1e-9), 1)
    move = -(poses[: len(dance.keypoints)] @ ways * lost @ ways.T).reshape(-1, 19, 2)
    far = np.linalg.norm(move, axis=-1, keepdims=True)
    return dance.keypoints + move * np.minimum(1, 3 * np.sqrt(jitter) / np.maximum(far, 1e-9))


def _without_spikes(motion: Motion) -> np.ndarray:
    """Keypoints (N, 19, 2); calm ones where they are off by a tenth of the person's height."""
    off = np.linalg.norm(motion.keypoints - motion.calm, axis=-1, keepdims=True)
    return np.where(off > 0.1 * np.median(np.ptp(motion.calm[..., 1], axis=1)), motion.calm, motion.keypoints)


def at_home(dance: Motion, target: Motion) -> bool:
    """Whether the dance shows the target, before the target's camera: then nothing is to be changed.

    That is so where the dancer, seen by the target's camera, has the target's bones, and stands where the target was,
    give or take half a height across and a little more along the floor. Towards the camera that is far less in the
    picture than sideways: who is filmed by another camera, even with the target's size and build, will hardly stand on
    that strip of it with just the size to be expected there.
    """
    shown = dance.calm, dance.told, target.view, target.view.distance(dance.floor)
    lengths, doubt, _ = bones_of(*shown)
    found, doubt = _difference(lengths, doubt, target)
    common = np.average(found, weights=1 / (2 * _VARIETY**2 + doubt))
    away = np.median(target.distance)
    tall = target.view.focal / away
    across = _HOME[0] * tall
    along = (_HOME[1] * target.view.height / away + 0.03) * tall  # 0.03: ankles rise when one dances
    there = all(
        goal.min() - around < np.median(way) < goal.max() + around
        for way, goal, around in ((dance.floor, target.floor, along), (dance.centre, target.centre, across))
    )
    # On average like the target, and in no bone quite another; `doubt` is generous: it is how much a bone's picture
    # varies in a dance, where quantiles of many frames are compared.
    unlike = (found - common) ** 2 / (0.03**2 + doubt)
    tall, crouch = tallness(*shown)
    larger = _larger(common, np.log(target.tall / tall), crouch, target.crouch)
    return bool(abs(larger) < 0.08 and unlike.mean() < 0.6 and unlike.max() < 2.5 and there)


def bone_ratios(dance: Motion, target: Motion) -> dict[str, float]:
    """Target's length over the dancer's of each kind of bone, in heights of the person each.

    What is known badly is drawn towards what the well known ones have in common, as these cameras see it.
    """
    found, doubt = _difference(dance.lengths, dance.doubt, target)
    theirs, hers = usual_lengths(dance.view.pitch), usual_lengths(target.view.pitch)
    found -= np.log(hers / theirs)
    # What is mostly jitter is hardly known.
    doubt = doubt + np.nan_to_num(dance.shaken**2 + target.shaken**2)
    variety = 2 * _VARIETY**2
    common = np.average(found, weights=1 / (variety + doubt))
    likely = (found - common) * variety / (variety + doubt)
    upright = [_KINDS.index(kind) for kind in _STATURE]
    taller = np.log(target.tall / dance.tall) - np.log(hers[upright].sum() / theirs[upright].sum())
    likely += np.log(hers / theirs) + _larger(common, taller, dance.crouch, target.crouch)
    return dict(zip(_KINDS, np.exp(likely).tolist(), strict=True))


def _larger(common: float, taller: float, *crouch: float) -> float:
    """Logarithm of one person's size over another's, from what bones have in common and from the whole height.

    The height says it better than its parts, unless one of them hardly ever stands upright and so seems short.
    """
    share = _VAGUE**2 / (_VAGUE**2 + 0.03**2 + sum(c**2 for c in crouch))
    return common + float(np.nan_to_num(share * (taller - common)))


def usual_lengths(pitch: float) -> np.ndarray:
    """(kinds of bones,) flat lengths in heights of the person to be expected before a camera that looks down so."""
    return np.maximum([_USUAL[kind] + np.tan(pitch) * _AHEAD.get(kind, 0.0) for kind in _KINDS], 0.02)


def _difference(lengths: np.ndarray, doubt: np.ndarray, target: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the target's bones over these (kinds of bones,), and their variances."""
    difference, variance = np.log(target.lengths / lengths), target.doubt**2 + doubt**2
    unknown = np.isnan(difference)
    return np.where(unknown, 0, difference), np.where(unknown, 1e6, variance)


def measure(
    keypoints: np.ndarray, seen: np.ndarray, fps: float, size: tuple[int, int], anchor: tuple[int, ...] = ANKLES
) -> Motion:
    """Camera, way and proportions of the person in one video.

    Args:
        keypoints: (N, 18, 3).
        seen: (N, 18) bool, the joints to rely on.
        fps: frames per second.
        size: (width, height) of the frames in pixels.
        anchor: joints whose lowest point stands for the floor.

    Raises:
        InputError: the anchor joints are in no frame.
    """
    floor = floor_line(keypoints, seen, fps, anchor)
    xy = complete(keypoints)
    # Jitter and single wrong keypoints must not pass for long limbs.
    calm = ndimage.median_filter(xy, (_odd(0.3 * fps), 1, 1), mode="nearest")
    centre = _body_centre(calm, fps)
    told = seen & facing(calm)[:, None]
    view = guess_view(calm, told, floor, centre, fps, size)
    slope = np.tan(np.median(np.arctan2(view.height, view.distance(floor))))
    distance = view.distance(ndimage.gaussian_filter1d(floor, np.clip(0.04 / slope, 0.1, 0.5) * fps, mode="nearest"))
    aside = distance * (centre - view.x) / (view.focal * np.cos(view.pitch))
    bones, tall = bones_of(calm, told, view, distance), tallness(calm, told, view, distance)
    return Motion(xy, calm, seen, told, floor, centre, view, distance, aside, *bones, *tall)


def facing(xy: np.ndarray) -> np.ndarray:
    """(N,) bool, the frames of (N, 19, 2) in which the person faces the camera; all of them where these are too few."""
    wide = (xy[:, [LEFT_SHOULDER, LEFT_HIP], 0] - xy[:, [RIGHT_SHOULDER, RIGHT_HIP], 0]).sum(1)
    front = wide > 0.5 * np.quantile(wide, _QUANTILE)
    return front if front.mean() > 0.3 else np.ones(len(xy), bool)


def tallness(xy: np.ndarray, seen: np.ndarray, view: View, distance: np.ndarray) -> tuple[float, float]:
    """`Motion.tall` and `Motion.crouch`. Little of it is jitter: what that adds to one bone it takes from the next."""
    flat = view.lift(xy, distance)
    known = ~np.isnan(bone_lengths(flat, seen)[:, _UPRIGHT])
    whole = bone_lengths(flat, np.ones_like(seen))[known.mean(1) >= 0.5][:, _UPRIGHT]
    if (known.mean(0) < 0.1).any() or not len(whole):
        return np.nan, np.nan
    middle = np.median(whole, 0)
    variance = 2 * (view.jitter / view.focal * np.median(distance)) ** 2
    share = 1 / np.array([1, 2, 2, 2, 2, 1])  # of `_UPRIGHT`: legs are two
    mostly, most = np.quantile(whole @ share, (0.6, 0.95))
    return float(most - (middle - steady(middle, variance)) @ share), float(np.log(most / mostly))


def bones_of(xy: np.ndarray, seen: np.ndarray, view: View, distance: np.ndarray) -> tuple[np.ndarray, ...]:
    """(kinds of bones,) each: lengths in heights of the person, NaN where not seen; doubt; shaken. See `Motion`."""
    bones = bone_lengths(view.lift(xy, distance), seen)
    kinds = np.array([kind for *_, kind in _TREE])
    pooled = [bones[:, kinds == kind].reshape(-1, 1) for kind in _KINDS]
    low, raw, high = (np.concatenate([quantile(values, q) for values in pooled]) for q in (0.75, _QUANTILE, 0.95))
    jitter = view.jitter / view.focal * float(np.median(distance))
    parts = [steady_quantile(values, kind, jitter) for values, kind in zip(pooled, _KINDS, strict=True)]
    lengths = np.concatenate(parts)
    return lengths, np.log(high / low), np.log(raw / lengths)


def guess_view(
    xy: np.ndarray, seen: np.ndarray, floor: np.ndarray, centre: np.ndarray, fps: float, size: tuple[int, int]
) -> View:
    """The camera under which the person's size changes least over the floor, and the build is the most usual.

    Tried is how steeply the camera looks down at the feet. Each trial gives every pose a distance and so its bones a
    length; the better the camera, the narrower the lengths lie below their upper quantile (the pinball loss of quantile
    regression). Who hardly moves in depth says nothing by that. Then long thighs over short shins and neck tell of a
    camera high up, and its usual height has a say.
    """
    x, focal, jitter = _middle(centre, seen), FOCAL * max(size), _JITTER * np.sqrt(size[0] * size[1])
    some = np.linspace(0, len(xy) - 1, min(len(xy), 1000)).round().astype(int)
    xy, seen, line = xy[some], seen[some], floor[some]
    middle = float(np.median((xy[:, NECK, 1] + line) / 2))
    below = np.arctan((np.median(line) - middle) / focal)
    kinds = [_TREE[bone][2] for bone in _UPRIGHT]

    def attempt(slope: float) -> tuple[View, float]:
        """A camera that looks down at the feet so steeply (tangent), and how badly it fits."""
        view = View(focal, x, middle, float(np.arctan(slope) - below), 1.0, jitter)
        distance = view.distance(line)
        bones = bone_lengths(view.lift(xy, distance), seen)[:, _UPRIGHT]
        upper = quantile(bones, _QUANTILE)
        known = ~np.isnan(upper)
        if not known.any():
            raise InputError("the person is never seen from head to foot in one of the videos; film the whole body")
        over = np.log(np.maximum(bones[:, known], 1e-6) / upper[known])
        pinball = np.nanmean(np.where(over > 0, _QUANTILE * over, (_QUANTILE - 1) * over), 0)
        unit = jitter / focal * float(np.median(distance))
        parts = np.concatenate([steady_quantile(bones[:, [i]], kind, unit) for i, kind in enumerate(kinds)])[known]
        usual = usual_lengths(view.pitch)[[_KINDS.index(kind) for kind in kinds]][known]
        view = replace(view, height=float(usual.sum() / parts.sum()))
        unusual = (np.log(view.height / _USUAL_HEIGHT) / _HEIGHT_SPREAD) ** 2
        unusual += known.sum() * np.log(parts / usual).var() / _BUILD**2
        return view, _WEIGHT * len(floor) / fps * float(np.log(pinball + 1e-4).sum()) + unusual / 2

    slopes = np.linspace(np.log(0.03), np.log(1.6), 32)
    misfit = np.array([attempt(np.exp(slope))[1] for slope in slopes])
    return attempt(np.exp(np.average(slopes, weights=np.exp(misfit.min() - misfit))))[0]


def bone_lengths(flat: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(N, bones of the tree) lengths of (N, 19, 2); NaN where an end is not seen."""
    seen = np.concatenate([seen, seen[:, [RIGHT_HIP, LEFT_HIP]].all(1, keepdims=True)], 1)
    outer, inner = np.array([bone[:2] for bone in _TREE]).T
    length = np.linalg.norm(flat[:, outer] - flat[:, inner], axis=-1)
    return np.where(seen[:, outer] & seen[:, inner], length, np.nan)


def quantile(values: np.ndarray, share: float) -> np.ndarray:
    """Quantile over the first axis of what is not NaN; NaN where less than a tenth is known."""
    count = (~np.isnan(values)).sum(0)
    ordered = np.sort(values, 0)
    index = np.clip(np.rint(share * (count - 1)), 0, None).astype(int)
    result = np.take_along_axis(ordered, index[None], 0)[0]
    return np.where(count >= max(1, 0.1 * len(values)), result, np.nan)


def steady_quantile(lengths: np.ndarray, kind: str, jitter: float) -> np.ndarray:
    """`quantile` of (N, K) lengths of a kind of bone less what jitter, in their unit, adds to it: (K,)."""
    middle, upper = quantile(lengths, 0.5), quantile(lengths, _QUANTILE)
    variance = _SHAKE.get(kind, 2.0) * jitter**2
    # Jitter along the bone widens the range from the median to the quantile.
    spread = np.sqrt(np.maximum((upper - middle) ** 2 - ndtri(_QUANTILE) ** 2 * variance, 0))
    return steady(middle, variance) + spread


def steady(length: np.ndarray, variance: np.ndarray | float) -> np.ndarray:
    """Lengths as they were without jitter across the bone, which makes them longer; at least half of what they are."""
    return np.sqrt(np.maximum(length**2 - variance, length**2 / 4))


def complete(keypoints: np.ndarray) -> np.ndarray:
    """(N, 19, 2) pixels of (N, 18, 3): missing keypoints from the frames around, relative to the body; and the root.

    A joint that is never seen lies where the one before it does.
    """
    xy, seen = keypoints[..., :2].astype(np.float64), keypoints[..., 2] > 0
    hips, trunk = [RIGHT_HIP, LEFT_HIP], [NECK, RIGHT_HIP, LEFT_HIP]
    index = np.arange(len(xy))

    def fill(values: np.ndarray, known: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(index, index[known], values[known, i]) for i in (0, 1)], -1)

    whole = seen[:, trunk].all(1)
    if whole.any():
        centre = fill(xy[:, trunk].mean(1), whole)
    else:
        number = np.maximum(seen.sum(1), 1)[:, None]
        centre = fill((xy * seen[..., None]).sum(1) / number, seen.any(1))
    result = np.empty((len(xy), 19, 2))
    for joint in range(18):
        known = seen[:, joint]
        result[:, joint] = centre + fill(xy[:, joint] - centre, known) if known.any() else np.nan
    result[:, _ROOT] = result[:, hips].mean(1) if seen[:, hips].any(0).all() else centre
    for joint, before, _ in _TREE:
        if not seen[:, joint].any():
            result[:, joint] = result[:, before]
    return result


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


def _common_anchor(*seen: np.ndarray) -> str:
    for name, joints in _ANCHORS.items():
        if all(s[:, list(joints)].any(1).mean() >= 0.2 for s in seen):
            return name
    raise InputError("the person is seen in too few frames of one of the videos to normalise; film the whole body")


def _body_centre(calm: np.ndarray, fps: float) -> np.ndarray:
    """(N,) x of the trunk of (N, 19, 2) filled keypoints, smoothed: pixels."""
    x = calm[:, [NECK, _ROOT], 0].mean(1)
    x = ndimage.median_filter(x, size=_odd(0.2 * fps), mode="nearest")
    return ndimage.gaussian_filter1d(x, 0.2 * fps, mode="nearest")


def _interpolate(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    index = np.arange(len(values))
    if not known.any():
        raise InputError("the person is seen in no frame; film the whole body, or name another one with --person")
    return np.interp(index, index[known], values[known].astype(np.float64))


def _travel_kept(
    offset: np.ndarray,
    seen: np.ndarray,
    wanted: np.ndarray,
    stand: np.ndarray,
    target: np.ndarray,
    target_seen: np.ndarray,
    width: int,
) -> float:
    """Share of the wanted travel that keeps the body in the picture, or as far outside as the target.

    Args:
        offset: (N, 18) x of the joints relative to the middle of the body, pixels of the target's frames.
        seen: (N, 18) bool.
        wanted, stand: (N,) travel from, and x of, the middle of the way, pixels.
        target: (M, 18, 3) keypoints.
        target_seen: (M, 18) bool.
        width: of the target's frames, pixels.
    """
    own = target[:, _BODY, 0][target_seen[:, _BODY]]
    left, right = own.min(initial=0.0), own.max(initial=width - 1.0)
    seen = seen[:, _BODY]
    low = np.where(seen, offset[:, _BODY], np.inf).min(1)
    high = np.where(seen, offset[:, _BODY], -np.inf).max(1)
    room = np.where(wanted < 0, stand + low - left, right - stand - high)
    # A pose that is too wide for the picture wherever it stands has no say.
    counts = seen.any(1) & (room > 0) & (wanted != 0)
    if not counts.any():
        return 1.0
    share = np.minimum(1.0, room[counts] / np.abs(wanted[counts]))
    return float(np.quantile(share, 0.02))


def _middle(way: np.ndarray, seen: np.ndarray) -> float:
    """The middle of a way (N,) without its outermost places, as far as one sees it (N, 18)."""
    return float(np.percentile(way[seen.any(1)], (5, 95)).mean())


def _odd(length: float) -> int:
    return 2 * max(0, round((length - 1) / 2)) + 1
