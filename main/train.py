"""Step 3: train the person's model on the frames and poses of the training video.

Writes a checkpoint an epoch to output/model_dump, beside it log.txt, stats.jsonl and samples/, picture grids.
On several GPUs or machines: torchrun --nproc-per-node=N main/train.py
"""

from __future__ import annotations

import contextlib
import copy
import json
import math
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Subset, default_collate
from tqdm import tqdm

from data import pictures
from data.annotations import Annotations, check_same_video
from data.files import atomic_path, move
from data.progress import Bar
from main import checkpoint, distributed, losses, metrics, person_file, window
from main.config import Config, run_step
from main.dataset import Clip, Pairs, load_clip, source_bank, split
from main.device import forward_type, network_type
from main.distributed import ALONE, Group
from main.networks.discriminator import Discriminator
from main.networks.generator import Generator, Rendering
from main.networks.labels import draw_skeleton
from main.networks.perceptual import PoseFeatures, VGGFeatures
from main.store import Store
from pose_detector import weights
from pose_detector.errors import InputError
from pose_detector.series import spread

READ_EVERY = 20  # steps: to read the terms of the loss, a GPU has to finish all that it was given
MOST_LOADERS = 8  # threads that prepare batches beside a GPU

Batch = dict[str, Tensor]


@dataclass
class Trainer:
    """Networks, optimisers and losses: all that a step changes."""

    generator: Generator
    discriminator: Discriminator
    averaged: Generator  # exponential moving average of the generator
    generator_optimizer: torch.optim.Adam
    discriminator_optimizer: torch.optim.Adam
    perceptual: losses.PerceptualLoss | None
    config: Config
    device: torch.device
    dtype: torch.dtype = torch.float32  # in which the networks compute; the weights stay in float32
    group: Group = ALONE
    step: int = 0
    epoch: int = 0  # finished ones
    epoch_step: int = 0  # steps of the epoch that is under way
    began: float = field(default_factory=time.monotonic)
    best: float = -math.inf  # validation SSIM
    best_epoch: int = 0  # when it was reached
    history: dict[str, float] = field(default_factory=dict)

    @property
    def minutes(self) -> float:
        """Trained so far, earlier calls included."""
        return (time.monotonic() - self.began) / 60

    def state(self) -> dict[str, object]:
        """What a checkpoint keeps of it."""
        return {
            "generator": self.generator.state_dict(),
            "averaged": self.averaged.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            "step": self.step,
            "epoch": self.epoch,
            "epoch_step": self.epoch_step,
            "minutes": self.minutes,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "rng": torch.get_rng_state(),
            "config": self.config.as_dict(),
        }

    def restore(self, state: dict[str, object], path: Path) -> None:
        """Go back to where a checkpoint was written."""
        for name in ("generator", "averaged", "discriminator"):
            checkpoint.load_weights(getattr(self, name), state[name], path)
        for name in ("generator_optimizer", "discriminator_optimizer"):
            checkpoint.load_optimizer(getattr(self, name), state[name], path)
        self.step, self.epoch, self.epoch_step, self.best = (
            state[name] for name in ("step", "epoch", "epoch_step", "best")
        )
        best = state.get("best_epoch")
        self.best_epoch = best if isinstance(best, int) else self.epoch
        self.began = time.monotonic() - 60 * state["minutes"]
        checkpoint.set_random_state(state["rng"], path)


def render_pair(generator: Generator, batch: Batch) -> tuple[Tensor, Rendering]:
    """Render frame t - 1 with nothing before it, without gradient, then frame t after it."""
    blank = torch.zeros_like(batch["plate"])
    with torch.no_grad():
        before = generator(batch["keypoints"][:, 0], batch["references"][:, 0], batch["plate"], blank).picture
    return before, generator(batch["keypoints"][:, 1], batch["references"][:, 1], batch["plate"], before)


def render_first(generator: Generator, batch: Batch) -> Rendering:
    """Render frame t as the first of a video, with nothing before it."""
    blank = torch.zeros_like(batch["plate"])
    return generator(batch["keypoints"][:, 1], batch["references"][:, 1], batch["plate"], blank)


