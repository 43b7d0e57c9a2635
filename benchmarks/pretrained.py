"""What is the pretrained generator worth? Trains a person from scratch and from the generator that knows people, and
draws minutes against validation quality.

    python benchmarks/pretrained.py WORKSPACE [WORKSPACE ...] --minutes 3 --out DIR [further settings of step 3]

Each workspace holds what step 1 wrote of a training video; nothing in it is changed. The frames that step 3 holds out
are the judge, as in training itself: SSIM within the person's window. DIR holds a folder for each run, the figure
(pretrained.png), and curves.json. Run again, it takes the runs that are there (--redo trains again).
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
from judge import run

from data.annotations import Annotations, atomic_path
from main.config import Config

STARTS = {"scratch": (60, 60, 60), "pretrained": (200, 90, 0)}  # colour of the line, RGB
PANEL = (420, 300)  # width, height in pixels
LEFT, TOP, RIGHT, BOTTOM = 58, 34, 14, 40  # margins of a panel


def curve(workspace: Path, start: str, minutes: float, out: Path, settings: list[str]) -> list[dict[str, float]]:
    """Train; what stats.jsonl says after each epoch."""
    folder = out / f"{workspace.name}-{start}"
    done = folder / "curve.jsonl"
    if not done.is_file():
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was stopped
        shutil.copytree(workspace / "data", folder / "data", dirs_exist_ok=True, copy_function=link)
        words = [f"--workspace={folder}", f"--start={start}", f"--max_minutes={minutes:g}", "--epochs=1000"]
        # No video is there, so none is compared with the annotations.
        run("main/train.py", [*words, "--patience=0", *settings], folder / "log.txt")
        shutil.copy(folder / "output" / "model_dump" / "stats.jsonl", done)
    return [json.loads(line) for line in done.read_text(encoding="utf-8").splitlines()]


def link(source: str, goal: str) -> None:
    """Like copying, without taking room."""
    Path(goal).unlink(missing_ok=True)
    Path(goal).symlink_to(Path(source).resolve())


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
    low, high = np.floor(min(values) * 50) / 50, np.ceil(max(values) * 50) / 50  # to the next 0.02

    def place(minute: float, ssim: float) -> tuple[int, int]:
        x = LEFT + (width - LEFT - RIGHT) * minute / last
        y = height - BOTTOM - (height - TOP - BOTTOM) * (ssim - low) / max(high - low, 1e-6)
        return round(x), round(y)

    def write(text: str, where: tuple[int, int], colour: tuple[int, int, int] = (0, 0, 0)) -> None:
        cv2.putText(panel, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)

    for ssim in np.linspace(low, high, round((high - low) / 0.02) + 1):
        cv2.line(panel, place(0, ssim), place(last, ssim), (225, 225, 225), 1)
        write(f"{ssim:.2f}", (14, place(0, ssim)[1] + 4))
    for minute in range(int(last) + 1):
        cv2.line(panel, place(minute, low), (place(minute, low)[0], place(minute, low)[1] + 4), (0, 0, 0), 1)
        write(f"{minute}", (place(minute, low)[0] - 4, height - BOTTOM + 18))
    cv2.line(panel, place(0, low), place(last, low), (0, 0, 0), 1)
    write("minutes of training", (width // 2 - 50, height - 6))
    write(f"{name}: validation SSIM", (LEFT, 20))
    for k, (start, rows) in enumerate(runs.items()):
        points = np.array([place(row["minutes"], row["ssim"]) for row in rows])
        cv2.polylines(panel, [points], False, STARTS[start], 2, cv2.LINE_AA)
        for point in points:
            cv2.circle(panel, point.tolist(), 3, STARTS[start], -1, cv2.LINE_AA)
        write(start, (width - RIGHT - 90, height - BOTTOM - 12 - 18 * k), STARTS[start])
    return panel


def main() -> None:
    """Train what is missing, print a table, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspaces", nargs="+", type=Path, help="folders with what step 1 wrote")
    parser.add_argument("--minutes", type=float, default=3.0, help="of training, each run")
    parser.add_argument("--out", type=Path, required=True, help="folder for runs and figure")
    parser.add_argument("--redo", action="store_true", help="train again what is there")
    options, settings = parser.parse_known_args()
    curves: dict[str, dict[str, list[dict[str, float]]]] = {}
    for workspace in options.workspaces:
        for start in STARTS:
            if options.redo:
                (options.out / f"{workspace.name}-{start}" / "curve.jsonl").unlink(missing_ok=True)
            rows = curve(workspace, start, options.minutes, options.out, settings)
            curves.setdefault(name_of(workspace), {})[start] = rows
            for row in rows:
                print(
                    f"{workspace.name:20} {start:11} epoch {row['epoch']:3} {row['minutes']:5.1f} min  PSNR "
                    f"{row['psnr']:.2f}  SSIM {row['ssim']:.4f}  sharpness {row['sharpness']:.2f}",
                    flush=True,
                )
    with atomic_path(options.out / "curves.json") as temporary:
        temporary.write_text(json.dumps(curves, indent=1), encoding="utf-8")
    with atomic_path(options.out / "pretrained.png") as temporary:
        temporary.write_bytes(cv2.imencode(".png", draw(curves)[..., ::-1])[1].tobytes())
    print(f"{options.out / 'pretrained.png'}")


if __name__ == "__main__":
    main()
