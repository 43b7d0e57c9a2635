"""Step 4: render every frame of the dance with the trained person, as pictures in output/vis."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from data.annotations import Annotations, fingerprint
from data.camera import to_and_fro
from data.files import replace_folder, staging
from main import checkpoint
from main.cli import run_step
from main.config import Config
from main.device import network_type, prepare_device
from main.frame_files import load_generator, load_planned, paths_of, render_pictures
from pose_detector.errors import InputError


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
    decides = [path, cfg.norm_test_annotations, cfg.train_annotations, cfg.background_image]
    work = f"{' '.join(map(fingerprint, decides))} {network_type(device, cfg.precision)} bank {cfg.bank}"
    work += f", camera {cfg.camera}, {torch.get_num_threads()} threads"
    alone = cfg.dancer != "both"  # to be joined with the partner
    work += ", alone" if alone else ""
    if not cfg.redo and is_done(cfg, work, paths_of(cfg.vis_dir, dance.frame_numbers, alone)):
        print(f"already done: {cfg.vis_dir} (--redo does it again)")
        return
    generator, adopted = load_generator(cfg, state, path, device)
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


class Framing:
    """The part of a rendered frame that the result shows.

    Args:
        person: annotations of the training video.
        times: (N,) seconds of the dance's frames, if the result moves as the training video's camera did; None: it
            stands still.
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


if __name__ == "__main__":
    run_step(main, "Step 4: render the dance with the trained person; pictures in output/vis.")
