"""Sheets of cloth and hair for a figure, from what its look says hangs on it."""

import numpy as np

from data.sample import shapes
from data.sample.cloth import Sheet, ring
from data.sample.looks import Hanging, Look
from data.sample.pose import BONE, BONES, SIDES, Body, arm_direction

TRUNK = ("seat", "hips", "waist", "ribs", "chest", "bust", "shoulders")
LEGS = tuple(f"{side}_{name}" for side, _ in SIDES for name in ("thigh", "shin", "foot"))
ARMS = tuple(f"{side}_{name}" for side, _ in SIDES for name in ("upper_arm", "forearm", "hand"))


def sheets(body: Body, look: Look, joints: np.ndarray) -> list[Sheet]:
    """All sheets of a look."""
    made = []
    for hanging in look.hanging:
        if hanging.kind == "skirt":
            made.append(_skirt(body, look, joints, hanging))
        elif hanging.kind == "hair":
            made.append(_hair(body, look, joints, hanging))
        else:
            make = {"trousers": _trouser_leg, "sleeves": _sleeve}[hanging.kind]
            made += [make(body, look, joints, hanging, side, sign) for side, sign in SIDES]
    return made


def _angles(hanging: Hanging, columns: int) -> np.ndarray:
    """From the front around; with a gap the cloth begins beside it."""
    if hanging.gap == 0:
        return 2 * np.pi * np.arange(columns) / columns
    return np.linspace(0.5 * hanging.gap, 2 * np.pi - 0.5 * hanging.gap, columns) + hanging.turn


def _skirt(body: Body, look: Look, joints: np.ndarray, hanging: Hanging) -> Sheet:
    """From a height of the trunk down around both legs: a skirt, the lower part of a dress or of a coat."""
    h, hip = body.height, body.legs * body.height
    rows, columns = int(np.clip(round(hanging.length / 0.055), 8, 18)), 44
    t = np.linspace(0, 1, rows)
    top = hip + hanging.start * (0.817 * h - hip)
    y = np.maximum(top - t * hanging.length, 0.03)
    sections, low, high = shapes.torso_sections(body, look.top_loose + hanging.loose)
    at = np.clip((y - low) / (high - low), 0.12, 1)
    width, depth = (np.maximum.accumulate(np.interp(at, sections[:, 0], sections[:, i])) for i in (1, 2))
    offset = np.interp(at, sections[:, 0], sections[:, 3])
    wanted = np.pi * (width + depth) + 2 * np.pi * hanging.flare * t**1.1
    # where it falls from: wide enough for the legs, which stand apart at rest
    knee, ankle = joints[BONE["left_shin"]], joints[BONE["left_foot"]]
    outside = np.interp(y, [ankle[1], knee[1], hip], [ankle[0] + 0.05 * h, knee[0] + 0.03 * h, body.hips * h])
    depth = np.maximum(depth + hanging.flare * t, np.where(y < 0.06 * h, 0.075 * h, 0.0))
    width = np.maximum(width + hanging.flare * t, outside)
    centres = np.column_stack([0 * y, y, offset])
    angles = _angles(hanging, columns)
    rest = ring(centres, width, depth, np.array([0, 0, 1.0]), angles)
    # uneven, so that too much of it falls into folds
    folds = 1 + 0.05 * t[:, None] * (np.sin(9 * angles + hanging.flare * 40) + 0.5 * np.sin(14 * angles + 1))
    rest = centres[:, None] + (rest - centres[:, None]) * folds[..., None]
    across = np.clip(wanted / (np.pi * (width + depth)), 0.5, None) * (1 + hanging.fullness * t)

    x, height = rest[..., 0], rest[..., 1]
    loft = shapes.torso(body, hip, 0.8 * h, 0.0, (0.01, 0.01))
    trunk = loft.bone_weights(rest.reshape(-1, 3), len(BONES)).reshape(*x.shape, -1)
    legs = np.zeros_like(trunk)
    left = 1 / (1 + np.exp(-x / 0.04))
    shin = np.interp(height, [knee[1] - 0.07, knee[1] + 0.05], [1, 0])
    for share, side in ((1 - left, "right"), (left, "left")):
        legs[..., BONE[f"{side}_thigh"]] = share * (1 - shin)
        legs[..., BONE[f"{side}_shin"]] = share * shin
    below = np.interp(height, [hip - 0.20, hip + 0.03], [0.95, 0])[..., None]
    below[:2] = 0
    side = np.where(x > 0, 1, 0)
    bone = np.where(height > hip - 0.08, BONE["pelvis"], np.array([BONE["right_thigh"], BONE["left_thigh"]])[side])
    bone = np.where(height < knee[1], np.array([BONE["right_shin"], BONE["left_shin"]])[side], bone)
    bone = np.where(height > hip + 0.25 * (0.817 * h - hip), BONE["waist"], bone)
    return Sheet(
        hanging.part, rest, trunk * (1 - below) + legs * below, bone, hanging.gap == 0, 2, across, hanging.stiff,
        TRUNK + LEGS, 0.004 if hanging.part == "bottom" else 0.012, look.top_loose + 0.7 * hanging.loose,
    )  # fmt: skip


