"""What the generator costs, and how fast step 4 renders. Prints one table.

    python benchmarks/generator.py [--workspace DIR]

The workspace is one in which steps 1 to 3 have run; its newest checkpoint renders its dance, or the first frames of it.
"""

from __future__ import annotations

import time
from itertools import islice

import torch
from torch.utils.flop_counter import FlopCounterMode

from data.annotations import Annotations
from main import checkpoint, window
from main.config import Config, run_step
from main.dataset import load_clip
from main.device import prepare_device
from main.networks.generator import REFERENCES, Generator
from main.rendering import render
from pose_detector.errors import InputError

FRAMES = 100


def gigaflops(generator: Generator, size: tuple[int, int], device: torch.device) -> float:
    """Floating point operations, multiplications and additions, of one window of width and height."""
    width, height = size
    plate = torch.zeros(1, 3, height, width, device=device)
    keypoints = torch.ones(1, 18, 3, device=device)
    references = torch.zeros(1, REFERENCES, 4, height, width, device=device)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        generator(keypoints, references, plate, plate)
    return counter.get_total_flops() / 1e9


def main(cfg: Config) -> None:
    """Print the table."""
    device = prepare_device(cfg.device, cfg.threads)
    dance = Annotations.load(cfg.norm_test_annotations, "python data/annot_normalize.py")
    person = Annotations.load(cfg.train_annotations, "python data/video2data.py --mode train")
    path = checkpoint.newest(cfg.checkpoint_dir)
    if path is None:
        raise InputError(f"{cfg.checkpoint_dir} holds no checkpoint; make one with: python main/train.py")
    state = checkpoint.load(path)
    generator = Generator(*(state["config"][name] for name in ("channels", "stacks", "detail")))
    checkpoint.load_weights(generator, state["averaged"], path)
    generator.to(device).eval()
    clip = load_clip(person, cfg.images_dir, cfg.background_image, most=cfg.bank)
    size = window.window_size(dance.keypoints, clip.size)
    pictures = render(generator, clip, dance.keypoints[: FRAMES + 1], device)
    next(pictures)  # the sources are chosen before the first
    start = time.perf_counter()
    count = sum(1 for _ in islice(pictures, FRAMES))
    seconds = time.perf_counter() - start
    print(
        f"frames {clip.size[0]}x{clip.size[1]}, window {size[0]}x{size[1]}, {torch.get_num_threads()} threads, {device}"
    )
    print(f"generator    {gigaflops(generator, size, device):7.2f} GFLOP a frame")
    print(f"rendering    {count / seconds:7.1f} frames/s, texture and generator, {count} frames")


if __name__ == "__main__":
    run_step(main, "What the generator costs, and how fast step 4 renders.")
