"""How the person's model learns: networks and optimisers, a step, an epoch, validation."""

from __future__ import annotations

import contextlib
import copy
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Subset

from data.progress import Bar
from main import checkpoint, losses, metrics, window
from main.batches import Batch, load_batches, to_device
from main.config import Config
from main.dataset import Clip, Pairs, split
from main.device import forward_type, network_type
from main.distributed import ALONE, Group
from main.networks.discriminator import Discriminator
from main.networks.generator import Generator, Rendering
from main.networks.labels import draw_skeleton
from main.networks.perceptual import PoseFeatures, VGGFeatures
from pose_detector import weights
from pose_detector.errors import InputError
from pose_detector.series import spread

READ_EVERY = 20  # steps: to read the terms of the loss, a GPU has to finish all that it was given
MOST_LOADERS = 8  # threads that prepare batches beside a GPU


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
    """One step of generator and discriminator. Returns the terms of the loss, unweighted, of this process's share."""
    cfg, discriminator = trainer.config, trainer.discriminator
    real_before, real = batch["pictures"].unbind(1)
    skeleton = draw_skeleton(batch["keypoints"][:, 1], batch["plate"].shape[-2:])
    with forward_type(trainer.device, trainer.dtype):
        if trainer.step % 3 == 0:  # without these, the first frame of a video, and all that follow it, would be poor
            before, rendering = real_before, render_first(trainer.generator, batch)
        else:
            before, rendering = render_pair(trainer.generator, batch)
        fake = rendering.picture
        discriminator.requires_grad_(False)
        judged_fake = discriminator(torch.cat([skeleton, fake, before], 1))
        # Once for both: the discriminator does not change until its own step. After the frozen pass, from which
        # autocast keeps no converted weights.
        discriminator.requires_grad_(True)
        judged_real = discriminator(torch.cat([skeleton, real, real_before], 1))

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
        judged_fake = discriminator(torch.cat([skeleton, fake.detach(), before], 1))
    terms["discriminator"] = losses.discriminator_loss(judged_real, judged_fake)
    trainer.discriminator_optimizer.zero_grad(set_to_none=True)
    terms["discriminator"].backward()
    trainer.group.average_gradients(discriminator.parameters())
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
    """This process's batches of the rest of the current epoch; the order depends on seed and epoch alone."""
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


def steps_of_epoch(pairs: Pairs, trainer: Trainer) -> int:
    """How many steps all processes take together in an epoch."""
    return len(pairs) // (batch_size(pairs, trainer.config, trainer.group) * trainer.group.size)


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