def train_step(trainer: Trainer, batch: Batch) -> dict[str, Tensor]:
    """One step of generator and judge. Returns the terms of the loss, unweighted, of this process's share."""
    cfg, judge = trainer.config, trainer.discriminator
    real_before, real = batch["pictures"].unbind(1)
    skeleton = draw_skeleton(batch["keypoints"][:, 1], batch["plate"].shape[-2:])
    with forward_type(trainer.device, trainer.dtype):
        if trainer.step % 3 == 0:  # without these, the first frame of a video, and all that follow it, would be poor
            before, rendering = real_before, render_first(trainer.generator, batch)
        else:
            before, rendering = render_pair(trainer.generator, batch)
        fake = rendering.picture
        judge.requires_grad_(False)
        judged_fake = judge(torch.cat([skeleton, fake, before], 1))
        # Once for both: the judge does not change until its own step. After the frozen pass, from which autocast keeps
        # no converted weights.
        judge.requires_grad_(True)
        judged_real = judge(torch.cat([skeleton, real, real_before], 1))

    attention = losses.pixel_weights(batch["keypoints"][:, 1], real, batch["plate"])
    terms = {
        "pixel": (attention * (fake - real).abs()).mean(),
        "preview": losses.preview_loss(rendering.previews, real),
        "adversarial": losses.adversarial_loss(judged_fake),
        "matching": losses.feature_matching_loss(judged_real, judged_fake),
        "ssim": losses.ssim_loss(fake, real),
        "detail": losses.detail_loss(fake, real),
    }
    total = (
        cfg.weight_pixel * (terms["pixel"] + terms["preview"])
        + cfg.weight_adversarial * terms["adversarial"]
        + cfg.weight_feature_matching * terms["matching"]
        + cfg.weight_ssim * terms["ssim"]
        + cfg.weight_detail * terms["detail"]
    )
    if trainer.perceptual is not None:
        terms["perceptual"] = trainer.perceptual(fake, real)
        total = total + cfg.weight_perceptual * terms["perceptual"]
    trainer.generator_optimizer.zero_grad(set_to_none=True)
    total.backward()
    trainer.group.average_gradients(trainer.generator.parameters())
    trainer.generator_optimizer.step()

    with forward_type(trainer.device, trainer.dtype):
        judged_fake = judge(torch.cat([skeleton, fake.detach(), before], 1))
    terms["judge"] = losses.discriminator_loss(judged_real, judged_fake)
    trainer.discriminator_optimizer.zero_grad(set_to_none=True)
    terms["judge"].backward()
    trainer.group.average_gradients(judge.parameters())
    trainer.discriminator_optimizer.step()

    trainer.step += 1
    trainer.epoch_step += 1
    decay = min(cfg.ema, (1 + trainer.step) / (10 + trainer.step))
    get_ema_multi_avg_fn(decay)(list(trainer.averaged.parameters()), list(trainer.generator.parameters()), None)
    return {name: term.detach().float() for name, term in terms.items()}


