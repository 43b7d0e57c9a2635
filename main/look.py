"""Look at both videos, before hours are spent: what to expect, what to film again, how long it takes, how much disk.

Writes data/source/look: a picture of each video with skeleton and outline, and look.json; nothing else is changed.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from data import pictures, video
from data.annotations import Annotations, fingerprint
from data.files import atomic_path
from data.progress import write_plan
from data.quick_look import QuickLook, poster, quick_look
from main.cli import run_step
from main.config import Config
from main.perception import Networks
from pose_detector.errors import InputError


def main(config: Config) -> None:
    """Run the script; see the module's docstring."""
    modes = ["train", "test"] if config.look == "both" else [config.look]
    paths = {mode: getattr(config, f"{mode}_video_path") for mode in modes}
    for path in paths.values():
        video.probe(path)  # what is wrong with a file is said before networks are loaded
    networks = Networks(config)
    kind, weights, _ = networks.second()
    looker = networks.load_second(kind, weights)
    detector = networks.load_first(networks.first()[0])
    seen = {}
    for mode, path in paths.items():
        place = getattr(config, f"{mode}_dancer")
        seen[mode] = quick_look(path, config.frame_area, detector, config.pose_batch, looker, config.person, place)
        for line in seen[mode].lines:
            print(line)
        with atomic_path(config.look_dir / f"{mode}.jpg") as temporary:
            pictures.write(temporary, poster(seen[mode]), 90)
    told: dict[str, object] = {"videos": {mode: describe(one) for mode, one in seen.items()}}
    if config.look == "both":
        told |= expect_all(config, seen["train"], seen["test"])
    with atomic_path(config.look_dir / "look.json") as temporary:
        temporary.write_text(json.dumps(told, indent=1), encoding="utf-8")


def kept_size(config: Config, person: QuickLook) -> tuple[int, int]:
    """(width, height) of the training frames that step 1 keeps."""
    left, top, right, bottom = person.picture
    if config.quality == "draft":
        return video.working_size(right - left, bottom - top, config.frame_area)
    return video.own_size(right - left, bottom - top)


def describe(seen: QuickLook) -> dict[str, object]:
    """What a page shows of a video: advice, and where everybody is in the picture, in shares of its sides."""
    height, width = seen.frames[0].shape[:2]
    people = []
    for pose in seen.people[seen.best]:
        points = pose[pose[:, 2] > 0, :2] / (width, height)
        people.append([*points.min(axis=0).tolist(), *points.max(axis=0).tolist()])
    return {
        "lines": seen.lines,
        "time": float(seen.times[seen.best]),
        "people": people,
        "seconds": seen.info.duration,
        "picture": [width, height],
    }


def expect_all(config: Config, person: QuickLook, dance: QuickLook) -> dict[str, object]:
    """Measure this machine, print what all steps will take, and begin the journal with it.

    Raises:
        InputError: the disk is too small.
    """
    from main import estimate
    from main.device import prepare_device

    size = kept_size(config, person)
    speeds = estimate.measure(config, prepare_device(config.device, config.threads), person, dance, size)
    timing = estimate.plan(config, person, dance, size, speeds, minutes_trained(config))
    timing = [(step, name, 0.0 if is_done(config, step) else seconds) for step, name, seconds in timing]
    bytes_ = estimate.disk(config, person, dance, size, speeds)
    print("\nwhat each step will take here, and write")
    for line in estimate.table(timing, bytes_):
        print(line)
    if config.epochs and config.patience:
        print("training ends earlier where it no longer gets better")
    free = shutil.disk_usage(existing(config.workspace)).free
    if sum(bytes_.values()) > free:
        raise InputError(
            f"{config.workspace} has {free / 1e9:.1f} GB free, and {sum(bytes_.values()) / 1e9:.1f} GB are needed;"
            " free some space, or give a --workspace elsewhere"
        )
    limits = {"training": 60 * config.max_minutes} if config.max_minutes else {}
    write_plan(config.journal, timing, limits)
    return {"plan": timing, "disk": bytes_, "speeds": asdict(speeds)}


def is_done(config: Config, step: str) -> bool:
    """Whether step 1 has read this video already."""
    if not step.startswith("1 ") or config.redo:
        return False
    mode = step.split()[1]
    try:
        annotations = Annotations.load(getattr(config, f"{mode}_annotations"))
    except InputError:
        return False
    return annotations.fingerprint == fingerprint(getattr(config, f"{mode}_video_path"))


def minutes_trained(config: Config) -> float:
    """By an earlier run on this video, from which the next one goes on."""
    from main import checkpoint

    path = checkpoint.newest(config.checkpoint_dir)
    if path is None or not is_done(config, "1 train"):
        return 0.0
    try:
        state = checkpoint.load(path)
    except InputError:
        return 0.0
    return float(state["minutes"]) if state["fingerprint"] == fingerprint(config.train_video_path) else 0.0


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(one for one in (folder, *folder.absolute().parents) if one.exists())


if __name__ == "__main__":
    run_step(main, __doc__ or "")
