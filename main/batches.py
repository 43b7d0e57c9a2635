"""Data for the networks: one clip for all processes of a computer, batches of its pairs, on the device."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from main.dataset import Clip, Pairs
from main.distributed import Group
from main.store import Store

Batch = dict[str, Tensor]


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Onto the device; pictures from uint8 to [0, 1]."""
    # What is pinned for CUDA alone may be copied behind the work: elsewhere it could be gone by then.
    waits = device.type != "cuda"
    moved = {name: value.to(device, non_blocking=not waits) for name, value in batch.items()}
    return {name: value.float() / 255 if value.dtype == torch.uint8 else value for name, value in moved.items()}


def load_batches(pairs: Pairs, items: np.ndarray, threads: int, pin: bool = False) -> Iterator[Batch]:
    """Batches of the items, (batches, size) indices, in order.

    Args:
        pairs: the items.
        items: which ones.
        threads: how many prepare batches ahead; 0: none is prepared before it is asked for. They are threads, since
            processes would need the whole clip each wherever they cannot be forked (Windows, macOS, Python 3.14).
        pin: put them where a GPU can fetch them by itself.
    """

    def make(row: np.ndarray) -> Batch:
        batch = default_collate([pairs[i] for i in row.tolist()])
        return {name: value.pin_memory() for name, value in batch.items()} if pin else batch

    if not threads:
        yield from map(make, items)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="loader")
    try:
        rest = iter(items)
        ahead = deque(pool.submit(make, row) for row in islice(rest, 2 * threads))
        while ahead:
            batch = ahead.popleft().result()
            ahead.extend(pool.submit(make, row) for row in islice(rest, 1))
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)


def load_together(group: Group, load: Callable[[], Clip]) -> Clip:
    """The clip, read and matted once on every computer: its other processes map the frames from a file of the first."""
    if group.size == 1:
        return load()
    run = os.environ.get("TORCHELASTIC_RUN_ID", "") + os.environ.get("MASTER_PORT", "")
    folder = Path(tempfile.gettempdir()) / f"everybody-dance-now-{run}"
    if group.local == 0:
        clip = load()
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        folder.mkdir(mode=0o700)
        clip.frames.save(folder / "frames")
        rest = {
            name: getattr(clip, name) for name in ("origins", "poses", "numbers", "plate", "light", "room", "sizes")
        }
        rest = {name: value for name, value in rest.items() if value is not None}
        np.savez(folder / "rest.npz", shape=clip.frames.shape, **rest)
    group.wait()
    if group.local != 0:
        with np.load(folder / "rest.npz", allow_pickle=False) as file:
            rest = dict(file)
        clip = Clip(Store(tuple(rest.pop("shape").tolist()), path=folder / "frames"), **rest)
    group.wait()
    if group.local == 0:
        shutil.rmtree(folder, ignore_errors=True)  # what is mapped stays readable; on Windows it stays there
    return clip
