"""Results of slow calls, kept in a file, so that a run that was interrupted does not make them again."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

_HEAD = struct.Struct("<II")  # length and CRC-32 of what follows
_MOST = 1 << 26  # bytes of a record, unpacked: a hundred times the largest


class Memo:
    """Results of calls that every run makes in the same order.

    A record is written whole before the next call is made. What a kill left of the last record is cut off; so are all
    records from the first one on that is of another call.

    Args:
        path: the file; None: nothing is kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else open(path, "a+b", buffering=0)
        if self._file is not None:
            self._file.seek(0)

    def __enter__(self) -> Memo:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def __call__(
        self, call: Sequence[float] | np.ndarray, compute: Callable[[], Sequence[np.ndarray]]
    ) -> Sequence[np.ndarray]:
        """The result of the next call: as kept, or else computed and kept.

        Args:
            call: numbers that identify it.
            compute: makes it; arrays of numbers.
        """
        results = self.recall(call)
        if results is None:
            results = compute()
            self.keep(call, results)
        return results

    def recall(self, call: Sequence[float] | np.ndarray) -> list[np.ndarray] | None:
        """The result of the next call, see `__call__`; None: it has to be made, and so have all after it."""
        if self._file is None:
            return None
        start = self._file.tell()
        arrays = self._read()
        if arrays and np.array_equal(arrays[0], np.asarray(call, np.float64)):
            return arrays[1:]
        self._file.truncate(start)
        self._file.seek(start)
        return None

    def keep(self, call: Sequence[float] | np.ndarray, results: Sequence[np.ndarray]) -> None:
        """Write down the result of the next call, which could not be recalled."""
        if self._file is None:
            return
        file = io.BytesIO()
        for array in (np.asarray(call, np.float64), *results):
            np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
        data = zlib.compress(file.getbuffer(), 1)
        rest = memoryview(_HEAD.pack(len(data), zlib.crc32(data)) + data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def _read(self) -> list[np.ndarray]:
        """The arrays of the next record; none where there is none, or half of one."""
        head = self._file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return []
        size, checksum = _HEAD.unpack(head)
        data = self._file.read(size) if size <= _MOST else b""
        if len(data) != size or zlib.crc32(data) != checksum:
            return []
        try:
            unpacked = zlib.decompressobj().decompress(data, _MOST)
            file, arrays = io.BytesIO(unpacked), []
            while file.tell() < len(unpacked):
                arrays.append(np.lib.format.read_array(file, allow_pickle=False))
        except (ValueError, EOFError, zlib.error):  # not written by `keep`
            return []
        return arrays
