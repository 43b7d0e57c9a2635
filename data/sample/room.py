"""Rooms: floor, three walls, pictures, windows and furniture, lit once for a camera that does not move."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from data.sample.figure import Figure
from data.sample.mesh import Loft, build, ellipsoid, tube
from data.sample.pose import BONE, Pose, forward
from data.sample.renderer import (
    Camera,
    Layer,
    Light,
    downsample,
    from_linear,
    interpolate,
    lit,
    project,
    rasterize,
    render_layer,
    shadow_map,
    soft_shadow,
    to_linear,
    visibility,
)

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Panel:
    """A flat thing on the back wall; kind is picture, poster, window, door or shelf. Centre and size in metres."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    colours: tuple[Colour, ...] = ((0.9, 0.9, 0.88), (0.8, 0.4, 0.3), (0.2, 0.3, 0.5))


@dataclass(frozen=True)
class Prop:
    """A thing that stands on the floor at (x, z) metres; kind is plant, lamp, speaker, sofa, stool or box."""

    kind: str
    x: float
    z: float
    size: float = 1.0
    colour: Colour = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Room:
    """Colours sRGB in [0, 1], lengths metres. The back wall is at z = -back, side walls at x = -left and right."""

    back: float = 2.2
    left: float = 3.4
    right: float = 3.4
    height: float = 2.9
    floor: str = "boards"  # boards, tiles, herringbone or carpet
    floor_colours: tuple[Colour, Colour] = ((0.68, 0.50, 0.34), (0.58, 0.41, 0.27))
    tile: float = 0.14
    wall: str = "plain"  # plain, bricks, two-tone or slats
    wall_colours: tuple[Colour, Colour] = ((0.80, 0.78, 0.72), (0.70, 0.72, 0.66))
    skirting: Colour = (0.93, 0.92, 0.89)
    panels: tuple[Panel, ...] = ()
    props: tuple[Prop, ...] = ()
    rug: tuple[float, float, float, float] | None = None  # centre x, centre z, half width, half depth
    rug_colours: tuple[Colour, Colour] = ((0.6, 0.25, 0.2), (0.85, 0.78, 0.65))
    light: Light = field(default_factory=Light)
    pool: float = 0.5  # how much the key light falls off away from the middle of the room


@dataclass(frozen=True)
class Backdrop:
    """A room as one camera sees it.

    linear (H, W, 3): lit, linear; points (H, W, 3): what each pixel shows, metres; key_share (H, W): share of the
    light that comes from the key light and that a person can take away; floor (H, W) bool.
    """

    linear: np.ndarray
    points: np.ndarray
    key_share: np.ndarray
    floor: np.ndarray
    light: Light


def _hash(*cells: np.ndarray) -> np.ndarray:
    """Pseudo-random numbers in [0, 1) of integer cells."""
    value = np.zeros(np.shape(cells[0]))
    for i, cell in enumerate(cells):
        value = value + np.asarray(cell) * (12.9898, 78.233, 37.719)[i]
    return (np.sin(value) * 43758.5453) % 1.0


