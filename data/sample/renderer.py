"""Software renderer for figures: camera, rasteriser, materials, light, exact keypoints.

Pixel coordinates have x right, y down, the centre of the top-left pixel at (0, 0). Light is computed in linear colour,
frames are sRGB uint8 (H, W, 3). Everything is numpy on plain arrays; nothing here is random.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from data.sample.figure import Figure, hands_and_feet_3d, keypoints_3d, skin_mesh
from data.sample.looks import Cloth
from data.sample.pose import BONE, Pose, euler
from data.sample.shapes import head_origin

NEAR = 0.1


@dataclass(frozen=True)
class Camera:
    """Pinhole camera. With yaw and pitch 0 it looks along -z; positive yaw turns left, positive pitch looks down
    (radians).

    focal: in pixels. width, height: of the frame in pixels; the principal point is the middle of the frame.
    """

    position: tuple[float, float, float] = (0.0, 1.2, 5.0)
    pitch: float = 0.03
    yaw: float = 0.0
    focal: float = 560.0
    width: int = 512
    height: int = 288

    def rotation(self) -> np.ndarray:
        """World to camera axes (x right, y down, z forwards), (3, 3)."""
        turn = euler(-self.pitch, self.yaw, 0.0)
        return np.diag([1.0, -1.0, -1.0]) @ turn.T

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) -> (..., 3): x, y in pixels, depth in metres along the optical axis."""
        local = (points - np.asarray(self.position)) @ self.rotation().T
        depth = local[..., 2:]
        centre = np.array([(self.width - 1) / 2, (self.height - 1) / 2])
        return np.concatenate([centre + self.focal * local[..., :2] / np.maximum(depth, NEAR), depth], -1)

    def rays(self, scale: float = 1.0) -> np.ndarray:
        """Directions (h, w, 3) in the world, of depth 1, of the pixels of the frame enlarged by `scale`."""
        w, h = round(self.width * scale), round(self.height * scale)
        x = ((np.arange(w) + 0.5) / scale - self.width / 2) / self.focal
        y = ((np.arange(h) + 0.5) / scale - self.height / 2) / self.focal
        local = np.stack(np.broadcast_arrays(x[None, :], y[:, None], np.float64(1)), -1)
        return local @ self.rotation()


@dataclass(frozen=True)
class Light:
    """Key light from a direction (towards the light), ambient light from the sky and from the floor; linear colours."""

    direction: tuple[float, float, float] = (-0.45, 0.75, 0.55)
    key: tuple[float, float, float] = (1.75, 1.65, 1.5)
    sky: tuple[float, float, float] = (0.52, 0.56, 0.64)
    ground: tuple[float, float, float] = (0.30, 0.26, 0.22)
    rim: float = 0.35


def to_linear(colour: np.ndarray) -> np.ndarray:
    """From sRGB in [0, 1] to linear light."""
    colour = np.asarray(colour)
    return np.where(colour <= 0.04045, colour / 12.92, ((np.maximum(colour, 0.04045) + 0.055) / 1.055) ** 2.4)


_BRIGHTEST = 2.0  # linear light above this is white
_SHOULDER = 0.75  # and from here on it is compressed, so that highlights do not clip
_STEPS = 4095


def _encoding_table() -> np.ndarray:
    """Bytes of sRGB for linear light, at equal steps of its square root (the eye sees steps in the dark)."""
    linear = (np.arange(_STEPS + 1) / _STEPS) ** 2 * _BRIGHTEST
    room = 1 - _SHOULDER
    soft = _SHOULDER + room * (1 - np.exp(-(linear - _SHOULDER) / room))
    linear = np.where(linear > _SHOULDER, soft, linear)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(encoded * 255).astype(np.uint8)


_TO_BYTES = _encoding_table()


def from_linear(colour: np.ndarray) -> np.ndarray:
    """Linear light (values up to 2 are compressed softly) -> sRGB uint8."""
    index = np.sqrt(np.clip(colour, 0, _BRIGHTEST) * np.float32(_STEPS**2 / _BRIGHTEST)) + np.float32(0.5)
    return _TO_BYTES[index.astype(np.int32)]


def picture_light(picture: np.ndarray) -> np.ndarray:
    """The linear light (float32) that `from_linear` turns into this uint8 picture."""
    return _FROM_BYTES[picture]


