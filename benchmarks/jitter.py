"""Does what step 1 leaves keep still where the person does, and keep up where the wrists are fast? On rendered truth.

    python benchmarks/jitter.py [--out DIR] [settings of step 1]

Still: the two figures of the sample clips, held in some poses of their dances, with camera noise and compression.
Jitter of a keypoint is its standard deviation over time as a share of the figure's height, for keypoints in view.
Fast: the sample clips themselves, the quarter of the moments in which a wrist in view is fastest; errors are in torso
lengths. The rendered clips and `train_keypoints.npz`, `test_keypoints.npz`, the truth of the sample clips, are kept in
DIR, so a second run takes only as long as step 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import run_program
from judge import ROOT, run
from tqdm import tqdm

from data.annotations import Annotations
from data.files import atomic_path
from data.sample.motion import FPS
from data.sample.pair import Clip, clips
from data.sample.renderer import project, render_layer, visibility
from data.sample.room import render_frame
from data.video import write_video
from main.config import Config
from pose_detector.skeleton import LEFT_WRIST, NAMES, RIGHT_WRIST, torso_length

FASTEST = 0.25  # share of the moments


@dataclass
class Settings:
    out: Path = ROOT / "build" / "jitter"  # rendered clips, their truth, and workspaces of step 1
    poses: int = 3  # of each figure that are held still
    frames: int = 50  # for which each is held
    noise: float = 3.0  # standard deviation of the camera's noise, of 255
    crf: float = 23.0  # of x264


def render_still(clip: Clip, frame: int, settings: Settings, path: Path) -> None:
    """A clip of one pose held still, and beside it an .npz: keypoints (18, 3), visible (18,), height in pixels."""
    picture, keypoints, visible = render_frame([(clip.figure, clip.poses[frame])], clip.camera, clip.room)
    depth = clip.camera.project(clip.poses[frame].root)[2]
    rng = np.random.default_rng(frame)
    noisy = (
        np.clip(picture + rng.normal(0, settings.noise, picture.shape), 0, 255).round().astype(np.uint8)
        for _ in range(settings.frames)
    )
    write_video(path, noisy, FPS, crf=settings.crf)
    with atomic_path(path.with_suffix(".npz")) as temporary:
        height = clip.figure.body.height * clip.camera.focal / depth
        np.savez(temporary, keypoints=keypoints[0], visible=visible[0], height=height)


def write_truth(clip: Clip, path: Path) -> None:
    """Keypoints (N, 18, 3) and visible (N, 18) of a clip, as render_sample.py writes them, without its pictures."""
    keypoints, visible = project(clip.figure, clip.poses, clip.camera), np.zeros((len(clip), 18), bool)
    for i in tqdm(range(len(clip)), desc=path.stem, unit="frame"):
        person = clip.figure, clip.poses[i]
        layer = render_layer([person], clip.camera, clip.room.light, shadows=False)
        visible[i] = visibility(layer, 0, *person, clip.camera)
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, keypoints=keypoints, visible=visible, fps=FPS)


def annotate(clip: Path, workspace: Path, further: Sequence[str]) -> np.ndarray:
    """Keypoints (N, 18, 3) of a clip by step 1."""
    arguments = ["--mode", "test", "--test_video", str(clip), "--workspace", str(workspace), "--redo", *further]
    run("data/video2data.py", arguments, workspace / "log.txt")
    return Annotations.load(Config(workspace=workspace).test_annotations).keypoints


def jitter(keypoints: np.ndarray, visible: np.ndarray, height: float) -> np.ndarray:
    """How much each keypoint of a still person moves.

    Args:
        keypoints: (N, 18, 3) over time.
        visible: (18,) bool, which ones count.
        height: of the person, in pixels.

    Returns:
        (18,) standard deviation of the place over time as a share of the height; NaN where the keypoint does not count
        or is missing in half of the frames.
    """
    result = np.full(18, np.nan)
    for joint in np.flatnonzero(visible):
        seen = keypoints[keypoints[:, joint, 2] > 0, joint, :2]
        if 2 * len(seen) > len(keypoints):
            result[joint] = np.sqrt(seen.var(axis=0).sum()) / height
    return result


def wrist_errors(keypoints: np.ndarray, truth: np.ndarray, visible: np.ndarray, fps: float) -> dict[str, np.ndarray]:
    """Errors of the wrists in torso lengths, NaN where missing: of `all` in view, and of the `fast` quarter of them.

    Args:
        keypoints, truth: (N, 18, 3) over time.
        visible: (N, 18) bool.
        fps: frames a second.
    """
    wrists = [RIGHT_WRIST, LEFT_WRIST]
    torso = float(np.median(torso_length(truth)))
    speed = np.linalg.norm(np.gradient(truth[:, wrists, :2], axis=0), axis=-1) * fps / torso
    error = np.linalg.norm(keypoints[:, wrists, :2] - truth[:, wrists, :2], axis=-1) / torso
    error[keypoints[:, wrists, 2] == 0] = np.nan
    seen = visible[:, wrists]
    fast = seen & (speed >= np.quantile(speed[seen], 1 - FASTEST))
    return {"all": error[seen], "fast": error[fast], "speed": speed[fast]}


def main(settings: Settings, further: Sequence[str] = ()) -> None:
    """Print both tables; `further` settings go to step 1."""
    out = settings.out
    stills = [(name, i) for name in ("train", "test") for i in range(settings.poses)]
    recipe = f"{settings.frames}-{settings.noise:g}-{settings.crf:g}"
    paths = {still: out / f"{still[0]}-{still[1]}of{settings.poses}-{recipe}.mp4" for still in stills}
    truths = {name: out / f"{name}_keypoints.npz" for name in ("train", "test")}
    if not all(path.with_suffix(".npz").is_file() for path in (*paths.values(), *truths.values())):
        sample = clips()
        for (name, i), path in tqdm(paths.items(), desc="rendering", unit="clip"):
            frame = round((i + 0.5) / settings.poses * len(sample[name]))
            if not path.with_suffix(".npz").is_file():
                render_still(sample[name], frame, settings, path)
        for name, path in truths.items():
            if not path.is_file():
                write_truth(sample[name], path)

    print(f"{'still person, % of the height':34}{'mean':>8}{'worst':>8}", flush=True)
    every = []
    for (name, i), path in paths.items():
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as data:
            visible, height = data["visible"], float(data["height"])
        found = 100 * jitter(annotate(path, out / "steps" / path.stem, further), visible, height)
        every.append(found)
        if np.isnan(found).all():
            print(f"{f'{name}, pose {i + 1}':34}  nobody found")
            continue
        lost = int((visible & np.isnan(found)).sum())
        note = f"  {NAMES[int(np.nanargmax(found))]}" + (f", {lost} of {visible.sum()} missing" if lost else "")
        print(f"{f'{name}, pose {i + 1}':34}{np.nanmean(found):8.3f}{np.nanmax(found):8.3f}{note}", flush=True)
    print(f"{'all':34}{np.nanmean(every):8.3f}{np.nanmax(every):8.3f}")

    print(f"\n{'wrists, error in torso lengths':34}{'median':>8}{'95th':>8}{'missing':>9}{'number':>8}", flush=True)
    for name, path in truths.items():
        with np.load(path, allow_pickle=False) as data:
            truth, visible = data["keypoints"], data["visible"]
        keypoints = annotate(ROOT / "data" / "sample" / f"{name}.mp4", out / "steps" / name, further)
        errors = wrist_errors(keypoints, truth, visible, FPS)
        fast = f"fast, above {errors.pop('speed').min():.1f} a second"
        for group, label in (("all", "all"), ("fast", fast)):
            missing, values = np.isnan(errors[group]).mean(), errors[group][~np.isnan(errors[group])]
            middle, high = np.quantile(values, [0.5, 0.95]) if len(values) else (np.nan, np.nan)
            print(
                f"{f'{name}.mp4, {label}':34}{middle:8.3f}{high:8.3f}{missing:9.1%}{len(errors[group]):8}", flush=True
            )


if __name__ == "__main__":
    run_program(main, Settings, __doc__)
