"""What the generator costs, and how fast step 4 renders. Prints one table.

    python benchmarks/generator.py [--workspace DIR]

The workspace is one in which steps 1 to 3 have run; its best checkpoint renders its dance, or the first frames of it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from data import pictures
from data.annotations import Annotations
from data.detecting import JPEG_QUALITY
from main import checkpoint
from main.cli import run_step
from main.config import Config
from main.device import forward_type, prepare_device
from main.frame_files import load_generator, load_planned, render_pictures
from main.networks.generator import REFERENCES, Generator
from main.rendering import render, scene_of
from pose_detector.errors import InputError

FRAMES = 200
HIGH = (960, 1344)  # width and height of the window of a person 1024 pixels high


def gigaflops(generator: Generator, size: tuple[int, int], device: torch.device) -> float:
    """Floating point operations, multiplications and additions, of one window of width and height."""
    width, height = size
    plate = torch.zeros(1, 3, height, width, device=device)
    keypoints = torch.ones(1, 18, 3, device=device)
    references = torch.zeros(1, REFERENCES, 4, height, width, device=device)
    with (
        torch.inference_mode(),
        forward_type(device, generator.out.weight.dtype),
        FlopCounterMode(display=False) as counter,
    ):
        generator(keypoints, references, plate, plate)
    return counter.get_total_flops() / 1e9


def milliseconds(stage: Callable[[], object], rounds: int = 20) -> float:
    """The calling thread's CPU time for a stage, the best of some: other load on the machine counts for little."""
    times = []
    for _ in range(rounds):
        start = time.thread_time()
        stage()
        times.append(time.thread_time() - start)
    return 1e3 * min(times)


def main(cfg: Config) -> None:
    """Print the table."""
    device = prepare_device(cfg.device, cfg.threads)
    dance = Annotations.load(cfg.norm_test_annotations, "python data/annot_normalize.py")
    person = Annotations.load(cfg.train_annotations, "python data/video2data.py --mode train")
    path = checkpoint.best(cfg.checkpoint_dir)
    if path is None:
        raise InputError(f"{cfg.checkpoint_dir} holds no checkpoint; make one with: python main/train.py")
    state = checkpoint.load(path)
    generator, cfg = load_generator(cfg, state, path, device)
    clip, plan = load_planned(cfg, person, dance.keypoints[:FRAMES])
    size, picture, count = plan.size, next(render(generator, clip, plan, device)), len(plan)
    with tempfile.TemporaryDirectory() as folder:
        start, cpu = time.perf_counter(), time.process_time()
        render_pictures(generator, clip, plan, dance.frame_numbers, Path(folder), device)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu

    brush = milliseconds(lambda: scene_of(clip, plan, 0, np.ones((1, 1, 3), np.float32)))
    with tempfile.TemporaryDirectory() as folder:
        writing = milliseconds(lambda: pictures.write(Path(folder) / "picture.jpg", picture, JPEG_QUALITY))
    print(
        f"frames {clip.size[0]}x{clip.size[1]}, window {size[0]}x{size[1]}, {torch.get_num_threads()} threads, {device}"
    )
    print(f"generator    {gigaflops(generator, size, device):7.2f} GFLOP a frame")
    print(f"             {gigaflops(generator, HIGH, device):7.2f} GFLOP at {HIGH[0]}x{HIGH[1]}, high quality")
    print(f"rendering    {count / seconds:7.1f} frames/s, {count} frames, pictures written")
    print(f"             {1e3 * cpu / count:7.1f} ms a frame of CPU, all threads together")
    print(f"  painting   {brush:7.1f} ms")
    print(f"writing      {writing:7.1f} ms")


if __name__ == "__main__":
    run_step(main, "What the generator costs, and how fast step 4 renders.", writes=False)
