"""Cheapest paths through time (dynamic programming)."""

from collections.abc import Iterable

import numpy as np


def cheapest_path(states: np.ndarray, changes: Iterable[np.ndarray]) -> np.ndarray:
    """The state at each time for which the costs of states and changes sum to least (Viterbi).

    Args:
        states: (T, ..., S) cost of each of S states at each of T times; what stands between is independent.
        changes: T - 1 costs (..., S, S), or what broadcasts to that, of going from a state (first) to the next one.

    Returns:
        (T, ...) int; of equal paths the one with the lower state.
    """
    total, came_from = states[0], []
    small = np.min_scalar_type(states.shape[-1] - 1)  # an hour's course is long
    for cost, change in zip(states[1:], changes, strict=True):
        arriving = total[..., :, None] + change
        came_from.append(arriving.argmin(axis=-2).astype(small))
        total = arriving.min(axis=-2) + cost
    path = [total.argmin(axis=-1)]
    for before in reversed(came_from):
        path.append(np.take_along_axis(before, path[-1][..., None], axis=-1)[..., 0])
    return np.stack(path[::-1])


def best_course(earned: np.ndarray, prices: Iterable[np.ndarray], reach: int) -> np.ndarray:
    """Frames of the course that earns most: one may leave out frames, and pays for each step from frame to frame.

    A step over at most `reach` frames costs what `prices` says, a longer one nothing.

    Args:
        earned: (N, K) of each frame, for K independent courses; -inf where it cannot be part of one.
        prices: for each frame (reach, K) the price of coming from each of the frames before it, the earliest first.
        reach: frames.

    Returns:
        (N, K) bool.
    """
    frames, count = earned.shape
    columns = np.arange(count)
    worth = np.full((frames + reach, count), -np.inf)  # of the best course that ends here; `reach` frames ahead of all
    settled, settled_end = np.zeros(count), np.full(count, -1)  # the best one that ended longer ago, and where
    came_from = np.full((frames + reach, count), -1)
    for t, price in enumerate(prices, start=reach):
        if t > reach:
            oldest = worth[t - reach - 1]
            better = oldest > settled
            settled, settled_end = np.where(better, oldest, settled), np.where(better, t - reach - 1, settled_end)
        options = worth[t - reach : t] - price
        best = options.argmax(axis=0)
        gain = options[best, columns]
        begins = settled >= gain
        came_from[t] = np.where(begins, settled_end, t - reach + best)
        worth[t] = earned[t - reach] + np.where(begins, settled, gain)
    chosen = np.zeros((frames + reach, count), bool)
    for k in range(count):
        t = int(worth[:, k].argmax())
        while t >= 0 and np.isfinite(worth[t, k]):
            chosen[t, k] = True
            t = came_from[t, k]
    return chosen[reach:]
