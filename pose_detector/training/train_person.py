r"""Train the bundled network of one person, from photos with teachers' labels and from rendered people.

    nice python pose_detector/training/train_person.py --cache build/person --minutes 100 \
        --photos PHOTOS.zip MORE.zip --labels LABELS MORE_LABELS --rendered build/people

`label_photos.py` makes the labels and `render_people.py` the figures. Training goes on from the checkpoint in the cache
folder; the best network so far is written to pose_detector/weights/person.pth. `torchrun --nproc-per-node=2` before the
script's name shares the work between two processes.
"""

import copy
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from tqdm import tqdm

from pose_detector.crop import Crop
from pose_detector.keypoints import scale_points
from pose_detector.person_network import PERSON, STRIDE, PersonNetwork, decode, save
from pose_detector.training.loop import LoopSettings, Progress, one_cycle
from pose_detector.training.person_examples import (
    Examples,
    Mixture,
    Person,
    load_photos,
    load_rendered,
    see,
    to_crop,
    torso,
)

CHECKPOINT = "checkpoint.pth"
RENEWED = 900  # seconds after which new rendered people are looked for

SIGMA = 1.25  # of a point's blob, cells of the heat map
# Wrists are what users see first and networks find last; hands and feet are only as good as their one teacher.
IMPORTANCE = np.array([1, 1, 1.3, 2, 1, 1.3, 2, 1.2, 1.4, 1.6, 1.2, 1.4, 1.6, 0.7, 0.7, 0.7, 0.7, *[0.4] * 10])
WRISTS = [3, 6]


@dataclass(kw_only=True)
class Settings(LoopSettings):
    """Settings of the command line."""

    photos: tuple[Path, ...] = ()
    """Zip files of photos."""
    labels: tuple[Path, ...] = ()
    """For each of them the name of its labels' files."""
    counts: tuple[int, ...] = ()
    """How many of each may be learnt from; empty: all."""
    shares: tuple[float, ...] = ()
    """How often a photo is of each of them; empty: equally often."""
    rendered: Path | None = None
    """Folder of rendered figures; looked into again and again, so that rendering may go on meanwhile."""
    start: Path | None = None
    """Weights to begin with, where there is no checkpoint; None: random ones."""
    minutes: float = 100.0
    """Time to train for; the learning rate follows it."""
    sizes: tuple[int, ...] = (192, 256)
    """Sides of the crops, pixels: the first for `first_share` of the time, then the next."""
    first_share: float = 0.6
    batch: int = 24
    weight_decay: float = 0.02
    average: float = 0.999
    clip: float = 5.0
    held_out: int = 150
    """Photos of each set to measure on, never learnt from."""
    save_minutes: float = 8.0
    threads: int = 1
    mixture: Mixture = field(default_factory=Mixture)
    output: Path = PERSON


def loss_of(answer: tuple[Tensor, Tensor, Tensor], points: Tensor, masks: Tensor, outlined: Tensor) -> Tensor:
    """Cross entropy of every point's place, or of its absence, and of the outline.

    Args:
        answer: Of the network.
        points: (B, POINTS, 4) x, y, weight, absent; pixels of the crop.
        masks: (B, S, S) in [0, 1].
        outlined: (B,) 1 where the mask is known.
    """
    heat, absent, outline = answer
    side = heat.shape[-1]
    cells = torch.arange(side, device=heat.device)
    centre = scale_points(points[..., :2], 1 / STRIDE)  # in cells
    x, y = (torch.exp((cells - centre[..., i, None]).square() * (-0.5 / SIGMA**2)) for i in (0, 1))  # (B, K, side)
    there = 1 - points[..., 3]
    scale = there / (x.sum(-1) * y.sum(-1)).clamp(min=1e-6)
    logits = torch.cat([heat.flatten(2), absent[..., None]], 2).float()  # (B, K, side * side + 1)
    chances = functional.log_softmax(logits, dim=2)
    places = chances[..., :-1].unflatten(2, (side, side))
    found = torch.einsum("bkyx,bkx->bky", places, x).mul(y).sum(-1) * scale
    entropy = -(found + points[..., 3] * chances[..., -1])
    weight = points[..., 2] * torch.as_tensor(IMPORTANCE, dtype=torch.float32, device=heat.device)
    point_loss = (entropy * weight).sum() / weight.sum().clamp(min=1)

    wanted = functional.avg_pool2d(masks[:, None], 2)
    pixels = functional.binary_cross_entropy_with_logits(outline.float(), wanted, reduction="none").mean((1, 2, 3))
    share = torch.sigmoid(outline.float())
    overlap = (share * wanted).sum((1, 2, 3)) + 1
    dice = 1 - 2 * overlap / (share.sum((1, 2, 3)) + wanted.sum((1, 2, 3)) + 2)
    mask_loss = ((4 * pixels + dice) * outlined).sum() / outlined.sum().clamp(min=1)
    return point_loss + mask_loss


