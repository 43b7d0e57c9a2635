"""Cloth and long hair that hang: skirts, tails of coats, wide trousers, wide sleeves, open hair.

A sheet is a grid of points whose first rows are fastened to the body. In every pose it falls from where skinning would
put it until it hangs over the limbs: position based dynamics (Mueller et al. 2007) with long range attachments (Kim et
al. 2012), against capsules that stand for the body. Nothing here is random, and a pose gives the same cloth whatever
came before it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import make_interp_spline

from data.sample.pose import BONE, SIDES, Body

GRAVITY = 9.8
STEPS, ITERATIONS, DT, DRAG = 36, 3, 1 / 30, 0.12
FARTHEST = 0.04  # metres that a point moves in a step: less than a limb is thick, so that it cannot jump over one


@dataclass(frozen=True)
class Sheet:
    """A grid of R x C points at rest; rows run down from where it is fastened, columns run around the limb.

    part: of the figure. rest (R, C, 3) metres; weights (R, C, bones) of skinning, from which it falls; bone (R, C): the
    limb under it. closed: the last column is sewn to the first. pinned: how many rows follow the body. across: how long
    the threads around are, as a share of their length at rest. stiff: share of its length to which the cloth can be
    pushed together. obstacles: names of the capsules it meets; margin: metres that it
    keeps from limbs and head; trunk: from the naked trunk.
    """

    part: str
    rest: np.ndarray
    weights: np.ndarray
    bone: np.ndarray
    closed: bool
    pinned: int
    across: np.ndarray
    stiff: float
    obstacles: tuple[str, ...]
    margin: float = 0.0
    trunk: float = 0.0

    def fine_shape(self) -> tuple[int, int]:
        """Rows and columns of the surface that is drawn: between every two points lies another one."""
        rows, columns = self.rest.shape[:2]
        return 2 * rows - 1, 2 * columns if self.closed else 2 * columns - 1

    def refine(self, points: np.ndarray) -> np.ndarray:
        """(R, C, n) -> (fine R, fine C, n) by cubic splines."""
        down = _refinement(points.shape[0], False)
        along = _refinement(points.shape[1], self.closed)
        return np.einsum("ar,rcn,bc->abn", down, points, along, optimize=True)

    def faces(self) -> np.ndarray:
        """Triangles (F, 3) of the fine grid, counter-clockwise seen from outside."""
        rows, columns = self.fine_shape()
        index = np.arange(rows * columns).reshape(rows, columns)
        if self.closed:
            index = np.column_stack([index, index[:, 0]])
        a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
        return np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])

    def normals(self, points: np.ndarray) -> np.ndarray:
        """Unit normals (..., 3) of a fine grid (fine R, fine C, 3), outwards."""
        down = np.gradient(points, axis=0)
        if self.closed:
            around = np.roll(points, -1, 1) - np.roll(points, 1, 1)
        else:
            around = np.gradient(points, axis=1)
        normal = np.cross(down, around)
        return normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)


def _refinement(count: int, closed: bool) -> np.ndarray:
    """Matrix (fine, count) of cubic interpolation with one new point between every two."""
    if closed:
        spline = make_interp_spline(
            np.arange(count + 1), np.eye(count)[np.arange(count + 1) % count], bc_type="periodic"
        )
        return spline(np.arange(2 * count) / 2)
    return make_interp_spline(np.arange(count), np.eye(count), k=3)(np.arange(2 * count - 1) / 2)


@dataclass(frozen=True)
class Capsule:
    """A stretch of a limb at rest, metres; it moves with one bone."""

    bone: int
    start: np.ndarray
    end: np.ndarray
    radii: tuple[float, float]


def body_capsules(body: Body, joints: np.ndarray, legs: float, arms: float) -> dict[str, Capsule]:
    """The body as cloth meets it, by name; `legs`, `arms`: thickness of what is worn there, metres."""
    h, hip = body.height, body.legs * body.height
    span = 0.817 * h - hip
    depth, limbs = 0.5 + 0.5 * body.girth, h * body.girth * body.muscle
    shoulders = body.shoulders / 0.107

    def slab(bone: str, at: float, width: float, thick: float, forwards: float = 0.0) -> Capsule:
        """Lying across the trunk."""
        reach = max(width - thick, 0.0) * h
        y = hip + at * span
        ends = (np.array([s * reach, y, forwards]) for s in (-1, 1))
        return Capsule(BONE[bone], *ends, (thick * h,) * 2)

    belly = body.belly / h
    capsules = {
        "seat": slab("pelvis", -0.03, 0.096 * body.girth * body.hip_girth, 0.069 * depth, -0.010),
        "hips": slab("pelvis", 0.12, 0.094 * body.girth * body.hip_girth, 0.067 * depth + 0.4 * belly, -0.004),
        "waist": slab("waist", 0.33, 0.078 * body.girth * body.waist, 0.054 * depth + 0.5 * belly),
        "ribs": slab("chest", 0.55, 0.083 * body.girth * shoulders, 0.058 * depth),
        "chest": slab("chest", 0.75, 0.095 * body.girth * shoulders, 0.064 * depth),
        "shoulders": slab("chest", 0.92, 0.094 * body.girth * shoulders, 0.045 * depth, -0.006),
        "neck": Capsule(BONE["neck"], joints[BONE["neck"]], joints[BONE["head"]], (0.036 * h, 0.031 * h)),
    }
    if body.bust > 0:
        capsules["bust"] = slab("chest", 0.70, 0.082, 0.058 * depth + 0.4 * body.bust / h, 0.012)
    eyes = joints[BONE["head"]] + np.array([0, 0.075, 0.022]) * body.head
    s = body.head
    capsules["skull"] = Capsule(
        BONE["head"], eyes + s * np.array([0, 0.035, -0.026]), eyes + s * np.array([0, 0.03, 0.0]), (0.083 * s,) * 2
    )
    capsules["jaw"] = Capsule(
        BONE["head"],
        eyes + s * np.array([0, -0.03, -0.01]),
        eyes + s * np.array([0, -0.06, 0.03]),
        (0.068 * s, 0.055 * s),
    )
    for side, _ in SIDES:
        joint = {name: joints[BONE[f"{side}_{name}"]] for name in (
            "upper_arm", "forearm", "hand", "thigh", "shin", "foot", "toes")}  # fmt: skip
        for name, end, a, b, worn in (
            ("upper_arm", "forearm", 0.0275, 0.0235, arms),
            ("forearm", "hand", 0.0235, 0.0160, arms),
            ("thigh", "shin", 0.0470, 0.0330, legs),
            ("shin", "foot", 0.0335, 0.0215, legs),
        ):
            bone = BONE[f"{side}_{name}"]
            radii = (a * limbs + worn, b * limbs + worn)
            capsules[f"{side}_{name}"] = Capsule(bone, joint[name], joint[end], radii)
        toe = joint["toes"] + np.array([0, 0.012, 0.03]) * h / 1.75
        capsules[f"{side}_foot"] = Capsule(BONE[f"{side}_foot"], joint["foot"], toe, (0.026 * h, 0.022 * h))
        palm = joint["hand"] + 0.35 * (joint["hand"] - joint["forearm"])
        capsules[f"{side}_hand"] = Capsule(BONE[f"{side}_hand"], joint["hand"], palm, (0.022 * h, 0.024 * h))
    return capsules


def hang(
    sheet: Sheet, guess: np.ndarray, capsules: list[tuple], force: np.ndarray, spin: float, axis: np.ndarray
) -> np.ndarray:
    """Where a sheet comes to hang.

    guess (R, C, 3): where it begins, world metres; its first rows stay. capsules: (start (3,), end (3,), radius at
    both) in the world. force (3,): acceleration by wind or by the swing of the body, m/s^2. spin: turn of the body
    about the vertical through `axis` (3,), rad/s. The floor is at height 0. Returns (R, C, 3).
    """
    rest, pinned = sheet.rest, sheet.pinned
    starts, ends, radii = (np.array(v, np.float32) for v in zip(*capsules, strict=True))
    x = guess.astype(np.float32)

    def threads(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        along = np.roll(points, -1, 1) - points if sheet.closed else np.diff(points, axis=1)
        return np.linalg.norm(np.diff(points, axis=0), axis=-1), np.linalg.norm(along, axis=-1)

    # skinning stretches a sheet; it shrinks back slowly, so that no thread is pulled through a leg
    down, around = threads(rest)
    around *= sheet.across[:, None]
    too_long = [np.maximum(now - rest, 0) for now, rest in zip(threads(x), (down, around), strict=True)]
    anchor = x[pinned - 1].copy()
    # the cloth around a leg stays around it
    offset, distance, _ = _offsets(x[pinned:].reshape(-1, 3), starts, ends, radii)
    sides = offset / np.maximum(distance, 1e-6)[..., None]
    before = x[pinned:].copy()
    pull = np.array([0, -GRAVITY, 0], np.float32) + np.asarray(force, np.float32)
    for step in range(STEPS):
        free = x[pinned:]
        outwards = (free - axis) * np.array([1, 0, 1], np.float32)
        motion = (free - before) * (1 - DRAG - 0.25 * step / STEPS)
        before = free.copy()
        move = motion + DT**2 * (pull + spin**2 * outwards)
        size = np.sqrt(np.einsum("rcn,rcn->rc", move, move))
        free += move * np.minimum(1, FARTHEST / np.maximum(size, 1e-6))[..., None]
        slack = max(0.0, 1 - step / (0.6 * STEPS))
        down_now, around_now = down + slack * too_long[0], around + slack * too_long[1]
        reach = np.cumsum(down_now[pinned - 1 :], 0)
        for _ in range(ITERATIONS):
            _keep_lengths(x, down_now, 0, pinned, 0.92)
            _keep_lengths(x, around_now, 1, pinned, sheet.stiff, sheet.closed)
            offset = x[pinned:] - anchor
            length = np.sqrt(np.einsum("rcn,rcn->rc", offset, offset))
            x[pinned:] = anchor + offset * np.minimum(1, reach / np.maximum(length, 1e-6))[..., None]
            push_out(x[pinned:], starts, ends, radii, sides)
    push_out(x[pinned:], starts, ends, radii, sides)
    return x


def _keep_lengths(x: np.ndarray, lengths: np.ndarray, axis: int, pinned: int, least: float, closed: bool = False):
    """Move neighbours along an axis of the grid `x` in place until they are no farther apart than their thread is long
    and no nearer than `least` of it. Every other pair, then the rest."""
    grid = x if axis == 0 else x.swapaxes(0, 1)
    lengths = lengths if axis == 0 else lengths.T
    count = len(grid)
    for first in (0, 1):
        i = np.arange(first, count - 1 + closed, 2)
        j = (i + 1) % count
        delta = grid[j] - grid[i]
        size = np.sqrt(np.einsum("rcn,rcn->rc", delta, delta))
        goal = np.clip(size, least * lengths[i], lengths[i])
        move = delta * (1 - goal / np.maximum(size, 1e-6))[..., None]
        if axis == 0:  # a point that is fastened leaves all of the way to the other
            share = np.where(j < pinned, 0, np.where(i < pinned, 0, 0.5))[:, None, None]
            other = np.where(j < pinned, 0, np.where(i < pinned, 1, 0.5))[:, None, None]
            grid[i] += share * move
            grid[j] -= other * move
        else:
            move[:, :pinned] = 0
            grid[i] += 0.5 * move
            grid[j] -= 0.5 * move


def _offsets(flat: np.ndarray, starts: np.ndarray, ends: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of points (N, 3) from K capsules: offset (N, K, 3) from the nearest point of the axis, distance and radius
    (N, K)."""
    axis = ends - starts
    square = np.maximum((axis * axis).sum(1), 1e-8)
    t = np.clip((flat @ axis.T - (starts * axis).sum(1)) / square, 0, 1)
    offset = flat[:, None] - (starts + t[..., None] * axis)
    distance = np.sqrt(np.einsum("nkc,nkc->nk", offset, offset))
    return offset, distance, radii[:, 0] + t * (radii[:, 1] - radii[:, 0])


