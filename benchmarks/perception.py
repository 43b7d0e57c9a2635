"""How good are the keypoints and the outline that step 1 leaves of real people? Prints a row for each clip of a folder.

    python benchmarks/perception.py FOLDER --out DIR [further settings of step 1]

What is true is what two teachers agree on, in one of `--every` frames: BlazePose heavy, which follows the person, and
MoveNet Thunder, averaged with its mirror image, in the box of what the first one saw. Where they are within 0.25 torso
lengths of each other, the mean of both is the label; elsewhere there is none, nor for a part of the face which by
BlazePose's depth the head itself hides. Of the outline BlazePose heavy's is true.
What the teachers saw is kept in `--cache`, so a second run takes only as long as step 1, which is not repeated either
while its settings are the same (`--redo` repeats it, for a change of its code).

Columns: share of labelled keypoints within 0.2 torso lengths; intersection over union of the outlines; the share of all
keypoints that are labelled, and of the frames that step 1 uses: where the camera moved, those that it could register.
The other columns are of these only; step 1's frames a second and peak memory. The last rows are mean and worst.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import tyro
from common import Column, run_program, table
from judge import HEAVY, OUTLINE, PRESENT, ROOT, SHARED, Judge, run, steady_torso, videos
from tqdm import tqdm

from data.annotations import Annotations, fingerprint
from data.files import atomic_path
from data.homography import move_keypoints
from data.video import probe, read_frames
from main.config import Config
from main.metrics import found, iou
from pose_detector.blazepose import SIZE, face_away, to_coco18
from pose_detector.crop import Crop
from pose_detector.errors import InputError
from pose_detector.skeleton import ANKLES, GROUPS

MOVENET = SHARED / "tools" / "movenet.py"
AGREE = 0.25  # torso lengths between the two teachers
FACE = GROUPS["head"]
MIRROR17 = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])
# For each keypoint of COCO-18 those of COCO-17 whose middle it is.
COCO17 = (
    (0,), (5, 6), (6,), (8,), (10,), (5,), (7,), (9,), (12,), (14,), (16,), (11,), (13,), (15,), (2,), (1,), (4,), (3,),
)  # fmt: skip
JOINTS = {
    "all": tuple(range(18)),
    "wrists": GROUPS["wrists"],
    "elbows": GROUPS["elbows"],
    "shoulders": GROUPS["shoulders"][1:],
    "hips": GROUPS["hips"],
    "knees": GROUPS["knees"],
    "ankles": ANKLES,
    "face": FACE,
}


@dataclass
class Settings:
    folder: tyro.conf.Positional[Path]  # of clips, each of one person
    out: Path = ROOT / "build" / "perception"  # workspaces of step 1, one a clip
    cache: Path = ROOT / "build" / "teachers"  # what the teachers saw
    every: int = 6  # of the frames of a clip, one in so many is judged
    judge: Path = HEAVY  # pose_landmark_heavy.tflite
    movenet: Path = MOVENET  # Python module whose class MoveNet runs that network
    only: tuple[str, ...] = ()  # names of clips, without suffix; empty: all
    teachers_only: bool = False  # fill the cache and stop
    redo: bool = False  # step 1 again


@dataclass(frozen=True)
class Labels:
    """What the teachers saw of one person in some frames of a clip. All coordinates are in pixels of the video.

    Attributes:
        frame_numbers: (N,) counted from 0.
        keypoints: (N, 18, 3) x, y, and 1 where both teachers agree, else 0.
        torso: (N,) torso length in pixels, its median over some seconds.
        frame_size: (width, height) of the video's frames, upright.
        crops: (N, 4) of BlazePose: x, y, side, angle, see `Crop`.
        outlines: (N, 256, 256) uint8, 255 = the person, in these crops.
        present: (N,) bool, whether somebody is there.
        heavy, thunder: (N, 18, 3) each teacher alone: x, y, confidence.
    """

    frame_numbers: np.ndarray
    keypoints: np.ndarray
    torso: np.ndarray
    frame_size: tuple[int, int]
    crops: np.ndarray
    outlines: np.ndarray
    present: np.ndarray
    heavy: np.ndarray
    thunder: np.ndarray

    def outline(self, row: int, size: tuple[int, int]) -> np.ndarray:
        """The outline of a row as it lies in the frame, shown at (width, height): (height, width) uint8."""
        return Crop(*self.crops[row]).put_back(self.outlines[row], self.frame_size, size)


def agreement(heavy: np.ndarray, thunder: np.ndarray, torso: np.ndarray, frame_size: tuple[int, int]) -> np.ndarray:
    """Labels of two teachers: the mean where they agree.

    Args:
        heavy, thunder: (N, 18, 3) x, y in pixels and confidence, 0 = missing.
        torso: (N,) pixels.
        frame_size: (width, height); what lies outside is no label.

    Returns:
        (N, 18, 3) x, y and 1 where there is a label, else 0.
    """
    mean = (heavy[..., :2] + thunder[..., :2]) / 2
    agreed = found(heavy, thunder, torso, AGREE)
    agreed &= ((mean >= 0) & (mean <= np.array(frame_size) - 1)).all(-1)
    return np.dstack([mean, np.ones_like(mean[..., 0])]) * agreed[..., None]


def load_labels(
    clip: Path, cache: Path = ROOT / "build" / "teachers", every: int = 6, judge: Path = HEAVY, movenet: Path = MOVENET
) -> Labels:
    """What the teachers see in a clip, from the cache or, where it is not there, anew.

    Args:
        clip: a video of one person.
        cache: folder of what the teachers saw, one .npz file a clip.
        every: one in so many frames is looked at.
        judge: pose_landmark_heavy.tflite.
        movenet: Python module whose class `MoveNet` runs that network.

    Raises:
        InputError: the clip or a teacher cannot be read.
    """
    path = cache / f"{clip.stem}-{fingerprint(clip)[:8]}-every{every}.npz"
    if not path.is_file():
        seen = ask_teachers(clip, every, Judge(judge), load_movenet(movenet))
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, **seen)
    with np.load(path, allow_pickle=False) as data:
        seen = {name: data[name] for name in data.files}
    heavy = np.stack([to_coco18(points[:, [0, 1, 3]]) for points in seen["landmarks"]])
    for keypoints, points in zip(heavy, seen["landmarks"], strict=True):
        keypoints[face_away(points), 2] = 0
    heavy *= (seen["present"] >= PRESENT)[:, None, None]
    thunder = np.stack([np.stack([row[list(part)].mean(axis=0) for part in COCO17]) for row in seen["thunder"]])
    torso = steady_torso(heavy, seen["times"])
    frame_size = tuple(seen["frame_size"].tolist())
    return Labels(
        frame_numbers=seen["frame_numbers"],
        keypoints=agreement(heavy, thunder, torso, frame_size),
        torso=torso,
        frame_size=frame_size,
        crops=seen["crops"],
        outlines=seen["outlines"],
        present=seen["present"] >= PRESENT,
        heavy=heavy,
        thunder=thunder,
    )


def ask_teachers(clip: Path, every: int, judge: Judge, movenet: object) -> dict[str, np.ndarray]:
    """What both see in one of `every` frames, as the cache keeps it: frame_numbers, times (N,); landmarks (N, 39, 4)
    and thunder (N, 17, 3) in pixels of the video; present (N,); crops (N, 4); outlines (N, 256, 256); frame_size."""
    rows: dict[str, list] = {}
    total = probe(clip).frames
    frame = np.zeros((1, 1, 3), np.uint8)
    for number, time, frame in tqdm(read_frames(clip), total=total, unit="frame", desc=clip.stem, mininterval=5):
        if number % every:
            continue
        sight = judge(frame)
        row = {
            "frame_numbers": number,
            "times": time,
            "landmarks": sight.landmarks.astype(np.float32),
            "thunder": ask_movenet(movenet, frame, sight.landmarks[:33, :2]).astype(np.float32),
            "present": sight.present,
            "crops": (sight.crop.x, sight.crop.y, sight.crop.side, sight.crop.angle),
            "outlines": np.rint(255 * sight.outline).astype(np.uint8),
        }
        for name, value in row.items():
            rows.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in rows.items()} | {"frame_size": np.array(frame.shape[1::-1])}


def load_movenet(path: Path) -> object:
    """The network, of the module at this path."""
    import torch

    torch.set_num_threads(1)
    if not path.is_file():
        raise InputError(f"{path} is missing; name the module that runs MoveNet with --movenet")
    spec = importlib.util.spec_from_file_location("movenet", path)
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MoveNet()


def ask_movenet(movenet: object, frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Keypoints (17, 3) in COCO-17 order, in pixels of the frame, mean of the picture and its mirror image.

    Args:
        movenet: (B, 256, 256, 3) RGB -> (B, 17, 3) y and x in [0, 1], and score.
        frame: (H, W, 3) uint8 RGB.
        points: (K, 2) of the person, who fills the middle four fifths of what MoveNet sees.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    crop = Crop(*(low + high) / 2, 1.25 * max(float((high - low).max()), 16.0))
    seen = crop.cut(frame, SIZE)
    both = movenet(np.stack([seen, seen[:, ::-1]]))
    both[1, :, 1] = 1 - both[1, :, 1]
    mean = (both[0] + both[1, MIRROR17]) / 2
    return np.column_stack([crop.to_frame(mean[:, [1, 0]] * SIZE - 0.5, SIZE), mean[:, 2]])


def score(labels: Labels, annotations: Annotations, masks: Path | None) -> dict[str, float]:
    """Share of labelled keypoints found, by groups of them, and `iou`, NaN where there are no masks; in [0, 1].

    Args:
        labels: of some frames.
        annotations: of all frames of the same clip.
        masks: folder of outlines, 000123.png, of the same size; or None.
    """
    size, whole = annotations.frame_size, labels.frame_size
    rows = {int(number): i for i, number in enumerate(annotations.frame_numbers)}
    keypoints = np.zeros((len(labels.frame_numbers), 18, 3), np.float32)
    back, used = np.tile(np.eye(3), (len(keypoints), 1, 1)), np.ones(len(keypoints), bool)
    moved = not (annotations.camera == np.eye(3)).all()
    for i, number in enumerate(labels.frame_numbers):
        if int(number) in rows:
            keypoints[i] = annotations.keypoints[rows[int(number)]]
            back[i] = into_video(annotations, rows[int(number)], whole)
            used[i] = annotations.kept[rows[int(number)]] or not moved
    keypoints = move_keypoints(keypoints, back)
    hits, known = found(keypoints, labels.keypoints, labels.torso), labels.keypoints[..., 2] > 0
    known &= used[:, None]
    shares = {"used": float(used.mean())}
    for name, joints in JOINTS.items():
        count = known[:, list(joints)].sum()
        shares[name] = float(hits[:, list(joints)].sum() / count) if count else float("nan")
    shares["iou"] = float("nan")
    if masks is not None and masks.is_dir():
        overlaps = []
        for i in np.flatnonzero(labels.present & used):
            path = masks / f"{labels.frame_numbers[i]:06d}.png"
            mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
            mask = np.zeros(size[::-1], np.uint8) if mask is None else mask
            seen = cv2.warpPerspective(mask, back[i], whole)
            overlaps.append(iou(seen > 255 * OUTLINE, labels.outline(i, whole) > 255 * OUTLINE))
        shares["iou"] = float(np.nanmean(overlaps)) if overlaps else float("nan")
    shares["labelled"] = float(known.mean())
    return shares


def into_video(annotations: Annotations, row: int, size: tuple[int, int]) -> np.ndarray:
    """Homography (3, 3) from the pixels of a row's keypoints to those of the video's whole frame of (width, height):
    back from the steady picture where the camera moved, and out of the bars."""
    moved = not (annotations.camera[row] == np.eye(3)).all()
    view = annotations.view
    frame = np.array([view[2] - view[0], view[3] - view[1]] if moved else annotations.frame_size)
    left, top, right, bottom = annotations.picture if annotations.picture.any() else (0, 0, *size)
    across, down = (right - left) / frame[0], (bottom - top) / frame[1]
    outward = np.array([[across, 0, left + (across - 1) / 2], [0, down, top + (down - 1) / 2], [0, 0, 1]])
    return outward @ np.linalg.inv(annotations.camera[row])


def step_1(clip: Path, workspace: Path, further: Sequence[str], redo: bool) -> dict[str, float]:
    """Run step 1 on a clip, unless that is done with these settings; gives its frames a second and peak megabytes."""
    done = workspace / "step_1.json"
    config = Config(workspace=workspace)
    if not redo and done.is_file() and config.train_annotations.is_file():
        kept = json.loads(done.read_text(encoding="utf-8"))
        if kept["settings"] == list(further) and kept["clip"] == fingerprint(clip):
            return kept
    done.unlink(missing_ok=True)
    arguments = ["--mode", "train", "--train_video", str(clip), "--workspace", str(workspace), "--redo", *further]
    seconds, memory = run("data/video2data.py", arguments, workspace / "log.txt")
    frames = Annotations.load(config.train_annotations).total_frames
    kept = {"settings": list(further), "clip": fingerprint(clip), "rate": frames / seconds, "memory": memory}
    with atomic_path(done) as temporary:
        temporary.write_text(json.dumps(kept), encoding="utf-8")
    return kept


COLUMNS = {name: Column(name, "{:.1%}") for name in JOINTS} | {
    "iou": Column("IoU", "{:.3f}"),
    "labelled": Column("labelled", "{:.1%}"),
    "used": Column("used", "{:.0%}"),
    "rate": Column("frames/s", "{:.1f}"),
    "memory": Column("MB", "{:.0f}", more_is_worse=True),
}


def main(settings: Settings, further: Sequence[str] = ()) -> None:
    """Print the table; `further` settings go to step 1."""
    clips = [clip for clip in videos(settings.folder) if not settings.only or clip.stem in settings.only]
    rows, failed = {}, {}
    for clip in clips:
        labels = load_labels(clip, settings.cache, settings.every, settings.judge, settings.movenet)
        if settings.teachers_only:
            print(f"{clip.stem:20}{100 * (labels.keypoints[..., 2] > 0).mean():8.1f} % labelled", flush=True)
            continue
        workspace = settings.out / clip.stem
        try:
            speed = step_1(clip, workspace, further, settings.redo)
        except InputError as error:
            failed[clip.stem] = str(error)
            continue
        config = Config(workspace=workspace)
        rows[clip.stem] = score(labels, Annotations.load(config.train_annotations), config.source_dir / "masks") | speed
    if settings.teachers_only:
        return
    print("\n".join(table(rows, failed, COLUMNS)))


if __name__ == "__main__":
    run_program(main, Settings, __doc__)