# the middle of the entries that give each byte
_FROM_BYTES = (
    (np.array([np.flatnonzero(_TO_BYTES == byte).mean() for byte in range(256)]) / _STEPS) ** 2 * _BRIGHTEST
).astype(np.float32)


# ---------------------------------------------------------------------------------------------------------- rasteriser


def rasterize(screen: np.ndarray, faces: np.ndarray, width: int, height: int) -> tuple[np.ndarray, ...]:
    """Nearest front-facing triangle of every covered pixel.

    screen: (V, 3) x, y in pixels and depth. Returns flat pixel indices (N,), faces (N,), perspective-correct
    barycentric weights (N, 3) and depths (N,).
    """
    sx, sy, depth = np.ascontiguousarray(screen.T, np.float32)
    f0, f1, f2 = np.ascontiguousarray(faces.T)
    x0, y0 = sx[f0], sy[f0]
    ax, ay, bx, by = sx[f1] - x0, sy[f1] - y0, sx[f2] - x0, sy[f2] - y0
    area = ax * by - bx * ay
    # y points down, so a triangle that is counter-clockwise seen from outside has negative area on the screen
    keep = np.flatnonzero(area < -1e-7)
    x0, y0, ax, ay, bx, by, area = (values[keep] for values in (x0, y0, ax, ay, bx, by, area))
    left = np.ceil(np.maximum(x0 + np.minimum(np.minimum(ax, bx), 0), 0))
    right = np.floor(np.minimum(x0 + np.maximum(np.maximum(ax, bx), 0), width - 1))
    top = np.ceil(np.maximum(y0 + np.minimum(np.minimum(ay, by), 0), 0))
    bottom = np.floor(np.minimum(y0 + np.maximum(np.maximum(ay, by), 0), height - 1))
    z0, z1, z2 = depth[f0[keep]], depth[f1[keep]], depth[f2[keep]]
    used = np.flatnonzero((right >= left) & (bottom >= top) & (np.minimum(np.minimum(z0, z1), z2) > NEAR))
    if len(used) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3), np.float32), np.zeros(0, np.float32)
    keep = keep[used]
    x0, y0, ax, ay, bx, by, left, top = (values[used] for values in (x0, y0, ax, ay, bx, by, left, top))
    gain = 1 / area[used]
    columns = (right[used] - left + 1).astype(np.int32)
    count = columns * (bottom[used] - top + 1).astype(np.int32)
    i0, i1, i2 = 1 / z0[used], 1 / z1[used], 1 / z2[used]
    # planes over the screen, from the first pixel of the box: weights of corners 1 and 2, and 1 / depth
    w1x, w1y, w2x, w2y = by * gain, -bx * gain, -ay * gain, ax * gain
    dx, dy = left - x0, top - y0
    w1, w2 = w1x * dx + w1y * dy, w2x * dx + w2y * dy
    planes = np.stack([w1, w1x, w1y, w2, w2x, w2y], 1)
    first = top.astype(np.int64) * width + left.astype(np.int64)

    owner = np.repeat(np.arange(len(keep), dtype=np.int32), count)
    local = np.arange(len(owner), dtype=np.int32) - np.repeat(np.cumsum(count) - count, count).astype(np.int32)
    row, column = np.divmod(local, columns[owner])
    w1, w1x, w1y, w2, w2x, w2y = planes[owner].T
    w1 = w1 + w1x * column + w1y * row
    w2 = w2 + w2x * column + w2y * row
    inside = np.flatnonzero((w1 >= -1e-5) & (w2 >= -1e-5) & (w1 + w2 <= 1 + 1e-5))
    owner, w1, w2 = owner[inside], w1[inside], w2[inside]
    pixel = first[owner] + row[inside].astype(np.int64) * width + column[inside]
    corners = np.stack([i0, i1 - i0, i2 - i0], 1)[owner]
    near = corners[:, 0] + w1 * corners[:, 1] + w2 * corners[:, 2]
    # depth in the upper bits, candidate in the lower ones: one pass finds the nearest and who it was
    key = ((near * np.float32(2.0**28 * NEAR)).astype(np.int64) << 32) | np.arange(len(owner))
    best = np.full(width * height, -1, np.int64)
    np.maximum.at(best, pixel, key)
    covered = np.flatnonzero(best >= 0)
    winner = best[covered] & 0xFFFFFFFF
    face = owner[winner]
    w1, w2, near = w1[winner], w2[winner], near[winner]
    weights = np.stack([(1 - w1 - w2) * i0[face], w1 * i1[face], w2 * i2[face]], 1) / near[:, None]
    return covered, keep[face], weights, 1 / near


