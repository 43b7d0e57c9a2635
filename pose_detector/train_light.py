"""Train the bundled light network, from rendered figures and, where they are at hand, photos.

    nice python pose_detector/train_light.py --cache build/light \\
        --photos ../shared/photos/lsp_extended_8000 --teacher ../shared/weights/mobilenet_v2_dm14_368x432.onnx

What takes long to make (a teacher network's maps of the photos, the figures) is kept in the cache folder; training
goes on from the checkpoint there. The result is written to pose_detector/weights/light.pth.

The file there was made in stages, each with its own cycle of the learning rate and a fresh optimiser: 266,000 examples
with one refinement stage, then 111,000 with two, the second begun as a copy of the first (an eighth of the examples
photos, none of them set upright; crops 128 to 192 pixels square, 8 * 160 * 160 pixels a batch); then 98,000 with
photo_share 0.72 and set_up 0.42 (of these the first 17,000 with square crops, 0.5 and 0.55; up to 52,000 with 0.68);
then 132,000, from where on faces count double, and the teacher 0.8 instead of 0.5 beside the labels; then 110,000 with
the settings below, a learning rate of 1.5e-3, and photos turned by 18 degrees instead of 15.
"""

import copy
import math
import os
import time
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from tqdm import tqdm

from pose_detector.augment import (
    Picture,
    View,
    crop,
    degrade,
    occlude,
    paste,
    set_upright,
    texture,
    untangle,
    vary_colours,
)
from pose_detector.networks import HEATMAPS, PAFS, STRIDE, Light
from pose_detector.weights import BUNDLED, save_light

ARMS, WRISTS = [3, 4, 6, 7], [4, 7]  # the hardest to find
LEGS = [9, 10, 12, 13]
FACE = [0, 14, 15, 16, 17]  # in photos only the teacher tells
PHOTO_JOINTS = np.array([10, 9, 8, 11, 12, 13, 4, 3, 2, 5, 6, 7])  # of the photos' first 12 joints, in COCO-18


@dataclass
class Settings:
    cache: Path
    """Folder for prepared data and checkpoints."""
    photos: Path | None = None
    """Labelled photos: PHOTOS.zip holds JPEG files, PHOTOS.npz `joints` (N, 14, 3) in the order of their names."""
    teacher: Path | None = None
    """OpenPose-format ONNX network that marks in the photos what the labels leave out."""
    figures: int = 3200
    """Rendered figures to learn from."""
    rooms: int = 80
    """Rendered rooms, each with people in a dozen places."""
    width: float = 0.375
    """Channels, as a share of the published network's."""
    refinements: int = 2
    """Refinement stages."""
    examples: int = 717_000
    """Crops to train on; the learning rate follows them."""
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    crops: tuple[tuple[int, int], ...] = ((128, 128), (160, 160), (160, 96), (192, 112), (208, 120))
    """Heights and widths of the crops, pixels; one is drawn for every batch. Narrow ones hold more of who stands."""
    batch_pixels: int = 12 * 160 * 160
    """Pixels in a batch."""
    photo_share: float = 0.8
    """Share of the examples that are photos, where there are some."""
    set_up: float = 0.45
    """Share of the photos in which the person is turned upright first: most of them do gymnastics, few dancers do."""
    scene_share: float = 0.54
    """Share of the other examples that are people in rendered rooms; the rest are figures on backdrops."""
    held_out_photos: int = 1000
    """The last photos are not learnt from."""
    measured: int = 100
    """Held-out figures, and photos, on which every checkpoint is measured."""
    clip: float = 200.0
    """Largest norm of the gradient."""
    average: float = 0.998
    """Decay per step of the moving average of the weights."""
    save_minutes: float = 10.0
    """Time between checkpoints; each is measured, and the best one exported."""
    threads: int = 2
    workers: int = 1
    """Processes that make examples."""
    device: str = "cpu"
    seed: int = 0
    output: Path = BUNDLED


