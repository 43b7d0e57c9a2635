"""A person as one file: all that the steps need of a train video and its model to render any dance.

A zip archive whose parts are stored, as they are compressed already:

manifest.json    format version, versions of program and torch, date, settings, statistics, the train video's
                 fingerprint, and the SHA-256 of every other part
generator.npz    weights of the averaged generator, in half precision
annotations.npz  the person's keypoints in every frame, which say how they move and how large they are
plate.png        the empty room
frames.mp4       the frames that texture is copied from, H.264 with all its colour, no larger than step 4 reads them
outlines.mp4     the person's outline in each of them

Reading it runs no code of the file's: nothing is unpickled, every part is of a bounded size and checked, and no name in
the file decides where something is written.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data import pictures, video
from data.annotations import Annotations, image_name, mask_name
from data.detecting import Writer
from data.files import atomic_path, recover, replace_folder, sha256, staging
from data.progress import Bar
from data.provenance import program_version
from main import checkpoint
from main.config import Config
from main.dataset import MADE_BY, source_bank, source_rows
from pose_detector.errors import InputError
from pose_detector.untrusted import MOST_PIXELS, load_arrays

FORMAT_VERSION = 1
SUFFIX = ".person"
MANIFEST = "manifest.json"
# Bytes that a part may have at most: far above those of long videos.
LIMITS = {
    MANIFEST: 1 << 20,
    "generator.npz": 128 << 20,
    "annotations.npz": 128 << 20,
    "plate.png": 64 << 20,
    "frames.mp4": 256 << 20,
    "outlines.mp4": 256 << 20,
}
MOST_SHOWN = 1 << 36  # pixels of all frames together: 8,000 of 4K
BUDGET = 20 << 20  # bytes of both videos; with weights and keypoints a file stays below 25 MB
# Every n-th frame and the quality of H.264, best first: the first pair within the budget is taken. Of the sample's
# frames (512x288) crf 4 keeps 48 dB in 12 kB each with the outline, 8: 46 dB in 8 kB, 12: 44 dB in 6 kB, 16: 42 dB.
LEVELS = ((1, 4), (1, 8), (1, 12), (1, 16), (2, 16), (4, 16), (8, 16))
# Settings that are words and go into a file; others may hold names of folders.
_WORDS = ("quality", "precision", "second_look", "normalise", "start", "perceptual")


@dataclass
class Person:
    """What a file holds: the manifest and the bytes of the other parts by name."""

    manifest: dict[str, Any]
    parts: dict[str, bytes]


def path_of(config: Config, source: str) -> Path:
    """Where the file of a person lies: named as the settings say, or after their video."""
    return config.persons_dir / f"{config.name or Path(source).stem}{SUFFIX}"


def keep(config: Config, annotations: Annotations, trained: Path) -> Path | None:
    """Write the file of a person who has been trained, unless it is there.

    Args:
        config: where things lie.
        annotations: of the train video.
        trained: the checkpoint.

    Returns:
        the file; None if it was there.
    """
    path = path_of(config, annotations.source)
    made_from = [sha256(p) for p in (trained, config.train_annotations, config.background_image)]
    made_from.append(f"{config.bank} frames")
    if path.is_file():
        try:
            if read(path).manifest["made_from"] == made_from:
                return None
        except (InputError, KeyError):
            pass
    state = checkpoint.load(trained)
    save(path, annotations, state, config, made_from)
    return path


def save(path: Path, annotations: Annotations, state: dict[str, Any], config: Config, made_from: list[str]) -> None:
    """Write the file of a person.

    Args:
        path: the file.
        annotations: of the train video.
        state: a checkpoint's content.
        config: where pictures, outlines and the plate lie, and how many frames texture may be copied from.
        made_from: identifies the checkpoint and the other sources.
    """
    annotations, size, frames, outlines = _videos(annotations, checkpoint.adopt(config, state))
    parts = {
        "generator.npz": _pack_weights(state["averaged"]),
        "annotations.npz": _pack_annotations(annotations),
        "plate.png": config.background_image.read_bytes(),
        "frames.mp4": frames,
        "outlines.mp4": outlines,
    }
    best = state.get("best", math.nan)
    manifest = {
        "format_version": FORMAT_VERSION,
        "program": f"everybody-dance-now {program_version()}",
        "torch": torch.__version__,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "fingerprint": annotations.fingerprint,
        "made_from": made_from,
        "size": list(size),
        "statistics": {
            "frames": annotations.total_frames,
            "source_frames": int(annotations.kept.sum()),
            "frames_per_second": annotations.fps,
            "epoch": state["epoch"],
            "minutes": state.get("minutes", 0.0),
            "validation_ssim": best if math.isfinite(best) else None,
        },
        "settings": {
            key: value
            for key, value in state["config"].items()
            if isinstance(value, int | float) or (key in _WORDS and isinstance(value, str))
        },
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()},
    }
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, data in {MANIFEST: json.dumps(manifest, indent=1).encode(), **parts}.items():
            archive.writestr(name, data)


def read(path: Path) -> Person:
    """Read a file and check it whole.

    Raises:
        InputError: it is missing, damaged, of a newer version of this program, or something else.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing; step 3 writes such files to output/persons")
    try:
        if path.stat().st_size > 2 * sum(LIMITS.values()):
            raise ValueError("size")
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(_part(archive, MANIFEST))
            version = manifest["format_version"]
            if isinstance(version, int) and version > FORMAT_VERSION:
                raise InputError(f"{path} is of a newer version of this program (format {version}); update this one")
            if version != FORMAT_VERSION:
                raise ValueError("format version")
            parts = {name: _part(archive, name) for name in LIMITS if name != MANIFEST}
            if set(archive.namelist()) != set(LIMITS) or len(archive.namelist()) != len(LIMITS):
                raise ValueError("other parts")
        for name, data in parts.items():
            if hashlib.sha256(data).hexdigest() != manifest["sha256"][name]:
                raise ValueError(name)
        _check_manifest(manifest)
    except InputError:
        raise
    except Exception as error:  # what reading foreign bytes raises is not bounded
        raise InputError(f"{path} is damaged or no file of a person; copy it again, or make it anew") from error
    return Person(manifest, parts)


