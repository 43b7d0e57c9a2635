"""How fast and how good is the detector? Prints one table.

    python benchmarks/detector.py [--weights FILE] [--truth DIR] [--workspace DIR] [--shared DIR] [--teacher FILE.onnx]

Speed: frames a second of each stage on frames of the first sample clip, of the first look as a whole (decoding,
finding people, writing pictures), and of the network's convolutions alone, the bound. Accuracy: share of keypoints
within 0.2 torso lengths of the truth of the sample clips (`python data/sample/render_sample.py --out DIR --truth DIR`
writes it), by the detector in some of the frames and, with a workspace where step 1 has run on them, as step 1 left
them in all; of the labels of the last 1,000 photos, and of what the teacher network sees in real clips with a
confidence above 0.3, by the detector and as step 1 leaves it.
"""

import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro
from judge import run
from torch import nn

from data.annotations import Annotations
from data.detecting import find_people
from data.video import read_frames, write_video
from main.config import Config
from pose_detector.crop import Crop
from pose_detector.detector import Detector
from pose_detector.keypoints import scale_keypoints
from pose_detector.look import Looker
from pose_detector.networks import OpenPose, PoseNetwork
from pose_detector.person_network import Bundled, load
from pose_detector.second_look import PRESENT, TRIES, steady
from pose_detector.skeleton import torso_length

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "data" / "sample"
PHOTO_JOINTS = [10, 9, 8, 11, 12, 13, 4, 3, 2, 5, 6, 7]  # of the photos' first 12 joints, in COCO-18
WRISTS = [4, 7]


@dataclass
class Settings:
    weights: str = ""  # as the setting pose_weights
    random: bool = False  # OpenPose's network with random weights: its speed only
    truth: Path | None = None  # folder of train_keypoints.npz and test_keypoints.npz
    workspace: Path | None = None  # where step 1 has run on the sample clips
    shared: Path = ROOT.parent / "shared"  # folder of clips and photos; what is absent is left out
    teacher: Path | None = None  # ONNX network to compare with, on the photos and the real clips
    height: int | None = None  # of the network's input, pixels
    flip: bool = False  # average with the mirrored frames
    scales: tuple[float, ...] = (1.0,)  # average over sizes of the input
    turns: bool = False  # look at turned frames too
    batch: int = 8  # frames at a time
    frames: int = 96  # for the speed
    every: int = 5  # of the frames of a clip, and of the photos, one in so many is looked at
    device: str = "cpu"


def batches(frames: Iterable, size: int) -> Iterator[list]:
    """Lists of up to `size` frames."""
    frames = iter(frames)
    while batch := list(islice(frames, size)):
        yield batch