def set_rates(trainer: Trainer, steps_an_epoch: int) -> None:
    """Constant rates over the first half of the epochs, or of the minutes where these end first, falling linearly to 0
    over the second."""
    progress = trainer.step / max(1, trainer.config.epochs * steps_an_epoch)
    if trainer.config.max_minutes:
        progress = max(progress, trainer.minutes / trainer.config.max_minutes)
    factor = min(1.0, max(0.0, 2 - 2 * progress)) or 0.01
    rates = (trainer.config.learning_rate, trainer.config.discriminator_rate)
    for optimizer, rate in zip((trainer.generator_optimizer, trainer.discriminator_optimizer), rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * factor


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Onto the device; pictures from uint8 to [0, 1]."""
    # What is pinned for CUDA alone may be copied behind the work: elsewhere it could be gone by then.
    waits = device.type != "cuda"
    moved = {name: value.to(device, non_blocking=not waits) for name, value in batch.items()}
    return {name: value.float() / 255 if value.dtype == torch.uint8 else value for name, value in moved.items()}


@torch.inference_mode()
def validate(trainer: Trainer, loader: DataLoader) -> tuple[dict[str, float], list[np.ndarray]]:
    """Metrics of the averaged generator on held-out frames, within the person's window, and rows of pictures
    (skeleton | real | ours | difference), RGB uint8."""
    scores: list[dict[str, float]] = []
    rows: list[np.ndarray] = []
    every = max(1, len(loader.dataset) // 6)
    for batch in loader:
        batch = to_device(batch, trainer.device)
        with forward_type(trainer.device, trainer.dtype):
            _, rendering = render_pair(trainer.averaged, batch)
        size = batch["plate"].shape[-2:]
        strips = [draw_skeleton(batch["keypoints"][:, 1], size), batch["pictures"][:, 1], rendering.picture]
        strips = [to_uint8(strip) for strip in strips]
        for skeleton, real, ours in zip(*strips, strict=True):
            scores.append(metrics.compare(ours, real, (0, 0, size[1] - 1, size[0] - 1)))
            if (len(scores) - 1) % every == 0:
                rows.append(np.hstack([skeleton, real, ours, cv2.absdiff(real, ours)]))
    return {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}, rows


def to_uint8(pictures: Tensor) -> np.ndarray:
    """(B, 3, H, W) in [0, 1] -> (B, H, W, 3) uint8; values beyond are clipped."""
    return (pictures.float().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def batches_of(pairs: Pairs, trainer: Trainer) -> Iterator[Batch]:
    """What is left of the epoch under way, this process's batches; the order depends on seed and epoch alone."""
    cfg, group = trainer.config, trainer.group
    pairs.epoch = trainer.epoch
    order = np.random.default_rng([cfg.seed, trainer.epoch]).permutation(len(pairs))
    size = batch_size(pairs, cfg, group)
    whole = len(order) // (size * group.size)
    mine = order[: whole * size * group.size].reshape(whole, -1)[trainer.epoch_step :, group.rank :: group.size]
    # Beside a GPU the cores are idle; on a CPU they would be taken from the networks.
    threads = min(MOST_LOADERS, os.cpu_count() or 1) if trainer.device.type != "cpu" else 0
    return load_batches(pairs, mine, threads, pin=trainer.device.type == "cuda")


def batch_size(pairs: Pairs, cfg: Config, group: Group) -> int:
    """Pairs that each process takes in a step: the setting, or what a short clip has.

    Raises:
        InputError: there are more processes than pairs.
    """
    size = min(cfg.batch_size, len(pairs) // group.size)
    if not size:
        raise InputError(f"{group.size} processes cannot share {len(pairs)} pairs of frames; start fewer")
    return size


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


def train_one_epoch(trainer: Trainer, batches: Iterator[Batch], bar: Bar, steps_an_epoch: int, deadline: float) -> bool:
    """All of the batches, or until ``deadline`` (of time.monotonic). Mean terms go to ``trainer.history``.

    Returns:
        whether all were taken.

    Raises:
        InputError: a term is not finite any more.
    """
    totals: Tensor | None = None
    steps = 0
    whole = True

    def read() -> None:
        means = trainer.group.mean(totals / steps).tolist()
        trainer.history = dict(zip(names, means, strict=True))
        if not all(map(math.isfinite, means)):
            found = ", ".join(f"{name} {mean:.3g}" for name, mean in trainer.history.items())
            raise InputError(
                f"training diverged by step {trainer.step} ({found}); the last good checkpoint stays: go on from it "
                "with --continue_train and half the --learning_rate"
            )
        bar.set_postfix(epoch=trainer.epoch + 1, pixel=f"{trainer.history['pixel']:.4f}", refresh=False)

    for batch in batches:
        set_rates(trainer, steps_an_epoch)
        terms = train_step(trainer, to_device(batch, trainer.device))
        names, values = list(terms), torch.stack(list(terms.values()))
        totals = values if totals is None else totals + values
        steps += 1
        bar.update()
        if steps % READ_EVERY == 0:
            read()
        # A group asks at times only, as its processes have to wait for each other.
        if trainer.group.size == 1 or steps % READ_EVERY == 0:
            whole = not trainer.group.any(time.monotonic() > deadline, trainer.device)
            if not whole:
                break
    if steps:
        read()
    return whole


def build_trainer(cfg: Config, device: torch.device, group: Group = ALONE) -> Trainer:
    """Fresh networks and optimisers as the settings say."""
    torch.manual_seed(cfg.seed)
    generator = checkpoint.make_generator(cfg).to(device, memory_format=torch.channels_last)
    scales = cfg.discriminator_scales + cfg.enlarged - 1
    discriminator = Discriminator(9, cfg.discriminator_channels, scales)
    discriminator.to(device, memory_format=torch.channels_last)
    perceptual, dtype = None, network_type(device, cfg.precision)
    if cfg.weight_perceptual and cfg.perceptual != "none":
        features = VGGFeatures() if cfg.perceptual == "vgg19" else PoseFeatures(weights.load_network(weights.BUNDLED))
        perceptual = losses.PerceptualLoss(features, features.weights, dtype)
        perceptual.to(device, memory_format=torch.channels_last)
    return Trainer(
        generator,
        discriminator,
        copy.deepcopy(generator).requires_grad_(False),
        torch.optim.Adam(generator.parameters(), cfg.learning_rate, betas=(0.5, 0.999), fused=True),
        torch.optim.Adam(discriminator.parameters(), cfg.discriminator_rate, betas=(0.5, 0.999), fused=True),
        perceptual,
        cfg,
        device,
        dtype,
        group,
    )


def start_pretrained(trainer: Trainer) -> str | None:
    """Begin with the networks that know people, as the setting `start` says; the discriminator begins from scratch
    where its settings are not those of the file.

    Returns:
        why the generator begins from scratch; None: it does not.

    Raises:
        InputError: the file does not fit or is damaged, and the settings ask for it.
    """
    cfg, path = trainer.config, checkpoint.PRETRAINED
    if cfg.start == "scratch":
        if not cfg.epochs:
            raise InputError("--epochs 0 trains nothing, and --start scratch knows nothing; leave one of them out")
        return "as asked for"
    try:
        state = checkpoint.load_pretrained(path)
        checkpoint.load_weights(trainer.generator, state["generator"], path)
    except InputError as error:
        if cfg.start == "pretrained" or not cfg.epochs:
            raise
        return str(error)
    with contextlib.suppress(InputError, KeyError):
        checkpoint.load_weights(trainer.discriminator, state["discriminator"], path)
    trainer.averaged.load_state_dict(trainer.generator.state_dict())
    return None


def main(cfg: Config) -> None:
    """Run the step; see the module's docstring."""
    if cfg.person_file:
        raise InputError(f"{cfg.person_file} is trained already; go on with: python data/video2data.py --mode test")
    with distributed.join(cfg.device, cfg.threads) as (group, device):
        fit(cfg, group, device)


def fit(cfg: Config, group: Group, device: torch.device) -> None:
    """Train the person's model in this process, one of a group."""
    annotations = Annotations.load(cfg.train_annotations, "python data/video2data.py --mode train")
    if cfg.train_video_path.is_file():
        check_same_video(annotations, cfg.train_video_path, "python data/video2data.py --mode train")
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
        cfg = checkpoint.adopt(cfg, state)
    trainer = build_trainer(cfg, device, group)
    scratch = start_pretrained(trainer) if state is None else ""
    if state is None and latest:
        print(f"the earlier run is kept in {set_aside(folder)}")
    folder.mkdir(parents=True, exist_ok=True)
    if state is not None:
        trainer.restore(state, latest or folder)
    elif not cfg.epochs:
        if group.first:
            save(trainer, checkpoint.path_of(folder, 0), annotations.fingerprint)
            keep_person(cfg, annotations)
            say(folder, f"{checkpoint.path_of(folder, 0)}: pretrained, not trained; next: python main/test.py")
        return
    elif scratch and group.first:
        say(folder, f"starting from scratch: {scratch}")

    began = time.monotonic()
    bank = source_bank(annotations, most_height=cfg.most_height)
    source = annotations, cfg.images_dir, cfg.masks_dir, cfg.background_image, bank
    clip = load_together(group, lambda: load_clip(*source))
    pairs, checks = make_data(clip, annotations.fps, cfg)
    held_out = checks.dataset.dataset
    trainer.began += time.monotonic() - began  # to read is not to train

    steps_an_epoch = len(pairs) // (batch_size(pairs, cfg, group) * group.size)
    limit = f", at most {cfg.max_minutes:g} minutes" if cfg.max_minutes else ""
    if group.first:
        say(
            folder,
            f"{annotations.source}: {len(pairs)} frames to train on, {len(checks)} of {len(held_out)} held out",
        )
        say(
            folder,
            f"window {held_out.size[0]}x{held_out.size[1]}, crops {pairs.size[0]}x{pairs.size[1]} pixels, {device}, "
            f"{str(trainer.dtype).removeprefix('torch.')}, {group.size} process(es)",
        )
        say(folder, f"epochs {trainer.epoch + 1} to {cfg.epochs} of {steps_an_epoch} steps{limit}")

    deadline = trainer.began + 60 * cfg.max_minutes if cfg.max_minutes else math.inf
    bar = Bar(
        total=cfg.epochs * steps_an_epoch,
        initial=trainer.step,
        unit="step",
        desc="training",
        mininterval=1.0,
        disable=not group.first,
        deadline=deadline if cfg.max_minutes else None,
    )
    finished = not group.any(time.monotonic() > deadline, device)
    if group.first and scratch is None:
        finish_epoch(trainer, folder, annotations.fingerprint, checks, finished)  # what it is worth untrained
    try:
        with bar:
            while finished and trainer.epoch < cfg.epochs and not group.any(group.first and is_done(trainer), device):
                with closing(batches_of(pairs, trainer)) as batches:
                    finished = train_one_epoch(trainer, batches, bar, steps_an_epoch, deadline)
                if finished:
                    trainer.epoch, trainer.epoch_step = trainer.epoch + 1, 0
                if group.first:
                    finish_epoch(trainer, folder, annotations.fingerprint, checks, finished)
                group.wait()
    except KeyboardInterrupt:
        if group.first:
            path = checkpoint.path_of(folder, trainer.epoch + 1)
            save(trainer, path, annotations.fingerprint)
            say(folder, f"stopped at step {trainer.step}, saved to {path}; go on with --continue_train")
        raise
    if group.first:
        if is_done(trainer):
            say(folder, f"validation has not risen for {cfg.patience} epochs: enough (--patience 0 goes on regardless)")
        keep_person(cfg, annotations)
        say(folder, f"done; best in validation: epoch {trainer.best_epoch}; next: python main/test.py")


def keep_person(cfg: Config, annotations: Annotations) -> None:
    """Write the person's file, see `main.person_file`."""
    path = person_file.keep(cfg, annotations, checkpoint.best(cfg.checkpoint_dir))
    if path is not None:
        say(cfg.checkpoint_dir, f"the person as one file, {path.stat().st_size / 1e6:.1f} MB: {path}")


def make_data(clip: Clip, fps: float, cfg: Config) -> tuple[Pairs, DataLoader]:
    """What is trained on, and the held-out frames that each epoch is judged by, one a batch."""
    training, held_out = split(len(clip.poses))
    bank = training[spread(len(training), cfg.bank)]
    apart = max(1, round(cfg.apart * fps))
    whole = window.window_size(clip.poses, clip.size)
    crop = tuple(min(cfg.crop * cfg.enlarged, side) for side in whole)
    pairs = Pairs(clip, training, bank, crop, apart, augment=True, seed=cfg.seed)
    checks = Pairs(clip, held_out, bank, whole, apart, augment=False, seed=cfg.seed)
    some = spread(len(checks), cfg.validation_frames)
    return pairs, DataLoader(Subset(checks, some), 1)


def is_done(trainer: Trainer) -> bool:
    """Whether validation has not risen for as many epochs as the settings say."""
    return 0 < trainer.config.patience <= trainer.epoch - trainer.best_epoch


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