def unpack(path: Path, folder: Path) -> None:
    """Lay a file out as steps 1 and 3 leave a workspace, unless it was; all or nothing.

    Args:
        path: the file.
        folder: the workspace, of this file alone.

    Raises:
        InputError: as `read`, or its parts do not fit together.
    """
    recover(folder)
    if folder.is_dir():
        return
    print(f"unpacking {path.name}")
    person = read(path)
    with staging(folder) as fresh:
        try:
            _lay_out(person, Config(workspace=fresh))
        except Exception as error:  # as above
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the disk
            raise InputError(f"{path} cannot be used ({error}); make it anew with this program") from error
        replace_folder(folder, fresh)


# ---- Writing ---------------------------------------------------------------------------------------------------------


def _videos(annotations: Annotations, config: Config) -> tuple[Annotations, tuple[int, int], bytes, bytes]:
    """The annotations, in which `kept` marks the frames that the file has; (width, height) of these; and both videos,
    the best that are within the budget."""
    rows = source_rows(annotations, config.bank)
    size_of = 0.0  # bytes that quality 0 of all frames would take
    for step, crf in LEVELS:
        share = 2 ** (-crf / 6) / step  # H.264 takes half as much with every 6
        if size_of * share > 1.3 * BUDGET and (step, crf) != LEVELS[-1]:
            continue
        kept = np.zeros(annotations.total_frames, bool)
        kept[rows[::step]] = True
        marked = replace(annotations, kept=kept, picture=None)  # bars stay with the video
        size = source_bank(marked, most_height=config.most_texture).size
        frames = _encode(_shown(marked, config.images_dir, size, False), crf, True)
        outlines = _encode(_shown(marked, config.masks_dir, size, True), crf, False)
        size_of = (len(frames) + len(outlines)) / share
        if len(frames) + len(outlines) <= BUDGET or kept.sum() < 32:
            break
    return marked, size, frames, outlines


def _shown(annotations: Annotations, folder: Path, size: tuple[int, int], grey: bool) -> Iterator[np.ndarray]:
    """The pictures (H, W, 3) of the frames that are kept, from a folder of images, or of outlines (`grey`)."""
    name, what = (mask_name, "outlines") if grey else (image_name, "frames")
    numbers = annotations.frame_numbers[annotations.kept]
    for number in Bar(numbers, unit="frame", desc=f"person's file, {what}"):
        picture = pictures.load(folder / name(number), MADE_BY, annotations.frame_size, grey, or_less=True)
        picture = video.resize(picture, size, sharp=not grey)
        yield np.dstack([picture] * 3) if grey else picture