def _noise(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Smooth value noise in [-1, 1]."""
    i, j = np.floor(x), np.floor(y)
    u, v = x - i, y - j
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    low = _hash(i, j) * (1 - u) + _hash(i + 1, j) * u
    high = _hash(i, j + 1) * (1 - u) + _hash(i + 1, j + 1) * u
    return 2 * (low * (1 - v) + high * v) - 1


def _floor(room: Room, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    first, second = (to_linear(c) for c in room.floor_colours)
    if room.floor == "boards":
        row = np.floor(z / room.tile)
        along = x + 1.7 * _hash(row, 0 * row + 3)
        board = np.floor(along / 1.6)
        tone = _hash(row, board)
        grain = 0.10 * _noise(along * 3.0 + 17 * tone, z * 70) + 0.05 * _noise(along * 12 + 5 * row, z * 160)
        colour = first + (second - first) * tone[..., None]
        gap = (z / room.tile % 1 < 0.035) | (along / 1.6 % 1 < 0.004)
        return colour * (1 + grain)[..., None] * np.where(gap, 0.45, 1.0)[..., None]
    if room.floor == "tiles":
        i, j = np.floor(x / room.tile), np.floor(z / room.tile)
        u, v = x / room.tile % 1, z / room.tile % 1
        joint = (u < 0.025) | (v < 0.025)
        odd = ((i + j) % 2)[..., None]
        colour = first * (1 - odd) + second * odd
        colour = colour * (0.94 + 0.12 * _hash(i, j) + 0.03 * _noise(x * 9, z * 9))[..., None]
        return np.where(joint[..., None], 0.7 * colour + 0.05, colour)
    if room.floor == "herringbone":
        u, v = (x + z) * np.sqrt(0.5) / room.tile, (x - z) * np.sqrt(0.5) / room.tile
        cell = np.floor(u) + np.floor(v)
        flip = (np.floor(cell / 3) % 2).astype(bool)
        tone = np.where(flip, _hash(np.floor(u), np.floor(v / 3)), _hash(np.floor(u / 3), np.floor(v) + 7))
        edge = np.where(flip, u % 1, v % 1) < 0.05
        colour = first + (second - first) * tone[..., None]
        return colour * np.where(edge, 0.6, 1.0)[..., None]
    return first * (1 + 0.06 * _noise(x * 60, z * 60) + 0.05 * _noise(x * 4, z * 4))[..., None]


def _wall(room: Room, u: np.ndarray, y: np.ndarray) -> np.ndarray:
    first, second = (to_linear(c) for c in room.wall_colours)
    plaster = (1 + 0.015 * _noise(u * 6, y * 6) + 0.012 * _noise(u * 45, y * 45))[..., None]
    if room.wall == "bricks":
        row = np.floor(y / 0.085)
        along = u / 0.25 + 0.5 * (row % 2)
        joint = (y / 0.085 % 1 < 0.14) | (along % 1 < 0.045)
        tone = _hash(np.floor(along), row)
        colour = first * (0.82 + 0.32 * tone)[..., None] * (1 + 0.06 * _noise(u * 30, y * 30))[..., None]
        return np.where(joint[..., None], second, colour)
    if room.wall == "two-tone":
        colour = np.where((y > 1.02)[..., None], first, second)
        rail = np.abs(y - 1.02) < 0.03
        return np.where(rail[..., None], to_linear(room.skirting), colour) * plaster
    if room.wall == "slats":
        groove = u / 0.16 % 1 < 0.06
        return np.where(groove[..., None], second, first) * plaster
    return (first + (second - first) * np.clip(1 - y / 2.8, 0, 1)[..., None]) * plaster


def _panel(panel: Panel, u: np.ndarray, y: np.ndarray, colour: np.ndarray, glow: np.ndarray) -> None:
    """Paint one panel into the colours of the back wall, in place; glow is light of its own."""
    a, b = (u - panel.x) / panel.width, (y - panel.y) / panel.height  # within [-0.5, 0.5]
    inside = (np.abs(a) < 0.5) & (np.abs(b) < 0.5)
    inks = [to_linear(c) for c in panel.colours]
    frame = 0.035
    inner = (np.abs(u - panel.x) < panel.width / 2 - frame) & (np.abs(y - panel.y) < panel.height / 2 - frame)
    shade = np.exp(
        -np.maximum(np.maximum(np.abs(a) - 0.5, 0) * panel.width, np.maximum(np.abs(b) - 0.5, 0) * panel.height) / 0.025
    )
    colour *= (1 - 0.35 * shade * ~inside)[..., None]  # it stands off the wall a little

    def put(mask: np.ndarray, ink) -> None:
        colour[mask] = ink

    put(inside, inks[0])
    if panel.kind == "window":
        sky = np.clip(b + 0.5, 0, 1)[..., None]
        view = np.array([0.75, 0.86, 1.0]) * sky + np.array([0.95, 0.90, 0.80]) * (1 - sky)
        hills = b < -0.18 + 0.05 * np.sin(9 * a + 1) + 0.03 * np.sin(23 * a)
        view = np.where(hills[..., None], np.array([0.25, 0.38, 0.22]), view)
        bars = (np.abs(a) < 0.03 / panel.width) | (np.abs(b - 0.08) < 0.02 / panel.height)
        pane = inner & ~bars
        put(pane, (0.0, 0.0, 0.0))
        glow[pane] = 0.75 * view[pane]
        return
    if panel.kind == "door":
        for low, high in ((-0.42, -0.02), (0.06, 0.42)):
            field = (np.abs(a) < 0.33) & (b > low) & (b < high)
            edge = field & ~((np.abs(a) < 0.31) & (b > low + 0.012) & (b < high - 0.012))
            put(edge, inks[0] * 0.55)
        put(np.hypot(u - panel.x - 0.39 * panel.width, y - panel.y + 0.02) < 0.03, (0.35, 0.28, 0.15))
        return
    if panel.kind == "shelf":
        board = np.abs(b + 0.5) * panel.height < 0.05
        put(inside & ~board, colour[inside & ~board] * 0 + inks[0] * 0.4)
        slot = np.floor(a * 14)
        tall = 0.25 + 0.6 * _hash(slot, slot * 0 + 5)
        book = inside & (b + 0.5 < tall) & (_hash(slot, slot * 0 + 9) > 0.15)
        tone = (_hash(slot, slot * 0 + 2) * len(inks)).astype(int)
        for i, ink in enumerate(inks):
            put(book & (tone == i), ink)
        return
    put(inner, inks[1] * 0.9)
    if panel.kind == "picture":  # a landscape of a few flat shapes
        put(inner & (b < 0.10 + 0.10 * np.sin(5 * a + 0.5)), inks[2])
        put(inner & (b < -0.12 + 0.06 * np.sin(8 * a + 2)), 0.5 * inks[2] + 0.1 * inks[0])
        put(
            inner
            & (np.hypot(u - panel.x - 0.18 * panel.width, y - panel.y - 0.24 * panel.height) < 0.09 * panel.width),
            inks[0],
        )
    else:  # a poster: stripes and a disc
        put(inner & ((a + b) * 6 % 1 < 0.5) & (b < 0), inks[2])
        put(inner & (np.hypot(u - panel.x, y - panel.y - 0.15 * panel.height) < 0.28 * panel.width), inks[2])
        put(inner & (np.hypot(u - panel.x, y - panel.y - 0.15 * panel.height) < 0.17 * panel.width), inks[0])


def _prop_lofts(prop: Prop) -> list[tuple[list[Loft], Colour, float]]:
    """Groups of lofts with their colour and grid step."""
    s = prop.size
    at = np.array([prop.x, 0.0, prop.z])

    def t(a, b, radii, cap=None, flat=1.0) -> Loft:
        return tube(at + s * np.array(a), at + s * np.array(b), s * np.array(radii), 0, cap, flat)

    def e(centre, radii) -> Loft:
        return ellipsoid(at + s * np.array(centre), s * np.array(radii), 0)

    if prop.kind == "plant":
        leaves = []
        for i in range(13):
            angle, rise = 2.4 * i, 0.55 + 0.055 * i
            out = np.array([np.cos(angle), 0.0, np.sin(angle)])
            tip = 0.30 * out * (1 - 0.02 * i) + [0, rise + 0.18, 0]
            middle = 0.20 * out + [0, rise + 0.12, 0]
            leaves += [
                t((0, 0.35, 0), middle, (0.008, 0.02)),
                t(middle, tip - [0, 0.10, 0], (0.026, 0.075, 0.065, 0.010), None, 0.35),
            ]
        pot = t((0, 0.02, 0), (0, 0.36, 0), (0.13, 0.18), 0.01)
        return [(leaves, (0.16, 0.36, 0.17), 0.016), ([pot], prop.colour, 0.02)]
    if prop.kind == "lamp":
        stand = [t((0, 0.01, 0), (0, 0.03, 0), (0.15, 0.15), 0.01), t((0, 0, 0), (0, 1.45, 0), (0.014, 0.014), 0.01)]
        return [
            (stand, (0.15, 0.13, 0.12), 0.012),
            ([t((0, 1.36, 0), (0, 1.66, 0), (0.21, 0.14), 0.01)], prop.colour, 0.02),
        ]
    if prop.kind == "speaker":
        cones = [
            t((0, y, 0.165), (0, y, 0.185), (r, r), 0.006) for y, r in ((0.30, 0.12), (0.62, 0.085), (0.82, 0.045))
        ]
        return [
            ([_slab(at, s, (-0.18, 0, -0.16), (0.18, 0.95, 0.16))], prop.colour, 0.02),
            (cones, (0.32, 0.32, 0.34), 0.014),
        ]
    if prop.kind == "sofa":
        parts = [
            _slab(at, s, (-0.85, 0.10, -0.38), (0.85, 0.42, 0.36)),
            _slab(at, s, (-0.85, 0.30, -0.45), (0.85, 0.86, -0.26)),
            _slab(at, s, (-1.0, 0.08, -0.42), (-0.80, 0.62, 0.36)),
            _slab(at, s, (0.80, 0.08, -0.42), (1.0, 0.62, 0.36)),
        ]  # fmt: skip
        pillows = [e((sx * 0.45, 0.56, -0.14), (0.20, 0.17, 0.09)) for sx in (-1, 1)]
        return [(parts, prop.colour, 0.03), (pillows, tuple(np.clip(np.array(prop.colour) * 0.5 + 0.45, 0, 1)), 0.025)]
    if prop.kind == "stool":
        legs = [
            t((x, 0, z), (0.7 * x, 0.44, 0.7 * z), (0.016, 0.018), 0.01) for x in (-0.16, 0.16) for z in (-0.16, 0.16)
        ]
        return [([*legs, t((0, 0.44, 0), (0, 0.48, 0), (0.19, 0.19), 0.01)], prop.colour, 0.014)]
    return [([_slab(at, s, (-0.3, 0, -0.25), (0.3, 0.5, 0.25))], prop.colour, 0.025)]


def _slab(at: np.ndarray, s: float, low, high) -> Loft:
    """A box with rounded edges between two corners relative to `at`, scaled by s."""
    low, high = np.array(low, float) * s, np.array(high, float) * s
    half = (high - low) / 2
    middle = (high + low) / 2 + at
    start, end = middle.copy(), middle.copy()
    start[0] -= half[0]
    end[0] += half[0]
    rows = np.array([[0.0, half[1], half[2], 0.0], [1.0, half[1], half[2], 0.0]])
    return _Box(start, end, rows, ((0.0, 0),), (0.02, 0.02), (0.0, 1.0, 0.0))


class _Box(Loft):
    """A loft with a rectangular section."""

    def distance(self, points: np.ndarray) -> np.ndarray:
        length = self.frame()[3]
        t, u, v = self.coordinates(points)
        half = np.array([length / 2, self.sections[0, 1], self.sections[0, 2]]) - 0.02
        q = np.abs(np.stack([(t - 0.5) * length, u, v], -1)) - half
        return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(-1), 0) - 0.02


@dataclass
class _Seen:
    """What the pixels of an empty room show.

    points, normals, albedo, glow (H, W, 3): glow is light of its own; surface (H, W): `FLOOR` to `FURNITURE`;
    open (H, W): share of the sky's light, less in corners; depth (H, W).
    """

    points: np.ndarray
    normals: np.ndarray
    albedo: np.ndarray
    glow: np.ndarray
    surface: np.ndarray
    open: np.ndarray
    depth: np.ndarray


FLOOR, BACK, LEFT, RIGHT, CEILING, FURNITURE = 0, 1, 2, 3, 4, 9


@lru_cache(maxsize=8)
def backdrop(room: Room, camera: Camera, supersample: int = 3) -> Backdrop:
    """Render the empty room for a camera (about two seconds; cached)."""
    seen = _walls(room, camera, supersample)
    _paint(room, seen)
    shadows = _furnish(room, camera, seen, supersample)
    key, ambient = _illuminate(room, seen, shadows)
    linear = seen.albedo * (ambient + key) + seen.glow
    share = key.mean(-1) / np.maximum((key + ambient).mean(-1), 1e-6) * (seen.glow.max(-1) == 0)

    def small(image: np.ndarray) -> np.ndarray:
        return downsample(image.astype(np.float32), supersample)

    middle = supersample // 2
    return Backdrop(
        linear=small(linear),
        points=seen.points[middle::supersample, middle::supersample].astype(np.float32),
        key_share=small(share),
        floor=(seen.surface == FLOOR)[middle::supersample, middle::supersample],
        light=room.light,
    )


def _walls(room: Room, camera: Camera, supersample: int) -> _Seen:
    """Floor, walls and ceiling, without colours."""
    rays = camera.rays(supersample)
    eye = np.asarray(camera.position, float)
    h, w = rays.shape[:2]
    tiny = 1e-9
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.stack(
            [
                np.where(rays[..., 1] < -tiny, -eye[1] / rays[..., 1], np.inf),
                np.where(rays[..., 2] < -tiny, (-room.back - eye[2]) / rays[..., 2], np.inf),
                np.where(rays[..., 0] < -tiny, (-room.left - eye[0]) / rays[..., 0], np.inf),
                np.where(rays[..., 0] > tiny, (room.right - eye[0]) / rays[..., 0], np.inf),
                np.where(rays[..., 1] > tiny, (room.height - eye[1]) / rays[..., 1], np.inf),
            ]
        )
    surface, depth = reach.argmin(0), reach.min(0)
    points = eye + rays * depth[..., None]
    x, y, z = np.moveaxis(points, -1, 0)
    normals = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0], [-1, 0, 0], [0, -1, 0]], float)[surface]
    corner = np.ones((h, w))
    for i, gap in enumerate((y, z + room.back, x + room.left, room.right - x)):
        corner *= np.where(surface == i, 1.0, 1 - 0.33 * np.exp(-np.maximum(gap, 0) / 0.28))
    return _Seen(points, normals, np.zeros((h, w, 3)), np.zeros((h, w, 3)), surface, corner, depth)


def _paint(room: Room, seen: _Seen) -> None:
    """Colours of floor, rug, walls and what hangs there, in place."""
    albedo, surface = seen.albedo, seen.surface
    x, y, z = np.moveaxis(seen.points, -1, 0)
    on = surface == FLOOR
    albedo[on] = _floor(room, x[on], z[on])
    if room.rug:
        cx, cz, half_x, half_z = room.rug
        a, b = np.abs(x - cx) / half_x, np.abs(z - cz) / half_z
        rug = on & (a < 1) & (b < 1)
        edge = np.minimum((1 - a) * half_x, (1 - b) * half_z)
        first, second = (to_linear(c) for c in room.rug_colours)
        mix = ((edge < 0.10) & (edge > 0.06)) | (
            (np.abs((x - cx) / 0.32 % 1 - 0.5) + np.abs((z - cz) / 0.32 % 1 - 0.5)) < 0.22
        )
        weave = (1 + 0.07 * _noise(x * 90, z * 90))[..., None]
        albedo[:] = np.where(rug[..., None], np.where(mix[..., None], second, first) * weave, albedo)
    back = surface == BACK
    colour, shine = _wall(room, x[back], y[back])[None], np.zeros((1, int(back.sum()), 3))
    for panel in room.panels:
        _panel(panel, x[back][None], y[back][None], colour, shine)
    albedo[back], seen.glow[back] = colour[0], shine[0]
    for index in (LEFT, RIGHT):
        on = surface == index
        albedo[on] = _wall(room, z[on], y[on])
    walls = (surface >= BACK) & (surface <= RIGHT)
    doors = [p for p in room.panels if p.kind == "door"]
    free = ~np.any([back & (np.abs(x - p.x) < p.width / 2) for p in doors], axis=0) if doors else walls
    board = walls & (y < 0.11) & free
    albedo[board] = to_linear(room.skirting) * 0.95
    albedo[walls & (y < 0.118) & (y > 0.108) & free] *= 0.6
    albedo[surface == CEILING] = (0.8, 0.8, 0.78)


def _furnish(room: Room, camera: Camera, seen: _Seen, supersample: int) -> tuple | None:
    """Put the furniture in, in place; returns its shadows, see `shadow_map`, or None without any."""
    meshes = [(build(lofts, 1, step, 0.006), c) for prop in room.props for lofts, c, step in _prop_lofts(prop)]
    if not meshes:
        return None
    offsets = np.cumsum([0] + [len(m.vertices) for m, _ in meshes])
    vertices = np.concatenate([m.vertices for m, _ in meshes]).astype(np.float32)
    faces = np.concatenate([m.faces + o for (m, _), o in zip(meshes, offsets, strict=False)])
    vertex_normals = np.concatenate([m.normals for m, _ in meshes])
    occlusion = np.concatenate([m.occlusion for m, _ in meshes])
    paint = np.concatenate([np.tile(to_linear(c), (len(m.vertices), 1)) for m, c in meshes])
    screen = camera.project(vertices).astype(np.float32)
    screen[:, :2] = (screen[:, :2] + 0.5) * supersample - 0.5
    h, w = seen.depth.shape
    pixels, hit, weights, depth = rasterize(screen, faces, w, h)
    nearer = depth < seen.depth.ravel()[pixels]
    pixels, hit, weights = pixels[nearer], hit[nearer], weights[nearer]

    def spread(values: np.ndarray) -> np.ndarray:
        return interpolate(values, faces[hit], weights)

    for image, values in ((seen.points, vertices), (seen.normals, vertex_normals), (seen.albedo, paint)):
        image.reshape(-1, 3)[pixels] = spread(values)
    seen.open.ravel()[pixels] = spread(occlusion[:, None])[:, 0]
    seen.surface.ravel()[pixels] = FURNITURE
    seen.glow.reshape(-1, 3)[pixels] = 0
    seen.normals /= np.linalg.norm(seen.normals, axis=-1, keepdims=True)
    return shadow_map(vertices, faces, np.asarray(room.light.direction, float), 0.02)


def _illuminate(room: Room, seen: _Seen, shadows: tuple | None) -> tuple[np.ndarray, np.ndarray]:
    """Key light and ambient light of every pixel (H, W, 3); lamps also glow, in place."""
    light, points, normals, surface = room.light, seen.points, seen.normals, seen.surface
    x, _, z = np.moveaxis(points, -1, 0)
    towards = np.asarray(light.direction, float) / np.linalg.norm(light.direction)
    facing = np.clip(normals @ towards, 0, None)
    distance = np.linalg.norm((points - [0, 0.6, 0.2]) / [2.6, 2.2, 2.4], axis=-1)
    reach = (1 - room.pool) + room.pool * np.exp(-0.5 * distance**2)
    open_to_key, corner = np.ones(surface.shape), seen.open
    if shadows is not None:
        flat = points.reshape(-1, 3).astype(np.float32)
        open_to_key = np.where(
            (surface == FURNITURE).ravel(),
            lit(shadows, flat + 0.03 * normals.reshape(-1, 3).astype(np.float32)),
            1 - soft_shadow(shadows, flat),
        ).reshape(surface.shape)
        for prop in room.props:  # contact darkening under the furniture
            gap = np.hypot(x - prop.x, z - prop.z)
            corner = corner * np.where(surface == FLOOR, 1 - 0.45 * np.exp(-((gap / (0.45 * prop.size)) ** 2)), 1.0)
    up = 0.5 + 0.5 * normals[..., 1:2]
    ambient = (np.array(light.sky) * up + np.array(light.ground) * (1 - up)) * corner[..., None]
    ambient = ambient * (0.75 + 0.25 * reach[..., None])
    key = np.array(light.key) * (facing * reach * open_to_key)[..., None] * 0.62
    for prop in room.props:
        if prop.kind == "lamp":
            bulb = np.array([prop.x, 1.5 * prop.size, prop.z])
            offset = bulb - points
            squared = (offset**2).sum(-1)
            warm = to_linear(prop.colour) * [1.0, 0.85, 0.6]
            cosine = np.clip((normals * offset).sum(-1) / np.sqrt(squared), 0, None)
            shade = (surface == FURNITURE) & (np.abs(points - bulb) < 0.27 * prop.size).all(-1)
            ambient = ambient + (0.22 * cosine / (squared + 0.12) * ~shade)[..., None] * warm
            seen.glow += 0.55 * shade[..., None] * warm
    return key, ambient


def shade_backdrop(backdrop: Backdrop, layer: Layer, people: Sequence[tuple[Figure, Pose]]) -> np.ndarray:
    """The room (H, W, 3), linear, with the shadows of people and the darkening where they touch the floor."""
    linear = backdrop.linear.copy()
    image, axes, origin, texel = layer.shadow
    local = backdrop.points.reshape(-1, 3) @ axes[:2].T.astype(np.float32)
    margin = 20 * texel
    span = np.array(image.shape[::-1]) * texel
    near = np.flatnonzero(((local > origin - margin) & (local < origin + span + margin)).all(1))
    dim = 1 - soft_shadow(layer.shadow, backdrop.points.reshape(-1, 3)[near]) * backdrop.key_share.ravel()[near]

    bones = [BONE[f"{side}_{name}"] for side in ("left", "right") for name in ("foot", "toes", "shin", "thigh")]
    radii = (0.075, 0.07, 0.09, 0.13) * 2
    balls = [
        (joint, radius * figure.body.height / 1.75)
        for figure, pose in people
        for joint, radius in zip(forward(figure.joints, pose)[1][bones], radii, strict=True)
    ]
    middle = np.mean([ball[0] for ball in balls], axis=0)
    flat = backdrop.points.reshape(-1, 3)
    around = np.flatnonzero(
        backdrop.floor.ravel() & (np.abs(flat[:, 0] - middle[0]) < 1.3) & (np.abs(flat[:, 2] - middle[2]) < 1.3)
    )
    open_sky = np.ones(len(around), np.float32)
    for centre, radius in balls:  # occlusion of a plane by a sphere: (r / d)^2 cos
        delta = centre.astype(np.float32) - flat[around]
        squared = np.maximum((delta**2).sum(1), radius**2)
        open_sky *= 1 - 0.8 * radius**2 * np.clip(delta[:, 1], 0, None) / squared**1.5
    flat_linear = linear.reshape(-1, 3)
    flat_linear[near] *= dim[:, None]
    flat_linear[around] *= open_sky[:, None]
    return linear


def render_frame(
    people: Sequence[tuple[Figure, Pose]], camera: Camera, room: Room, supersample: int = 2
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """People in a room.

    Returns frame uint8 RGB (H, W, 3), keypoints (P, 18, 3) float32 (x, y in pixels, confidence 1), visible (P, 18)
    bool.
    """
    behind = backdrop(room, camera)
    layer = render_layer(people, camera, room.light, supersample)
    linear = shade_backdrop(behind, layer, people)
    x0, y0, x1, y1 = layer.box
    cover = downsample(layer.alpha, supersample)[..., None]
    linear[y0:y1, x0:x1] = downsample(layer.colour, supersample) + linear[y0:y1, x0:x1] * (1 - cover)
    keypoints = np.stack([project(figure, pose, camera) for figure, pose in people])
    visible = np.stack([visibility(layer, i, figure, pose, camera) for i, (figure, pose) in enumerate(people)])
    return from_linear(linear), keypoints, visible


def random_room(rng: np.random.Generator) -> Room:
    """A random room: floor, walls, pictures, furniture, light."""

    def colour(low: float, high: float, strength: float) -> Colour:
        return tuple(np.clip(rng.uniform(low, high) + rng.normal(0, strength, 3), 0.03, 0.97))

    def near(base: Colour, spread: float) -> Colour:
        return tuple(np.clip(np.array(base) * rng.uniform(1 - spread, 1 + spread), 0.03, 0.97))

    floor = str(rng.choice(["boards", "tiles", "herringbone", "carpet"]))
    wooden = floor in ("boards", "herringbone")
    ground = (
        (0.35 * np.array([1.9, 1.45, 1.0]) * rng.uniform(0.5, 1.15)).tolist() if wooden else colour(0.25, 0.75, 0.06)
    )
    wall = colour(0.45, 0.88, 0.07)
    panels = []
    spots = rng.permutation(np.linspace(-2.4, 2.4, 5))[: rng.integers(1, 5)]
    for i, x in enumerate(spots):
        inks = tuple(colour(0.1, 0.95, 0.15) for _ in range(3))
        kind = str(rng.choice(["picture", "poster", "window", "shelf"])) if i else "door"
        if kind == "door":
            panels.append(Panel(kind, float(x), 1.02, 0.9, 2.04, inks))
        else:
            panels.append(
                Panel(kind, float(x), rng.uniform(1.5, 1.8), rng.uniform(0.5, 1.1), rng.uniform(0.5, 1.1), inks)
            )
    props = []
    for x in rng.permutation([-2.4, 2.2, -1.6, 1.7])[: rng.integers(0, 4)]:
        kind = str(rng.choice(["plant", "lamp", "speaker", "sofa", "stool", "box"]))
        props.append(Prop(kind, float(x), -1.5 - rng.uniform(0, 0.2), rng.uniform(0.85, 1.15), colour(0.1, 0.9, 0.15)))
    rug = (0.0, 0.1, rng.uniform(1.0, 1.9), rng.uniform(0.8, 1.3)) if rng.random() < 0.4 else None
    warm = rng.uniform(-0.12, 0.12)
    return Room(
        back=rng.uniform(1.9, 3.0),
        left=rng.uniform(2.6, 4.0),
        right=rng.uniform(2.6, 4.0),
        floor=floor,
        floor_colours=(near(ground, 0.1), near(ground, 0.35)),
        tile=rng.uniform(0.1, 0.16) if wooden else rng.uniform(0.3, 0.6),
        wall=str(rng.choice(["plain", "bricks", "two-tone", "slats"])),
        wall_colours=(wall, near(wall, 0.3)),
        skirting=colour(0.15, 0.95, 0.02),
        panels=tuple(panels),
        props=tuple(props),
        rug=rug,
        rug_colours=(colour(0.2, 0.8, 0.12), colour(0.2, 0.9, 0.12)),
        light=Light(
            direction=(rng.uniform(-0.7, 0.7), rng.uniform(0.6, 1.0), rng.uniform(0.3, 0.8)),
            key=tuple(rng.uniform(1.4, 2.1) * np.array([1 + warm, 1.0, 1 - warm])),
            sky=tuple(rng.uniform(0.42, 0.62) * np.array([1 - warm, 1.0, 1 + warm])),
        ),
        pool=rng.uniform(0.2, 0.7),
    )


def random_camera(rng: np.random.Generator, width: int = 512, height: int = 288) -> Camera:
    """A camera that sees a dancer near the origin at 55 to 75 % of the height of the picture."""
    tall = height > width
    eye, distance = rng.uniform(0.6, 1.7), rng.uniform(3.8, 6.5)
    share = rng.uniform(0.45, 0.6) if tall else rng.uniform(0.55, 0.72)
    focal = share * height * distance / 1.75
    aim = rng.uniform(0.85, 1.05)  # height of the middle of the picture, at the dancer
    x = rng.uniform(-0.4, 0.4)
    return Camera((x, eye, distance), float(np.arctan2(eye - aim, distance)), float(x / distance), focal, width, height)


ROOM_A = Room(
    back=1.9,
    left=3.1,
    right=3.3,
    floor="boards",
    floor_colours=((0.74, 0.57, 0.40), (0.62, 0.45, 0.30)),
    wall_colours=((0.82, 0.80, 0.74), (0.74, 0.76, 0.70)),
    panels=(
        Panel("window", -1.75, 1.55, 1.15, 1.35, ((0.95, 0.94, 0.92),)),
        Panel("picture", 1.25, 1.62, 0.95, 0.68, ((0.93, 0.90, 0.84), (0.90, 0.66, 0.42), (0.20, 0.38, 0.42))),
        Panel("picture", 2.25, 1.70, 0.46, 0.60, ((0.25, 0.22, 0.20), (0.86, 0.83, 0.74), (0.72, 0.30, 0.24))),
    ),
    props=(
        Prop("plant", 2.25, -1.35, 1.05, (0.78, 0.47, 0.34)),
        Prop("sofa", -2.05, -1.30, 0.95, (0.30, 0.42, 0.47)),
    ),
    rug=(0.1, 0.1, 1.75, 1.15),
    rug_colours=((0.52, 0.58, 0.60), (0.86, 0.84, 0.78)),
    light=Light((-0.55, 0.80, 0.60), (1.95, 1.82, 1.60), (0.50, 0.54, 0.60), (0.32, 0.27, 0.22)),
    pool=0.35,
)

ROOM_B = Room(
    back=2.6,
    left=3.2,
    right=3.6,
    floor="tiles",
    floor_colours=((0.56, 0.54, 0.53), (0.40, 0.41, 0.45)),
    tile=0.45,
    wall="bricks",
    wall_colours=((0.80, 0.74, 0.67), (0.66, 0.61, 0.56)),
    skirting=(0.22, 0.22, 0.24),
    panels=(
        Panel("poster", 1.30, 1.75, 0.70, 1.00, ((0.94, 0.88, 0.72), (0.16, 0.26, 0.40), (0.90, 0.50, 0.18))),
        Panel("door", -2.35, 1.04, 0.95, 2.08, ((0.30, 0.42, 0.46),)),
        Panel("poster", -1.05, 1.85, 0.55, 0.75, ((0.20, 0.20, 0.22), (0.85, 0.82, 0.76), (0.60, 0.18, 0.30))),
    ),
    props=(
        Prop("speaker", 2.55, -1.9, 1.15, (0.10, 0.10, 0.11)),
        Prop("stool", -1.75, -1.9, 1.2, (0.72, 0.52, 0.25)),
        Prop("lamp", 2.0, -2.2, 1.05, (0.95, 0.88, 0.70)),
    ),
    light=Light((0.50, 0.85, 0.65), (2.05, 1.92, 1.85), (0.50, 0.53, 0.62), (0.30, 0.27, 0.26), rim=0.6),
    pool=0.55,
)