class Photos:
    """Labelled photos with a teacher's maps."""

    def __init__(self, path: Path, maps: Path | None = None, upright: Path | None = None) -> None:
        """`maps`, `upright`: what `mark_photos` and `mark_people` wrote, where they did."""
        with zipfile.ZipFile(path.with_suffix(".zip")) as archive:
            self.files = [archive.read(name) for name in sorted(archive.namelist())]
        self.joints = np.load(path.with_suffix(".npz"))["joints"]
        self.maps, self.upright = (
            np.load(p, mmap_mode="r") if p is not None and p.exists() else [] for p in (maps, upright)
        )

    def __len__(self) -> int:
        return len(self.files)

    def keypoints(self, index: int) -> np.ndarray:
        """(1, 18, 3) of the labelled person; the neck between the shoulders."""
        joints = self.joints[index]
        keypoints = np.zeros((1, 18, 3), dtype=np.float32)
        keypoints[0, PHOTO_JOINTS] = np.where(joints[:12, 2:] > 0, joints[:12], 0)
        if keypoints[0, [2, 5], 2].all():
            keypoints[0, 1] = keypoints[0, [2, 5]].mean(axis=0)
        return keypoints

    def __getitem__(self, index: int) -> Picture:
        rgb = cv2.cvtColor(
            cv2.imdecode(np.frombuffer(self.files[index], np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
        )
        keypoints, views = self.keypoints(index), []
        if index < len(self.upright) and self.upright[index].any():
            view = View(self.upright[index], set_upright(keypoints[0], PERSON_SIZE))
            keypoints[0] = untangle(keypoints[0], view)
            views.append(view)
        if index < len(self.maps) and self.maps[index].any():
            views.append(View(self.maps[index], teacher_matrix(*rgb.shape[:2])))
        return Picture(rgb, keypoints, complete=False, views=tuple(views))


TEACHER_SIZE = (368, 432)  # height and width of the teacher's input
PERSON_SIZE = (184, 216)  # of the part of it in which one person is shown


def teacher_matrix(height: int, width: int) -> np.ndarray:
    """(2, 3) by which a picture is resized to fit the teacher's input."""
    scale = min(TEACHER_SIZE[0] / height, TEACHER_SIZE[1] / width)
    return np.float32([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]])


class Teacher:
    """OpenPose-format ONNX network."""

    def __init__(self, path: Path) -> None:
        self.network = cv2.dnn.readNetFromONNX(str(path))

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """RGB uint8 (368, 432, 3) -> maps as `View` holds them, (57, 46, 54) uint8."""
        self.network.setInput(rgb[None, ..., ::-1].astype(np.float32))
        found = self.network.forward()[0].transpose(2, 0, 1)
        found = np.concatenate([found[:HEATMAPS] * 255, found[HEATMAPS:] * 127 + 128])
        return np.clip(found.round(), 0, 255).astype(np.uint8)


def mark_photos(photos: Photos, count: int, teacher: Path, path: Path) -> None:
    """Run the teacher over the first photos; writes its maps as uint8 (N, 57, 46, 54). Goes on where it was stopped."""
    network, part = Teacher(teacher), path.with_suffix(".part.npy")
    shape = (count, HEATMAPS + PAFS, *(s // STRIDE for s in TEACHER_SIZE))
    maps = np.lib.format.open_memmap(part, "r+" if part.exists() else "w+", np.uint8, shape)
    for i in tqdm(range(count), desc="teacher", unit="photo"):
        if not maps[i].any():
            rgb = photos[i].rgb
            matrix = teacher_matrix(*rgb.shape[:2])
            maps[i] = network(cv2.warpAffine(rgb, matrix, TEACHER_SIZE[::-1], flags=cv2.INTER_CUBIC))
    maps.flush()
    os.replace(part, path)


def mark_people(photos: Photos, count: int, teacher: Path, path: Path) -> None:
    """Run the teacher over the labelled people, set upright; writes its maps as uint8 (N, 57, 23, 27).

    Few people in the photos stand, and the teacher finds few others. Four share an input. Goes on where it was stopped.
    """
    network, part = Teacher(teacher), path.with_suffix(".part.npy")
    height, width = (s // STRIDE for s in PERSON_SIZE)
    corners = ((0, 0), (0, width), (height, 0), (height, width))
    shape = (count, HEATMAPS + PAFS, height, width)
    maps = np.lib.format.open_memmap(part, "r+" if part.exists() else "w+", np.uint8, shape)
    for first in tqdm(range(0, count, 4), desc="teacher", unit="four people"):
        if maps[first].any():
            continue
        field = np.zeros((*TEACHER_SIZE, 3), dtype=np.uint8)
        for i, (y, x) in zip(range(first, count), corners, strict=False):
            person = photos[i]
            matrix = set_upright(person.keypoints[0], PERSON_SIZE)
            seen = cv2.warpAffine(person.rgb, matrix, PERSON_SIZE[::-1])
            field[y * STRIDE :, x * STRIDE :][: PERSON_SIZE[0], : PERSON_SIZE[1]] = seen
        found = network(field)
        for i, (y, x) in zip(range(first, count), corners, strict=False):
            maps[i] = found[:, y : y + height, x : x + width]
    maps.flush()
    os.replace(part, path)


class Examples(IterableDataset):
    """Endless batches: pictures (B, 3, H, W) uint8, maps and weights (B, 57, H / 8, W / 8)."""

    def __init__(
        self, photos: Photos | None, figures: list[Picture], scenes: list[Picture], settings: Settings, start: int
    ) -> None:
        """`start`: how many examples were seen before; others follow."""
        self.photos, self.figures, self.scenes, self.settings, self.start = photos, figures, scenes, settings, start
        rng = np.random.default_rng(settings.seed)
        self.textures = [texture(256, rng) for _ in range(300)]

    def backdrop(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """A part of a procedural texture."""
        whole = self.textures[rng.integers(len(self.textures))]
        side = int(len(whole) * rng.uniform(0.4, 1))
        y, x = rng.integers(0, len(whole) - side + 1, 2)
        view = cv2.resize(whole[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA)
        return view[:, ::-1] if rng.random() < 0.5 else view

    def example(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One crop with its maps and weights: of a photo, a scene, or a backdrop or photo with figures before it."""
        settings, rgb = self.settings, self.backdrop(size, rng)
        maps = np.zeros((HEATMAPS + PAFS, size // STRIDE, size // STRIDE), dtype=np.float32)
        maps[18] = 1
        weights = np.ones_like(maps)
        photo = self.photos is not None and rng.random() < settings.photo_share
        scene = not photo and bool(self.scenes) and rng.random() < settings.scene_share
        below, upright, set_up = None, math.radians(18), 0.0
        if photo or (self.photos is not None and not scene and rng.random() < 0.2):
            below, set_up = self.photos[rng.integers(len(self.photos) - settings.held_out_photos)], settings.set_up
        elif scene:
            below, upright = self.scenes[rng.integers(len(self.scenes))], math.radians(6)
        if below is not None and below.keypoints[..., 2].sum() > 1:
            rgb, maps, weights, _ = crop(below, size, upright, rgb, rng, set_up)
        before = [0.9, 0.1, 0] if photo or scene else [0, 0.8, 0.2]
        for _ in range(rng.choice(3, p=before) if self.figures else 0):
            figure = self.figures[rng.integers(len(self.figures))]
            if rng.random() < 0.5:
                figure = Picture(vary_colours(figure.rgb, rng), figure.keypoints, figure.alpha)
            above = crop(figure, size, math.radians(10), rgb, rng)
            rgb, maps = above[0], paste((maps, weights), above)
        rgb = vary_colours(rgb, rng)
        if rng.random() < 0.3:
            occlude(rgb, rng)
        return degrade(rgb, rng), maps, weights

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        worker = get_worker_info()
        rng = np.random.default_rng([self.settings.seed, self.start, worker.id if worker else 0])
        while True:
            shape = self.settings.crops[rng.integers(len(self.settings.crops))]
            count = max(1, self.settings.batch_pixels // math.prod(shape))
            batch = [middle(self.example(max(shape), rng), shape) for _ in range(count)]
            rgb, maps, weights = (np.stack(part) for part in zip(*batch, strict=True))
            yield torch.from_numpy(rgb).permute(0, 3, 1, 2), torch.from_numpy(maps), torch.from_numpy(weights)


def middle(
    example: tuple[np.ndarray, np.ndarray, np.ndarray], shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The middle part of an example, of height and width in pixels, multiples of 8."""
    rgb, maps, weights = example
    height, width = (s // STRIDE for s in shape)
    y, x = (maps.shape[1] - height) // 2, (maps.shape[2] - width) // 2
    cells = np.s_[:, y : y + height, x : x + width]
    pixels = np.s_[y * STRIDE : (y + height) * STRIDE, x * STRIDE : (x + width) * STRIDE]
    return rgb[pixels], maps[cells], weights[cells]


def initialise(network: nn.Module) -> None:
    """He's normal initialisation; the answers start near zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_in" if module.groups > 1 else "fan_out", nonlinearity="relu"
            )
            if module.bias is not None:
                nn.init.zeros_(module.bias)
            if module.out_channels in (HEATMAPS, PAFS):
                nn.init.normal_(module.weight, std=0.01)


def loss_of(answers: list[tuple[Tensor, Tensor]], maps: Tensor, weights: Tensor) -> Tensor:
    """Weighted squared error of every stage, summed over cells and channels, per picture.

    Where there is something to see it counts more: nearly all cells of nearly all maps are empty.
    """
    weights = weights * (1 + 3 * (maps.abs() > 0.1))
    weights[:, :HEATMAPS] *= 6  # a blob covers far fewer cells than a limb
    weights[:, ARMS] *= 4
    weights[:, WRISTS] *= 2
    weights[:, LEGS] *= 2
    weights[:, FACE] *= 2
    return sum(((torch.cat(answer, dim=1) - maps).square() * weights).sum() for answer in answers) / len(maps)


@torch.inference_mode()
def share_found(network: Light, pictures: list[Picture], device: torch.device) -> float:
    """Share of the known body keypoints (neck to ankles) whose heat map is highest within 0.2 torso lengths of them.

    For pictures of one person each. The torso is the larger of the two shoulder-hip distances; where none is known
    the picture does not count.
    """
    network.eval()
    hits = total = 0
    for picture in pictures:
        height, width = (-(-s // STRIDE) * STRIDE for s in picture.rgb.shape[:2])
        rgb = picture.rgb
        if picture.alpha is not None:
            rgb = (128 + (rgb - 128.0) * picture.alpha[..., None] / 255).astype(np.uint8)
        below, right = height - rgb.shape[0], width - rgb.shape[1]
        rgb = cv2.copyMakeBorder(rgb, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(128, 128, 128))
        field = torch.from_numpy(rgb).permute(2, 0, 1)[None].to(device, torch.float32) / 255
        heat = network(field.contiguous(memory_format=torch.channels_last))[0][0, :18].cpu().numpy()
        heat = cv2.resize(heat.transpose(1, 2, 0), (width, height), interpolation=cv2.INTER_CUBIC)
        person = picture.keypoints[0]
        sides = [np.hypot(*(person[a] - person[b])[:2]) for a, b in ((2, 8), (5, 11)) if person[a, 2] and person[b, 2]]
        if not sides:
            continue
        y, x = np.divmod(heat.reshape(-1, 18).argmax(axis=0), width)
        peaks = np.stack([x, y], axis=1)
        known = np.flatnonzero(person[1:14, 2]) + 1
        hits += (np.linalg.norm(peaks[known] - person[known, :2], axis=1) < 0.2 * max(sides)).sum()
        total += len(known)
    return float(hits) / max(total, 1)


FIGURES_PER_FILE = 50
FIGURES_PER_BODY = 10


def render_figures(path: Path, seed: int) -> None:
    """Render figures of random bodies, looks, poses, cameras and light, cut out of a black ground, into one file."""
    from data.sample.figure import random_figure, restyle
    from data.sample.pose import random_pose
    from data.sample.renderer import Camera, render_figure
    from data.sample.renderer import Light as Lamps

    rng = np.random.default_rng([seed, int(path.stem)])
    size, content = 256, {}
    ground = np.zeros((size, size, 3), dtype=np.uint8)
    for i in range(FIGURES_PER_FILE):
        if i % FIGURES_PER_BODY == 0:
            body = random_figure(rng)
        figure = restyle(body, rng)
        distance, height = rng.uniform(2.5, 8), rng.normal(1.1, 0.35)
        camera = Camera(
            position=(rng.normal(0, 0.2), height, distance),
            pitch=math.atan2(height - 0.95, distance),
            focal=rng.uniform(90, 115) * math.hypot(distance, height - 0.95),
            width=size,
            height=size,
        )
        lamps = Lamps(direction=(rng.normal(0, 0.7), rng.uniform(0.2, 1), rng.normal(0.5, 0.5)))
        pose = random_pose(rng, figure.body)
        rgb, keypoints, visible, alpha = render_figure(figure, pose, camera, ground, light=lamps, shadows=bool(i % 2))
        keypoints[:, 2] = worth_finding(keypoints, visible, (size, size))
        rgb = rgb / np.maximum(alpha, 0.02)[..., None] ** (1 / 2.2)  # light was mixed with black at the edges
        rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
        y, x = max(rows[0] - 2, 0), max(columns[0] - 2, 0)
        keypoints[:, :2] -= [x, y]
        part = np.s_[y : rows[-1] + 3, x : columns[-1] + 3]
        rgba = np.dstack([np.clip(rgb, 0, 255), alpha * 255]).round().astype(np.uint8)
        content |= {f"rgba{i}": rgba[part], f"keypoints{i}": keypoints.astype(np.float32)}
    part_path = path.with_suffix(".part.npz")
    np.savez(part_path, **content)
    os.replace(part_path, path)


def worth_finding(keypoints: np.ndarray, visible: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which keypoints (..., 18, 3) in a picture of width and height the network shall mark: a hidden elbow can be
    guessed, but a face turned away has no nose."""
    inside = ((keypoints[..., :2] > 0) & (keypoints[..., :2] < np.array(size) - 1)).all(axis=-1)
    return inside & (visible | ~np.isin(np.arange(18), [0, 14, 15, 16, 17]))


SCENES_PER_ROOM = 12


def render_scenes(path: Path, seed: int) -> None:
    """Render one or two random people at random places of a random room, many times, into one file."""
    from data.sample.figure import random_figure, restyle
    from data.sample.pose import Pose, random_pose
    from data.sample.room import random_camera, random_room, render_frame

    rng = np.random.default_rng([seed, 1, int(path.stem[5:])])
    size = (512, 288) if rng.random() < 0.75 else (288, 512)
    room, camera = random_room(rng), random_camera(rng, *size)
    bodies = [random_figure(rng) for _ in range(2)]
    content = {}
    for i in range(SCENES_PER_ROOM):
        people = []
        for body in bodies if rng.random() < 0.15 else [bodies[i % 2]]:
            figure = restyle(body, rng)
            pose = random_pose(rng, figure.body)
            place = rng.normal(0, 1, 3) * [0.7, 0, 0.3]
            people.append((figure, Pose(pose.root + place, pose.rotations)))
        rgb, keypoints, visible = render_frame(people, camera, room)
        keypoints[..., 2] = worth_finding(keypoints, visible, size)
        content |= {f"rgb{i}": rgb, f"keypoints{i}": keypoints[keypoints[..., 2].sum(axis=1) > 4].astype(np.float32)}
    part_path = path.with_suffix(".part.npz")
    np.savez(part_path, **content)
    os.replace(part_path, path)


def load_scenes(folder: Path) -> list[Picture]:
    """All scenes rendered so far in which there is somebody."""
    scenes = []
    for path in sorted(folder.glob("scene*[0-9].npz")):
        with np.load(path) as content:
            scenes += [Picture(content[f"rgb{i}"], content[f"keypoints{i}"]) for i in range(SCENES_PER_ROOM)]
    return [scene for scene in scenes if len(scene.keypoints)]


def load_figures(folder: Path) -> list[Picture]:
    """All figures rendered so far."""
    figures = []
    for path in sorted(folder.glob("[0-9]*[0-9].npz")):
        with np.load(path) as content:
            for i in range(FIGURES_PER_FILE):
                rgba = content[f"rgba{i}"]
                figures.append(Picture(rgba[..., :3].copy(), content[f"keypoints{i}"][None], rgba[..., 3].copy()))
    return figures


@dataclass
class Progress:
    """What a checkpoint holds."""

    network: Light
    average: Light
    optimizer: torch.optim.Optimizer
    seen: int = 0
    step: int = 0
    best: float = 0.0

    def save(self, path: Path, settings: Settings) -> None:
        """Write all of it; the file is replaced whole."""
        part = path.with_suffix(".part")
        parts = {k: v.state_dict() if hasattr(v, "state_dict") else v for k, v in vars(self).items()}
        torch.save(parts | {"settings": {k: str(v) for k, v in asdict(settings).items()}}, part)
        os.replace(part, path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        for key, value in torch.load(path, map_location="cpu", weights_only=True).items():
            part = getattr(self, key, None)
            if hasattr(part, "load_state_dict"):
                part.load_state_dict(value)
            elif key != "settings":
                setattr(self, key, value)


def learning_rate(settings: Settings, seen: int) -> float:
    """One cycle: a short rise, then half a cosine down to a hundredth."""
    share = min(seen / settings.examples, 1.0)
    rise = min(share / 0.05, 1.0)
    return settings.learning_rate * rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the average a step towards the network, buffers too."""
    with torch.no_grad():
        old, new = (list(n.state_dict().values()) for n in (average, network))
        moving = [i for i, value in enumerate(old) if value.is_floating_point()]
        torch._foreach_lerp_([old[i] for i in moving], [new[i] for i in moving], 1 - decay)
        for i in set(range(len(old))) - set(moving):
            old[i].copy_(new[i])


def train(settings: Settings, photos: Photos | None, figures: list[Picture], scenes: list[Picture]) -> None:
    """Train until the time is over; exports the best of the averaged networks."""
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    device = torch.device(settings.device)
    network = Light(settings.width, settings.refinements)
    initialise(network)
    network.to(device, memory_format=torch.channels_last)
    average = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=settings.weight_decay)
    progress = Progress(network, average, optimizer)
    checkpoint = settings.cache / "checkpoint.pth"
    if checkpoint.exists():
        progress.load(checkpoint)

    held_out = {"figures": figures[: settings.measured]}
    if photos is not None:
        held_out["photos"] = [photos[len(photos) - 1 - i] for i in range(settings.measured)]
    examples = Examples(photos, figures[settings.measured :], scenes, settings, progress.seen)
    batches = iter(DataLoader(examples, batch_size=None, num_workers=settings.workers))
    saved = time.monotonic()
    with tqdm(unit=" examples", initial=progress.seen, total=settings.examples) as bar:
        while progress.seen < settings.examples:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(settings, progress.seen)
            rgb, maps, weights = (part.to(device, non_blocking=True) for part in next(batches))
            network.train()
            rgb = (rgb.float() / 255).contiguous(memory_format=torch.channels_last)
            loss = loss_of(network.stages(rgb), maps, weights)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
            optimizer.step()
            progress.step += 1
            progress.seen += len(rgb)
            follow(average, network, min(settings.average, 1 - 1 / (1 + progress.step / 10)))
            bar.update(len(rgb))
            if progress.step % 20 == 0:
                bar.set_postfix(loss=f"{loss.item():.1f}")
            if time.monotonic() - saved > 60 * settings.save_minutes or progress.seen >= settings.examples:
                saved = time.monotonic()
                found = {name: share_found(average, part, device) for name, part in held_out.items() if part}
                score = sum(found.values()) / len(found)
                if score >= progress.best:
                    progress.best = score
                    save_light(settings.output, average)
                progress.save(checkpoint, settings)
                shares = ", ".join(f"{name} {share:.3f}" for name, share in found.items())
                tqdm.write(f"{progress.seen} examples, loss {loss.item():.1f}; found of held-out {shares}")


def main(settings: Settings) -> None:
    """Prepare what is missing, then train."""
    cv2.setNumThreads(1)  # its threads would not survive the fork of the workers
    settings.cache.mkdir(parents=True, exist_ok=True)
    photos = None
    if settings.photos is not None:
        marks, photos = {"teacher.npy": mark_photos, "upright.npy": mark_people}, Photos(settings.photos)
        for name, mark in marks.items():
            if settings.teacher is not None and not (settings.cache / name).exists():
                mark(photos, len(photos) - settings.held_out_photos, settings.teacher, settings.cache / name)
        photos = Photos(settings.photos, *(settings.cache / name for name in marks))
    folder = settings.cache / "figures"
    folder.mkdir(exist_ok=True)
    wanted = [(f"{i:04d}.npz", render_figures) for i in range(settings.figures // FIGURES_PER_FILE)]
    wanted += [(f"scene{i:04d}.npz", render_scenes) for i in range(settings.rooms)]
    for name, render in tqdm(wanted, desc="rendering", unit="file"):
        if not (folder / name).exists():
            render(folder / name, settings.seed)
    train(settings, photos, load_figures(folder), load_scenes(folder))


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
