"""How good is the whole of it? Runs the five steps on every clip of a folder; prints a row each, and mean and worst.

    python benchmarks/gallery.py FOLDER --minutes 3 --out DIR [--static NAME ...] [further settings of the steps]

The person of each clip is trained on its first four fifths and driven with the last fifth, so what the result should
show is known. The judge is BlazePose heavy, on the real and the generated frame, both at working size. Columns:
  keypoints, wrists  share of those that it sees in the real frame (visibility above 0.5) and sees within 0.2 torso
                     lengths of there in the generated one
  IoU                intersection over union of its outlines in the two
  PSNR, SSIM, sharp  in the person's box: the keypoints it sees in the real frame and half a torso length more
  seconds            of the six runs of steps; train: of step 3 alone
--static names the clips with a camera on a tripod, of which mean and worst are printed too. A clip that fails has a row
with the reason. DIR holds a workspace, a log and a contact sheet (real | ours) for each clip, and table.txt. Run again,
it goes on with the first step that is missing; what is done with the same settings is not done again (--redo does).
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro
from common import STEPS, Column, run_program, table
from judge import HEAVY, OUTLINE, PRESENT, ROOT, VISIBLE, Judge, Sight, run, steady_torso, videos
from tqdm import tqdm

from data import pictures
from data.annotations import Annotations, fingerprint, image_name
from data.files import atomic_path
from data.homography import footprint, warp
from data.video import probe, read_frames, resize, write_video
from main.config import Config
from main.metrics import compare, found, iou
from pose_detector.errors import InputError
from pose_detector.series import spread
from pose_detector.skeleton import GROUPS, bounding_box

TRAIN_SHARE = 4 / 5
COLUMNS = {
    "keypoints": Column("keypoints", "{:.1%}"),
    "wrists": Column("wrists", "{:.1%}"),
    "iou": Column("IoU", "{:.3f}"),
    "psnr": Column("PSNR", "{:.2f}"),
    "ssim": Column("SSIM", "{:.3f}"),
    "sharpness": Column("sharp", "{:.2f}"),
    "seconds": Column("seconds", "{:.0f}", more_is_worse=True),
    "train": Column("train", "{:.0f}", more_is_worse=True),
}
SHEET_WIDTH, PICTURE_AREA = 2400, 512 * 288  # pixels


@dataclass
class Settings:
    folder: tyro.conf.Positional[Path]  # of clips, each of one person
    minutes: float = 3.0  # of training a clip
    out: Path = ROOT / "build" / "gallery"  # where everything goes
    judge: Path = HEAVY  # pose_landmark_heavy.tflite
    static: tuple[str, ...] = ()  # names of clips, without suffix, whose camera stands still
    only: tuple[str, ...] = ()  # names of clips to run; empty: all
    sheet: int = 8  # frames on a contact sheet
    redo: bool = False  # everything again


def cut(clip: Path, first: int, last: int, path: Path) -> None:
    """Write frames `first` to `last` (excluded) of a clip as a clip of their own, at their times, with their sound.

    The loss is small: x264 at crf 8, about 48 dB.
    """
    times = np.array([time for number, time, _ in read_frames(clip, (32, 32)) if first <= number < last])
    if not len(times):
        raise InputError(f"{clip} has no frames from {first} to {last}")
    frames = (frame for number, _, frame in read_frames(clip) if first <= number < last)
    write_video(path, frames, probe(clip).fps, times, audio_from=clip, crf=8, preset="veryfast")


def cut_in_two(clip: Path, folder: Path) -> tuple[Path, Path]:
    """The part to train on and the part to drive with, as files in a folder."""
    parts = folder / "train.mp4", folder / "test.mp4"
    total = sum(1 for _ in read_frames(clip, (32, 32)))  # what can be decoded; the file may announce more
    middle = int(total * TRAIN_SHARE)
    for path, first, last in ((parts[0], 0, middle), (parts[1], middle, total)):
        if not path.is_file():
            cut(clip, first, last, path)
    return parts


def run_steps(clip: Path, folder: Path, further: Sequence[str], redo: bool) -> dict[str, float]:
    """Run the six commands, except those that an earlier run with the same settings has finished.

    Args:
        clip: the video.
        folder: workspace of this clip.
        further: settings for every step.
        redo: run them all.

    Returns:
        seconds, by step.
    """
    record = folder / "steps.json"
    origin = {"clip": fingerprint(clip), "settings": list(further)}
    done = {"origin": origin, "seconds": {}}
    if record.is_file() and not redo:
        kept = json.loads(record.read_text(encoding="utf-8"))
        if kept["origin"] == origin:
            done = kept
    if not done["seconds"]:
        for name in (record.name, "train.mp4", "test.mp4", "row.json"):
            (folder / name).unlink(missing_ok=True)
        for name in ("data", "output"):
            shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    parts = cut_in_two(clip, folder)
    common = ["--train_video", str(parts[0]), "--test_video", str(parts[1]), "--workspace", str(folder), *further]
    for name, script, *arguments in tqdm(STEPS, desc=clip.stem, unit="step"):
        if name in done["seconds"]:
            continue
        # Step 1 keeps its result while its settings are the same; its code may have changed.
        again = ["--redo"] if name.startswith("step 1") else []
        seconds, _ = run(script, [*arguments, *again, *common], folder / "log.txt")
        done["seconds"][name] = seconds
        with atomic_path(record) as temporary:
            temporary.write_text(json.dumps(done), encoding="utf-8")
    return done["seconds"]


def judge_frames(judge: Judge, pairs: Iterable[tuple[float, np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Compare real and generated frames.

    Args:
        judge: looks at both; in the generated frame first where the person really is.
        pairs: time in seconds, real and generated frame (H, W, 3) uint8 RGB, one size.

    Returns:
        means over the frames where somebody is seen, by column; NaN where nobody is.
    """
    real, ours, times, overlaps, pictures = [], [], [], [], []
    for time_, truth, picture in pairs:
        sight = judge(truth)
        if sight.present < PRESENT:
            continue
        answer, _ = judge.settle(picture, sight.crop)
        real.append(visible(sight))
        ours.append(visible(answer))
        times.append(time_)
        overlaps.append(iou(outline_of(answer, picture), outline_of(sight, truth)))
        box = bounding_box(real[-1], truth.shape[1::-1], margin=0.5)
        if box is not None:
            pictures.append(compare(picture, truth, box))
    if not real:
        return dict.fromkeys(("keypoints", "wrists", "iou", "psnr", "ssim", "sharpness"), float("nan"))
    row = found_again(np.stack(ours), np.stack(real), np.array(times))
    row["iou"] = float(np.nanmean(overlaps))
    return row | {name: float(np.mean([scores[name] for scores in pictures])) for name in pictures[0]}