# ------------------------------------------------------------------------------------------------------------ materials


def pattern_mix(cloth: Cloth, position: np.ndarray) -> np.ndarray:
    """Share (N,) of the second colour of a cloth at pattern positions (N, 4) (see `Figure.pattern`)."""
    x, y, z, radius = position.T
    s = cloth.scale
    if cloth.pattern == "plain":
        return np.zeros(len(position), np.float32)

    def square(value: np.ndarray, duty: float = 0.5) -> np.ndarray:
        return ((value % 1.0) < duty).astype(np.float32)

    turns = np.maximum(
        np.round(2 * np.pi * radius / s), 2
    )  # periods around the limb, whole so that the seam does not show
    around = np.arctan2(x, z) / (2 * np.pi) * turns
    if cloth.pattern == "stripes":
        return square(y / s)
    if cloth.pattern == "pinstripes":
        return square(around, 0.22)
    if cloth.pattern == "checks":
        return np.abs(square(y / s) - square(around))
    if cloth.pattern == "plaid":
        return 0.45 * square(y / s, 0.4) + 0.45 * square(around, 0.4) + 0.1 * square(y / s + 0.2, 0.08)
    if cloth.pattern == "dots":
        row = np.floor(y / s)
        shift = around + 0.5 * (row % 2)
        return ((shift % 1 - 0.5) ** 2 + (y / s % 1 - 0.5) ** 2 < 0.3**2).astype(np.float32)
    if cloth.pattern == "logo":  # a ring with a bar on the chest
        front = (z > 0) & (radius > 0.1)
        size = 0.5 + 4 * s
        u, v = x / (0.11 * size), (y - 1.26) / (0.11 * size)
        r = np.hypot(u, v)
        return (front & ((np.abs(r - 0.75) < 0.2) | ((np.abs(v) < 0.16) & (np.abs(u) < 0.75)))).astype(np.float32)
    if cloth.pattern == "block":
        return (y > 1.20 if s > 0.05 else x > 0).astype(np.float32)
    if cloth.pattern == "zigzag":
        return square(y / s + np.abs(around % 1 - 0.5))
    if cloth.pattern == "flowers":
        row, column = np.floor(y / s), np.floor(around)
        shift = 0.25 * np.sin(12.9 * row + 78.2 * column)
        u, v = around - column - 0.5 + shift, y / s - row - 0.5 - shift
        return (np.hypot(u, v) < 0.26 + 0.10 * np.cos(5 * np.arctan2(v, u))).astype(np.float32)
    if cloth.pattern == "gradient":
        return np.clip((y - 0.3) / (8 * s + 0.3), 0, 1)
    if cloth.pattern == "blotches":
        wave = np.sin(1.3 * y / s + 2 * np.sin(0.9 * x / s)) + np.sin(1.1 * z / s - 1.7 * np.sin(0.8 * y / s + 1.0))
        return np.clip(4 * (wave + np.sin(1.5 * x / s)), 0, 1)
    if cloth.pattern == "border":
        return square(y / (5 * s), 0.15)
    speckle = np.sin(311 * x + 97 * y) * np.sin(173 * y + 211 * z) * np.sin(151 * z - 263 * x)
    return (speckle > 0.25).astype(np.float32)


def _cloth_colour(cloth: Cloth, position: np.ndarray | None) -> np.ndarray:
    """Linear colours of a cloth at pattern positions (N, 4); None will do for a plain one."""
    if position is None:
        return to_linear(cloth.colour)
    mix = pattern_mix(cloth, position)[:, None]
    return to_linear(cloth.colour) * (1 - mix) + to_linear(cloth.second) * mix


