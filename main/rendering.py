"""From poses to pictures of the person: the trained generator over successive frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
import torch
from scipy.ndimage import median_filter
from torch import Tensor

from data.video import resize
from main import appearance, painting, shadow, window
from main.dataset import Bank, Clip
from main.device import convert_convolutions, forward_type
from main.networks.generator import Generator, Rendering, compose_at
from pose_detector.keypoints import scale_keypoints

FULL = 0.998  # share of the plate from which on a pixel shows nothing else
WARM_UP = 6  # frames; after three, no value differs by more than 1/255 from what follows another beginning


@dataclass
class Plan:
    """What is known of a dance before it is rendered, for each of its N frames.

    Attributes:
        poses: (N, 18, 3) pixels of the clip's frames.
        size: (width, height) of the person's window as it is generated, multiples of 32.
        large: (width, height) of the same in pixels of the clip's frames.
        corners: (N, 2) int corners of the window, as it is generated.
        origins: (N, 2) int the same in pixels of the clip's frames.
        persons: (N,) sizes of the person.
        sources: (len(SOURCES), N) indices of the clip's frames to copy from.
        shades: (N, K) indices of those to take shadows from, and their shares.
        cuts: the frames that do not go on from the one before.
    """

    poses: np.ndarray
    size: tuple[int, int]
    large: tuple[int, int]
    corners: np.ndarray
    origins: np.ndarray
    persons: np.ndarray
    sources: np.ndarray
    shades: tuple[np.ndarray, np.ndarray]
    cuts: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.poses)

    def with_used(self) -> tuple[Plan, np.ndarray]:
        """The same, of a bank that holds only those frames that are used, and their indices."""
        both = [self.sources, self.shades[0]]
        used, places = np.unique(np.concatenate([index.ravel() for index in both]), return_inverse=True)
        sources, shades = (p.reshape(b.shape) for p, b in zip(np.split(places, [both[0].size]), both, strict=True))
        return replace(self, sources=sources, shades=(shades, self.shades[1])), used


def make_plan(bank: Bank | Clip, poses: np.ndarray, most_height: int | None = None) -> Plan:
    """Windows and sources for successive poses.

    Args:
        bank: what texture may be copied from.
        poses: (N, 18, 3) in pixels of step 1's frames.
        most_height: pixels that the person is high at most when generated; None: as in the bank.
    """
    poses = scale_keypoints(poses, bank.scale)
    # An arm must not flicker before and behind the body; what is seen for a few frames only stays as sure as it was.
    usual = median_filter(poses[..., 2], (9, 1), mode="nearest")
    poses[..., 2] = np.where((poses[..., 2] > 0) & (usual > 0), usual, poses[..., 2])
    ratio, small, few = 1.0, poses, bank.size
    if most_height is not None:
        few = window.generated_size(bank.poses, bank.size, most_height)
        ratio = bank.size[0] / few[0]
        small = scale_keypoints(poses, np.divide(few, bank.size))
    size = window.window_size(small, few)
    corners = window.window_origins(small, size, few).astype(int)
    persons = appearance.person_sizes(poses)
    both = poses, persons, bank.poses, bank.sizes
    sources = appearance.choose_sources(*both, appearance.cheapest, settle=appearance.choose_steadily)
    shades = shadow.choose_steadily(*both)
    large = tuple(round(side * ratio) for side in size)
    return Plan(poses, size, large, corners, np.rint(corners * ratio).astype(int), persons, sources, shades)


@torch.inference_mode()
def render(
    generator: Generator,
    clip: Clip,
    plan: Plan,
    device: torch.device,
    frames: range | None = None,
    alone: bool = False,
) -> Iterator[np.ndarray]:
    """Render successive poses onto the background plate.

    Args:
        generator: from :func:`prepare_generator`, on ``device``.
        clip: frames to copy texture from, and the plate.
        plan: of the dance, from :func:`make_plan`.
        device: where the generator lies.
        frames: which frames of the dance; None: all. ``WARM_UP`` frames before the first one are rendered unseen, so
            that stretches rendered apart fit together.
        alone: the person without the room, see :func:`layer`.

    Yields:
        (H, W, 3) uint8 RGB of the size of step 1's frames, one a frame; the empty plate where fewer than four keypoints
        are seen. (H, W, 4) if `alone`.
    """
    dtype = generator.out.weight.dtype
    room = clip.whole
    frames = range(len(plan)) if frames is None else frames
    before: tuple[Tensor, np.ndarray] | None = None  # window rendered last (3, h, w), and its corner
    for t in range(max(frames.start - WARM_UP, 0), frames.stop):
        if t in plan.cuts:
            before = None
        if (plan.poses[t, :, 2] > 0).sum() < 4:
            before = before and (before[0][:, :0], before[1])
            if t >= frames.start:
                yield np.zeros((*room.shape[:2], 4), np.uint8) if alone else room.copy()
            continue
        light = shadow.cast(clip.shadows, plan.poses[t], float(plan.persons[t]), *(v[t] for v in plan.shades))
        scene = scene_of(clip, plan, t, light)
        plate = to_tensor(scene.plate, device)
        previous = torch.zeros_like(plate) if before is None else plate.clone()
        if before is not None:
            window.paste(previous.permute(1, 2, 0), before[0].permute(1, 2, 0), before[1] - plan.corners[t])
        with forward_type(device, dtype):
            rendering = generator(
                torch.from_numpy(scene.pose).to(device)[None],
                torch.from_numpy(scene.references).to(device)[None].float() / 255,
                plate[None],
                previous[None],
            )
        before = rendering.picture[0].float().clamp(0, 1), plan.corners[t]
        if t < frames.start:
            continue
        if alone:
            yield layer(rendering, scene, plan.origins[t], clip, light, device)
            continue
        frame = room.copy()
        darken(frame, light)
        finish(frame, rendering, scene, plan.origins[t], clip.scale, device)
        yield frame


@dataclass
class Scene:
    """What a window of one frame is made from.

    Attributes:
        pose: (18, 3) pixels of the window as it is generated.
        references: (LAYERS, 4, h, w) uint8 and
        plate: (h, w, 3) uint8 of that window.
        large_references: (LAYERS, 4, H, W) uint8 and
        large_plate: (H, W, 3) uint8, the same of more resolution; None: they are the same.
    """

    pose: np.ndarray
    references: np.ndarray
    plate: np.ndarray
    large_references: np.ndarray | None = None
    large_plate: np.ndarray | None = None


def scene_of(clip: Clip, plan: Plan, t: int, light: np.ndarray) -> Scene:
    """What frame t of a dance is made from, in this light."""
    origin, size = plan.origins[t], plan.large
    plate = shadow.shade(window.cut(clip.plate, origin, size), light, origin, clip.size)
    pose = window.shift(plan.poses[t], origin)
    references = painting.paint_references(pose, float(plan.persons[t]), size, plan.sources[:, t], clip.texture)
    if size == plan.size:
        return Scene(pose, references, plate)
    small = np.stack([shrunk(layer, plan.size) for layer in references])
    pose = scale_keypoints(pose, np.divide(plan.size, size))
    return Scene(pose, small, resize(plate, plan.size), references, plate)


def shrunk(layer: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A layer (4, H, W) uint8 RGB and coverage at (width, height); what is not covered lends no colour."""
    colours, cover = cv2.merge(list(layer[:3])), layer[3]
    few = cv2.resize(cover, size, interpolation=cv2.INTER_AREA)
    weighted = cv2.multiply(colours, cv2.merge([cover] * 3), scale=1 / 255, dtype=cv2.CV_8U)
    weighted = cv2.resize(weighted, size, interpolation=cv2.INTER_AREA)
    colours = cv2.divide(weighted, cv2.merge([few] * 3), scale=255, dtype=cv2.CV_8U)  # 0 where nothing is covered
    return np.stack([*cv2.split(colours), few])


