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
    same = room.shape == clip.plate.shape
    frames = range(len(plan)) if frames is None else frames
    previous = empty = to_tensor(clip.plate, device)  # (3, H, W)
    started = False
    width, height = plan.size
    for t in range(max(frames.start - WARM_UP, 0), frames.stop):
        if (plan.poses[t, :, 2] > 0).sum() >= 4:
            x, y = plan.origins[t].tolist()
            here = (slice(None), slice(y, y + height), slice(x, x + width))
            pose = window.shift(plan.poses[t], plan.origins[t])
            references = painting.paint_references(
                pose, float(plan.persons[t]), plan.size, plan.sources[:, t], clip.texture
            )
            light = shadow.cast(
                clip.shadows, plan.poses[t], float(plan.persons[t]), *(values[t] for values in plan.shades)
            )
            frame = shadow.shade(room, light)
            plate = to_tensor(frame if same else shadow.shade(clip.plate, light), device)
            before = previous[here] if started else torch.zeros_like(previous[here])
            with forward_type(device, dtype):
                rendering = generator(
                    torch.from_numpy(pose).to(device)[None],
                    torch.from_numpy(references).to(device)[None].float() / 255,
                    plate[here][None],
                    before[None],
                )
            picture = rendering.picture[0].float().clamp(0, 1)
            if same:
                frame[y : y + height, x : x + width] = (picture * 255).round().byte().permute(1, 2, 0).cpu().numpy()
            else:
                share = rendering.room[0].float()
                person = torch.cat([picture - share * plate[here], share]).permute(1, 2, 0).cpu().numpy()
                put(frame, person, (x, y), clip.scale)
            previous = plate
            previous[here] = picture
            started = True
        else:
            frame, previous = room.copy(), empty
        if t >= frames.start:
            yield frame


def stretches(count: int, parts: int) -> list[range]:
    """Cut ``count`` frames into at most ``parts`` stretches, none so short that warming up would cost much."""
    parts = max(1, min(parts, count // (8 * WARM_UP)))
    ends = [round(i * count / parts) for i in range(parts + 1)]
    return [range(first, last) for first, last in pairwise(ends)]


def put(frame: np.ndarray, person: np.ndarray, origin: tuple[int, int], scale: np.ndarray) -> None:
    """Enlarge a window and put it into the frame, in place; the background keeps its own pixels.

    Args:
        frame: (H, W, 3) uint8, the background plate.
        person: (h, w, 4) float in [0, 1]: what is not plate, and the share of the plate.
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
    person = cv2.warpAffine(person, matrix, box, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    part = frame[low[1] : high[1], low[0] : high[0]]
    part[:] = np.clip(np.rint(part * np.clip(person[..., 3:], 0, 1) + 255 * person[..., :3]), 0, 255)


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
