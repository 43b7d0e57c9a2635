"""From poses to pictures of the person: the trained generator over successive frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import torch
from torch import Tensor

from main import appearance, painting, shadow, window
from main.dataset import Clip
from main.device import convert_convolutions, forward_type
from main.networks.generator import Generator
from pose_detector.keypoints import scale_keypoints

FULL = 0.998  # share of the plate from which on a pixel shows nothing else
WARM_UP = 6  # frames; after three, no value differs by more than 1/255 from what follows another beginning


@dataclass
class Plan:
    """What is known of a dance before it is rendered, for each of its N frames.

    Attributes:
        poses: (N, 18, 3) pixels of the clip's frames.
        size: (width, height) of the person's window.
        origins: (N, 2) int corners of the window.
        persons: (N,) sizes of the person.
        sources: (parts, N) indices of the clip's frames to copy from.
        shades: (N, K) indices of those to take shadows from, and their shares.
    """

    poses: np.ndarray
    size: tuple[int, int]
    origins: np.ndarray
    persons: np.ndarray
    sources: np.ndarray
    shades: tuple[np.ndarray, np.ndarray]

    def __len__(self) -> int:
        return len(self.poses)


def make_plan(clip: Clip, poses: np.ndarray) -> Plan:
    """Windows and sources for successive poses (N, 18, 3) in pixels of step 1's frames."""
    poses = scale_keypoints(poses, clip.scale)
    size = window.window_size(poses, clip.size)
    origins = window.window_origins(poses, size, clip.size).astype(int)
    persons = appearance.person_sizes(poses)
    sources = appearance.choose_steadily(appearance.match_costs(poses, persons, clip.poses, clip.sizes))
    shades = shadow.choose_steadily(shadow.match_costs(poses, persons, clip.poses, clip.sizes))
    return Plan(poses, size, origins, persons, sources, shades)


@torch.inference_mode()
def render(
    generator: Generator, clip: Clip, plan: Plan, device: torch.device, frames: range | None = None
) -> Iterator[np.ndarray]:
    """Render successive poses onto the background plate.

    Args:
        generator: from :func:`prepare_generator`, on ``device``.
        clip: frames to copy texture from, and the plate.
        plan: of the dance, from :func:`make_plan`.
        device: where the generator lies.
        frames: which frames of the dance; None: all. ``WARM_UP`` frames before the first one are rendered unseen, so
            that stretches rendered apart fit together.

    Yields:
        (H, W, 3) uint8 RGB of the size of step 1's frames, one a frame; the empty plate where hardly a keypoint is.
    """
    dtype = generator.out.weight.dtype
    room = clip.plate if clip.room is None else clip.room
    frames = range(len(plan)) if frames is None else frames
    before: Before | None = None
    for t in range(max(frames.start - WARM_UP, 0), frames.stop):
        frame = room.copy()
        if (plan.poses[t, :, 2] > 0).sum() >= 4:
            pose, person, origin = plan.poses[t], float(plan.persons[t]), plan.origins[t]
            light = shadow.cast(clip.shadows, pose, person, *(values[t] for values in plan.shades))
            empty = window.cut(clip.plate, origin, plan.size)
            plate = to_tensor(shadow.shade(empty, light, origin, clip.size), device)
            here = window.shift(pose, origin)
            references = painting.paint_references(here, person, plan.size, plan.sources[:, t], clip.texture)
            previous = torch.zeros_like(plate) if before is None else before.seen_from(empty, origin, clip.size, device)
            with forward_type(device, dtype):
                rendering = generator(
                    torch.from_numpy(here).to(device)[None],
                    torch.from_numpy(references).to(device)[None].float() / 255,
                    plate[None],
                    previous[None],
                )
            picture = rendering.picture[0].float().clamp(0, 1)
            before = Before(picture, origin, light)
            if t >= frames.start:
                x, y, width, height = shadow.shaded_part(light, room.shape[1::-1])
                if width:
                    part = frame[y : y + height, x : x + width]
                    part[:] = shadow.shade(part, light, (x, y), room.shape[1::-1])
                if room.shape == clip.plate.shape:
                    window.paste(frame, to_picture(picture), origin)
                else:
                    share = rendering.room[0].float()
                    cut_out = torch.cat([picture - share * plate, share]).permute(1, 2, 0).cpu().numpy()
                    put(frame, cut_out, origin, clip.scale)
        elif before is not None:
            before = Before(before.picture[:, :0, :0], before.origin, np.ones_like(before.light))
        if t >= frames.start:
            yield frame


@dataclass
class Before:
    """What was rendered one frame before.

    Attributes:
        picture: (3, H, W) in [0, 1], the window; nothing of it where nobody was there.
        origin: (2,) its corner.
        light: (h, w, 3) in the room.
    """

    picture: Tensor
    origin: np.ndarray
    light: np.ndarray

    def seen_from(self, empty: np.ndarray, origin: np.ndarray, whole: tuple[int, int], device: torch.device) -> Tensor:
        """It (3, h, w) in another window with this corner, where the plate of (width, height) is `empty` (h, w, 3)."""
        result = to_tensor(shadow.shade(empty, self.light, origin, whole), device)
        window.paste(result.permute(1, 2, 0), self.picture.permute(1, 2, 0), self.origin - origin)
        return result


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
    differs = (person[..., 3] < FULL) | (appearance.greatest(person[..., :3]) > 1 - FULL)
    left, top, width, height = cv2.boundingRect(differs.view(np.uint8))
    if not width:
        return
    # Two pixels more: so far does cubic interpolation look.
    start = np.maximum(np.array([left, top]) - 2, 0)
    end = np.minimum(np.array([left + width, top + height]) + 2, person.shape[1::-1])
    person = person[start[1] : end[1], start[0] : end[0]]
    origin = origin + start
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
