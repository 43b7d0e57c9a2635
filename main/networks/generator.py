"""The generator: a stacked hourglass (arXiv 1603.06937) on the person's window, at a quarter of its resolution, whose
full-resolution head composes the picture from layers: the background plate, texture copied from the training frames
(see ``main.painting``), and what it paints itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from main.networks import labels

REFERENCES = 2  # layers of copied texture: body, arms
# How strongly the masks speak against what was copied. With 4, a generator that only knows rendered people erases hands
# of real ones: in six static clips of the gallery, untrained, 79 % of the wrists were found again, with 2 or 1 84 %.
SWAY = 2.0
# The least share of plate, body, arms and paint that the masks can raise: the room does not shine through where a body
# is copied to. While it learns, arms before the chest fade, as it cannot be sure of them; what is rendered does not let
# the body through an arm so easily. On a real clip after 3 minutes 81 instead of 78 % of the wrists are found again, at
# the same SSIM; learnt with it, they fade as before.
LEAST = (0.001, 0.01, 0.01, 0.01)
LEAST_RENDERED = (0.001, 0.002, 0.01, 0.01)
REACH = 8.0  # pixels that copied texture may be moved at most, in normal quality


@dataclass
class Rendering:
    """What the generator says of a batch of windows; pictures in [0, 1] RGB."""

    picture: Tensor  # (B, 3, H, W) the answer
    weights: Tensor  # (B, 2 + REFERENCES, H, W) share of plate, references, paint in it; they sum to 1
    room: Tensor  # (B, 1, H, W) share of the plate's pixels in it, those seen through other layers too
    previews: list[Tensor]  # each earlier stack's guess at the picture, (B, 3, H/4, W/4)
    flow: Tensor  # (B, 2 * REFERENCES, H/4, W/4) by how many pixels the references are moved, x and y in turn
    out: Tensor  # (B, 3 + 2 + REFERENCES, H, W) what is painted beside the copies, and how much each layer counts
    near: Tensor  # (B, 1, H, W) where the person can be


def join(*parts: Tensor) -> Tensor:
    """Maps (B, C, h, w) one behind the other, channels last in memory, as convolutions on CPUs are fastest."""
    return torch.cat([part.contiguous(memory_format=torch.channels_last) for part in parts], 1)


class Residual(nn.Module):
    """Bottleneck residual module. The last convolution begins at zero, so that deep stacks start as the identity and
    need no normalisation layer (which would cost more time than the convolutions on a CPU)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.body = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, half, 1),
            nn.ReLU(inplace=True), nn.Conv2d(half, half, 3, padding=1),
            nn.ReLU(inplace=True), nn.Conv2d(half, channels, 1),
        )  # fmt: skip
        nn.init.zeros_(self.body[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> the same shape."""
        return x + self.body(x)


class Hourglass(nn.Module):
    """Down ``depth`` times, up again, with a skip at every resolution."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.skip = Residual(channels)
        self.down = Residual(channels)
        self.inner = Hourglass(channels, depth - 1) if depth > 1 else Residual(channels)
        self.up = Residual(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> the same shape."""
        low = self.up(self.inner(self.down(F.max_pool2d(x, 2))))
        return self.skip(x) + F.interpolate(low, scale_factor=2.0, mode="nearest")


def average_neighbours(x: Tensor) -> Tensor:
    """Mean of each pixel and its neighbours to the right and below, border pixels repeated, (B, C, H, W) as it was; its
    gradient takes half the time that average pooling's takes."""
    x = F.pad(x, (0, 1, 0, 1), mode="replicate")
    x = x[..., :-1] + x[..., 1:]
    return (x[..., :-1, :] + x[..., 1:, :]) / 4


@torch.no_grad()
def even_subpixels(layer: nn.Conv2d) -> None:
    """Equal weights for the four channels that a pixel shuffle puts side by side: no lattice to begin with (ICNR, arXiv
    1707.02937)."""
    layer.weight.copy_(layer.weight[::4].repeat_interleave(4, 0))
    layer.bias.copy_(layer.bias[::4].repeat_interleave(4, 0))


class Generator(nn.Module):
    """Pose and texture in, picture out. Window sides are multiples of 32.

    Args:
        channels: width of the hourglass.
        stacks: number of hourglasses; every one's guess is supervised, the last one feeds the head.
        detail: channels of the head at full resolution.
        reach: pixels that copied texture may be moved at most.
    """

    def __init__(self, channels: int = 96, stacks: int = 2, detail: int = 16, reach: float = REACH) -> None:
        super().__init__()
        self.reach = reach
        pictures = 4 * REFERENCES + 3 + 3  # references with coverage, plate, previous output
        self.stem = nn.Sequential(nn.Conv2d(4 * pictures, 2 * detail, 3, padding=1), nn.ReLU(inplace=True))
        self.squeeze = nn.Conv2d(4 * 2 * detail, channels, 1)
        self.pose = nn.Conv2d(labels.CHANNELS + 1, channels, 1)
        self.stacks = nn.ModuleList(nn.Sequential(Hourglass(channels, 3), Residual(channels)) for _ in range(stacks))
        self.guess = nn.ModuleList(nn.Conv2d(channels, 3, 1) for _ in range(stacks - 1))
        self.merge = nn.ModuleList(nn.Conv2d(channels + 3, channels, 1) for _ in range(stacks - 1))
        self.flow = nn.Conv2d(channels, 2 * REFERENCES, 3, padding=1)
        self.narrow = nn.Conv2d(channels, 2 * detail, 1)
        middle = 5 * detail // 2
        self.head = nn.Sequential(
            nn.Conv2d(4 * detail + 4 * 4 * REFERENCES, middle, 1), nn.ReLU(inplace=True),
            nn.Conv2d(middle, middle, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(middle, 4 * detail, 3, padding=1), nn.PixelShuffle(2), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.out = nn.Conv2d(detail, 3 + 2 + REFERENCES, 3, padding=1)
        even_subpixels(self.head[-3])
        for layer in (self.flow, self.out):  # begin as the plain composite of what is copied
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, keypoints: Tensor, references: Tensor, plate: Tensor, previous: Tensor) -> Rendering:
        """Render a batch of windows.

        Args:
            keypoints: (B, 18, 3) in pixels of the window.
            references: (B, REFERENCES, 4, H, W) copied texture, RGB and coverage in [0, 1].
            plate: (B, 3, H, W) the window's part of the background plate, [0, 1] RGB.
            previous: (B, 3, H, W) what was rendered one frame before, same window, or zeros.
        """
        height, width = plate.shape[-2:]
        assert height % 32 == 0 and width % 32 == 0, f"window sides must be multiples of 32, not {width} x {height}"
        region = labels.draw_region(keypoints, (height, width))  # (B, 1, H/4, W/4)
        pose = join(labels.draw_labels(keypoints, (height, width)), region).to(plate.dtype)
        pictures = torch.cat([references.flatten(1, 2), plate, previous], 1)  # (B, 14, H, W)

        stem = self.stem(F.pixel_unshuffle(pictures - 0.5, 2))  # (B, 2d, H/2, W/2)
        x = self.squeeze(F.pixel_unshuffle(stem, 2)) + self.pose(pose)  # (B, C, H/4, W/4)
        previews = []
        for stack, guess, merge in zip(self.stacks, self.guess, self.merge, strict=False):
            found = stack(x)
            preview = guess(F.relu(found))
            previews.append(preview + 0.5)
            x = x + merge(torch.cat([found, preview], 1))
        x = F.relu(self.stacks[-1](x))

        flow = torch.tanh(self.flow(x).float().contiguous()) * self.reach  # (B, 2 * REFERENCES, H/4, W/4)
        moved = move(references, F.interpolate(flow, scale_factor=4.0, mode="bilinear", align_corners=False))
        # Not a pixel shuffle: two of them in a row would leave a lattice of four pixels.
        fine = F.interpolate(F.relu(self.narrow(x)), scale_factor=2.0, mode="bilinear", align_corners=False)
        fine = join(fine, stem, F.pixel_unshuffle(moved.flatten(1, 2) - 0.5, 2))  # (B, 4d + 32, H/2, W/2)
        # The mean of 2x2 neighbours: what a pixel shuffle leaves of its lattice goes (Sugawara et al. 2018).
        fine = average_neighbours(self.head(fine))  # (B, d, H, W)
        out = self.out(fine).contiguous()  # (B, 3 + 2 + REFERENCES, H, W)

        near = F.interpolate(region, scale_factor=4.0, mode="bilinear", align_corners=False)
        least = LEAST if self.training else LEAST_RENDERED
        picture, weights = compose(moved, plate, out, near, least)
        return Rendering(picture[:, :3], weights, picture[:, 3:], previews, flow, out, near)


def move(references: Tensor, flow: Tensor, corner: tuple[int, int] = (0, 0)) -> Tensor:
    """Part (B, REFERENCES, 4, h, w) of references (B, REFERENCES, 4, H, W), its corner at (x, y), in which each pixel
    comes from as far away as its flow (B, 2 * REFERENCES, h, w) says, pixels in x and y."""
    batch, count, _, height, width = references.shape
    flow = flow.reshape(batch * count, 2, *flow.shape[-2:])
    y = torch.arange(flow.shape[-2], device=flow.device, dtype=flow.dtype)[:, None] + corner[1]
    x = torch.arange(flow.shape[-1], device=flow.device, dtype=flow.dtype) + corner[0]
    grid = torch.stack(
        [(flow[:, 0] + x + 0.5) * 2 / width - 1, (flow[:, 1] + y + 0.5) * 2 / height - 1], -1
    )  # (B * R, H, W, 2)
    moved = F.grid_sample(
        references.flatten(0, 1).float(), grid, mode="bicubic", padding_mode="border", align_corners=False
    ).clamp(0, 1)  # bilinear would blur what is copied
    return moved.reshape(batch, count, 4, *flow.shape[-2:]).to(references.dtype)


def compose(
    moved: Tensor, plate: Tensor, out: Tensor, near: Tensor, shares_at_least: tuple[float, ...]
) -> tuple[Tensor, Tensor]:
    """Mix plate, references and paint.

    Args:
        moved: (B, REFERENCES, 4, H, W) RGB and coverage.
        plate: (B, 3, H, W).
        out, near: as in `Rendering`.
        shares_at_least: `LEAST` or `LEAST_RENDERED`.

    Returns:
        (B, 4, H, W) the picture and how much of the plate is left in it; (B, 2 + REFERENCES, H, W) the shares.
    """
    colours, coverage = moved[:, :, :3], moved[:, :, 3:]
    shares = [torch.ones_like(plate[:, :1])]  # of plate and copies where each layer lies over those before it
    for cover in coverage.unbind(1):
        shares = [*(share * (1 - cover) for share in shares), cover]
    least = labels.constant(shares_at_least, near.device).reshape(1, -1, 1, 1)
    prior = torch.log(torch.cat([*shares, near], 1).float() + least)
    weights = torch.softmax(SWAY * out[:, 3:].float() + prior, 1)
    paint = weights[:, -1:]  # what lies there already, and what the copies lack
    room, picture = torch.ones_like(paint), paint * out[:, :3]
    for k, (colour, cover) in enumerate(zip(colours.unbind(1), coverage.unbind(1), strict=True), 1):
        # What is hardly covered shows the plate, so that a trace of it does no harm.
        amount = (4 * cover).clamp(max=1) * (weights[:, k : k + 1] + paint * shares[k])
        picture = picture + amount * colour
        room = room - amount
    return torch.cat([picture + room * plate, room], 1), weights


def compose_at(
    rendering: Rendering, references: Tensor, plate: Tensor, box: tuple[int, int, int, int]
) -> tuple[Tensor, Tensor]:
    """What was decided of a window, done at more resolution: copies keep the detail that they have there.

    Args:
        rendering: of one window.
        references: (REFERENCES, 4, H, W) and
        plate: (3, H, W) of the same window at more resolution, in [0, 1].
        box: left, top, right, bottom in pixels of that: the part that is wanted.

    Returns:
        (3, h, w) the picture in the box, and (1, h, w) the share of the plate's pixels in it.
    """
    left, top, right, bottom = box
    height, width = plate.shape[-2:]
    x = (torch.arange(left, right, device=plate.device) + 0.5) * (2 / width) - 1
    y = (torch.arange(top, bottom, device=plate.device) + 0.5) * (2 / height) - 1
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[None]  # (1, h, w, 2)

    def sample(maps: Tensor) -> Tensor:
        return F.grid_sample(maps.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)

    scale = width / rendering.out.shape[-1]
    flow = sample(rendering.flow) * scale
    moved = move(references[None], flow, (left, top))
    part = plate[None, :, top:bottom, left:right]
    picture, _ = compose(moved, part, sample(rendering.out), sample(rendering.near), LEAST_RENDERED)
    return picture[0, :3], picture[0, 3:]
