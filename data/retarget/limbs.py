"""Retargeting by bones and cameras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.retarget.bones import ROOT, TREE
from data.retarget.compare import bone_ratios
from data.retarget.measure import Motion, middle

FARTHEST = 3.0  # of the target's own distances, that the dancer goes away at most: beyond, the floor is a few pixels


@dataclass(frozen=True)
class Moved:
    """A dance at the target's place.

    Attributes:
        keypoints: (N, 19, 2) pixels of the target's frames.
        scale: (N,) factor on the dancer's size.
        place: (N,) x where the body goes, pixels.
        stand: (N,) x of the middle of its way, at its distance, pixels.
        floor: (N,) y of the floor, pixels.
    """

    keypoints: np.ndarray
    scale: np.ndarray
    place: np.ndarray
    stand: np.ndarray
    floor: np.ndarray


def move_by_limbs(dance: Motion, target: Motion, feet: tuple[int, ...], height: int) -> Moved:
    """The dance with the target's bones, in steps of the target's size, through the target's camera.

    Args:
        dance, target: as measured.
        feet: joints that stand on the floor.
        height: of the target's frames, pixels.
    """
    ratio = bone_ratios(dance, target)
    legs = (ratio["thigh"] + ratio["shin"]) / 2
    there, away = middle(target.aside, target.seen), middle(target.distance, target.seen)
    way = legs * (dance.aside - middle(dance.aside, dance.seen))
    # A dancer stops before the feet leave the picture, or leave it further than the target's own do.
    nearest = min(away, float(target.view.distance(np.maximum(target.floor.max(), height - 1))))
    distance = away + legs * (dance.distance - middle(dance.distance, dance.seen))
    distance = np.clip(distance, nearest, FARTHEST * away)

    built = _build(dance, ratio, legs, there + way, list(feet))
    on_floor = np.stack([np.full(len(way), there), np.zeros(len(way))], -1)
    stand, place = (
        target.view.project(spot[:, None], distance)[:, 0] for spot in (on_floor, on_floor + way[:, None] * [1, 0])
    )
    scale = (target.view.focal / distance) / (dance.view.focal / dance.distance)
    return Moved(target.view.project(built, distance), scale * legs, place[:, 0], stand[:, 0], stand[:, 1])


def _build(dance: Motion, ratio: dict[str, float], legs: float, x: np.ndarray, feet: list[int]) -> np.ndarray:
    """Upright figures (N, 19, 2) with the target's bones around x (N,), feet as high over the floor as in the dance."""
    flat = dance.view.lift(dance.keypoints, dance.distance)
    built = np.empty_like(flat)
    built[:, ROOT, 0] = x + legs * (flat[:, ROOT, 0] - dance.aside)
    built[:, ROOT, 1] = legs * flat[:, ROOT, 1]
    for joint, before, kind in TREE:
        built[:, joint] = built[:, before] + ratio[kind] * (flat[:, joint] - flat[:, before])
    built[..., 1] += (legs * flat[:, feet, 1].min(1) - built[:, feet, 1].min(1))[:, None]
    return built
