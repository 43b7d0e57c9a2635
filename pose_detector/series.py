"""Values over the frames of a video: gaps closed, runs found, some of the frames chosen."""

from __future__ import annotations

import numpy as np


def interpolate(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values (N, ...) with those that are not known (N,) bool put on straight lines between their neighbours in time.

    Before the first and after the last known value that one is kept. Returns float64.

    Raises:
        ValueError: Nothing is known.
    """
    times, index = np.arange(len(values)), np.flatnonzero(known)
    columns = values.reshape(len(values), -1)[index].T
    return np.stack([np.interp(times, index, column) for column in columns], axis=-1).reshape(values.shape)


def spread(count: int, most: int) -> np.ndarray:
    """Indices of at most `most` of `count` things, evenly spread from the first to the last; all if there are no
    more."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(flags, np.int8), [0]])))
    return [(int(begin), int(end) - 1) for begin, end in edges.reshape(-1, 2)]