def speed(settings: Settings, detector: Detector) -> list[tuple[str, str]]:
    """Frames a second of every stage."""
    seconds = {}

    def clock(name: str, work: Callable[..., object], *arguments: Iterable) -> list:
        start = time.perf_counter()
        results = [work(*row) for row in zip(*arguments, strict=True)]
        seconds[name] = time.perf_counter() - start
        return results

    count = max(1, settings.frames // settings.batch) * settings.batch
    frames = clock("decoding", lambda row: row[2], islice(read_frames(SAMPLE / "train.mp4"), count))
    parts = list(batches(frames, settings.batch))
    height, width = frames[0].shape[:2]
    detector(parts[0])  # warm up
    inputs = clock("resizing", detector.prepare, parts)
    if isinstance(detector.network, PoseNetwork):
        convolutions = Convolutions(detector, inputs[0])
        clock("convolutions alone", convolutions, inputs)
    maps = clock("network", detector.maps, inputs)
    clock("grouping", detector.people, maps, inputs)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_video(clip, frames, 25)
        images = Path(folder) / "images"
        images.mkdir()
        work = (clip, (width, height), detector.stream, settings.batch, images, len(frames))
        clock("first look", find_people, *([value] for value in work))
    rows = [(f"{name}, {width}x{height}", f"{len(frames) / spent:8.1f} frames/s") for name, spent in seconds.items()]
    if "convolutions alone" in seconds:
        longer = seconds["first look"] / seconds["convolutions alone"] - 1
        rows.append(("the first look takes longer than its convolutions by", f"{longer:8.1%}"))
    return rows


class Convolutions:
    """The convolutions of a detector's network, one after the other on inputs of the shapes that they have there."""

    def __init__(self, detector: Detector, inputs: list) -> None:
        self.calls: list[tuple[nn.Conv2d, torch.Size]] = []
        layers = [layer for layer in detector.network.modules() if isinstance(layer, nn.Conv2d)]
        hooks = [layer.register_forward_pre_hook(lambda m, x: self.calls.append((m, x[0].shape))) for layer in layers]
        detector.maps(inputs)
        for hook in hooks:
            hook.remove()
        self.device = detector.device
        self.inputs = {
            shape: torch.rand(shape, device=detector.device, dtype=detector.dtype).to(memory_format=torch.channels_last)
            for _, shape in self.calls
        }

    def __call__(self, _: object) -> None:
        with torch.inference_mode():
            for layer, shape in self.calls:
                layer(self.inputs[shape])
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def hits(
    truth: np.ndarray, known: np.ndarray, torso: float, people: tuple[np.ndarray, np.ndarray], reach: float = 0.2
) -> np.ndarray:
    """(18,) bool: which known keypoints (18, 2) the best fitting person has within `reach` torso lengths."""
    keypoints, scores = people
    if not len(keypoints):
        return np.zeros(18, dtype=bool)
    near = (np.linalg.norm(keypoints - truth, axis=2) < reach * torso) & (scores > 0) & known
    return near[near.sum(axis=1).argmax()]


def row(name: str, found: list[np.ndarray], known: list[np.ndarray]) -> tuple[str, str]:
    """A line of the table from (18,) bools per frame."""
    found, known = np.array(found), np.array(known)
    share = found.sum() / max(known.sum(), 1)
    wrists = found[:, WRISTS].sum() / max(known[:, WRISTS].sum(), 1)
    return name, f"{share:8.2%}   wrists {wrists:.1%} of {known.sum()} keypoints"


def sample_clips(settings: Settings, detector: Detector) -> list[tuple[str, str]]:
    """Visible keypoints of the rendered clips, against the truth."""
    rows = []
    for name in ("train", "test"):
        with np.load(settings.truth / f"{name}_keypoints.npz") as content:
            truth, visible = content["keypoints"][:: settings.every], content["visible"][:: settings.every]
        frames = (frame for i, _, frame in read_frames(SAMPLE / f"{name}.mp4") if i % settings.every == 0)
        people = [p for batch in batches(frames, settings.batch) for p in detector(batch)]
        found = [hits(t[:, :2], v, torso_length(t), p) for t, v, p in zip(truth, visible, people, strict=True)]
        rows.append(row(f"sample {name}.mp4, truth", found, list(visible)))
    return rows


def annotations(settings: Settings) -> list[tuple[str, str]]:
    """Visible keypoints of the rendered clips in every frame as step 1 left them: tracked, cleaned and filled."""
    rows, config = [], Config(workspace=settings.workspace)
    for name, path in (("train", config.train_annotations), ("test", config.test_annotations)):
        with np.load(settings.truth / f"{name}_keypoints.npz") as content:
            truth, visible = content["keypoints"], content["visible"]
        people = ((keypoints[None, :, :2], keypoints[None, :, 2]) for keypoints in Annotations.load(path).keypoints)
        found = [hits(t[:, :2], v, torso_length(t), p) for t, v, p in zip(truth, visible, people, strict=True)]
        rows.append(row(f"sample {name}.mp4, step 1", found, list(visible)))
    return rows


class TwoLooks:
    """Both looks at single pictures: the first finds people, the second sees each of them closely."""

    def __init__(self, first: Detector, looker: Looker) -> None:
        self.first, self.looker = first, looker

    def __call__(self, frames: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """As `Detector`. Where the first look finds nobody, the whole picture is looked at."""
        result = []
        for frame, (keypoints, scores) in zip(frames, self.first(frames), strict=True):
            height, width = frame.shape[:2]
            crops = [Crop(width / 2, height / 2, float(max(height, width)))]
            crops += [self.looker.first_crop(np.column_stack(person)) for person in zip(keypoints, scores, strict=True)]
            looks = []
            for crop in (crop for crop in crops if crop is not None):
                look = self.looker.look(frame, crop)
                for _ in range(TRIES):
                    if look.presence < PRESENT or steady(look.crop, look.following) is look.crop:
                        break
                    look = self.looker.look(frame, look.following)
                looks.append(look.keypoints)
            people = np.stack(looks)
            result.append((people[..., :2], people[..., 2]))
        return result


def photos(settings: Settings, detectors: dict[str, Detector | TwoLooks]) -> list[tuple[str, str]]:
    """Labelled joints of the held-out photos."""
    joints = np.load(settings.shared / "photos" / "lsp_extended_8000.npz")["joints"]
    found, known = {name: [] for name in detectors}, {name: [] for name in detectors}
    with zipfile.ZipFile(settings.shared / "photos" / "lsp_extended_8000.zip") as archive:
        names = sorted(archive.namelist())
        for i in range(7000, 8000, settings.every):
            bgr = cv2.imdecode(np.frombuffer(archive.read(names[i]), np.uint8), cv2.IMREAD_COLOR)
            truth = np.zeros((18, 3), dtype=np.float32)
            truth[PHOTO_JOINTS] = joints[i, :12]
            truth[1] = truth[[2, 5]].mean(axis=0) * [1, 1, truth[[2, 5], 2].all()]
            if not truth[[2, 5, 8, 11], 2].all():
                continue
            seen = truth[:, 2] > 0
            for name, detector in detectors.items():
                (people,) = detector([cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)])
                found[name].append(hits(truth[:, :2], seen, torso_length(truth), people))
                known[name].append(seen)
    return [row(f"photos, labels: {name}", found[name], known[name]) for name in detectors]


def real_clips(settings: Settings, detector: Detector, teacher: Detector) -> list[tuple[str, str]]:
    """Keypoints that the teacher is sure of, in real clips: by the detector, and as step 1 leaves them."""
    rows = []
    for clip in ("target.mp4", "dance.mp4", "squats.mp4"):
        path = settings.shared / "clips" / clip
        if not path.exists():
            continue
        cleaned = step_1(settings, path)
        raw, stepped, known = [], [], []
        frames = ((i, frame) for i, _, frame in read_frames(path) if i % settings.every == 0)
        for batch in batches(frames, settings.batch):
            numbers, frames_of_batch = zip(*batch, strict=True)
            found = zip(numbers, teacher(frames_of_batch), detector(frames_of_batch), strict=True)
            for number, (keypoints, scores), people in found:
                if not len(keypoints):
                    continue
                best = scores.sum(axis=1).argmax()
                truth, sure = keypoints[best], scores[best] > 0.3
                if (scores[best][[1, 8, 11]] > 0).all():
                    person = (cleaned[None, number, :, :2], cleaned[None, number, :, 2])
                    raw.append(hits(truth, sure, torso_length(truth), people))
                    stepped.append(hits(truth, sure, torso_length(truth), person))
                    known.append(sure)
        if known:
            rows += [row(f"{clip}, teacher", raw, known), row(f"{clip}, step 1, teacher", stepped, known)]
    return rows


def step_1(settings: Settings, path: Path) -> np.ndarray:
    """The dancer's keypoints (N, 18, 3) in pixels of the video, by step 1: tracked, cleaned and filled."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["--mode", "test", "--test_video", str(path), "--workspace", folder, "--device", settings.device]
        words += [f"--pose_weights={settings.weights}", "--pose_scales", *map(str, settings.scales)]
        words += [f"--pose_{name}" for name in ("flip", "turns") if getattr(settings, name)]
        run("data/video2data.py", words, Path(folder) / "log.txt")
        annotations = Annotations.load(Config(workspace=Path(folder)).test_annotations)
    size = next(frame for _, _, frame in read_frames(path)).shape[1::-1]
    return scale_keypoints(annotations.keypoints, np.divide(size, annotations.frame_size, dtype=np.float32))


def main(settings: Settings) -> None:
    """Print the table."""
    options = {k: getattr(settings, k) for k in ("device", "height", "flip", "scales", "turns")}
    if settings.random:
        detector = Detector(OpenPose(), **options)
    else:
        detector = Detector.load(settings.weights, **options)
    teacher = Detector.load(str(settings.teacher)) if settings.teacher else None
    rows = speed(settings, detector)
    if settings.truth and not settings.random:
        rows += sample_clips(settings, detector)
        if settings.workspace:
            rows += annotations(settings)
    if (settings.shared / "photos").is_dir() and not settings.random:
        both = TwoLooks(detector, Bundled(load(), settings.device))
        rows += photos(settings, {"this": detector, "both looks": both} | ({"teacher": teacher} if teacher else {}))
    if teacher and not settings.random:
        rows += real_clips(settings, detector, teacher)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value}")


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