def _encode(frames: Iterator[np.ndarray], crf: float, full_colour: bool) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        video.write_video(path, frames, 25, crf=crf, preset="fast", full_colour=full_colour)
        return path.read_bytes()


def _pack_weights(weights: dict[str, torch.Tensor]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{name: value.cpu().half().contiguous().numpy() for name, value in weights.items()})
    return buffer.getvalue()


def _pack_annotations(annotations: Annotations) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "annotations.npz"
        annotations.save(path)
        return path.read_bytes()


# ---- Reading ---------------------------------------------------------------------------------------------------------


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    """A part of an archive. Raises ValueError where it is larger than it may be; KeyError where it is missing."""
    info = archive.getinfo(name)
    if info.file_size > LIMITS[name] or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(name)
    return archive.read(info)  # never more than `file_size`


def _check_manifest(manifest: dict[str, Any]) -> None:
    """Raise ValueError, KeyError or TypeError where what is read from a manifest is not what it should be."""
    width, height = manifest["size"]
    sides = all(type(side) is int and side > 0 for side in (width, height)) and width * height <= MOST_PIXELS
    statistics = manifest["statistics"]
    if not sides or not isinstance(manifest["fingerprint"], str) or type(statistics["epoch"]) is not int:
        raise ValueError("manifest")


def _lay_out(person: Person, config: Config) -> None:
    """Write the parts where the steps look for them."""
    config.train_annotations.parent.mkdir(parents=True)
    config.train_annotations.write_bytes(person.parts["annotations.npz"])
    annotations = Annotations.load(config.train_annotations)
    if annotations.fingerprint != person.manifest["fingerprint"]:
        raise ValueError("keypoints of another video")
    config.background_image.write_bytes(person.parts["plate.png"])
    pictures.load(config.background_image, MADE_BY, annotations.frame_size)
    width, height = person.manifest["size"]
    numbers = annotations.frame_numbers[annotations.kept]
    if len(numbers) * width * height > MOST_SHOWN:
        raise ValueError("too many frames")
    config.images_dir.mkdir()
    config.masks_dir.mkdir()
    with Writer() as writer:
        for number, frame in _decode(person.parts["frames.mp4"], numbers, (width, height), config):
            writer.write(config.images_dir / image_name(number), frame)
        for number, frame in _decode(person.parts["outlines.mp4"], numbers, (width, height), config):
            writer.write(config.masks_dir / mask_name(number), np.ascontiguousarray(frame[..., 1]))
    pictures.load(config.images_dir / image_name(numbers[0]), MADE_BY, annotations.frame_size, or_less=True)
    weights = _read_weights(person.parts["generator.npz"], config)
    settings = checkpoint.adopt(Config(), {"config": person.manifest["settings"]})
    path = checkpoint.path_of(config.checkpoint_dir, 0)
    checkpoint.load_weights(checkpoint.make_generator(settings), weights, path)
    state = {
        "generator": weights,
        "averaged": weights,
        "epoch": person.manifest["statistics"]["epoch"],
        "fingerprint": annotations.fingerprint,
        "config": settings.as_dict(),
        # Of training, which does not go on from here.
        "discriminator": {},
        "generator_optimizer": {},
        "discriminator_optimizer": {},
        "rng": torch.zeros(0),
        "step": 0,
        "epoch_step": 0,
        "minutes": 0.0,
        "best": -math.inf,
    }
    checkpoint.save(state, path)
    checkpoint.load(path)


def _decode(
    data: bytes, numbers: np.ndarray, size: tuple[int, int], config: Config
) -> Iterator[tuple[int, np.ndarray]]:
    """Frames (H, W, 3) uint8 with their numbers; ValueError where there are more, fewer or others."""
    path = config.workspace / "part.mp4"
    path.write_bytes(data)
    info = video.probe(path)
    width, height = size
    if (info.width, info.height) != (width + width % 2, height + height % 2):
        raise ValueError("frames of another size")
    with closing(video.read_frames(path)) as frames:
        for number, (_, _, frame) in zip(numbers.tolist(), frames, strict=True):
            yield number, np.ascontiguousarray(frame[:height, :width])
    path.unlink()


def _read_weights(data: bytes, config: Config) -> dict[str, torch.Tensor]:
    path = config.workspace / "part.npz"
    path.write_bytes(data)
    weights = {name: torch.from_numpy(value).float() for name, value in load_arrays(path).items()}
    path.unlink()
    return weights