def _face_colour(figure: Figure, position: np.ndarray) -> np.ndarray:
    """Skin with eyes, brows, lips, blush and beard, painted at positions (N, 3) at rest."""
    look = figure.look
    origin, scale = head_origin(figure.body, figure.joints)
    x, y, z = ((position - origin) / scale).T
    skin = to_linear(look.skin)
    colour = np.tile(skin, (len(x), 1))
    front = z > 0.03
    side = np.abs(x)

    def paint(mask: np.ndarray, ink, strength=1.0) -> None:
        share = (np.asarray(strength) * mask)[:, None]
        colour[:] = colour * (1 - share) + np.asarray(ink) * share

    def soft(distance: np.ndarray, edge: float) -> np.ndarray:
        return np.clip(0.5 - distance / edge, 0, 1)

    blush = np.exp(-(((side - 0.040) / 0.020) ** 2 + ((y + 0.034) / 0.018) ** 2))
    paint(front * blush, skin * [1.05, 0.72, 0.68], 0.6)
    if look.beard:
        line = -0.050 + 1.1 * np.maximum(side - 0.034, 0)
        jaw = np.clip((line - y) / 0.008, 0, 1) * (z > -0.012)
        moustache = soft(np.abs(y + 0.0470 + 9 * x**2) - 0.0055 * (1 - (x / 0.034) ** 2), 0.004)
        mouth = np.exp(-((x / 0.026) ** 4 + ((y + 0.064) / 0.0125) ** 4))
        paint(np.maximum(jaw, moustache) * (1 - mouth), to_linear(look.hair) * 0.8 + 0.01, look.beard)
    # lips: an upper lip with a bow and a fuller lower one
    smile = y - 3.5 * x**2
    upper = np.abs(smile + 0.0590) - 0.0060 * (1 - (x / 0.025) ** 2) + 0.0016 * np.exp(-((x / 0.005) ** 2))
    lower = np.abs(smile + 0.0700) - 0.0068 * (1 - (x / 0.022) ** 2)
    paint(front * soft(np.minimum(upper, lower), 0.003), to_linear(look.lips))
    paint(front * soft(np.abs(smile + 0.0645) - 0.0011, 0.002) * (side < 0.024), skin * 0.2, 0.7)
    paint(front * soft(np.hypot((side - 0.007) / 1.3, y + 0.041) - 0.0025, 0.003), skin * 0.3, 0.7)
    # eyes
    ex, ey = side - 0.031, y - 0.001
    lid = 0.0085 * (1 - (ex / 0.0175) ** 2)
    socket = np.exp(-((ex / 0.022) ** 2 + ((ey - 0.004) / 0.012) ** 2))
    paint(front * socket, skin * [0.62, 0.52, 0.50], 0.45)
    white = front * soft(np.abs(ey) - lid, 0.003)
    paint(white, (0.60, 0.60, 0.58))
    iris = np.hypot(ex, ey)
    paint(white * soft(iris - 0.0078, 0.002), to_linear(look.eyes))
    paint(white * soft(iris - 0.0040, 0.002), (0.01, 0.01, 0.01))
    paint(white * soft(np.hypot(ex - 0.002, ey - 0.0030) - 0.0016, 0.002), (0.9, 0.9, 0.9))
    lash = np.abs(ey - lid) - 0.0018
    paint(front * soft(lash, 0.002) * (np.abs(ex) < 0.019) * (ey > -0.001), (0.015, 0.01, 0.01), 0.9)
    brow = np.abs(y - 0.0225 + 5.0 * (ex + 0.002) ** 2 + 0.06 * np.maximum(ex, 0)) - 0.0034 * (1 - (ex / 0.026) ** 2)
    paint(front * soft(brow, 0.003) * (np.abs(ex) < 0.023), to_linear(look.hair) * 0.6, 0.85)
    if look.glasses:
        ring = np.abs(np.hypot(ex / 1.15, ey) - 0.0205) - 0.0020
        bridge = np.maximum(np.abs(y - 0.004) - 0.0016, side - 0.010)
        arm = np.maximum(np.abs(y - 0.006) - 0.0020, 0.052 - side)
        paint((z > -0.01) * soft(np.minimum(np.minimum(ring, bridge), arm), 0.002), (0.012, 0.012, 0.014))
    return colour


