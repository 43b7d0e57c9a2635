"""Is a hand-held camera found? Shakes clips of a camera that stands by a known path, and prints what step 1 finds.

    python benchmarks/shake.py VIDEO ... [--frames 150] [--amount 1] [--out DIR] [further settings of step 1]

The path is that of a phone in the hand: it turns by some degrees (so the picture moves, and its corners a little
otherwise), rolls and zooms, all smoothly and with a tremor; every frame is warped by it, with the rolling brightness of
an automatic exposure and noise, and encoded again. The same frames, cut in the same way but not shaken, are the clip to
compare with. Columns:
  median, 95 %  distances in working pixels (draft quality) between where step 1 puts a frame's points and where they
                are, seen from the reference frame, over a grid and all frames that are used
  used          share of the frames that are
  keypoints     share of those seen in the still clip that lie within 0.2 torso lengths of there, once laid into the
                steady picture
  IoU           intersection over union of the outlines in both
  seconds       of step 1 on the shaken clip, over that on the still one
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro
from judge import ROOT, run, steady_torso
from scipy.ndimage import gaussian_filter1d

from data import pictures
from data.annotations import Annotations, mask_name
from data.homography import displacement, grid, move_keypoints, normalised, rescaled, transform
from data.video import probe, read_frames, write_video
from main.metrics import found, iou

FOCAL = 1.2  # longer sides of the picture, of the camera that is shaken
MARGIN = 1.18  # zoom that keeps the shaken frame within the clip's


@dataclass
class Settings:
    videos: tyro.conf.Positional[tuple[Path, ...]]  # of a camera that stands
    frames: int = 150  # of each
    amount: float = 1.0  # of the shaking; 1: as described above
    seed: int = 0  # of the path
    out: Path = ROOT / "build" / "shake"  # where the shaken clips go


def shaking(count: int, fps: float, size: tuple[int, int], amount: float, seed: int) -> np.ndarray:
    """(N, 3, 3) homographies from a shaken frame's pixels to the clip's own, of frames of (width, height)."""
    rng = np.random.default_rng(seed)

    def noise(seconds: float) -> np.ndarray:
        values = gaussian_filter1d(rng.normal(size=count + 400), seconds * fps)[200 : 200 + count]
        return (values - values.mean()) / values.std()

    longer = max(size)
    sway, tremor = np.radians(1.1 * amount), np.radians(0.08 * amount)
    yaw, pitch = (sway * noise(0.8) + tremor * noise(0.06) for _ in range(2))
    roll = np.radians(0.6 * amount) * noise(0.8) + 0.5 * tremor * noise(0.06)
    zoom = np.exp(0.03 * amount * noise(1.5))
    limit = np.radians(2.6)
    yaw, pitch = np.clip(yaw, -limit, limit), np.clip(pitch, -limit, limit)
    x, y = (np.array(size) - 1) / 2
    inner = np.array([[FOCAL * longer, 0, x], [0, FOCAL * longer, y], [0, 0, 1]])
    result = np.empty((count, 3, 3))
    for n in range(count):
        turn, _ = cv2.Rodrigues(np.array([pitch[n], yaw[n], 0]))
        spin, _ = cv2.Rodrigues(np.array([0, 0, roll[n]]))
        lens = np.diag([1 / (MARGIN * zoom[n]), 1 / (MARGIN * zoom[n]), 1])
        result[n] = inner @ turn @ spin @ lens @ np.linalg.inv(inner)
    return normalised(result)


def shaken(frames: Iterable[np.ndarray], path: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """The frames (H, W, 3) uint8 RGB as the shaken camera shows them, its noise and exposure included."""
    rng = np.random.default_rng(seed)
    gain = 1 + 0.06 * np.sin(np.arange(len(path)) / 17)
    for frame, matrix, light in zip(frames, path, gain, strict=False):
        size = frame.shape[1::-1]
        flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
        moved = cv2.warpPerspective(frame, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
        noisy = light * moved + rng.normal(0, 2, moved.shape).astype(np.float32)
        yield np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def step_1(clip: Path, folder: Path, further: Sequence[str]) -> tuple[Annotations, list[np.ndarray], float]:
    """Annotations and outlines of a clip as a training video, and the seconds that it took."""
    arguments = ["--mode", "train", "--redo", "--quality", "draft", "--train_video", str(clip)]
    log = folder / "log.txt"
    seconds, _ = run("data/video2data.py", [*arguments, "--workspace", str(folder), *further], log)
    source = folder / "data" / "source"
    seen = Annotations.load(source / "annotations" / "train_annotations.npz")
    outlines = [pictures.read(source / "masks" / mask_name(i), grey=True) for i in seen.frame_numbers]
    return seen, outlines, seconds


def compare(still: Annotations, outlines: list[list[np.ndarray]], held: Annotations, path: np.ndarray) -> list[float]:
    """Median and 95th percentile of the error, share of the frames used, keypoints found again, IoU."""
    left, top, right, bottom = held.view
    seen = held.in_view()
    size = seen.frame_size
    reference = int(displacement(seen.camera, size).argmin())
    truth = normalised(np.linalg.inv(path[reference]) @ path)
    points = np.broadcast_to(grid(size, 5), (len(path), 25, 2))
    way = np.linalg.norm(transform(seen.camera, points) - transform(truth, points), axis=-1)[held.kept]
    there = move_keypoints(seen.keypoints, path[reference])
    real = still.keypoints * held.kept[:, None, None]
    hits, known = found(there, real, steady_torso(real, still.times)), real[..., 2] > 0
    overlaps = []
    for i in np.flatnonzero(held.kept):
        outline = cv2.warpPerspective(outlines[1][i][top:bottom, left:right], path[reference], size)
        shown = cv2.warpPerspective(np.full(size[::-1], 255, np.uint8), path[i], size) > 0
        overlaps.append(iou((outline > 127) & shown, (outlines[0][i] > 127) & shown))
    return [
        float(np.median(way)),
        float(np.percentile(way, 95)),
        float(held.kept.mean()),
        float(hits.sum() / max(known.sum(), 1)),
        float(np.nanmean(overlaps)),
    ]


def main(settings: Settings, further: Sequence[str] = ()) -> None:
    """Print a row for each clip."""
    print(f"{'':20}{'median':>8}{'95 %':>8}{'used':>8}{'keypoints':>11}{'IoU':>8}{'seconds':>10}")
    for clip in settings.videos:
        folder = settings.out / clip.stem
        folder.mkdir(parents=True, exist_ok=True)
        info = probe(clip)
        own = info.width // 2 * 2, info.height // 2 * 2

        def frames(clip: Path = clip, own: tuple[int, int] = own) -> Iterator[np.ndarray]:
            yield from (frame for i, _, frame in read_frames(clip, own) if i < settings.frames)

        count = sum(1 for _ in frames())
        path = shaking(count, float(info.fps), own, settings.amount, settings.seed)
        write_video(folder / "still.mp4", frames(), info.fps, crf=16, preset="veryfast")
        write_video(folder / "shaken.mp4", shaken(frames(), path, settings.seed), info.fps, crf=20, preset="veryfast")
        still, outlines, before = step_1(folder / "still.mp4", folder / "still", further)
        held, others, after = step_1(folder / "shaken.mp4", folder / "shaken", further)
        small = rescaled(path, np.divide(still.frame_size, own))
        median, high, used, again, overlap = compare(still, [outlines, others], held, small)
        figures = f"{median:8.2f}{high:8.2f}{used:8.1%}{again:11.1%}{overlap:8.3f}{after / before:10.2f}"
        print(f"{clip.stem[:19]:20}{figures}")


if __name__ == "__main__":
    chosen, rest = tyro.cli(Settings, description=__doc__, return_unknown_args=True)
    main(chosen, rest)
