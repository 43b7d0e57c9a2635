"""Make README's pictures of the sample pair: `result.webp`, dance and result side by side in motion, and `steps.jpg`,
what each step writes.

    python run.py --workspace DIR        # the steps first
    python data/sample/render_readme.py --workspace DIR [--start 13 --seconds 3.6]
"""

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from data import pictures, video
from data.annotations import Annotations, image_name, mask_name
from pose_detector import skeleton

HERE = Path(__file__).resolve().parent
STRIDE = 2  # every second frame: half the size, and still 12 a second
GAP = 4  # white pixels between dance and result
QUALITY = 75  # of the WebP, 0 to 100: half a megabyte, and the stripes of the shirt stay sharp
TRAINING_FRAME = 417  # a frame of train.mp4 that shows the arms well


def square(keypoints: np.ndarray, width: int, height: int) -> slice:
    """Columns of the square, as high as the frame, in whose middle a person (N, 18, 3) is over N frames."""
    seen = keypoints[keypoints[..., 2] > 0][:, 0]
    left = round((seen.min() + seen.max() - height) / 2)
    left = min(max(left, 0), width - height)
    return slice(left, left + height)


def moving(workspace: Path, start: int, count: int) -> list[np.ndarray]:
    """Dance and result side by side, (H, 2 H + GAP, 3) uint8 RGB: every `STRIDE`-th of `count` frames."""
    annotations = workspace / "data" / "source" / "annotations"
    parts = []
    for name, path in (
        ("test", HERE / "test.mp4"),
        ("norm_test", workspace / "output" / "result" / "result.mp4"),
    ):
        person = Annotations.load(annotations / f"{name}_annotations.npz")
        frames = [frame for _, _, frame in islice(video.read_frames(path), start, start + count, STRIDE)]
        height, width = frames[0].shape[:2]
        columns = square(person.resized((width, height)).keypoints[start : start + count], width, height)
        parts.append([frame[:, columns] for frame in frames])
    gap = np.full((parts[0][0].shape[0], GAP, 3), 255, np.uint8)
    return [np.hstack([dance, gap, result]) for dance, result in zip(*parts, strict=True)]


def save_moving(path: Path, frames: list[np.ndarray], fps: float) -> None:
    """Write frames (H, W, 3) uint8 RGB as an animated WebP that plays for ever."""
    first, *others = map(Image.fromarray, frames)
    duration = round(1000 / fps)
    first.save(path, save_all=True, append_images=others, duration=duration, loop=0, quality=QUALITY, method=6)


def steps(workspace: Path, number: int) -> list[tuple[str, np.ndarray]]:
    """What the steps wrote, with a caption each: pictures (H, W, 3) uint8 RGB.

    Args:
        workspace: where the sample pair was run.
        number: the dance's frame to show.
    """
    source = workspace / "data" / "source"
    train = Annotations.load(source / "annotations" / "train_annotations.npz")
    frame = pictures.read(source / "images" / image_name(train.frame_numbers[TRAINING_FRAME]))
    mask = pictures.read(source / "masks" / mask_name(train.frame_numbers[TRAINING_FRAME]), grey=True)
    room = pictures.read(source / "train_bg_img.png")
    dance = Annotations.load(source / "annotations" / "test_annotations.npz")
    normal = Annotations.load(source / "annotations" / "norm_test_annotations.npz")
    _, _, danced = next(islice(video.read_frames(HERE / "test.mp4", dance.frame_size), number, None))
    rendered = pictures.read(workspace / "output" / "vis" / image_name(normal.frame_numbers[number]))
    return [
        ("1  frames and the person's poses", skeleton.draw(frame, train.keypoints[TRAINING_FRAME], 0.05)),
        ("1  the person's outline", np.repeat(mask[..., None], 3, axis=2)),
        ("1  the empty room", room),
        ("1  the dance's poses", skeleton.draw(danced, dance.keypoints[number], 0.05)),
        ("2  the poses on the person, in the room", skeleton.draw(room // 2, normal.keypoints[number], 0.05)),
        ("3, 4  the trained model renders the pose", rendered),
    ]


def save_steps(path: Path, shown: list[tuple[str, np.ndarray]]) -> None:
    """Write pictures with their captions as one of three columns."""
    figure = Figure(figsize=(9.6, 4.2), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (caption, picture) in zip(figure.subplots(-(-len(shown) // 3), 3).flat, shown, strict=True):
        axes.imshow(picture, interpolation="antialiased")
        axes.set_title(caption, fontsize=10, loc="left")
        axes.axis("off")
    figure.savefig(path, pil_kwargs={"quality": 88})


def main(argv: list[str] | None = None) -> None:
    """Make both pictures from a workspace in which the sample pair was run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, required=True, help="folder in which the sample pair was run")
    parser.add_argument("--start", type=float, default=13.0, help="second of the dance at which result.webp begins")
    parser.add_argument("--seconds", type=float, default=3.6, help="its length")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for result.webp and steps.jpg")
    options = parser.parse_args(argv)
    fps = video.probe(HERE / "test.mp4").fps
    start, count = round(options.start * fps), round(options.seconds * fps)
    save_moving(options.out / "result.webp", moving(options.workspace, start, count), float(fps) / STRIDE)
    save_steps(options.out / "steps.jpg", steps(options.workspace, start + count // 2))


if __name__ == "__main__":
    main()