def finish(
    frame: np.ndarray,
    rendering: Rendering,
    scene: Scene,
    origin: np.ndarray,
    scale: np.ndarray,
    device: torch.device,
) -> None:
    """Put the person into the room, in place; it keeps its own pixels.

    Args:
        frame: (H, W, 3) uint8, the room with shadows.
        rendering: of the window.
        scene: what it was made from.
        origin: (2,) x, y of the window's corner, in the clip's pixels.
        scale: (2,) of those per pixel of the frame.
        device: where to compute.
    """
    if scene.large_plate is None and (scale == 1).all():
        window.paste(frame, to_picture(rendering.picture[0].float().clamp(0, 1)), origin)
        return
    found = visible(rendering, scene, device)
    if found is None:
        return
    picture, person, low = found
    if (scale == 1).all():
        window.paste(frame, to_picture(picture), origin + low)
    else:
        put(frame, person.permute(1, 2, 0).cpu().numpy(), origin + low, scale)


def visible(rendering: Rendering, scene: Scene, device: torch.device) -> tuple[Tensor, Tensor, np.ndarray] | None:
    """The part of a window that shows something else than the room, with as many pixels as the scene has.

    Returns:
        (3, h, w) the picture in [0, 1]; (4, h, w) what in it is not room, and the share of the room; (2,) x, y of its
        corner in the window. None: there is no such part.
    """
    plate, references = scene.large_plate, scene.large_references
    share = rendering.room[0, 0].float().cpu().numpy()
    left, top, width, height = cv2.boundingRect((share < FULL).view(np.uint8))
    if not width:
        return None
    ratio = 1.0 if plate is None else plate.shape[1] / share.shape[1]
    # Some pixels more: so far does interpolation look.
    low = np.maximum(np.floor((np.array([left, top]) - 2) * ratio), 0).astype(int)
    limits = (share if plate is None else plate).shape[1::-1]
    high = np.minimum(np.ceil((np.array([left + width, top + height]) + 2) * ratio), limits).astype(int)
    part = np.s_[..., low[1] : high[1], low[0] : high[0]]
    empty = to_tensor(scene.plate if plate is None else plate, device)[part]
    if plate is None:
        picture, room = rendering.picture[0].float()[part], rendering.room[0].float()[part]
    else:
        layers = torch.from_numpy(references).to(device).float() / 255
        picture, room = compose_at(rendering, layers, to_tensor(plate, device), (*low.tolist(), *high.tolist()))
    picture = picture.clamp(0, 1)
    return picture, torch.cat([picture - room * empty, room]), low