@torch.inference_mode()
def measure(network: PersonNetwork, people: list[Person], size: int = 256) -> tuple[float, float, float]:
    """Shares of the known body points, and of the wrists, within 0.2 torso lengths; mean IoU of the outlines."""
    network.eval()
    hits, total, wrists, overlaps = 0, 0, [], []
    for person in people:
        low, high = person.box[:2], person.box[2:]
        crop = Crop(*((low + high) / 2).tolist(), 1.25 * float((high - low).max()))
        picture, mask = see(person, crop, size, False)
        truth = to_crop(person.points, crop, size, False)
        batch = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        found, outline = decode(*network(batch.contiguous(memory_format=torch.channels_last)))
        known = (truth[:17, 2] > 0) & (truth[:17, 3] == 0)
        good = np.linalg.norm(found[0, :17, :2] - truth[:17, :2], axis=1) < 0.2 * torso(truth)
        hits, total = hits + int(good[known].sum()), total + int(known.sum())
        wrists += good[WRISTS][known[WRISTS]].tolist()
        if person.mask is not None:
            a, b = cv2.resize(outline[0], (size, size)) > 0.5, mask > 127
            overlaps.append((a & b).sum() / max((a | b).sum(), 1))
    return hits / max(total, 1), float(np.mean(wrists or [0])), float(np.mean(overlaps or [0]))


class Batches:
    """Endless batches: of small crops first, then of large ones; rendered people are read anew now and then."""

    def __init__(self, settings: Settings, sets: list[list[Person]], rank: int) -> None:
        self.settings, self.sets, self.rank = settings, sets, rank
        self.shares = settings.shares or (1.0,) * len(sets)
        self.size, self.renewed, self.batches = 0, 0.0, None

    def next(self, progress: Progress) -> list[Tensor]:
        """Pictures, points, masks and which of these are known; see `Examples`."""
        settings = self.settings
        share = progress.seconds / (60 * settings.minutes)
        wanted = settings.sizes[0] if share < settings.first_share else settings.sizes[-1]
        if wanted != self.size or progress.seconds - self.renewed > RENEWED:
            self.size, self.renewed = wanted, progress.seconds
            rendered = load_rendered(settings.rendered) if settings.rendered else []
            seed = [settings.seed, progress.step, self.rank]
            examples = Examples(self.sets, self.shares, rendered, wanted, settings.batch, settings.mixture, seed)
            ahead = 8 if settings.workers else None
            self.batches = iter(
                DataLoader(examples, batch_size=None, num_workers=settings.workers, prefetch_factor=ahead)
            )
        return next(self.batches)


def train(settings: Settings, sets: list[list[Person]]) -> None:
    """Train until the time is over."""
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    device = torch.device(settings.device)
    rank, several = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)) > 1
    if several:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    network = PersonNetwork()
    if settings.start:
        network.load_state_dict(torch.load(settings.start, map_location="cpu", weights_only=True)["state_dict"])
    network = network.to(device, torch.float32, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0, weight_decay=settings.weight_decay)
    progress = Progress(network, copy.deepcopy(network), optimizer)
    progress.load(settings.cache / CHECKPOINT)

    answer_of = nn.parallel.DistributedDataParallel(network) if several else network
    held_out = [people[-settings.held_out :] for people in sets]
    batches = Batches(settings, [people[: -settings.held_out] for people in sets], rank)
    saved, limit = time.monotonic(), 60 * settings.minutes
    with tqdm(unit=" examples", initial=progress.seen, mininterval=5, disable=rank > 0) as bar:
        while progress.seconds < limit:
            begin = time.monotonic()
            rate = settings.learning_rate * one_cycle(progress.seconds / limit, rise=0.03)
            pictures, points, masks, outlined = (part.to(device, non_blocking=True) for part in batches.next(progress))
            network.train()
            pictures = (pictures.float() / 255).contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16):
                answer = answer_of(pictures)
            loss = loss_of(answer, points, masks.float() / 255, outlined)
            progress.take_step(loss, rate, settings)
            progress.seen += len(pictures) * (distributed.get_world_size() if several else 1)
            bar.update(progress.seen - bar.n)
            if progress.step % 20 == 0:
                bar.set_postfix(loss=f"{loss.item():.3f}", left=f"{(limit - progress.seconds) / 60:.0f} min")
            spent = torch.tensor(time.monotonic() - begin)
            if several:  # all processes must agree when to change
                distributed.broadcast(spent, 0)
            progress.seconds += spent.item()
            if rank == 0 and (time.monotonic() - saved > 60 * settings.save_minutes or progress.seconds >= limit):
                saved = time.monotonic()
                words = export(progress, held_out, settings)
                minutes = progress.seconds / 60
                tqdm.write(f"{progress.seen} examples, {minutes:.0f} min, loss {loss.item():.3f}: {words}")


def export(progress: Progress, held_out: list[list[Person]], settings: Settings) -> str:
    """Measure the averaged network, export it if it is the best so far, write a checkpoint; returns the measures in
    words."""
    found = [measure(progress.average, people) for people in held_out if people]
    score = float(np.mean([body + wrists for body, wrists, _ in found]))
    if score >= progress.best:
        progress.best = score
        save(progress.average, settings.output)
    progress.save(settings.cache / CHECKPOINT)
    return "; ".join(f"all {body:.3f}, wrists {wrists:.3f}, IoU {iou:.3f}" for body, wrists, iou in found)


def main(settings: Settings) -> None:
    """Load everything, then train."""
    cv2.setNumThreads(1)  # its threads would not survive the fork of the workers
    settings.cache.mkdir(parents=True, exist_ok=True)
    counts = settings.counts or (1_000_000,) * len(settings.photos)
    sets = [load_photos(*part) for part in zip(settings.photos, settings.labels, counts, strict=True)]
    for path, people in zip(settings.photos, sets, strict=True):
        outlined = sum(person.mask is not None for person in people)
        print(f"{path.name}: {len(people)} people, {outlined} with outlines", flush=True)
    train(settings, sets)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
