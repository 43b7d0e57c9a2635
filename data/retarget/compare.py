"""Two people compared: how much longer the target's bones are, and whether both are one person at one camera."""

from __future__ import annotations

import numpy as np

from data.retarget.bones import KINDS, UPRIGHT_KINDS, usual_lengths
from data.retarget.measure import Motion, measure_bones, measure_stature

# Spread of people's builds, and the errors of measuring them in two videos: standard deviations of logarithms.
BONE_SHARE = 0.08  # of a bone's share of the height, among people
BY_BONES, BY_STATURE = 0.045, 0.03  # of the ratio of two people's heights, measured by bones and by the whole height
# Set by hand on class "oneself" of `benchmarks/normalise.py` against the other ones.
ACROSS, ALONG = 0.5, 0.7  # heights that one may stand from where the target was, sideways and along the floor
ANKLE_RISE = 0.03  # heights by which ankles rise when one dances
BONE_ERROR = 0.03  # logarithm of a bone's length by which the same person may differ
LARGER = 0.08  # logarithm of the height from which on the dancer is another person
UNLIKE_MEAN, UNLIKE_MOST = 0.6, 2.5  # squared differences of bones, in variances, from which on they are


def same_person_and_camera(dance: Motion, target: Motion) -> bool:
    """Whether the dance shows the target in front of the target's camera: then nothing has to change.

    The dancer, seen by the target's camera, must have the target's bones and stand where the target stood, within half
    a height sideways and a little more along the floor. In the picture the floor's depth is a narrow strip: a person
    filmed by another camera will hardly stand on it at just the expected size, even with the target's build.
    """
    shown = dance.filtered, dance.measurable, target.view, target.view.distance(dance.floor)
    lengths, log_std, _ = measure_bones(*shown)
    difference, variance = _difference(lengths, log_std, target)
    common = np.average(difference, weights=1 / (2 * BONE_SHARE**2 + variance))
    # On average like the target, and in no bone quite another; the variance is generous: it is how much a bone's
    # picture varies in a dance, where quantiles of many frames are compared.
    unlike = (difference - common) ** 2 / (BONE_ERROR**2 + variance)
    stature, crouch = measure_stature(*shown)
    larger = _larger(common, np.log(target.stature / stature), crouch, target.crouch)
    alike = abs(larger) < LARGER and unlike.mean() < UNLIKE_MEAN and unlike.max() < UNLIKE_MOST
    return bool(alike and _same_place(dance, target))


def _same_place(dance: Motion, target: Motion) -> bool:
    """Whether the dancer mostly stands where the target was, in the picture."""
    away = np.median(target.distance)
    height = target.view.focal / away  # pixels
    along = (ALONG * target.view.height / away + ANKLE_RISE) * height
    return all(
        goal.min() - around < np.median(way) < goal.max() + around
        for way, goal, around in (
            (dance.floor, target.floor, along),
            (dance.centre, target.centre, ACROSS * height),
        )
    )


def bone_ratios(dance: Motion, target: Motion) -> dict[str, float]:
    """Target's length over the dancer's of each kind of bone, in heights of the person each.

    What is known badly is drawn towards what the well known ones have in common, as these cameras see it.
    """
    difference, variance = _difference(dance.lengths, dance.log_std, target)
    dancers_usual, targets_usual = usual_lengths(dance.view.pitch), usual_lengths(target.view.pitch)
    by_camera = np.log(targets_usual / dancers_usual)
    difference -= by_camera
    # A bone whose length is mostly jitter is hardly known.
    variance = variance + np.nan_to_num(dance.jitter_bias**2 + target.jitter_bias**2)
    among_people = 2 * BONE_SHARE**2
    common = np.average(difference, weights=1 / (among_people + variance))
    likely = (difference - common) * among_people / (among_people + variance)
    upright = [KINDS.index(kind) for kind in UPRIGHT_KINDS]
    taller = np.log(target.stature / dance.stature)
    taller -= np.log(targets_usual[upright].sum() / dancers_usual[upright].sum())
    likely += by_camera + _larger(common, taller, dance.crouch, target.crouch)
    return dict(zip(KINDS, np.exp(likely).tolist(), strict=True))


def _larger(common: float, taller: float, *crouch: float) -> float:
    """Logarithm of one person's size over another's, from what bones have in common and from the whole height.

    The height says it better than its parts, unless one of them hardly ever stands upright and so seems short.
    """
    share = BY_BONES**2 / (BY_BONES**2 + BY_STATURE**2 + sum(c**2 for c in crouch))
    return common + float(np.nan_to_num(share * (taller - common)))


def _difference(lengths: np.ndarray, log_std: np.ndarray, target: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the target's bones over these (kinds of bones,), and their variances."""
    difference, variance = np.log(target.lengths / lengths), target.log_std**2 + log_std**2
    unknown = np.isnan(difference)
    return np.where(unknown, 0, difference), np.where(unknown, 1e6, variance)
