"""What is the pretrained generator worth? Trains a person from scratch and from the generator that knows people, and
draws minutes against validation quality.

    python benchmarks/pretrained.py WORKSPACE [WORKSPACE ...] --steps 400 --every 50 --out DIR

Each workspace holds what step 1 wrote of a training video; nothing in it is changed. The frames that step 3 holds out
are the judge, as in training itself: SSIM within the person's window. Both begin with a look before the first step,
which is from scratch the plain composite of what is copied. Minutes are those of one core that the training took
(validation apart), so other work on the machine does not count; the learning rate is constant. DIR holds the figure
(pretrained.png) and a file for each clip, which is taken when it is there (--redo trains again).
"""

from __future__ import annotations

import json
import math
import time
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro
from tqdm import tqdm

from data.annotations import Annotations, atomic_path
from main.config import Config
from main.dataset import Clip, load_clip, source_bank
from main.device import prepare_device
from main.trainer import batches_of, build_trainer, make_data, start_pretrained, train_one_epoch, validate

STARTS = {"scratch": (60, 60, 60), "pretrained": (200, 90, 0)}  # colour of the line, RGB
PANEL = (420, 300)  # width, height in pixels
LEFT, TOP, RIGHT, BOTTOM = 58, 34, 14, 40  # margins of a panel


@dataclass
class Settings:
    workspaces: tyro.conf.Positional[tuple[Path, ...]]
    """Folders with what step 1 wrote."""
    out: Path
    """Folder for the figure and the numbers."""
    steps: int = 400
    """Of training, each."""
    every: int = 50
    """Steps from one look to the next."""
    frames: int = 12
    """Held-out frames of a look."""
    threads: int = 0
    """CPU threads of torch; 0: as it chooses."""
    redo: bool = False
    """Train again what is there."""


def curve(clip: Clip, fps: float, cfg: Config, device: torch.device, settings: Settings) -> list[dict[str, float]]:
    """Train a person; quality after so many steps and minutes of a core, the look before the first one included."""
    trainer = build_trainer(cfg, device)
    start_pretrained(trainer)
    pairs, checks = make_data(clip, fps, cfg)
    rows, spent = [], 0.0
    bar = tqdm(total=settings.steps, desc=cfg.start, unit="step")
    while True:
        scores, _ = validate(trainer, checks)
        rows.append({"step": trainer.step, "minutes": spent / 60, **scores})
        tqdm.write(f"{cfg.start:11} {rows[-1]}")
        if trainer.step >= settings.steps:
            return rows
        began, goal = time.process_time(), min(trainer.step + settings.every, settings.steps)
        while trainer.step < goal:
            with closing(batches_of(pairs, trainer)) as batches:
                some = islice(batches, goal - trainer.step)
                train_one_epoch(trainer, some, bar, 1 << 30, math.inf)
            if trainer.step < goal:
                trainer.epoch, trainer.epoch_step = trainer.epoch + 1, 0
        spent += time.process_time() - began


def measure(workspace: Path, settings: Settings) -> dict[str, list[dict[str, float]]]:
    """Curves of both starts on one clip."""
    cfg = Config(workspace=workspace, validation_frames=settings.frames, epochs=1 << 20)
    annotations = Annotations.load(cfg.train_annotations, "python data/video2data.py --mode train")
    bank = source_bank(annotations, most_height=cfg.most_height)
    clip = load_clip(annotations, cfg.images_dir, cfg.masks_dir, cfg.background_image, bank)
    device = prepare_device("auto", settings.threads)
    return {start: curve(clip, annotations.fps, replace(cfg, start=start), device, settings) for start in STARTS}


def name_of(workspace: Path) -> str:
    """The clip's name."""
    return Path(Annotations.load(Config(workspace=workspace).train_annotations, "step 1").source).stem


def draw(curves: dict[str, dict[str, list[dict[str, float]]]]) -> np.ndarray:
    """The figure, RGB uint8: a panel a clip, each with its own range of SSIM, all with the same minutes."""
    last = max(row["minutes"] for runs in curves.values() for rows in runs.values() for row in rows)
    return np.hstack([draw_panel(name, runs, last) for name, runs in curves.items()])


def draw_panel(name: str, runs: dict[str, list[dict[str, float]]], last: float) -> np.ndarray:
    """One clip: lines of SSIM over minutes, up to `last`."""
    width, height = PANEL
    panel = np.full((height, width, 3), 255, np.uint8)
    values = [row["ssim"] for rows in runs.values() for row in rows]
    low, high = np.floor(min(values) * 200) / 200, np.ceil(max(values) * 200) / 200  # to the next 0.005
    tick = next((t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10) if last / t <= 8), 20)  # minutes

    def place(minute: float, ssim: float) -> tuple[int, int]:
        x = LEFT + (width - LEFT - RIGHT) * minute / last
        y = height - BOTTOM - (height - TOP - BOTTOM) * (ssim - low) / max(high - low, 1e-6)
        return round(x), round(y)

    def write(text: str, where: tuple[int, int], colour: tuple[int, int, int] = (0, 0, 0)) -> None:
        cv2.putText(panel, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)

    for ssim in np.linspace(low, high, round((high - low) / 0.005) + 1):
        cv2.line(panel, place(0, ssim), place(last, ssim), (225, 225, 225), 1)
        write(f"{ssim:.3f}", (10, place(0, ssim)[1] + 4))
    for minute in np.arange(0, last, tick):
        cv2.line(panel, place(minute, low), (place(minute, low)[0], place(minute, low)[1] + 4), (0, 0, 0), 1)
        write(f"{minute:.3g}", (place(minute, low)[0] - 4, height - BOTTOM + 18))
    cv2.line(panel, place(0, low), place(last, low), (0, 0, 0), 1)
    write("minutes of one core", (width // 2 - 50, height - 6))
    write(f"{name}: SSIM", (LEFT, 20))
    for k, (start, rows) in enumerate(runs.items()):
        points = np.array([place(row["minutes"], row["ssim"]) for row in rows])
        cv2.polylines(panel, [points], False, STARTS[start], 2, cv2.LINE_AA)
        for point in points:
            cv2.circle(panel, point.tolist(), 3, STARTS[start], -1, cv2.LINE_AA)
        write(start, (width - RIGHT - 80 - 70 * k, 20), STARTS[start])
    return panel


def main(settings: Settings) -> None:
    """Train what is missing, print a table, draw the figure."""
    settings.out.mkdir(parents=True, exist_ok=True)
    curves: dict[str, dict[str, list[dict[str, float]]]] = {}
    for workspace in settings.workspaces:
        path = settings.out / f"{workspace.name}.json"
        if settings.redo or not path.is_file():
            runs = measure(workspace, settings)
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps(runs, indent=1), encoding="utf-8")
        curves[name_of(workspace)] = runs = json.loads(path.read_text(encoding="utf-8"))
        for start, rows in runs.items():
            for row in rows:
                print(
                    f"{workspace.name:20} {start:11} step {row['step']:4} {row['minutes']:5.2f} min  PSNR "
                    f"{row['psnr']:.2f}  SSIM {row['ssim']:.4f}  sharpness {row['sharpness']:.2f}"
                )
    with atomic_path(settings.out / "pretrained.png") as temporary:
        temporary.write_bytes(cv2.imencode(".png", draw(curves)[..., ::-1])[1].tobytes())
    print(f"{settings.out / 'pretrained.png'}")


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
