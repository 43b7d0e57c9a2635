"""Step 3: train the person's model on the frames and poses of the training video.

Writes a checkpoint an epoch to output/model_dump, beside it log.txt, stats.jsonl and samples/, picture grids.
On several GPUs or machines: torchrun --nproc-per-node=N main/train.py
"""

from __future__ import annotations

import json
import math
import time
from contextlib import closing
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from data import pictures
from data.annotations import Annotations, check_same_video
from data.files import atomic_path, move
from data.progress import Bar
from main import checkpoint, distributed, person_file
from main.batches import load_together
from main.cli import run_step
from main.config import Config
from main.dataset import Pairs, load_clip, source_bank
from main.distributed import Group
from main.trainer import (
    Trainer,
    batches_of,
    build_trainer,
    is_done,
    make_data,
    start_pretrained,
    steps_of_epoch,
    train_one_epoch,
    validate,
)
from pose_detector.errors import InputError

_STEP_1 = "python data/video2data.py --mode train"


def main(cfg: Config) -> None:
    """Run the step; see the module's docstring."""
    if cfg.person_file:
        raise InputError(f"{cfg.person_file} is trained already; go on with: python data/video2data.py --mode test")
    with distributed.join(cfg.device, cfg.threads) as (group, device):
        fit(cfg, group, device)


def fit(cfg: Config, group: Group, device: torch.device) -> None:
    """Train the person's model in this process, one of a group."""
    annotations = Annotations.load(cfg.train_annotations, _STEP_1)
    if cfg.train_video_path.is_file():
        check_same_video(annotations, cfg.train_video_path, _STEP_1)
    folder = cfg.checkpoint_dir
    trainer, begun = begin(cfg, annotations, group, device)
    cfg = trainer.config
    if not cfg.epochs and begun != "resumed":
        if group.first:
            save(trainer, checkpoint.path_of(folder, 0), annotations.fingerprint)
            keep_person(cfg, annotations)
            say(folder, f"{checkpoint.path_of(folder, 0)}: pretrained, not trained; next: python main/test.py")
        return

    began = time.monotonic()
    bank = source_bank(annotations, most_height=cfg.most_height)
    source = annotations, cfg.images_dir, cfg.masks_dir, cfg.background_image, bank
    pairs, checks = make_data(load_together(group, lambda: load_clip(*source)), annotations.fps, cfg)
    trainer.began += time.monotonic() - began  # to read is not to train
    if group.first:
        announce(trainer, annotations, pairs, checks)
    run_epochs(trainer, annotations.fingerprint, pairs, checks, untrained=begun == "pretrained")
    if group.first:
        if is_done(trainer):
            say(folder, f"validation has not risen for {cfg.patience} epochs: enough (--patience 0 goes on regardless)")
        keep_person(cfg, annotations)
        say(folder, f"done; best in validation: epoch {trainer.best_epoch}; next: python main/test.py")


def begin(
    cfg: Config, annotations: Annotations, group: Group, device: torch.device
) -> tuple[Trainer, Literal["resumed", "pretrained", "scratch"]]:
    """A trainer that goes on from the newest checkpoint, if the settings say so and it is of this video; otherwise a
    fresh one, and an earlier run is moved aside. Also how it begins."""
    folder = cfg.checkpoint_dir
    # The first process alone looks: others may be on computers that have no such file.
    latest = checkpoint.newest(folder) if group.first else None
    found = group.broadcast(latest.read_bytes() if cfg.continue_train and latest else b"", device)
    state = checkpoint.parse(found, latest or folder) if found else None
    if state is not None and state["fingerprint"] != annotations.fingerprint:
        if group.first:
            print(f"{latest.name} is of another video than {annotations.source}: starting anew")
        state = None
    if state is not None:
        trainer = build_trainer(checkpoint.adopt(cfg, state), device, group)
        trainer.restore(state, latest or folder)
        return trainer, "resumed"
    trainer = build_trainer(cfg, device, group)
    why = start_pretrained(trainer)
    if latest:
        print(f"the earlier run is kept in {set_aside(folder)}")
    folder.mkdir(parents=True, exist_ok=True)
    if why and group.first:
        say(folder, f"starting from scratch: {why}")
    return trainer, "scratch" if why else "pretrained"


def announce(trainer: Trainer, annotations: Annotations, pairs: Pairs, checks: DataLoader) -> None:
    """Say what is trained on, and how long."""
    cfg, folder, held_out = trainer.config, trainer.config.checkpoint_dir, checks.dataset.dataset
    say(folder, f"{annotations.source}: {len(pairs)} frames to train on, {len(checks)} of {len(held_out)} held out")
    say(
        folder,
        f"window {held_out.size[0]}x{held_out.size[1]}, crops {pairs.size[0]}x{pairs.size[1]} pixels, "
        f"{trainer.device}, {str(trainer.dtype).removeprefix('torch.')}, {trainer.group.size} process(es)",
    )
    limit = f", at most {cfg.max_minutes:g} minutes" if cfg.max_minutes else ""
    steps = steps_of_epoch(pairs, trainer)
    say(folder, f"epochs {trainer.epoch + 1} to {cfg.epochs} of {steps} steps{limit}")


