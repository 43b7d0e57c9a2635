"""Closed triangle meshes from blended analytic primitives, in the rest position of a figure.

A primitive is a loft: elliptical cross-sections along a segment, with rounded or flat ends. Distances to the lofts of
one group are blended with a soft minimum, so that neighbouring parts flow into each other, and the zero level is
extracted with naive surface nets (Gibson 1998). Units are metres throughout.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

FAR = 1e3


@dataclass(frozen=True)
class Loft:
    """Elliptical tube from `start` to `end`.

    sections: rows (t in [0, 1], half width, half depth, offset in depth), interpolated linearly over a smooth
    parameter. side: the direction in which the width is measured; depth is perpendicular to it and to the axis. caps:
    lengths of the half ellipsoids that close the two ends; small ones give flat ends. bones: rows (t, bone) or (t,
    (right bone, left bone)): which bones move the tube at t. axis: direction of the axis, needed only when start == end
    (an ellipsoid).
    """

    start: np.ndarray
    end: np.ndarray
    sections: np.ndarray
    bones: tuple
    caps: tuple[float, float] = (0.01, 0.01)
    side: tuple[float, float, float] = (1.0, 0.0, 0.0)
    axis: tuple[float, float, float] = (0.0, 1.0, 0.0)

    def frame(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """Unit vectors along the axis, the width and the depth, and the length."""
        delta = np.subtract(self.end, self.start)
        length = float(np.linalg.norm(delta))
        along = delta / length if length > 1e-6 else np.asarray(self.axis, float)
        depth = np.cross(self.side, along)
        depth /= np.linalg.norm(depth)
        return along, np.cross(along, depth), depth, length

    def reach(self) -> float:
        """No point of the surface lies farther than this from the segment."""
        return float(max(self.sections[:, 1:3].max() + np.abs(self.sections[:, 3]).max(), *self.caps))

    def coordinates(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Position along the axis in [0, 1] (not clamped), across the width, across the depth."""
        along, width, depth, length = self.frame()
        relative = points - np.asarray(self.start)
        return relative @ along / max(length, 1e-6), relative @ width, relative @ depth

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Approximate signed distance of points (..., 3), negative inside."""
        length = self.frame()[3]
        t, u, v = self.coordinates(points)
        clamped = np.clip(t, 0.0, 1.0)
        excess = (t - clamped) * max(length, 1e-6)
        knots = self.sections[:, 0]
        half_u, half_v, offset = (np.interp(clamped, knots, self.sections[:, i]) for i in (1, 2, 3))
        half_e = np.where(t < 0.5, self.caps[0], self.caps[1])
        v = v - offset
        # distance to an ellipse or ellipsoid to first order: k0 (k0 - 1) / k1 with k0 = |p / r|, k1 = |p / r^2|
        across, slope = (u / half_u) ** 2 + (v / half_v) ** 2, (u / half_u**2) ** 2 + (v / half_v**2) ** 2
        k0 = np.sqrt(across + (excess / half_e) ** 2)
        k1 = np.sqrt(slope + (excess / half_e**2) ** 2)
        smallest = np.minimum(half_u, half_v)
        rounded = np.where(k1 > 1e-6, k0 * (k0 - 1.0) / np.maximum(k1, 1e-6), -smallest)
        if min(self.caps) > 0.5 * smallest.min():
            return rounded
        # a flat end is a cylinder whose edge is rounded by half_e
        k0, k1 = np.sqrt(across), np.sqrt(slope)
        side = np.where(k1 > 1e-6, k0 * (k0 - 1.0) / np.maximum(k1, 1e-6), -smallest) + half_e
        end = (np.abs(t - 0.5) - 0.5) * length
        flat = np.minimum(np.maximum(side, end), 0) + np.hypot(np.maximum(side, 0), np.maximum(end, 0)) - half_e
        return np.where(half_e > 0.5 * smallest, rounded, flat)

    def bone_weights(self, points: np.ndarray, bone_count: int) -> np.ndarray:
        """Weights (V, bone_count) by position along and across the tube, rows sum to 1."""
        t, u, _ = self.coordinates(points)
        knots = np.array([knot for knot, _ in self.bones], float)
        weights = np.zeros((len(points), bone_count))
        for i, (_, bone) in enumerate(self.bones):
            share = np.interp(t, knots, np.eye(len(knots))[i])
            if isinstance(bone, tuple):
                left = 1.0 / (1.0 + np.exp(-u / 0.025))
                weights[:, bone[0]] += share * (1 - left)
                weights[:, bone[1]] += share * left
            else:
                weights[:, bone] += share
        return weights


def ellipsoid(centre: Sequence[float], radii: Sequence[float], bone: int) -> Loft:
    """Axis-aligned ellipsoid; radii along x, y, z."""
    section = np.array([[0.0, radii[0], radii[2], 0.0]])
    return Loft(np.asarray(centre, float), np.asarray(centre, float), section, ((0.0, bone),), (radii[1], radii[1]))


def tube(
    start: np.ndarray, end: np.ndarray, radii: Sequence, bone: int, cap: float | None = None, flat: float = 1.0
) -> Loft:
    """Round tube with radii at equal distances (or rows (t, radius)); `flat` scales the depth."""
    rows = np.asarray(radii, float)
    if rows.ndim == 1:
        rows = np.stack([np.linspace(0, 1, len(rows)), rows], 1)
    sections = np.stack([rows[:, 0], rows[:, 1], rows[:, 1] * flat, 0 * rows[:, 0]], 1)
    direction = np.subtract(end, start)
    side = (1.0, 0.0, 0.0) if abs(direction[0]) < 0.9 * np.linalg.norm(direction) else (0.0, 1.0, 0.0)
    caps = (cap, cap) if cap is not None else (rows[0, 1], rows[-1, 1])
    return Loft(np.asarray(start, float), np.asarray(end, float), sections, ((0.0, bone),), caps, side)


@dataclass
class Mesh:
    """vertices (V, 3) metres, normals (V, 3), weights (V, bones), faces (F, 3), occlusion (V,), 1 = open sky."""

    vertices: np.ndarray
    normals: np.ndarray
    weights: np.ndarray
    faces: np.ndarray
    occlusion: np.ndarray


def blend(
    lofts: Sequence[Loft], step: float, softness: float, carve: Sequence[tuple] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Soft union of the lofts on a grid.

    carve: half spaces (normal, offset); points with normal . p > offset are cut away.
    Returns the field (nx, ny, nz), negative inside, and the position of its first sample (3,).
    """
    margin = 4 * softness + 2 * step
    lows = [np.minimum(p.start, p.end) - p.reach() - margin for p in lofts]
    highs = [np.maximum(p.start, p.end) + p.reach() + margin for p in lofts]
    origin = np.floor(np.min(lows, axis=0) / step) * step
    shape = np.ceil((np.max(highs, axis=0) - origin) / step).astype(int) + 1
    axes = [origin[i] + step * np.arange(shape[i]) for i in range(3)]
    total = np.full(shape, 1e-12)
    for loft, low, high in zip(lofts, lows, highs, strict=True):
        first = np.maximum(np.floor((low - origin) / step).astype(int), 0)
        last = np.minimum(np.ceil((high - origin) / step).astype(int) + 1, shape)
        box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        points = np.stack(np.meshgrid(*(axis[s] for axis, s in zip(axes, box, strict=True)), indexing="ij"), -1)
        total[box] += np.exp(np.clip(-loft.distance(points) / softness, -40.0, 40.0))
    field = -softness * np.log(total)
    for normal, offset in carve:
        normal = np.asarray(normal, float)
        plane = sum(np.reshape(normal[i] * axes[i], [-1 if j == i else 1 for j in range(3)]) for i in range(3)) - offset
        field = 0.5 * (field + plane + np.sqrt((field - plane) ** 2 + step**2))  # a maximum with a rounded edge
    return field, origin