def _hair(body: Body, look: Look, joints: np.ndarray, hanging: Hanging) -> Sheet:
    """From around the back of the head, down the back and over the shoulders."""
    origin, s = shapes.head_origin(body, joints)
    rows, columns = int(np.clip(round(hanging.length / 0.04), 9, 18)), 26
    t = np.linspace(0, 1, rows)
    y = 0.06 - t * (hanging.length + 0.06)
    width = np.interp(y, [-0.6, -0.30, -0.10, 0.06], [0.13, 0.13, 0.095, 0.082]) * s
    depth = np.interp(y, [-0.6, -0.30, -0.10, 0.06], [0.115, 0.115, 0.102, 0.098]) * s
    centres = origin + np.column_stack([0 * y, y * s, np.full(rows, -0.020 * s)])
    rest = ring(centres, width, depth, np.array([0, 0, 1.0]), _angles(hanging, columns))
    # the ends are not cut in one line
    wave = np.sin(np.arange(columns) * 2.1 + 9 * hanging.flare) + 0.7 * np.sin(np.arange(columns) * 0.83)
    rest[..., 1] -= 0.018 * t[:, None] ** 2 * wave
    weights = np.zeros((rows, columns, len(BONES)))
    for name, knots in (("head", [1, 1, 0]), ("neck", [0, 0, 0]), ("chest", [0, 0, 1])):
        weights[..., BONE[name]] = np.interp(-y, [0, 0.06, 0.24], knots)[:, None]
    bone = np.where(y > -0.12, BONE["head"], BONE["chest"])[:, None].repeat(columns, 1)
    pinned = int(np.searchsorted(-y, 0.03))
    obstacles = ("skull", "jaw", "neck", *TRUNK, *ARMS)
    return Sheet(
        "hair", rest, weights, bone, False, pinned, np.ones(rows), 0.75, obstacles, 0.012, look.top_loose + 0.014
    )


def _tube(
    hanging: Hanging, joints: np.ndarray, names: tuple[str, str, str], radii: tuple[np.ndarray, np.ndarray], front,
    columns: int, obstacles: tuple[str, ...], trunk: float,
) -> Sheet:  # fmt: skip
    """Around a limb of two bones, from `start` to `start + length` of it."""
    a, b, c = (joints[BONE[name]] for name in names)
    lengths = np.linalg.norm(b - a), np.linalg.norm(c - b)
    middle = lengths[0] / sum(lengths)
    rows = int(np.clip(round(hanging.length * sum(lengths) / 0.055), 6, 14))
    t = np.linspace(0, 1, rows)
    at = hanging.start + t * hanging.length
    along = at * sum(lengths)
    upper = a + (b - a) * (along / lengths[0])[:, None]
    lower = b + (c - b) * ((along - lengths[0]) / lengths[1])[:, None]
    centres = np.where((at < middle)[:, None], upper, lower)
    inner = np.interp(at, middle * radii[0][:, 0], radii[0][:, 1])
    inner = np.where(at > middle, np.interp((at - middle) / (1 - middle), *radii[1].T), inner)
    radius = np.maximum.accumulate(inner + 0.006) + hanging.loose * np.minimum(3 * t, 1) + hanging.flare * t
    rest = ring(centres, radius, radius, np.asarray(front, float), _angles(hanging, columns))
    weights = np.zeros((rows, columns, len(BONES)))
    second = np.interp(at, [middle - 0.06, middle + 0.06], [0, 1])
    weights[..., BONE[names[0]]], weights[..., BONE[names[1]]] = (1 - second)[:, None], second[:, None]
    bone = np.where(second < 0.5, BONE[names[0]], BONE[names[1]])[:, None].repeat(columns, 1)
    across = 1 + hanging.fullness * t
    return Sheet(hanging.part, rest, weights, bone, True, 2, across, hanging.stiff, obstacles, 0.0, trunk)


def _trouser_leg(body: Body, look: Look, joints: np.ndarray, hanging: Hanging, side: str, sign: float) -> Sheet:
    names = (f"{side}_thigh", f"{side}_shin", f"{side}_foot")
    return _tube(hanging, joints, names, shapes.leg_radii(body), (0, 0, 1), 20, (*names, "seat"), 0.01)


def _sleeve(body: Body, look: Look, joints: np.ndarray, hanging: Hanging, side: str, sign: float) -> Sheet:
    names = (f"{side}_upper_arm", f"{side}_forearm", f"{side}_hand")
    front = -np.cross(arm_direction(sign), [0, 0, 1.0])
    return _tube(hanging, joints, names, shapes.arm_radii(body), front, 16, (*names, *TRUNK), look.top_loose + 0.012)