def run_epochs(trainer: Trainer, fingerprint: str, pairs: Pairs, checks: DataLoader, untrained: bool) -> None:
    """Train until the epochs, the minutes or the patience end. `untrained`: also validate before the first step."""
    cfg, group, device = trainer.config, trainer.group, trainer.device
    folder, steps = cfg.checkpoint_dir, steps_of_epoch(pairs, trainer)
    deadline = trainer.began + 60 * cfg.max_minutes if cfg.max_minutes else math.inf
    bar = Bar(
        total=cfg.epochs * steps,
        initial=trainer.step,
        unit="step",
        desc="training",
        mininterval=1.0,
        disable=not group.first,
        deadline=deadline if cfg.max_minutes else None,
    )
    # However few minutes there are, a step is made: without a checkpoint the steps after this one could not go on.
    finished = trainer.step == 0 or not group.any(time.monotonic() > deadline, device)
    if group.first and untrained:
        finish_epoch(trainer, folder, fingerprint, checks, finished)
    try:
        with bar:
            while finished and trainer.epoch < cfg.epochs and not group.any(group.first and is_done(trainer), device):
                with closing(batches_of(pairs, trainer)) as batches:
                    finished = train_one_epoch(trainer, batches, bar, steps, deadline)
                if finished:
                    trainer.epoch, trainer.epoch_step = trainer.epoch + 1, 0
                if group.first:
                    finish_epoch(trainer, folder, fingerprint, checks, finished)
                group.wait()
    except KeyboardInterrupt:
        if group.first:
            path = checkpoint.path_of(folder, trainer.epoch + 1)
            save(trainer, path, fingerprint)
            say(folder, f"stopped at step {trainer.step}, saved to {path}")
        raise


def keep_person(cfg: Config, annotations: Annotations) -> None:
    """Write the person's file, see `main.person_file`."""
    path = person_file.keep(cfg, annotations, checkpoint.best(cfg.checkpoint_dir))
    if path is not None:
        say(cfg.checkpoint_dir, f"the person as one file, {path.stat().st_size / 1e6:.1f} MB: {path}")


def finish_epoch(trainer: Trainer, folder: Path, fingerprint: str, checks: DataLoader, whole: bool) -> None:
    """Validate, write checkpoint, picture grid, log and statistics of the epoch just finished (or cut short)."""
    scores, rows = validate(trainer, checks)
    epoch = trainer.epoch if whole else trainer.epoch + 1
    better = scores["ssim"] > trainer.best
    if scores["ssim"] > trainer.best:
        trainer.best, trainer.best_epoch = scores["ssim"], epoch
    with atomic_path(folder / "samples" / f"epoch-{epoch:04d}.jpg") as temporary:
        pictures.write(temporary, np.vstack(rows))
    # The epoch's own checkpoint comes last: with it the epoch counts as done, and what is not there then never comes.
    if better:
        save(trainer, folder / checkpoint.BEST, fingerprint)
    save(trainer, checkpoint.path_of(folder, epoch), fingerprint)
    checkpoint.prune(folder, trainer.config.keep_checkpoints)
    terms = " ".join(f"{name} {value:.4f}" for name, value in trainer.history.items())
    say(
        folder,
        f"epoch {epoch} ({trainer.minutes:.1f} min): PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.3f}, "
        f"sharpness {scores['sharpness']:.2f} | {terms}",
    )
    record = {"epoch": epoch, "step": trainer.step, "minutes": trainer.minutes, **trainer.history, **scores}
    with open(folder / "stats.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def save(trainer: Trainer, path: Path, fingerprint: str) -> None:
    """Write a checkpoint."""
    checkpoint.save({**trainer.state(), "fingerprint": fingerprint}, path)


def set_aside(folder: Path) -> Path:
    """Move an earlier run's files into a new folder beneath, so that nothing trained is lost."""
    number = 1
    while (aside := folder / f"earlier-{number}").exists():
        number += 1
    aside.mkdir()
    for path in folder.iterdir():
        if not path.name.startswith("earlier-"):
            move(path, aside / path.name)
    return aside


def say(folder: Path, line: str) -> None:
    """Print a line and keep it in the log."""
    tqdm.write(line)
    with open(folder / "log.txt", "a", encoding="utf-8") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    run_step(main, "Step 3: train the person's model; a checkpoint an epoch in output/model_dump.")
