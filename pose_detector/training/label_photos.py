"""What two teachers see in photos of people: keypoints, and the person's outline.

    python pose_detector/training/label_photos.py --photos PHOTOS.zip --out LABELS --movenet TOOL.py --blazepose FILE

PHOTOS.zip holds the pictures and PHOTOS.npz, in the order of their names, where the person is: `joints` (N, 14, 3) of
the Leeds data set, or `guess` (N, 18, 3) in COCO-18. TOOL.py is a module whose class `MoveNet` runs that network: RGB
(B, 256, 256, 3) in, (B, 17, 3) y and x in [0, 1] and score out. LABELS.npz and LABELS.zip are written: `thunder`
(N, 17, 3), COCO-17, the mean of the photo and its mirror image; `landmarks` (N, 39, 3) of BlazePose; `present` (N,);
and the outlines as PNG files. Several processes share the work with `--part 0/2`, `--part 1/2`.
"""

import importlib.util
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro
from tqdm import tqdm

from pose_detector.blazepose import SIZE, BlazePose
from pose_detector.crop import Crop, lean

MIRROR17 = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])


@dataclass
class Settings:
    """Settings of the command line."""

    photos: Path
    """Zip file of the pictures; the .npz file of the same name lies beside it."""
    out: Path
    """Name of the files to write, without a suffix."""
    movenet: Path
    """Python module that runs MoveNet Thunder."""
    blazepose: Path
    """pose_landmark_heavy.tflite."""
    part: str = "0/1"
    """Which share of the photos."""
    first: int = 0
    count: int = 1_000_000
    """The photos to look at."""


def person_crops(points: np.ndarray, hips: list[int], shoulders: list[int]) -> tuple[Crop, Crop]:
    """Where to look, from some keypoints (K, 3) of a person: for MoveNet, whose box is the person's and a quarter more,
    and for BlazePose, whose circle around the hips encloses the body. Both show the person upright."""
    known = points[points[:, 2] > 0, :2]
    low, high = known.min(axis=0), known.max(axis=0)
    middle, angle = (low + high) / 2, 0.0
    if (points[hips, 2] > 0).all() and (points[shoulders, 2] > 0).all():
        hip, angle = points[hips, :2].mean(axis=0), lean(points[shoulders], points[hips])
    else:
        hip = middle
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = known @ turn.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    middle, side = (low + high) / 2 @ turn, float((high - low).max())
    radius = float(np.linalg.norm(known - hip, axis=1).max())
    return Crop(*middle, 1.3 * max(side, 16.0), angle), Crop(*hip, 2.5 * max(1.05 * radius, 16.0), angle)


def main(settings: Settings) -> None:
    """Look at all of them, or at a share."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    spec = importlib.util.spec_from_file_location("movenet", settings.movenet)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    movenet, blazepose = module.MoveNet(), BlazePose(settings.blazepose)
    with np.load(settings.photos.with_suffix(".npz")) as data:
        people = data["guess"].astype(np.float32) if "guess" in data else data["joints"]
        names = data["names"].tolist() if "names" in data else None
    hips, shoulders = ([8, 11], [2, 5]) if people.shape[1] == 18 else ([2, 3], [8, 9])
    share, shares = (int(n) for n in settings.part.split("/"))
    suffix = f".{share}" if shares > 1 else ""
    with (
        zipfile.ZipFile(settings.photos) as archive,
        zipfile.ZipFile(settings.out.with_name(settings.out.name + suffix + ".zip"), "w") as masks,
    ):
        names = names or sorted(archive.namelist())
        last = min(settings.first + settings.count, len(names))
        wanted = list(range(settings.first, last))[share::shares]
        thunder, landmarks = np.zeros((len(wanted), 17, 3), np.float32), np.zeros((len(wanted), 39, 3), np.float32)
        present = np.zeros(len(wanted), np.float32)
        for row, i in enumerate(tqdm(wanted, unit="photo", mininterval=5)):
            data = np.frombuffer(archive.read(names[i]), np.uint8)
            rgb = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            if (people[i, :, 2] > 0).sum() < 3:
                continue
            small, large = person_crops(people[i], hips, shoulders)
            seen = small.cut(rgb, SIZE)
            both = movenet(np.stack([seen, seen[:, ::-1]]))
            both[1, :, 1] = 1 - both[1, :, 1]
            both = (both[0] + both[1, MIRROR17]) / 2
            thunder[row] = np.column_stack([small.to_frame(both[:, [1, 0]] * SIZE - 0.5, SIZE), both[:, 2]])
            points, present[row], outline = blazepose.run(large.cut(rgb, SIZE))
            landmarks[row] = np.column_stack([large.to_frame(points[:, :2], SIZE), points[:, 3]])
            mask = large.put_back((outline * 255).round().astype(np.uint8), rgb.shape[1::-1])
            masks.writestr(f"{i:05d}.png", cv2.imencode(".png", mask)[1].tobytes())
    np.savez(
        settings.out.with_name(settings.out.name + suffix + ".npz"),
        index=np.array(wanted), thunder=thunder, landmarks=landmarks, present=present,
    )  # fmt: skip


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
