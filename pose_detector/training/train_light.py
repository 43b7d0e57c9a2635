r"""Train the bundled light network, from rendered figures and, where they are at hand, photos.

    nice python pose_detector/training/train_light.py --cache build/light \
        --photos ../shared/photos/lsp_extended_8000 --teacher ../shared/weights/mobilenet_v2_dm14_368x432.onnx

What takes long to make (a teacher network's maps of the photos, the figures) is kept in the cache folder; training
goes on from the checkpoint there. The result is written to pose_detector/weights/light.pth.

The file there was made in stages, each with its own cycle of the learning rate and a fresh optimiser: 266,000 examples
with one refinement stage, then 111,000 with two, the second begun as a copy of the first (an eighth of the examples
photos, none of them set upright; crops 128 to 192 pixels square, 8 * 160 * 160 pixels a batch); then 98,000 with
photo_share 0.72 and set_up 0.42 (of these the first 17,000 with square crops, 0.5 and 0.55; up to 52,000 with 0.68);
then 132,000, from where on faces count double, and the teacher 0.8 instead of 0.5 beside the labels; then 110,000 with
the settings below, a learning rate of 1.5e-3, and photos turned by 18 degrees instead of 15.
"""

import copy
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from pose_detector.networks import HEATMAPS, PAFS, STRIDE, Light
from pose_detector.skeleton import HEAD
from pose_detector.training.augment import Picture
from pose_detector.training.light_examples import Examples, ExampleSettings, Photos, mark_people, mark_photos
from pose_detector.training.light_figures import (
    FIGURES_PER_FILE,
    load_figures,
    load_scenes,
    render_figures,
    render_scenes,
)
from pose_detector.training.loop import LoopSettings, Progress, one_cycle
from pose_detector.weights import BUNDLED, save_light

CHECKPOINT = "checkpoint.pth"
ARMS, WRISTS = [3, 4, 6, 7], [4, 7]  # the hardest to find
LEGS = [9, 10, 12, 13]
FACE = list(HEAD)  # in photos only the teacher marks it


@dataclass(kw_only=True)
class Settings(ExampleSettings, LoopSettings):
    """Settings of the command line."""

    photos: Path | None = None
    """Labelled photos: PHOTOS.zip holds JPEG files, PHOTOS.npz `joints` (N, 14, 3) in the order of their names."""
    teacher: Path | None = None
    """OpenPose-format ONNX network that marks in the photos what the labels leave out."""
    figures: int = 3200
    """Rendered figures to learn from."""
    rooms: int = 80
    """Rendered rooms, each with people in a dozen places."""
    width: float = 0.375
    """Channels, as a share of the published network's."""
    refinements: int = 2
    """Refinement stages."""
    examples: int = 717_000
    """Crops to train on; the learning rate follows them."""
    measured: int = 100
    """Held-out figures, and photos, on which every checkpoint is measured."""
    output: Path = BUNDLED