def found_again(ours: np.ndarray, real: np.ndarray, times: np.ndarray) -> dict[str, float]:
    """Shares of the keypoints seen in the real frames (N, 18, 3) that are near there in the generated ones."""
    hits, known = found(ours, real, steady_torso(real, times)), real[..., 2] > 0
    wrists = list(GROUPS["wrists"])
    return {
        "keypoints": float(hits.sum() / max(known.sum(), 1)),
        "wrists": float(hits[:, wrists].sum() / max(known[:, wrists].sum(), 1)),
    }


def visible(sight: Sight) -> np.ndarray:
    """Keypoints (18, 3), with confidence 0 where they cannot be seen."""
    keypoints = sight.keypoints
    keypoints[keypoints[:, 2] <= VISIBLE, 2] = 0
    return keypoints


def outline_of(sight: Sight, frame: np.ndarray) -> np.ndarray:
    """(H, W) bool: the person, if there is one."""
    size = frame.shape[1::-1]
    return (sight.crop.put_back(sight.outline, size) > OUTLINE) & (sight.present >= PRESENT)


def rendered_pairs(config: Config, test_video: Path) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Time, real and generated frame, of every frame that was rendered. Where a camera was held in the hand, the real
    frame is laid into the steady picture of the generated one, and completed with it."""
    dance = Annotations.load(config.norm_test_annotations)
    paths = {number: config.vis_dir / image_name(number) for number in dance.frame_numbers.tolist()}
    moved = not (dance.camera == np.eye(3)).all()
    size = Annotations.load(config.test_annotations).frame_size if moved else dance.frame_size
    for number, time_, frame in read_frames(test_video, size, dance.crop):
        if number in paths:
            ours = pictures.load(paths[number], "python main/test.py")
            if moved:
                seen = footprint(dance.camera[number], size, dance.frame_size) > 0
                frame = np.where(seen[..., None], warp(frame, dance.camera[number], dance.frame_size), ours)
            yield time_, frame, ours


def contact_sheet(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Real | ours, pair beside pair, in as many rows as it takes: (H, W, 3) uint8."""
    height, width = pairs[0][0].shape[:2]
    scale = min(1.0, (PICTURE_AREA / (width * height)) ** 0.5)
    size = round(width * scale), round(height * scale)
    tiles = [np.pad(np.hstack([resize(p, size) for p in pair]), ((0, 6), (0, 12), (0, 0))) for pair in pairs]
    columns = max(1, min(len(tiles), SHEET_WIDTH // tiles[0].shape[1]))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])


def judge_clip(config: Config, judge: Judge, test_video: Path, sheet: Path, count: int) -> dict[str, float]:
    """The figures of a clip whose steps are done, and its contact sheet."""
    total = len(Annotations.load(config.norm_test_annotations).frame_numbers)
    wanted = set(spread(total, count).tolist())
    shown = []

    def watched() -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
        pairs = rendered_pairs(config, test_video)
        for i, (time_, real, ours) in enumerate(tqdm(pairs, total=total, unit="frame", desc="judging")):
            if i in wanted:
                shown.append((real, ours))
            yield time_, real, ours

    judge.forget()
    row = judge_frames(judge, watched())
    with atomic_path(sheet) as temporary:
        cv2.imwrite(str(temporary), contact_sheet(shown)[..., ::-1])
    return row


def main(settings: Settings, further: Sequence[str] = ()) -> None:
    """Run what is missing and print the table; `further` settings go to every step."""
    clips = [clip for clip in videos(settings.folder) if not settings.only or clip.stem in settings.only]
    unknown = {*settings.only, *settings.static} - {clip.stem for clip in videos(settings.folder)}
    if unknown:
        raise InputError(f"{settings.folder} holds no clip named {', '.join(sorted(unknown))}")
    judge = Judge(settings.judge)
    further = ["--max_minutes", str(settings.minutes), *further]
    rows, failed = {}, {}
    for clip in clips:
        folder, sheet = settings.out / clip.stem, settings.out / f"{clip.stem}.png"
        try:
            seconds = run_steps(clip, folder, further, settings.redo)
            kept = folder / "row.json"
            if not (kept.is_file() and sheet.is_file()):
                row = judge_clip(Config(workspace=folder), judge, folder / "test.mp4", sheet, settings.sheet)
                with atomic_path(kept) as temporary:
                    temporary.write_text(json.dumps(row), encoding="utf-8")
            row = json.loads(kept.read_text(encoding="utf-8"))
        except InputError as error:
            failed[clip.stem] = str(error)
            print(f"{clip.stem}: {error}", file=sys.stderr)
            continue
        rows[clip.stem] = row | {"seconds": sum(seconds.values()), "train": seconds["step 3"]}
    text = "\n".join(table(rows, failed, COLUMNS, ("static", settings.static)))
    print(text)
    with atomic_path(settings.out / "table.txt") as temporary:
        temporary.write_text(f"{time.strftime('%Y-%m-%d %H:%M')}  {' '.join(further)}\n{text}\n", encoding="utf-8")
    print(f"contact sheets: {settings.out}")


if __name__ == "__main__":
    run_program(main, Settings, __doc__)
