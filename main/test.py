"""Step 4: render every frame of the dance with the trained person, as pictures in output/vis."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import cv2
import numpy as np
import torch

from data import pictures
from data.annotations import Annotations, fingerprint, image_name, mask_name
from data.camera import to_and_fro
from data.detecting import JPEG_QUALITY
from data.files import atomic_path, replace_folder, staging
from data.progress import Bar
from main import checkpoint
from main.config import Config, run_step
from main.dataset import Clip, load_clip, source_bank
from main.device import network_type, prepare_device
from main.networks.generator import Generator
from main.rendering import Plan, make_plan, prepare_generator, render, stretches
from pose_detector.errors import InputError

MOST_STREAMS = 8  # stretches of the dance that are rendered at a time, one a core
LONGEST = 300  # frames of a stretch; one that was interrupted is rendered again from its beginning


def main(cfg: Config) -> None:
    """Run the step; see the module's docstring."""
    dance = Annotations.load(cfg.norm_test_annotations, "python data/annot_normalize.py")
    person = Annotations.load(cfg.train_annotations, "python data/video2data.py --mode train")
    path = cfg.checkpoint or checkpoint.best(cfg.checkpoint_dir)
    if path is None:
        raise InputError(f"{cfg.checkpoint_dir} holds no checkpoint; make one with: python main/train.py")
    state = checkpoint.load(path)
    if state["fingerprint"] != person.fingerprint:
        raise InputError(
            f"{path} was trained on another video than {person.source}; train again, or choose another --checkpoint"
        )
    if dance.target_fingerprint != person.fingerprint:
        raise InputError(
            f"{cfg.norm_test_annotations} is normalised onto another person; run data/annot_normalize.py again"
        )

    device = prepare_device(cfg.device, cfg.threads)
    dtype = network_type(device, cfg.precision)
    decides = [path, cfg.norm_test_annotations, cfg.train_annotations, cfg.background_image]
    work = f"{' '.join(map(fingerprint, decides))} {dtype} bank {cfg.bank}, camera {cfg.camera}"
    work += f", {torch.get_num_threads()} threads"
    alone = cfg.dancer != "both"  # to be joined with the partner
    work += ", alone" if alone else ""
    if not cfg.redo and is_done(cfg, work, paths_of(cfg.vis_dir, dance.frame_numbers, alone)):
        print(f"already done: {cfg.vis_dir} (--redo does it again)")
        return
    adopted = checkpoint.adopt(cfg, state)
    generator = checkpoint.make_generator(adopted)
    checkpoint.load_weights(generator, state["averaged"], path)
    prepare_generator(generator, device, dtype)
    clip, plan = load_planned(adopted, person, dance.keypoints)
    plan.cuts = frozenset(dance.shots.tolist())
    print(f"rendering {dance.total_frames} frames with {path.name}, epoch {state['epoch']}, on {device}")

    # Pictures of an earlier, longer dance must not end up in the video: the folder is made anew and then replaced.
    with staging(cfg.vis_dir, work) as fresh:
        moves = cfg.camera == "original" and not alone
        show = Framing(person, dance.times - dance.times[0] if moves else None)
        render_pictures(generator, clip, plan, dance.frame_numbers, fresh, device, show, alone)
        (fresh / cfg.rendered_of.name).write_text(dance.fingerprint, encoding="utf-8")
        (fresh / cfg.rendered_by.name).write_text(work, encoding="utf-8")
        replace_folder(cfg.vis_dir, fresh)
    print(f"written: {cfg.vis_dir}; next: python output/img2video.py")


def load_planned(cfg: Config, person: Annotations, poses: np.ndarray) -> tuple[Clip, Plan]:
    """The plan of a dance (N, 18, 3), in pixels of the result, and of the training video what it needs."""
    poses = poses + np.float32([*person.view[:2], 0]) * (poses[..., 2:] > 0)
    bank = source_bank(person, cfg.bank, cfg.most_texture)
    plan, used = make_plan(bank, poses, cfg.most_height).with_used()
    return load_clip(person, cfg.images_dir, cfg.masks_dir, cfg.background_image, bank.only(used)), plan


class Framing:
    """What of a rendered frame the result shows.

    Args:
        person: annotations of the training video.
        times: (N,) seconds of the dance's frames, where the result shall move as the training video's camera did; None:
            it shall stand.
    """

    def __init__(self, person: Annotations, times: np.ndarray | None = None) -> None:
        self.view = left, top, right, bottom = person.view.tolist()
        self.size = (right - left, bottom - top)
        self.path: np.ndarray | None = None
        if times is not None and not (person.camera == np.eye(3)).all():
            self.path = np.linalg.inv(to_and_fro(person.camera[person.usable], person.fps, times))

    def __call__(self, picture: np.ndarray, t: int) -> np.ndarray:
        """Frame `t` (H, W, 3) uint8, rendered onto the whole plate, as the result shows it."""
        if self.path is None:
            left, top, right, bottom = self.view
            return picture[top:bottom, left:right]
        border = cv2.BORDER_REPLICATE
        return cv2.warpPerspective(picture, self.path[t], self.size, flags=cv2.INTER_LANCZOS4, borderMode=border)


def is_done(cfg: Config, work: str, paths: list[Path]) -> bool:
    """Whether the pictures of exactly this work are all there."""
    if not cfg.rendered_by.is_file() or cfg.rendered_by.read_text(encoding="utf-8") != work:
        return False
    return all(path.is_file() for path in paths)


def paths_of(folder: Path, numbers: np.ndarray, alone: bool) -> list[Path]:
    """Where the rendered frames lie; those of a person alone are PNG, as JPEG knows no coverage."""
    return [folder / (mask_name(number) if alone else image_name(number)) for number in numbers]


def render_pictures(
    generator: Generator,
    clip: Clip,
    plan: Plan,
    numbers: np.ndarray,
    folder: Path,
    device: torch.device,
    show: Callable[[np.ndarray, int], np.ndarray] = lambda picture, _: picture,
    alone: bool = False,
) -> None:
    """Render a dance into a folder, one picture a frame under the frame's number (JPEG, at 50 dB); stretches of it side
    by side, as many as torch has threads, which are shared among them. Stretches whose pictures are all there are left
    out. `show` tells what of a picture, given its place in the plan, is written.

    Raises:
        OSError: a picture could not be written.
    """
    cores = torch.get_num_threads()
    streams = min(cores, MOST_STREAMS)
    # More than are rendered at a time, so that all end together.
    parts = stretches(len(plan), max(4 * streams, -(-len(plan) // LONGEST)))
    paths = paths_of(folder, numbers, alone)
    left = [frames for frames in parts if not all(paths[t].is_file() for t in frames)]
    stop = threading.Event()

    def work(frames: range) -> None:
        for t, picture in zip(frames, render(generator, clip, plan, device, frames, alone), strict=True):
            if stop.is_set():
                return
            with atomic_path(paths[t]) as temporary:
                pictures.write(temporary, show(picture, t), None if alone else JPEG_QUALITY)
            with bar.get_lock():
                bar.update()

    torch.set_num_threads(max(1, cores // min(streams, len(parts))))
    done = len(plan) - sum(map(len, left))
    bar = Bar(total=len(plan), initial=done, unit="frame", desc="rendering")
    with bar, ThreadPoolExecutor(streams) as pool:
        try:
            for job in as_completed([pool.submit(work, frames) for frames in left]):
                job.result()
        finally:
            stop.set()
            torch.set_num_threads(cores)


if __name__ == "__main__":
    run_step(main, "Step 4: render the dance with the trained person; pictures in output/vis.")
