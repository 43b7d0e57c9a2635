"""Render the sample pair: `train.mp4`, a person who moves, and `test.mp4`, another one who dances to a beat.

    python data/sample/render_sample.py [--out DIR] [--truth DIR]

--truth also writes the exact keypoints of both clips, and the true answer of the transfer: the first person doing the
second one's dance in the first room, before the first camera. The same seed gives the same frames, bit for bit.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from tqdm import tqdm

from data.sample.figure import Figure, build_figure
from data.sample.looks import Cloth, Look
from data.sample.motion import FPS, Dance, test_dance, train_dance
from data.sample.pose import Body, Pose, solve
from data.sample.renderer import Camera
from data.sample.room import ROOM_A, ROOM_B, Room, render_frame
from data.sample.sound import RATE, beat_track

SEED = 1
SECONDS = {"train": 30.0, "test": 25.0}

PERSON_A = (
    Body(
        height=1.66, shoulders=0.099, hips=0.054, legs=0.530, arms=0.98, head=1.03, girth=0.96, muscle=0.95, waist=0.90,
        hip_girth=1.06, bust=0.034,
    ),
    Look(
        skin=(0.87, 0.67, 0.55), hair_style="bun", hair=(0.36, 0.19, 0.10), eyes=(0.20, 0.34, 0.25),
        lips=(0.74, 0.34, 0.36), nose=0.82, sleeves=0.36, top_loose=0.013, top_hem=-0.02, legs=0.97, bottom_loose=0.010,
        top=Cloth((0.95, 0.93, 0.88), (0.78, 0.22, 0.22), "stripes", 0.062), bottom=Cloth((0.17, 0.26, 0.44)),
        shoe=(0.95, 0.95, 0.94), sole=(0.93, 0.93, 0.9),
    ),
)  # fmt: skip
PERSON_B = (
    Body(
        height=1.86, shoulders=0.110, hips=0.050, legs=0.528, arms=1.02, head=1.09, girth=1.06, muscle=1.04, waist=1.02,
        hip_girth=0.97, belly=0.01,
    ),
    Look(
        skin=(0.60, 0.42, 0.31), hair_style="short", hair=(0.10, 0.08, 0.07), eyes=(0.22, 0.13, 0.08), beard=0.55,
        lips=(0.60, 0.33, 0.29), sleeves=0.97, top_loose=0.020, top_hem=-0.05, legs=0.97, bottom_loose=0.016,
        flare=0.004, top=Cloth((0.16, 0.50, 0.46), (0.96, 0.80, 0.36), "checks", 0.085), bottom=Cloth((0.20, 0.22,
        0.29)), shoe=(0.75, 0.16, 0.16), sole=(0.95, 0.95, 0.93),
    ),
)  # fmt: skip
CAMERA_A = Camera((0.1, 1.35, 4.75), pitch=0.075, yaw=0.02, focal=545.0)
CAMERA_B = Camera((-0.25, 0.85, 5.70), pitch=-0.020, yaw=-0.04, focal=600.0)


@dataclass(frozen=True)
class Clip:
    """A figure in a motion before a camera."""

    figure: Figure
    poses: Pose
    camera: Camera
    room: Room

    def __len__(self) -> int:
        return len(self.poses.root)


def perform(
    person: tuple[Body, Look],
    dance: Dance,
    seconds: float,
    camera: Camera,
    room: Room,
    seed: int = SEED,
    detail: float = 0.75,
) -> Clip:
    """A person doing a dance; `detail` as in `build_figure`."""
    times = np.arange(round(seconds * FPS)) / FPS
    return Clip(
        build_figure(*person, detail, seed), solve(person[0], dance.stance(times, seed), smooth=2.0), camera, room
    )


def clips(seed: int = SEED) -> dict[str, Clip]:
    """The clips: train (A moves), test (B dances), truth (A does B's dance in A's room)."""
    train, test = train_dance(), test_dance()
    return {
        "train": perform(PERSON_A, train, SECONDS["train"], CAMERA_A, ROOM_A, seed),
        "test": perform(PERSON_B, test, SECONDS["test"], CAMERA_B, ROOM_B, seed + 1),
        "truth": perform(PERSON_A, test, SECONDS["test"], CAMERA_A, ROOM_A, seed + 1),
    }


def frames(clip: Clip) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Frame uint8 RGB (H, W, 3), keypoints (18, 3), visible (18,) one after the other."""
    for i in range(len(clip)):
        frame, keypoints, visible = render_frame([(clip.figure, clip.poses[i])], clip.camera, clip.room)
        yield frame, keypoints[0], visible[0]


def write_clip(path: Path, pictures: Iterator[np.ndarray], sound: np.ndarray | None, crf: int) -> None:
    """H.264 (one thread: the file does not depend on the machine) and, if there is sound (N,) in [-1, 1], AAC."""
    temporary = path.with_name(path.stem + ".part" + path.suffix)
    with av.open(str(temporary), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        audio = container.add_stream("aac", rate=RATE, layout="mono", bit_rate=96000) if sound is not None else None
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": "slow", "threads": "1"}
        stream.codec_context.thread_count = 1
        for i, picture in enumerate(pictures):
            if i == 0:
                stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
        if audio is not None:
            for start in range(0, len(sound), 1024):
                block = av.AudioFrame.from_ndarray(
                    sound[None, start : start + 1024].astype(np.float32), format="fltp", layout="mono"
                )
                block.sample_rate, block.pts, block.time_base = RATE, start, Fraction(1, RATE)
                container.mux(audio.encode(block))
            container.mux(audio.encode())
    temporary.replace(path)


def render_clip(
    path: Path, clip: Clip, sound: np.ndarray | None = None, crf: int = 18
) -> tuple[np.ndarray, np.ndarray]:
    """Write a clip to a file; returns its exact keypoints (N, 18, 3) and visibility (N, 18)."""
    keypoints, visible = [], []

    def pictures() -> Iterator[np.ndarray]:
        for frame, points, seen in tqdm(frames(clip), total=len(clip), desc=path.name, unit="frame"):
            keypoints.append(points)
            visible.append(seen)
            yield frame

    write_clip(path, pictures(), sound, crf)
    return np.stack(keypoints), np.stack(visible)


def main(argv: list[str] | None = None) -> None:
    """Render what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for train.mp4 and test.mp4")
    parser.add_argument("--truth", type=Path, help="folder for truth.mp4 and the exact keypoints of all three clips")
    parser.add_argument("--only", choices=("train", "test", "truth"), nargs="*", help="render these clips only")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args(argv)
    wanted = options.only or (["train", "test"] + (["truth"] if options.truth else []))
    if "truth" in wanted and options.truth is None:
        parser.error("truth needs --truth DIR")
    sounds = {"test": beat_track(test_dance().bpm, SECONDS["test"], options.seed)}
    for folder in filter(None, (options.out, options.truth)):
        folder.mkdir(parents=True, exist_ok=True)
    for name, clip in clips(options.seed).items():
        if name not in wanted:
            continue
        folder = options.truth if name == "truth" else options.out
        keypoints, visible = render_clip(folder / f"{name}.mp4", clip, sounds.get(name), 12 if name == "truth" else 18)
        if options.truth:
            np.savez_compressed(options.truth / f"{name}_keypoints.npz", keypoints=keypoints, visible=visible, fps=FPS)


if __name__ == "__main__":
    main()
