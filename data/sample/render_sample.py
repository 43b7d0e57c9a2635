"""Render the sample pair: `train.mp4`, a person who moves, and `test.mp4`, another one who dances to a beat.

    python data/sample/render_sample.py [--out DIR] [--truth DIR]

--truth also writes the exact keypoints of both clips, and the true answer of the transfer: the first person doing the
second one's dance in the first room, before the first camera. The same seed gives the same frames, bit for bit.
"""

import argparse
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from tqdm import tqdm

from data.sample.motion import FPS, test_dance
from data.sample.pair import SECONDS, SEED, Clip, clips
from data.sample.room import render_frame
from data.sample.sound import RATE, beat_track


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
