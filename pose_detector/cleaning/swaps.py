"""Left and right exchanged for a moment."""

from collections.abc import Iterator

import numpy as np

from pose_detector.cleaning.paths import cheapest_path
from pose_detector.skeleton import PAIRS

CHARGE = 6.0  # what a second of being exchanged costs, in body sizes of bend; set by hand: only a brief exchange pays


def find_swaps(points: np.ndarray, size: np.ndarray, fps: float) -> np.ndarray:
    """Frames (N, 8) bool in which the two of a pair (`PAIRS`) were exchanged for a moment.

    The cheapest path (Viterbi) through exchanged or not exchanged in each frame: the cost is the change of velocity of
    both keypoints in body sizes, and for an exchanged frame a charge that lets only brief exchanges pay.

    Args:
        points: (N, 18, 2) pixels, NaN where missing.
        size: (N,) size of the person, pixels.
        fps: Frames per second.
    """
    if len(points) < 3:
        return np.zeros((len(points), len(PAIRS)), bool)
    pairs = points[:, np.array(PAIRS)] / size[:, None, None, None]  # N, 8, side, xy
    options = np.stack([pairs, pairs[:, :, ::-1]], axis=2)  # N, 8, exchanged or not, side, xy
    # bend[t, :, i, j, k] for the states i, j, k of the frames t, t + 1, t + 2; nothing is known beside a missing one
    before, here, after = options[:-2, :, :, None, None], options[1:-1, :, None, :, None], options[2:, :, None, None]
    bend = np.nan_to_num(np.linalg.norm(before - 2 * here + after, axis=-1).sum(axis=-1))
    charge = np.array([0, CHARGE / fps])
    # A bend takes three frames, so the states of the path are those of two successive ones: 2 * earlier + later.
    states = np.tile(charge, (len(points) - 1, len(PAIRS), 2))
    states[0] += np.repeat(charge, 2)
    path = cheapest_path(states, _changes(bend))
    exchanged = np.concatenate([path[:1] // 2, path % 2]).astype(bool)
    return exchanged & ~np.isnan(pairs).any(axis=(2, 3))


def _changes(bend: np.ndarray) -> Iterator[np.ndarray]:
    """Costs (8, 4, 4) between the states of successive pairs of frames, from bends (N, 8, 2, 2, 2)."""
    for step in bend:
        change = np.full((len(step), 2, 2, 2, 2), np.inf)
        for shared in (0, 1):  # the frame that both pairs hold
            change[:, :, shared, shared] = step[:, :, shared]
        yield change.reshape(len(step), 4, 4)