def initialise(network: nn.Module) -> None:
    """He's normal initialisation; the answers start near zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_in" if module.groups > 1 else "fan_out", nonlinearity="relu"
            )
            if module.bias is not None:
                nn.init.zeros_(module.bias)
            if module.out_channels in (HEATMAPS, PAFS):
                nn.init.normal_(module.weight, std=0.01)


def loss_of(answers: list[tuple[Tensor, Tensor]], maps: Tensor, weights: Tensor) -> Tensor:
    """Weighted squared error of every stage, summed over cells and channels, per picture.

    Where there is something to see it counts more: nearly all cells of nearly all maps are empty.
    """
    weights = weights * (1 + 3 * (maps.abs() > 0.1))
    weights[:, :HEATMAPS] *= 6  # a blob covers far fewer cells than a limb
    weights[:, ARMS] *= 4
    weights[:, WRISTS] *= 2
    weights[:, LEGS] *= 2
    weights[:, FACE] *= 2
    return sum(((torch.cat(answer, dim=1) - maps).square() * weights).sum() for answer in answers) / len(maps)


@torch.inference_mode()
def share_found(network: Light, pictures: list[Picture], device: torch.device) -> float:
    """Share of the known body keypoints (neck to ankles) whose heat map is highest within 0.2 torso lengths of them.

    For pictures of one person each. The torso is the larger of the two shoulder-hip distances; where none is known
    the picture does not count.
    """
    network.eval()
    hits = total = 0
    for picture in pictures:
        height, width = (-(-s // STRIDE) * STRIDE for s in picture.rgb.shape[:2])
        rgb = picture.rgb
        if picture.alpha is not None:
            rgb = (128 + (rgb - 128.0) * picture.alpha[..., None] / 255).astype(np.uint8)
        below, right = height - rgb.shape[0], width - rgb.shape[1]
        rgb = cv2.copyMakeBorder(rgb, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(128, 128, 128))
        field = torch.from_numpy(rgb).permute(2, 0, 1)[None].to(device, torch.float32) / 255
        heat = network(field.contiguous(memory_format=torch.channels_last))[0][0, :18].cpu().numpy()
        heat = cv2.resize(heat.transpose(1, 2, 0), (width, height), interpolation=cv2.INTER_CUBIC)
        person = picture.keypoints[0]
        sides = [np.hypot(*(person[a] - person[b])[:2]) for a, b in ((2, 8), (5, 11)) if person[a, 2] and person[b, 2]]
        if not sides:
            continue
        y, x = np.divmod(heat.reshape(-1, 18).argmax(axis=0), width)
        peaks = np.stack([x, y], axis=1)
        known = np.flatnonzero(person[1:14, 2]) + 1
        hits += (np.linalg.norm(peaks[known] - person[known, :2], axis=1) < 0.2 * max(sides)).sum()
        total += len(known)
    return float(hits) / max(total, 1)


def train(settings: Settings, photos: Photos | None, figures: list[Picture], scenes: list[Picture]) -> None:
    """Train on all the examples; exports the best of the averaged networks."""
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    device = torch.device(settings.device)
    network = Light(settings.width, settings.refinements)
    initialise(network)
    network.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=settings.weight_decay)
    progress = Progress(network, copy.deepcopy(network), optimizer)
    progress.load(settings.cache / CHECKPOINT)

    held_out = {"figures": figures[: settings.measured]}
    if photos is not None:
        held_out["photos"] = [photos[len(photos) - 1 - i] for i in range(settings.measured)]
    examples = Examples(photos, figures[settings.measured :], scenes, settings, progress.seen)
    batches = iter(DataLoader(examples, batch_size=None, num_workers=settings.workers))
    saved = time.monotonic()
    with tqdm(unit=" examples", initial=progress.seen, total=settings.examples) as bar:
        while progress.seen < settings.examples:
            rgb, maps, weights = (part.to(device, non_blocking=True) for part in next(batches))
            network.train()
            rgb = (rgb.float() / 255).contiguous(memory_format=torch.channels_last)
            loss = loss_of(network.stages(rgb), maps, weights)
            progress.take_step(loss, learning_rate(settings, progress.seen), settings)
            progress.seen += len(rgb)
            bar.update(len(rgb))
            if progress.step % 20 == 0:
                bar.set_postfix(loss=f"{loss.item():.1f}")
            if time.monotonic() - saved > 60 * settings.save_minutes or progress.seen >= settings.examples:
                saved = time.monotonic()
                shares = save(progress, held_out, settings)
                tqdm.write(f"{progress.seen} examples, loss {loss.item():.1f}; found of held-out {shares}")


def learning_rate(settings: Settings, seen: int) -> float:
    """One cycle over all the examples."""
    return settings.learning_rate * one_cycle(seen / settings.examples, rise=0.05)


def save(progress: Progress, held_out: dict[str, list[Picture]], settings: Settings) -> str:
    """Measure the averaged network, export it if it is the best so far, write a checkpoint; returns the measures in
    words."""
    device = torch.device(settings.device)
    found = {name: share_found(progress.average, part, device) for name, part in held_out.items() if part}
    score = sum(found.values()) / len(found)
    if score >= progress.best:
        progress.best = score
        save_light(settings.output, progress.average)
    progress.save(settings.cache / CHECKPOINT)
    return ", ".join(f"{name} {share:.3f}" for name, share in found.items())


def main(settings: Settings) -> None:
    """Prepare what is missing, then train."""
    cv2.setNumThreads(1)  # its threads would not survive the fork of the workers
    settings.cache.mkdir(parents=True, exist_ok=True)
    photos = None
    if settings.photos is not None:
        marks, photos = {"teacher.npy": mark_photos, "upright.npy": mark_people}, Photos(settings.photos)
        for name, mark in marks.items():
            if settings.teacher is not None and not (settings.cache / name).exists():
                mark(photos, len(photos) - settings.held_out_photos, settings.teacher, settings.cache / name)
        photos = Photos(settings.photos, *(settings.cache / name for name in marks))
    folder = settings.cache / "figures"
    folder.mkdir(exist_ok=True)
    wanted = [(f"{i:04d}.npz", render_figures) for i in range(settings.figures // FIGURES_PER_FILE)]
    wanted += [(f"scene{i:04d}.npz", render_scenes) for i in range(settings.rooms)]
    for name, render in tqdm(wanted, desc="rendering", unit="file"):
        if not (folder / name).exists():
            render(folder / name, settings.seed)
    train(settings, photos, load_figures(folder), load_scenes(folder))


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
