"""Many pictures of one shape that need not fit into memory."""

from __future__ import annotations

import math
import mmap
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

MOST = 256 << 20  # bytes that a store keeps in memory; a larger one lies in a temporary file


class Store:
    """N uint8 arrays of one shape, read and set one by one, by several threads at a time.

    A large one lies in a temporary file that is gone with it. A piece is mapped anew whenever it is asked for, so that
    it takes memory only while it is in use.

    Args:
        shape: (N, ...).
        folder: where the temporary file lies; None: where the system has them, which may be in memory.
        path: a file of such arrays, one behind the other, to read from; None: an empty store to be filled.
    """

    def __init__(self, shape: tuple[int, ...], folder: Path | None = None, path: Path | None = None) -> None:
        self.shape, self.folder = tuple(shape), folder
        self._size = math.prod(self.shape[1:])
        self._array, self._file, self._lock = None, None, threading.Lock()
        if path is not None:
            self._file = open(path, "rb", buffering=0)
        elif len(self) * self._size > MOST:
            self._file = tempfile.TemporaryFile(buffering=0, dir=folder)
            self._file.truncate(len(self) * self._size)
        else:
            self._array = np.empty(self.shape, np.uint8)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, i: int) -> np.ndarray:
        i = range(len(self))[i]
        if self._array is not None:
            return self._array[i]
        start = i * self._size
        before = start % mmap.ALLOCATIONGRANULARITY
        mapped = mmap.mmap(
            self._file.fileno(), before + self._size, access=mmap.ACCESS_READ, offset=start - before
        )  # gone with the last array that shows it
        return np.frombuffer(mapped, np.uint8, self._size, before).reshape(self.shape[1:])

    def __setitem__(self, i: int, value: np.ndarray) -> None:
        i = range(len(self))[i]
        if self._array is not None:
            self._array[i] = value
            return
        data = memoryview(np.ascontiguousarray(np.broadcast_to(value, self.shape[1:]), np.uint8)).cast("B")
        with self._lock:
            self._file.seek(i * self._size)
            while data:
                data = data[self._file.write(data) :]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def save(self, path: Path) -> None:
        """Write them to a file, for another process to read."""
        with open(path, "wb") as file:
            for piece in self:
                file.write(np.ascontiguousarray(piece).data)
