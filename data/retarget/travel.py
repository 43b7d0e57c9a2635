"""Sideways travel squeezed into the picture."""

from __future__ import annotations

import numpy as np

from data.retarget.sequence import PoseSequence

BODY = [0, 1, 2, 5, *range(8, 18)]  # all but elbows and wrists, which may leave the picture
OUTSIDE = 0.02  # share of the frames in which the body may leave it all the same: one wrong pose squeezes no dance


def travel_kept(
    offset: np.ndarray, seen: np.ndarray, wanted: np.ndarray, stand: np.ndarray, target: PoseSequence
) -> float:
    """Share of the wanted travel that keeps the body in the picture, or as far outside as the target.

    Args:
        offset: (N, 18) x of the joints relative to the middle of the body, pixels of the target's frames.
        seen: (N, 18) bool.
        wanted, stand: (N,) travel from, and x of, the middle of the way, pixels.
        target: what its video shows.
    """
    own = target.keypoints[:, BODY, 0][target.seen[:, BODY]]
    left, right = own.min(initial=0.0), own.max(initial=target.frame_size[0] - 1.0)
    seen = seen[:, BODY]
    low = np.where(seen, offset[:, BODY], np.inf).min(1)
    high = np.where(seen, offset[:, BODY], -np.inf).max(1)
    room = np.where(wanted < 0, stand + low - left, right - stand - high)
    # A pose that is too wide for the picture wherever it stands has no say.
    counts = seen.any(1) & (room > 0) & (wanted != 0)
    if not counts.any():
        return 1.0
    share = np.minimum(1.0, room[counts] / np.abs(wanted[counts]))
    return float(np.quantile(share, OUTSIDE))