def push_out(
    points: np.ndarray, starts: np.ndarray, ends: np.ndarray, radii: np.ndarray, sides: np.ndarray | None = None
) -> None:
    """Move points (R, C, 3) in place out of the capsule in which they lie deepest, and above the floor.

    sides (R * C, K, 3): the side of each capsule on which they shall stay, unit vectors; without it the nearest one.
    """
    flat = points.reshape(-1, 3)
    offset, distance, radius = _offsets(flat, starts, ends, radii)
    depth = radius - distance
    worst = depth.argmax(1)
    rows = np.arange(len(flat))
    inside = depth[rows, worst] > 0
    rows, worst = rows[inside], worst[inside]
    before = offset[rows, worst]
    way = before / np.maximum(distance[rows, worst], 1e-6)[:, None]
    if sides is not None:
        way = way + 1.2 * sides[rows, worst]
        way /= np.maximum(np.sqrt(np.einsum("nc,nc->n", way, way)), 1e-6)[:, None]
    flat[rows] += way * radius[rows, worst][:, None] - before
    flat[:, 1] = np.maximum(flat[:, 1], 0.004)
    points[...] = flat.reshape(points.shape)


def ring(
    centres: np.ndarray, width: np.ndarray, depth: np.ndarray, front: np.ndarray, angles: np.ndarray
) -> np.ndarray:
    """Points (R, C, 3) of elliptical rings about centres (R, 3), which run along one line; `width` and `depth` (R,) are
    half axes. Angles (C,) count from `front` (3,), so that the outside is where the surface is seen from outside."""
    along = centres[-1] - centres[0]
    along = along / np.linalg.norm(along)
    front = front - (front @ along) * along
    front = front / np.linalg.norm(front)
    side = np.cross(front, along)
    return (
        centres[:, None]
        + (width[:, None] * np.sin(angles))[..., None] * side
        + (depth[:, None] * np.cos(angles))[..., None] * front
    )