def darken(frame: np.ndarray, light: np.ndarray) -> None:
    """Let shadows fall on a whole frame (H, W, 3) uint8, in place; `light` is that of `shadow.cast`."""
    whole = frame.shape[1::-1]
    x, y, width, height = shadow.shaded_part(light, whole)
    if width:
        part = frame[y : y + height, x : x + width]
        part[:] = shadow.shade(part, light, (x, y), whole)


def layer(
    rendering: Rendering, scene: Scene, origin: np.ndarray, clip: Clip, light: np.ndarray, device: torch.device
) -> np.ndarray:
    """The person and the shadow as one layer to lay over any room of this size.

    Args:
        rendering: of the window.
        scene: what it was made from.
        origin: (2,) x, y of the window's corner, in the clip's pixels.
        clip: what was rendered from.
        light: that is left in the room, from `shadow.cast`.
        device: where to compute.

    Returns:
        (H, W, 4) uint8: red, green and blue, multiplied by the coverage already, and the coverage; a shadow is black.
    """
    room = clip.whole
    colour, left = np.zeros_like(room), np.full_like(room, 255)
    darken(left, light)
    found = visible(rendering, scene, device)
    if found is not None:
        _, person, low = found
        person = person.permute(1, 2, 0).cpu().numpy()
        put(colour, person, origin + low, clip.scale)
        put(left, np.dstack([np.zeros_like(person[..., :3]), person[..., 3]]), origin + low, clip.scale)
    return np.dstack([colour, 255 - cv2.cvtColor(left, cv2.COLOR_RGB2GRAY)])


def stretches(count: int, parts: int) -> list[range]:
    """Cut ``count`` frames into at most ``parts`` stretches, none so short that warming up would cost much."""
    parts = max(1, min(parts, count // (8 * WARM_UP)))
    ends = [round(i * count / parts) for i in range(parts + 1)]
    return [range(first, last) for first, last in pairwise(ends)]


def put(frame: np.ndarray, person: np.ndarray, origin: np.ndarray, scale: np.ndarray) -> None:
    """Enlarge a window and put it into the frame, in place; the background keeps its own pixels.

    Args:
        frame: (H, W, 3) uint8, the background plate.
        person: (h, w, 4) float32 in [0, 1]: what is not plate, and the share of the plate.
        origin: x and y of the window's corner, in its pixels.
        scale: (2,) pixels of the window per pixel of the frame, in x and y.
    """
    size = np.array(person.shape[1::-1])
    low = np.ceil(np.array(origin) / scale).astype(int)
    high = np.minimum(np.floor((origin + size) / scale).astype(int), frame.shape[1::-1])
    first = (low + 0.5) * scale - 0.5 - origin  # where the box's first pixel lies in the window
    matrix = np.array([[scale[0], 0, first[0]], [0, scale[1], first[1]]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    box = (high - low).tolist()
    colours, share = (
        cv2.warpAffine(np.ascontiguousarray(p), matrix, box, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        for p in (255 * person[..., :3], person[..., 3])
    )
    part = frame[low[1] : high[1], low[0] : high[0]]
    share = cv2.merge([share.clip(0, 1)] * 3)
    cv2.add(cv2.multiply(part, share, dtype=cv2.CV_32F), colours, dst=colours)
    part[:] = cv2.convertScaleAbs(colours.clip(0, 255))


def prepare_generator(generator: Generator, device: torch.device, dtype: torch.dtype = torch.float32) -> Generator:
    """Ready to :func:`render`: in evaluation mode, on the device, its weights in the order that suits CPUs and in the
    number format in which it shall compute; what it composes stays in float32."""
    keep_freed_memory()
    return convert_convolutions(generator.to(device=device, memory_format=torch.channels_last).eval(), dtype)


def keep_freed_memory() -> None:
    """Have the C library keep freed memory for the next frame; to get it anew from the system, page by page, would take
    10 ms a frame. glibc keeps twice as much as the largest block freed so far, but counts none above 32 MiB."""
    np.empty((32 << 20) - (64 << 10), np.uint8)


def to_tensor(picture: np.ndarray, device: torch.device) -> Tensor:
    """(H, W, 3) uint8 -> (3, H, W) float in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture)).to(device).permute(2, 0, 1).float() / 255


def to_picture(picture: Tensor) -> np.ndarray:
    """(3, H, W) in [0, 1] -> (H, W, 3) uint8."""
    return (picture * 255).round().byte().permute(1, 2, 0).cpu().numpy()