def surface_nets(field: np.ndarray, origin: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and triangles (F, 3) of the zero level, counter-clockwise seen from outside."""
    inside = field < 0
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    size = np.array(field.shape) - 1
    count = sum(inside[i : i + size[0], j : j + size[1], k : k + size[2]].astype(np.int8) for i, j, k in corners)
    cells = np.argwhere((count > 0) & (count < 8))
    index = np.full(size, -1)
    index[tuple(cells.T)] = np.arange(len(cells))
    values = np.stack([field[tuple((cells + c).T)] for c in corners], 1)
    edges = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(corners[a] - corners[b]).sum() == 1]
    position = np.zeros((len(cells), 3))
    crossings = np.zeros(len(cells))
    for a, b in edges:
        crossed = (values[:, a] < 0) != (values[:, b] < 0)
        t = values[crossed, a] / (values[crossed, a] - values[crossed, b])
        position[crossed] += corners[a] + t[:, None] * (corners[b] - corners[a])
        crossings[crossed] += 1
    vertices = origin + step * (cells + position / crossings[:, None])
    quads = []
    for axis in range(3):
        other, third = (axis + 1) % 3, (axis + 2) % 3
        here = [slice(1, -1)] * 3
        here[axis] = slice(0, -1)
        there = list(here)
        there[axis] = slice(1, None)
        start, stop = inside[tuple(here)], inside[tuple(there)]
        shift = np.ones(3, int)
        shift[axis] = 0
        found = np.argwhere(start != stop) + shift
        outward = inside[tuple(found.T)]
        around = []
        for du, dv in ((-1, -1), (0, -1), (0, 0), (-1, 0)):
            cell = found.copy()
            cell[:, other] += du
            cell[:, third] += dv
            around.append(index[tuple(cell.T)])
        quad = np.stack(around, 1)
        quads.append(np.where(outward[:, None], quad, quad[:, ::-1]))
    quads = np.concatenate(quads)
    return vertices, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def sample_field(field: np.ndarray, origin: np.ndarray, step: float, points: np.ndarray) -> np.ndarray:
    """Trilinear values of the field at points (V, 3)."""
    return ndimage.map_coordinates(field, ((points - origin) / step).T, order=1, mode="nearest")


def build(
    lofts: Sequence[Loft],
    bone_count: int,
    step: float,
    softness: float = 0.008,
    carve: Sequence[tuple] = (),
    skin_softness: float = 0.018,
    displace=None,
) -> Mesh:
    """Mesh of the soft union of lofts, with skinning weights from the distances to the lofts.

    displace: optional function points (V, 3) -> (V,) metres to move the surface outwards (folds of cloth, strands of
    hair).
    """
    field, origin = blend(lofts, step, softness, carve)
    vertices, faces = surface_nets(field, origin, step)

    def gradient(points: np.ndarray) -> np.ndarray:
        offsets = np.eye(3) * step
        slope = [
            sample_field(field, origin, step, points + o) - sample_field(field, origin, step, points - o)
            for o in offsets
        ]
        slope = np.stack(slope, 1)
        return slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9)

    normals = gradient(vertices)
    if displace is not None:
        vertices = vertices + normals * displace(vertices)[:, None]
        edges = [vertices[faces[:, i]] - vertices[faces[:, 0]] for i in (1, 2)]
        flat = np.cross(*edges)
        normals = np.stack(
            [np.bincount(faces.ravel(), np.repeat(flat[:, i], 3), len(vertices)) for i in range(3)], axis=1
        )
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    distances = np.stack([loft.distance(vertices) for loft in lofts], 1)
    share = np.exp(-np.clip(distances - distances.min(1, keepdims=True), 0, 0.4) / skin_softness)
    weights = sum(share[:, i, None] * loft.bone_weights(vertices, bone_count) for i, loft in enumerate(lofts))
    weights /= weights.sum(1, keepdims=True)
    # how open the surface is: how fast the distance grows along the normal
    reach = 0.05
    opening = np.zeros(len(vertices))
    for part in (0.5, 1.0):
        opening += (
            np.clip(sample_field(field, origin, step, vertices + part * reach * normals) / (part * reach), 0, 1) / 2
        )
    return Mesh(vertices, normals, weights, faces, 0.35 + 0.65 * opening)