def interpolate(values: np.ndarray, corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Values (V, C) at points given by the corners (N, 3) of their triangle and barycentric weights (N, 3)."""
    return sum(values[corners[:, i]] * weights[:, i, None] for i in range(3))


def surface_colour(
    figure: Figure, part: np.ndarray, corners: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Linear albedo (N, 3) and gloss (N,) of surface points: part (N,), and where they are, as for `interpolate`."""
    look = figure.look
    colour = np.empty((len(part), 3), np.float32)
    gloss = np.zeros(len(part), np.float32)
    for i, name in enumerate(figure.parts):
        here = np.flatnonzero(part == i)
        if len(here) == 0:
            continue
        if name == "skin":
            colour[here], gloss[here] = to_linear(look.skin), 0.22
            continue
        cloth = {"top": look.top, "bottom": look.bottom, "hat": look.hat_cloth}.get(name)
        if cloth:
            opened = name == "top" and look.front is not None
            bare = name == "top" and (look.neckline > 0 or look.strapless)
            painted = opened or bare or cloth.pattern != "plain"
            pattern = interpolate(figure.pattern, corners[here], weights[here]) if painted else None
            colour[here], gloss[here] = _cloth_colour(cloth, pattern), 0.05
            if opened:  # a strip from neck to hem, wider above the belt
                x, y, z, radius = pattern.T
                half = look.front_width * np.clip(0.6 + 1.2 * (y / figure.body.height - 0.58), 0.4, 1.1)
                strip = np.flatnonzero((radius > 0.1) & (z > 0) & (np.abs(x) < half))
                colour[here[strip]] = _cloth_colour(look.front, pattern[strip])
            if bare:
                x, y, z, radius = pattern.T
                throat = 0.825 * figure.body.height
                deep = (z > 0) & (radius > 0.1) & (y > throat - look.neckline * (1 - (x / 0.09) ** 2))
                free = np.flatnonzero(deep | (look.strapless & (y > throat - 0.115) & (radius > 0.04)))
                colour[here[free]], gloss[here[free]] = to_linear(look.skin), 0.22
            continue
        rest = interpolate(figure.vertices, corners[here], weights[here])
        if name == "face":
            colour[here], gloss[here] = _face_colour(figure, rest), 0.22
        elif name == "hair":
            x, y, z = rest.T
            strand = np.sin(420 * x + 60 * y) * np.sin(380 * z + 90 * y)
            colour[here] = to_linear(look.hair) * (1 + 0.22 * strand)[:, None]
            gloss[here] = 0.05 if look.hair_style == "cap" else 0.22
        else:
            x, y, z = rest.T
            leather, sole = to_linear(look.shoe), to_linear(look.sole)
            laces = (z > 0.035) & (z < 0.095) & (y > 0.045) & (z * 62 % 1 < 0.45)
            stripe = np.abs(z - 0.8 * y + 0.008) < 0.010
            colour[here] = np.where(
                ((laces | stripe) & (y < 0.16))[:, None],
                0.35 * leather + 0.5 * (1 - leather) * (leather.mean() < 0.5),
                leather,
            )
            colour[here[y < 0.019]] = sole
            gloss[here] = 0.25
    return colour, gloss


# -------------------------------------------------------------------------------------------------------------- shading


def shadow_map(vertices: np.ndarray, faces: np.ndarray, direction: np.ndarray, texel: float = 0.012):
    """Depth along the light of the nearest surface, for a parallel light.

    Returns (map (h, w) float32, inf where empty; axes (3, 3): rows are u, v, depth; origin (2,); texel in metres).
    """
    depth_axis = -direction / np.linalg.norm(direction)
    u = np.cross([0.0, 1.0, 0.0], depth_axis)
    u /= np.linalg.norm(u)
    axes = np.stack([u, np.cross(depth_axis, u), depth_axis])
    local = vertices @ axes.T.astype(np.float32)
    origin = local[:, :2].min(0) - 3 * texel
    size = np.ceil((local[:, :2].max(0) - origin) / texel).astype(int) + 4
    shift = float(local[:, 2].min()) - 1.0
    screen = np.column_stack([(local[:, :2] - origin) / texel, local[:, 2] - shift])
    # seen from the light the map is mirrored (u, v, depth is right-handed, the screen is not), so look at back faces
    pixels, _, _, depth = rasterize(screen, faces[:, ::-1], size[0], size[1])
    image = np.full(size[0] * size[1], np.inf, np.float32)
    image[pixels] = depth + shift
    return image.reshape(size[1], size[0]), axes, origin, texel


def lit(shadow, points: np.ndarray, bias: float = 0.025) -> np.ndarray:
    """Share (N,) of the key light that reaches points (N, 3), with a slightly soft edge."""
    image, axes, origin, texel = shadow
    local = points @ axes.T.astype(np.float32)
    x, y = ((local[:, :2] - origin) / texel).T
    total = np.zeros(len(points), np.float32)
    offsets = ((-1.2, -0.5), (0.5, -1.2), (1.2, 0.5), (-0.5, 1.2), (0.0, 0.0))
    h, w = image.shape
    for dx, dy in offsets:
        column = np.clip(np.rint(x + dx), 0, w - 1).astype(np.int32)
        row = np.clip(np.rint(y + dy), 0, h - 1).astype(np.int32)
        total += local[:, 2] < image[row, column] + bias
    return total / len(offsets)


def soft_shadow(shadow, points: np.ndarray) -> np.ndarray:
    """Share (N,) of the key light that the casters take from points (N, 3) behind them; softer with the distance."""
    if len(points) == 0:
        return np.zeros(0, np.float32)
    image, axes, origin, texel = shadow
    margin = 24
    image = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=np.inf)
    local = points @ axes.T.astype(np.float32)
    x, y = (((local[:, :2] - origin) / texel).T + margin).astype(np.float32)
    cover = np.isfinite(image).astype(np.float32)
    wide = cv2.GaussianBlur(cover, (0, 0), 7.0)
    caster = cv2.GaussianBlur(np.where(cover > 0, image, 0), (0, 0), 7.0) / np.maximum(wide, 1e-4)

    def at(picture: np.ndarray) -> np.ndarray:
        rows = -(-len(x) // 512)  # cv2.remap wants sides below 32767
        grid = [np.resize(a, rows * 512).reshape(rows, 512) for a in (x, y)]
        return cv2.remap(picture, *grid, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0).ravel()[
            : len(x)
        ]

    gap = np.clip(local[:, 2] - at(caster), 0, None) * 0.055 / texel  # radius of the half-shadow in texels
    sizes = (0.8, 2.5, 6.0, 12.0)
    shades = [at(cv2.GaussianBlur(cover, (0, 0), s)) for s in sizes]
    total = shades[0]
    for i in range(1, len(sizes)):
        t = np.clip((gap - sizes[i - 1]) / (sizes[i] - sizes[i - 1]), 0, 1)
        total = total * (1 - t) + shades[i] * t
    return total


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.sqrt(np.maximum(_dot(vectors, vectors), 1e-12))[:, None]


@dataclass
class Layer:
    """Rendered people without background: the box of the frame that holds them, `supersample` times enlarged.

    box: x0, y0, x1, y1 in pixels of the frame. colour (h, w, 3) linear, premultiplied; alpha (h, w); depth (h, w)
    metres, inf where empty; bone (h, w) int8, -1 where empty; owner (h, w) int8 index of the figure; shadow: shadow
    map or None.
    """

    box: tuple[int, int, int, int]
    supersample: int

    colour: np.ndarray
    alpha: np.ndarray
    depth: np.ndarray
    bone: np.ndarray
    owner: np.ndarray
    shadow: tuple | None


def render_layer(
    people: Sequence[tuple[Figure, Pose]], camera: Camera, light: Light, supersample: int = 2, shadows: bool = True
) -> Layer:
    """Render figures without background; see `Layer`."""
    skinned = [skin_mesh(figure, pose) for figure, pose in people]
    offsets = np.cumsum([0] + [len(v) for v, _ in skinned])
    vertices = np.concatenate([v for v, _ in skinned]).astype(np.float32)
    normals = np.concatenate([n for _, n in skinned])
    faces = np.concatenate([f.faces + o for (f, _), o in zip(people, offsets, strict=False)])
    owner_of_face = np.repeat(np.arange(len(people), dtype=np.int8), [len(f.faces) for f, _ in people])
    screen = camera.project(vertices).astype(np.float32)
    front = screen[screen[:, 2] > NEAR]
    frame = np.array([camera.width, camera.height])
    low = np.clip(np.floor(front[:, :2].min(0)) - 1, 0, frame - 1).astype(int) if len(front) else np.zeros(2, int)
    high = np.clip(np.ceil(front[:, :2].max(0)) + 2, low + 1, frame).astype(int) if len(front) else np.ones(2, int)
    screen[:, :2] = (screen[:, :2] - low + 0.5) * supersample - 0.5
    width, height = (high - low) * supersample
    pixels, hit, weights, depth = rasterize(screen, faces, width, height)

    surface = np.column_stack([normals, np.concatenate([f.occlusion for f, _ in people])])
    corners = faces[hit]
    value = interpolate(surface, corners, weights)
    normal, occlusion = _unit(value[:, :3]), value[:, 3]
    row, column = np.divmod(pixels, width)
    centre = (
        (frame - 1) / 2 - low + (0.5 - 0.5 / supersample)
    )  # of the frame, in pixels of the frame from the first sample
    ray = np.ones((len(hit), 3), np.float32)
    ray[:, 0] = (column / supersample - centre[0]) / camera.focal
    ray[:, 1] = (row / supersample - centre[1]) / camera.focal
    point = np.asarray(camera.position, np.float32) + depth[:, None] * (ray @ camera.rotation().astype(np.float32))

    part = np.concatenate([f.part for f, _ in people])[hit]
    bone = np.concatenate([f.bone for f, _ in people])[hit]
    owner = owner_of_face[hit]
    albedo = np.empty((len(hit), 3), np.float32)
    gloss = np.empty(len(hit), np.float32)
    for i, (figure, _) in enumerate(people):
        here = np.flatnonzero(owner == i)
        albedo[here], gloss[here] = surface_colour(figure, part[here], corners[here] - offsets[i], weights[here])

    towards = np.asarray(light.direction, np.float32) / np.float32(np.linalg.norm(light.direction))
    shadow = shadow_map(vertices, faces, towards.astype(np.float64)) if shadows else None
    view = np.asarray(camera.position, np.float32) - point
    view = _unit(view)
    facing = normal @ towards
    open_to_key = lit(shadow, point + 0.02 * normal) if shadows else np.ones(len(hit), np.float32)
    skin = (part <= 1)[:, None]
    # light bleeds a little over the terminator, reddish on skin
    wrap = np.where(skin, np.array([0.28, 0.14, 0.10], np.float32), np.float32(0.08))
    diffuse = np.clip((facing[:, None] + wrap) / (1 + wrap), 0, None) * open_to_key[:, None]
    up = (0.5 + 0.5 * normal[:, 1])[:, None]
    sky, ground = np.asarray(light.sky, np.float32), np.asarray(light.ground, np.float32)
    ambient = (ground + (sky - ground) * up) * occlusion[:, None]
    shine = np.clip(_dot(normal, _unit(view + towards)), 0, 1)
    shine = (shine * shine) ** 12
    edge = np.clip(1 - _dot(normal, view), 0, 1)
    edge = edge * edge * edge
    specular = gloss * (0.55 * shine * open_to_key * (facing > 0) + light.rim * edge * occlusion * 0.6)
    key = np.asarray(light.key, np.float32)
    colour = albedo * (diffuse * key * 0.62 + ambient) + specular[:, None] * key * 0.5

    def fill(values: np.ndarray, empty, dtype) -> np.ndarray:
        image = np.full((height * width, *values.shape[1:]), empty, dtype)
        image[pixels] = values
        return image.reshape(height, width, *values.shape[1:])

    return Layer(
        box=(*low.tolist(), *high.tolist()),
        supersample=supersample,
        colour=fill(colour, 0, np.float32),
        alpha=fill(np.ones(len(hit), np.float32), 0, np.float32),
        depth=fill(depth, np.inf, np.float32),
        bone=fill(bone, -1, np.int8),
        owner=fill(owner, -1, np.int8),
        shadow=shadow,
    )


# ------------------------------------------------------------------------------------------------------------ keypoints

# bones on which each keypoint may be seen, and how far (metres) it may lie behind the visible surface
_SEEN_ON = (
    (("head",), 0.035), (("neck", "chest", "right_clavicle", "left_clavicle", "head"), 0.15),
    *((((f"{side}_clavicle", f"{side}_upper_arm", "chest"), 0.13), ((f"{side}_upper_arm", f"{side}_forearm"), 0.10),
       ((f"{side}_forearm", f"{side}_hand"), 0.08)) for side in ("right", "left")),
    *((((f"{side}_thigh", "pelvis", "waist"), 0.19), ((f"{side}_thigh", f"{side}_shin"), 0.13),
       ((f"{side}_shin", f"{side}_foot"), 0.10)) for side in ("right", "left")),
    (("head",), 0.035), (("head",), 0.035), (("head",), 0.035), (("head",), 0.035),
)  # fmt: skip


def _flatten(table) -> list[tuple[tuple[str, ...], float]]:
    flat = []
    for entry in table:
        flat.extend([entry] if isinstance(entry[0][0], str) else entry)
    return flat


_SEEN_ON_FLAT = _flatten(_SEEN_ON)
_HANDS_AND_FEET_ON = [((f"{side}_hand",), 0.045) for side in ("right", "left") for _ in range(3)] + [
    ((f"{side}_foot", f"{side}_toes"), 0.085) for side in ("right", "left") for _ in range(2)
]


def project(figure: Figure, pose: Pose, camera: Camera) -> np.ndarray:
    """Exact keypoints (..., 18, 3) of poses with any leading dimensions: x, y in pixels, confidence 1."""
    points = camera.project(keypoints_3d(figure, pose))
    points[..., 2] = 1.0
    return points.astype(np.float32)


def visibility(layer: Layer, index: int, figure: Figure, pose: Pose, camera: Camera) -> np.ndarray:
    """Which keypoints of figure number `index` of the layer are in the frame and not hidden, bool (18,)."""
    points = camera.project(keypoints_3d(figure, pose))
    return _seen(layer, index, points, _SEEN_ON_FLAT, figure.body.height, camera)


def hands_and_feet(layer: Layer, index: int, figure: Figure, pose: Pose, camera: Camera) -> tuple[np.ndarray, ...]:
    """The ten points of `figure.hands_and_feet_3d` as `project` and `visibility` give them: (10, 3) and bool (10,)."""
    points = camera.project(hands_and_feet_3d(figure, pose))
    visible = _seen(layer, index, points, _HANDS_AND_FEET_ON, figure.body.height, camera)
    return np.column_stack([points[:, :2], np.ones(10)]).astype(np.float32), visible


def _seen(layer: Layer, index: int, points: np.ndarray, seen_on: list, tall: float, camera: Camera) -> np.ndarray:
    """Which points (K, 3) of a figure, `tall` metres high, are seen, bool (K,)."""
    height, width = layer.alpha.shape
    seen = np.zeros(len(points), bool)
    for k, (bones, slack) in enumerate(seen_on):
        x, y, depth = points[k]
        if not (-0.5 <= x < camera.width - 0.5 and -0.5 <= y < camera.height - 0.5):
            continue
        column = int((x + 0.5 - layer.box[0]) * layer.supersample)
        row = int((y + 0.5 - layer.box[1]) * layer.supersample)
        if not (0 <= column < width and 0 <= row < height):
            continue
        if layer.owner[row, column] != index:
            # beside the silhouette by a rounding error, as the tip of a nose in profile can be
            near = layer.owner[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3]
            seen[k] = bool(np.all(near[near >= 0] == index) and np.any(near == index) and len(bones) == 1)
            continue
        adjacent = layer.bone[row, column] in [BONE[b] for b in bones]
        seen[k] = adjacent and layer.depth[row, column] > depth - slack * tall / 1.75
    return seen


def downsample(image: np.ndarray, factor: int) -> np.ndarray:
    """Mean over blocks of factor x factor pixels."""
    if factor == 1:
        return image
    return cv2.resize(image, (image.shape[1] // factor, image.shape[0] // factor), interpolation=cv2.INTER_AREA)


def render_figures(
    people: Sequence[tuple[Figure, Pose]],
    camera: Camera,
    background: np.ndarray | None = None,
    light: Light | None = None,
    supersample: int = 2,
    shadows: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Render figures over a picture.

    background: uint8 RGB (camera.height, camera.width, 3); grey if None. Returns frame uint8 RGB (H, W, 3), keypoints
    (P, 18, 3) float32 with confidence 1, visible (P, 18) bool, alpha (H, W) float32: the coverage by figures.
    """
    light = light or Light()
    layer = render_layer(people, camera, light, supersample, shadows)
    if background is None:
        background = np.full((camera.height, camera.width, 3), 128, np.uint8)
    frame = background.copy()
    x0, y0, x1, y1 = layer.box
    colour, cover = downsample(layer.colour, supersample), downsample(layer.alpha, supersample)
    frame[y0:y1, x0:x1] = from_linear(colour + picture_light(background[y0:y1, x0:x1]) * (1 - cover[..., None]))
    alpha = np.zeros((camera.height, camera.width), np.float32)
    alpha[y0:y1, x0:x1] = cover
    keypoints = np.stack([project(f, p, camera) for f, p in people])
    visible = np.stack([visibility(layer, i, f, p, camera) for i, (f, p) in enumerate(people)])
    return frame, keypoints, visible, alpha


def render_figure(figure: Figure, pose: Pose, camera: Camera, background: np.ndarray | None = None, **options):
    """As `render_figures` for one figure: frame, keypoints (18, 3), visible (18,), alpha (H, W)."""
    frame, keypoints, visible, alpha = render_figures([(figure, pose)], camera, background, **options)
    return frame, keypoints[0], visible[0], alpha
