"""Figures: a body of given proportions with face, hair, clothes and shoes, as one skinned mesh.

The mesh is built once in the rest position; a pose moves it by dual quaternion skinning (Kavan et al. 2007), which
keeps the volume at bent joints. Patterns of the clothes are functions of the position at rest, so they move with the
body.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from data.sample.mesh import Loft, Mesh, build, ellipsoid, tube
from data.sample.pose import BONE, BONES, PARENT, SIDES, Body, Pose, arm_direction, forward, random_pose, rest_joints

__all__ = [
    "Body",
    "Cloth",
    "Figure",
    "Look",
    "build_figure",
    "keypoints_3d",
    "random_figure",
    "random_pose",
    "skin_mesh",
]

KINDS = ("skin", "face", "cloth", "hair", "shoe")
HAIR = ("bald", "short", "crop", "fringe", "bob", "long", "ponytail", "bun", "curly", "cap")
PATTERNS = ("plain", "stripes", "pinstripes", "checks", "plaid", "dots", "logo", "block", "zigzag", "speckle")


@dataclass(frozen=True)
class Cloth:
    """Colours are sRGB in [0, 1]; scale is the period of the pattern in metres."""

    colour: tuple[float, float, float] = (0.5, 0.5, 0.5)
    second: tuple[float, float, float] = (0.9, 0.9, 0.9)
    pattern: str = "plain"
    scale: float = 0.06


@dataclass(frozen=True)
class Look:
    """Everything about a figure that is not its proportions."""

    skin: tuple[float, float, float] = (0.80, 0.58, 0.46)
    hair_style: str = "short"
    hair: tuple[float, float, float] = (0.15, 0.10, 0.07)
    eyes: tuple[float, float, float] = (0.25, 0.35, 0.45)
    lips: tuple[float, float, float] = (0.66, 0.32, 0.30)
    beard: float = 0.0
    sleeves: float = 0.45  # 0 = none, 0.5 = elbow, 1 = wrist
    top: Cloth = Cloth()
    top_loose: float = 0.014  # metres between skin and cloth
    top_hem: float = 0.0  # metres above the hip joints
    bottom: Cloth = Cloth((0.15, 0.2, 0.35))
    legs: float = 1.0  # 0.3 = shorts, 0.5 = knee, 1 = ankle
    bottom_loose: float = 0.012
    flare: float = 0.0  # extra width at the end of the trouser legs, metres
    skirt: float = 0.0  # length from the waist in metres; 0 = trousers
    dress: bool = False  # the skirt is of the cloth of the top
    shoe: tuple[float, float, float] = (0.92, 0.92, 0.92)
    sole: tuple[float, float, float] = (0.95, 0.95, 0.93)
    glasses: bool = False
    nose: float = 1.0  # factor on the width of the nose


@dataclass
class Figure:
    """A body with a look, ready to be posed and rendered.

    vertices, normals (V, 3) at rest; weights (V, bones); faces (F, 3); occlusion (V,); part (F,) index into `parts`;
    bone (F,) the bone that moves the triangle most; pattern (V, 4): position about the axis of the limb, and its
    radius.
    """

    body: Body
    look: Look
    joints: np.ndarray
    vertices: np.ndarray
    normals: np.ndarray
    weights: np.ndarray
    faces: np.ndarray
    occlusion: np.ndarray
    part: np.ndarray
    bone: np.ndarray
    pattern: np.ndarray
    parts: tuple[str, ...] = field(default=("skin", "face", "hair", "top", "bottom", "shoe"))


def head_origin(body: Body, joints: np.ndarray) -> tuple[np.ndarray, float]:
    """Point between the eyes in the rest position, on which the head is modelled, and the scale of the head."""
    return joints[BONE["head"]] + np.array([0, 0.075, 0.022]) * body.head, body.head


# ---------------------------------------------------------------------------------------------------------------- shape


def _torso_sections(body: Body, extra: float = 0.0) -> tuple[np.ndarray, float, float]:
    """Sections of the trunk between two heights (metres): rows (t, half width, half depth, offset)."""
    h, hip = body.height, body.legs * body.height
    shoulder = 0.817 * h
    span = shoulder - hip
    g = body.girth
    depth = 0.5 + 0.5 * g
    shoulders = body.shoulders / 0.107
    rows = [  # height above the hips in units of hip-shoulder, half width, half depth (fractions of the height), offset
        (-0.20, 0.074 * g * body.hip_girth, 0.058 * depth, -0.006),
        (-0.05, 0.096 * g * body.hip_girth, 0.069 * depth, -0.010),
        (0.10, 0.095 * g * body.hip_girth, 0.067 * depth, -0.006),
        (0.33, 0.078 * g * body.waist, 0.054 * depth * (0.5 + 0.5 * body.waist), 0.0),
        (0.52, 0.082 * g * (0.5 + 0.5 * shoulders), 0.058 * depth, 0.0),
        (0.72, 0.094 * g * shoulders, 0.066 * depth, 0.001),
        (0.86, 0.095 * g * shoulders, 0.061 * depth, -0.001),
        (0.97, 0.079 * g * shoulders, 0.048 * depth, -0.006),
        (1.05, 0.052 * shoulders, 0.040, -0.010),
        (1.10, 0.038, 0.036, -0.010),
    ]
    rows = np.array(rows)
    rows[:, 1:] *= h
    bulge = np.exp(-(((rows[:, 0] - 0.25) / 0.2) ** 2)) * body.belly
    rows[:, 2] += 0.5 * bulge
    rows[:, 3] += 0.5 * bulge
    rows[:, 1:3] += extra
    low, high = hip + rows[0, 0] * span, hip + rows[-1, 0] * span
    fine = np.linspace(rows[0, 0], rows[-1, 0], 40)
    smooth = np.stack([_smooth_curve(rows[:, 0], rows[:, i], fine) for i in (1, 2, 3)], 1)
    return np.column_stack([np.linspace(0, 1, 40), smooth]), low, high


def _smooth_curve(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Cubic interpolation with limited slopes (Catmull-Rom)."""
    slope = np.gradient(y, x)
    i = np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2)
    width = x[i + 1] - x[i]
    t = (at - x[i]) / width
    return (
        y[i] * (1 + 2 * t) * (1 - t) ** 2
        + slope[i] * width * t * (1 - t) ** 2
        + y[i + 1] * t**2 * (3 - 2 * t)
        - slope[i + 1] * width * t**2 * (1 - t)
    )


def _torso(body: Body, low: float, high: float, extra: float, caps: tuple[float, float], drape: float = 0.0) -> Loft:
    """The trunk between two heights in metres, `extra` metres thicker than the body, `drape` more over the hips."""
    sections, bottom, top = _torso_sections(body, extra)
    low, high = max(low, bottom), min(high, top)
    heights = np.linspace(low, high, 40)
    where = (heights - bottom) / (top - bottom)
    rows = np.column_stack(
        [np.linspace(0, 1, 40), *(np.interp(where, sections[:, 0], sections[:, i]) for i in (1, 2, 3))]
    )
    joints = rest_joints(body)
    hips = joints[BONE["pelvis"]][1]
    rows[:, 1:3] += drape * np.clip((hips + 0.10 - heights) / 0.12, 0, 1)[:, None]
    span = max(high - low, 1e-6)
    knots = tuple(
        ((y - low) / span, BONE[name])
        for name, y in (
            ("pelvis", joints[BONE["pelvis"]][1] + 0.01),
            ("waist", 0.6 * joints[BONE["waist"]][1] + 0.4 * joints[BONE["chest"]][1]),
            ("chest", joints[BONE["chest"]][1] + 0.06),
        )
    )
    return Loft(np.array([0, low, 0.0]), np.array([0, high, 0.0]), rows, knots, caps)


def _arm_radii(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Rows (t, radius in metres) of upper arm and forearm."""
    k = body.height * body.girth * body.muscle
    upper = np.array([[0, 0.0255], [0.2, 0.0275], [0.55, 0.0270], [0.8, 0.0235], [1, 0.0225]]) * [1, k]
    fore = np.array([[0, 0.0225], [0.25, 0.0240], [0.6, 0.0195], [1, 0.0150]]) * [1, k]
    return upper, fore


def _leg_radii(body: Body) -> tuple[np.ndarray, np.ndarray]:
    k = body.height * body.girth * body.muscle
    thigh = np.array([[0, 0.0440], [0.2, 0.0480], [0.5, 0.0430], [0.8, 0.0345], [1, 0.0315]]) * [1, k]
    shin = np.array([[0, 0.0305], [0.15, 0.0315], [0.32, 0.0330], [0.6, 0.0255], [0.85, 0.0195], [1, 0.0195]]) * [1, k]
    return thigh, shin


def _part(radii: np.ndarray, first: float, last: float) -> np.ndarray:
    """The rows of a radius table between two parameters, rescaled to [0, 1]."""
    t = np.linspace(first, last, 8)
    return np.column_stack([np.linspace(0, 1, 8), np.interp(t, radii[:, 0], radii[:, 1])])


def _limb(joints: np.ndarray, bone: str, end: str, radii: np.ndarray, first=0.0, last=1.0, extra=0.0, cap=None) -> Loft:
    """Tube along a bone from parameter first to last."""
    a, b = joints[BONE[bone]], joints[BONE[end]]
    rows = _part(radii, first, last) + np.array([0, extra])
    return tube(a + first * (b - a), a + last * (b - a), rows, BONE[bone], cap)


def _arm(body: Body, joints: np.ndarray, side: str, until: float, extra: float, cuff: float) -> list[Loft]:
    """Upper arm and forearm down to `until` (1 = wrist), `extra` metres thicker than the skin; flat end if cuff > 0."""
    upper, fore = _arm_radii(body)
    names = [f"{side}_{part}" for part in ("upper_arm", "forearm", "hand")]
    end = cuff or None
    if until <= 0.5:
        limb = _limb(joints, names[0], names[1], upper, 0, until * 2, extra)
        return [replace(limb, caps=(limb.caps[0], end or limb.caps[1]))]
    limb = _limb(joints, names[1], names[2], fore, 0, until * 2 - 1, extra)
    return [
        _limb(joints, names[0], names[1], upper, 0, 1, extra),
        replace(limb, caps=(limb.caps[0], end or limb.caps[1])),
    ]


def _leg(
    body: Body, joints: np.ndarray, side: str, until: float, extra: float, flare: float, cuff: float
) -> list[Loft]:
    thigh, shin = _leg_radii(body)
    names = [f"{side}_{part}" for part in ("thigh", "shin", "foot")]
    wide_thigh, wide_shin = thigh.copy(), shin.copy()
    # cloth hangs from thigh and calf instead of hugging the knee and the ankle
    wide_thigh[:, 1] = np.maximum(
        thigh[:, 1] + extra, (thigh[2, 1] + extra) * 0.84 + flare * thigh[:, 0] ** 2 * min(until, 1)
    )
    wide_shin[:, 1] = np.maximum(
        shin[:, 1] + extra, 0.030 * body.height * body.girth + flare * (0.5 + 0.5 * shin[:, 0])
    )
    if not cuff:
        wide_thigh, wide_shin = thigh, shin
    end = cuff or None
    if until <= 0.5:
        limb = _limb(joints, names[0], names[1], wide_thigh, 0, until * 2)
        return [replace(limb, caps=(limb.caps[0], end or limb.caps[1]))]
    limb = _limb(joints, names[1], names[2], wide_shin, 0, until * 2 - 1)
    return [_limb(joints, names[0], names[1], wide_thigh), replace(limb, caps=(limb.caps[0], end or limb.caps[1]))]


def _trapezius(body: Body, joints: np.ndarray, side: str, sign: float, extra: float) -> Loft:
    """The slope from the neck to the shoulder."""
    h = body.height
    inner = np.array([sign * 0.018 * h, joints[BONE["neck"]][1] - 0.008 * h, -0.012])
    outer = joints[BONE[f"{side}_upper_arm"]] + [-sign * 0.014 * h, 0.002 * h, 0]
    loft = tube(inner, outer, np.array([0.022, 0.022, 0.0235]) * h * (0.5 + 0.5 * body.girth) + extra, BONE["chest"])
    return replace(loft, bones=((0.25, BONE["chest"]), (0.75, BONE[f"{side}_clavicle"])))


def _hand(body: Body, joints: np.ndarray, side: str, sign: float, spread: float, curl: float) -> list[Loft]:
    """Palm, four fingers and a thumb; the palm faces the thigh, the thumb points forwards."""
    origin, bone = joints[BONE[f"{side}_hand"]], BONE[f"{side}_hand"]
    along = arm_direction(sign)
    across = np.array([0.0, 0.0, 1.0])  # towards the thumb
    palm = np.cross(across, along) * -sign  # out of the palm
    k = body.height / 1.75 * (0.75 + 0.25 * body.girth)

    def at(a: float, c: float, p: float = 0.0) -> np.ndarray:
        return origin + k * (a * along + c * across + p * palm)

    palm_rows = np.array(
        [[0, 0.022, 0.017, 0], [0.35, 0.034, 0.016, 0], [0.8, 0.040, 0.014, 0], [1, 0.038, 0.012, 0]]
    ) * [1, k, k, k]
    lofts = [Loft(at(0.005, 0), at(0.082, 0), palm_rows, ((0, bone),), (0.015 * k, 0.012 * k), tuple(across))]
    for i, length in enumerate((0.070, 0.080, 0.074, 0.058)):
        c = 0.028 - 0.0187 * i
        fan = spread * (1.5 - i) * 0.02
        base, knuckle = at(0.078, c), at(0.078 + 0.5 * length, c + 0.5 * fan, curl * 0.014)
        tip = at(0.078 + length * (1 - 0.35 * curl), c + fan, curl * 0.042)
        lofts += [
            tube(base, knuckle, (0.0105 * k, 0.0095 * k), bone),
            tube(knuckle, tip, (0.0095 * k, 0.0080 * k), bone),
        ]
    root, middle, tip = at(0.018, 0.024, 0.004), at(0.052, 0.052, 0.014), at(0.082, 0.058, 0.022)
    return [*lofts, tube(root, middle, (0.015 * k, 0.0115 * k), bone), tube(middle, tip, (0.0115 * k, 0.009 * k), bone)]


def _shoe(body: Body, joints: np.ndarray, side: str) -> list[Loft]:
    foot, toes = joints[BONE[f"{side}_foot"]], joints[BONE[f"{side}_toes"]]
    k = body.height / 1.75
    x, z = foot[0], foot[2]
    bones = (BONE[f"{side}_foot"], BONE[f"{side}_toes"])
    rows = np.array(  # from heel to toe: t, half width, half height, offset
        [
            [0, 0.033, 0.040, 0.008],
            [0.2, 0.036, 0.040, 0.008],
            [0.5, 0.040, 0.036, 0.004],
            [0.75, 0.046, 0.029, -0.003],
            [1, 0.040, 0.022, -0.010],
        ]
    ) * [1, k, k, k]
    heel, tip = np.array([x, 0.034 * k, z - 0.045 * k]), np.array([x, 0.034 * k, toes[2] + 0.062 * k])
    ball = (toes[2] - heel[2]) / (tip[2] - heel[2])
    knots = ((ball - 0.08, bones[0]), (ball + 0.08, bones[1]))
    # depth of this loft points downwards: side x along z = -y, so heights are mirrored
    rows[:, 3] *= -1
    sole = Loft(heel, tip, rows, knots, (0.030 * k, 0.035 * k))
    collar = tube(
        foot - np.array([0, 0.02 * k, 0.004]),
        foot + np.array([0, 0.022 * k, -0.008]),
        (0.040 * k, 0.034 * k),
        bones[0],
        0.006,
    )
    return [sole, collar]


def _head(origin: np.ndarray, s: float, nose: float) -> list[Loft]:
    bone = BONE["head"]

    def e(centre, radii) -> Loft:
        return ellipsoid(origin + s * np.array(centre), s * np.array(radii), bone)

    def t(a, b, radii) -> Loft:
        return tube(origin + s * np.array(a), origin + s * np.array(b), s * np.array(radii), bone)

    lofts = [
        e((0, 0.034, -0.014), (0.073, 0.085, 0.092)),
        e((0, -0.020, 0.028), (0.061, 0.072, 0.060)),
        e((0, -0.066, 0.036), (0.048, 0.047, 0.048)),
        e((0, -0.098, 0.064), (0.019, 0.016, 0.018)),
        t((0, 0.016, 0.082), (0, -0.029, 0.102), (0.007 * nose, 0.0115 * nose)),
        e((0, -0.058, 0.079), (0.021, 0.007, 0.012)),
        e((0, -0.070, 0.077), (0.017, 0.007, 0.011)),
    ]
    for sign in (-1, 1):
        lofts += [
            e((sign * 0.034, -0.032, 0.062), (0.022, 0.018, 0.018)),
            e((sign * 0.030, 0.021, 0.074), (0.026, 0.008, 0.010)),
            e((sign * 0.0105 * nose, -0.034, 0.094), (0.008 * nose, 0.007, 0.009)),
            e((sign * 0.031, -0.001, 0.071), (0.014, 0.010, 0.010)),
            e((sign * 0.076, -0.006, -0.008), (0.009, 0.030, 0.018)),
            e((sign * 0.080, 0.008, -0.014), (0.008, 0.018, 0.013)),
        ]
    return lofts


def _hair(style: str, origin: np.ndarray, s: float) -> tuple[list[Loft], list[tuple], float]:
    """Lofts, half spaces that are cut away, and the amplitude of the strands in metres."""
    bone, chest, neck = BONE["head"], BONE["chest"], BONE["neck"]

    def e(centre, radii) -> Loft:
        return ellipsoid(origin + s * np.array(centre), s * np.array(radii), bone)

    def t(a, b, radii, flat=1.0, bones=None) -> Loft:
        loft = tube(origin + s * np.array(a), origin + s * np.array(b), s * np.array(radii), bone, flat=flat)
        return replace(loft, bones=bones) if bones else loft

    def face(y: float, z: float, slope: float = 0.84) -> tuple:
        """Plane through the hairline at (y, z), falling towards the nape."""
        normal = np.array([0.0, -slope, 1.0]) / np.hypot(slope, 1.0)
        return normal, float(normal @ (origin + s * np.array([0, y, z])))

    cap = e((0, 0.034, -0.016), (0.081, 0.094, 0.099))
    line = face(0.074, 0.080)
    side = [e((sign * 0.066, 0.004, -0.020), (0.015, 0.05, 0.045)) for sign in (-1, 1)]
    nape = e((0, -0.045, -0.070), (0.052, 0.050, 0.030))
    if style == "crop":
        return [e((0, 0.034, -0.015), (0.077, 0.090, 0.096))], [line], 0.0
    if style == "short":
        top = [e((0.012, 0.105, 0.020), (0.058, 0.030, 0.070)), e((-0.02, 0.112, -0.01), (0.05, 0.026, 0.07))]
        return [cap, nape, *side, *top], [face(0.070, 0.092, 0.75)], 0.004
    if style == "fringe":
        top = [e((0, 0.088, 0.050), (0.070, 0.036, 0.048)), e((0.025, 0.065, 0.075), (0.040, 0.024, 0.020))]
        return [cap, nape, *side, *top], [face(0.040, 0.092, 0.95)], 0.004
    if style == "bob":
        curtain = [
            t((sg * 0.078, 0.050, -0.012), (sg * 0.082, -0.085, 0.002), (0.026, 0.036, 0.030), 1.5) for sg in (-1, 1)
        ]
        back = t((0, 0.03, -0.075), (0, -0.085, -0.065), (0.070, 0.072, 0.060), 0.55)
        top = e((0, 0.080, 0.045), (0.074, 0.042, 0.048))
        return [cap, back, top, *curtain], [face(0.046, 0.092, 0.22)], 0.004
    if style == "long":
        low = ((0.2, bone), (0.75, neck), (1.0, chest))
        curtain = [
            t((sg * 0.076, 0.050, -0.020), (sg * 0.088, -0.200, -0.030), (0.024, 0.034, 0.034, 0.026), 1.5, low)
            for sg in (-1, 1)
        ]
        back = t((0, 0.03, -0.078), (0, -0.290, -0.100), (0.066, 0.082, 0.095, 0.080), 0.42, low)
        top = e((0, 0.082, 0.030), (0.076, 0.042, 0.058))
        return [cap, back, top, *curtain], [face(0.066, 0.092, 0.30)], 0.005
    if style == "ponytail":
        low = ((0.3, bone), (1.0, neck))
        tail = t((0, 0.075, -0.105), (0, -0.150, -0.150), (0.020, 0.038, 0.034, 0.012), 1.0, low)
        return [cap, nape, *side, e((0, 0.080, -0.105), (0.026, 0.026, 0.022)), tail], [line], 0.003
    if style == "bun":
        return [cap, nape, *side, e((0, 0.128, -0.055), (0.045, 0.042, 0.045))], [line], 0.003
    if style == "curly":
        around = [
            e(
                (0.085 * np.sin(a) * np.cos(b), 0.045 + 0.085 * np.sin(b), -0.025 + 0.085 * np.cos(a) * np.cos(b)),
                (0.045,) * 3,
            )
            for b in (-0.25, 0.35, 0.95)
            for a in np.linspace(0, 2 * np.pi, 9)[:-1] + b
        ]
        return [cap, nape, *around], [face(0.066, 0.100, 0.55)], 0.009
    if style == "cap":
        peak = Loft(
            origin + s * np.array([0, 0.062, 0.060]),
            origin + s * np.array([0, 0.050, 0.150]),
            np.array([[0, 0.070, 0.008, 0], [0.7, 0.066, 0.007, 0], [1, 0.045, 0.006, 0]]) * [1, s, s, s],
            ((0.0, bone),),
            (0.01, 0.012),
        )
        crown = e((0, 0.045, -0.012), (0.085, 0.090, 0.102))
        band = (np.array([0.0, -1.0, 0.0]), -(origin[1] + s * 0.042))
        return [crown, peak], [band], 0.0
    return [], [], 0.0


def _waves(scale: float, amplitude: float, seed: float):
    """A displacement like folds of cloth or strands of hair: a few crossing waves."""

    def displace(points: np.ndarray) -> np.ndarray:
        x, y, z = (points / scale).T
        a = np.sin(2.1 * x + 3.7 * y + 1.3 * z + seed + 0.9 * np.sin(1.7 * y - 2.3 * z))
        b = np.sin(-3.1 * x + 2.9 * y + 2.2 * z + 2 * seed + 1.1 * np.sin(2.9 * x + seed))
        return amplitude * (0.6 * a + 0.4 * b)

    return displace


def _strands(amplitude: float, origin: np.ndarray):
    def displace(points: np.ndarray) -> np.ndarray:
        x, y, z = (points - origin).T
        angle = np.arctan2(x, z + 0.02)
        wave = np.sin(23 * angle + 40 * y + 2 * np.sin(60 * y)) + 0.6 * np.sin(41 * angle - 70 * y)
        return amplitude * (0.6 * wave + 0.4 * np.sin(90 * x + 70 * y + 110 * z))

    return displace


def build_figure(body: Body, look: Look, detail: float = 1.0, seed: int = 0) -> Figure:
    """Build the mesh of a figure.

    detail: 1 = edges of about 12 mm on the body and 5 mm on the hands; 0.5 = twice as long, four times as fast to
    render.
    seed: varies the folds of the cloth.
    """
    joints = rest_joints(body)
    h, hip = body.height, body.legs * body.height
    n = len(BONES)
    step = 0.0125 / detail
    origin, s = head_origin(body, joints)
    meshes: list[tuple[str, Mesh]] = []

    def add(part: str, lofts: list[Loft], size: float, softness: float, **options) -> None:
        if lofts:
            meshes.append((part, build(lofts, n, size, softness, **options)))

    skin_step = min(step, 0.0125 / max(detail, 0.6))
    # skin that the clothes leave free
    neck = tube(joints[BONE["neck"]] + [0, -0.05, 0.002], joints[BONE["head"]] + [0, 0.015, 0.004],
                np.array([0.036, 0.0315, 0.030]) * h * (0.6 + 0.4 * body.girth), BONE["neck"])  # fmt: skip
    neck = replace(neck, bones=((0.1, BONE["chest"]), (0.45, BONE["neck"]), (1.0, BONE["head"])))
    slopes = [_trapezius(body, joints, side, sign, -0.002) for side, sign in SIDES]
    add(
        "skin",
        [neck, *slopes, _torso(body, hip + 0.7 * (0.817 * h - hip), 9.0, -0.004, (0.02, 0.01))],
        skin_step,
        0.010 * h / 1.75,
    )
    for side, sign in SIDES:
        upper, fore = _arm_radii(body)
        bones = [f"{side}_{part}" for part in ("upper_arm", "forearm", "hand")]
        begin = max(look.sleeves - 0.12, 0.0)
        arm = []
        if begin < 0.5:
            arm.append(_limb(joints, bones[0], bones[1], upper, 2 * begin, 1.0))
            arm.append(_limb(joints, bones[1], bones[2], fore))
        else:
            arm.append(_limb(joints, bones[1], bones[2], fore, min(2 * begin - 1, 0.9), 1.0))
        if look.sleeves < 0.1:
            arm.append(ellipsoid(joints[BONE[bones[0]]], np.full(3, 0.0265 * h * body.girth), BONE[f"{side}_clavicle"]))
        add("skin", arm, skin_step, 0.006)
        hand_step = 0.0055 / max(detail, 0.6)
        rng = np.random.default_rng([seed, int(sign > 0)])
        add("skin", _hand(body, joints, side, sign, rng.uniform(0.3, 1.2), rng.uniform(0.1, 0.7)), hand_step, 0.003)
        covered = look.skirt > 0
        begin = min(0.42, 0.4 * look.skirt / (0.5 * h)) if covered else max(look.legs - 0.12, 0.0)
        if covered or look.legs < 0.97:
            thigh, shin = _leg_radii(body)
            bones = [f"{side}_{part}" for part in ("thigh", "shin", "foot")]
            leg = [_limb(joints, bones[0], bones[1], thigh, 2 * begin, 1.0)] if begin < 0.5 else []
            leg.append(_limb(joints, bones[1], bones[2], shin, max(2 * begin - 1, 0.0), 1.0))
            add("skin", leg, skin_step, 0.008)
        add("shoe", _shoe(body, joints, side), 0.009 / max(detail, 0.6), 0.006)

    # top: trunk and sleeves
    loose = look.top_loose
    high = hip + 0.30 * (0.817 * h - hip)  # upper edge of a skirt
    hem = high - 0.06 if look.skirt else hip + look.top_hem  # a top is tucked into a skirt
    trunk = _torso(body, hem, 9.0, loose, (0.008, 0.004), 0.0 if look.skirt else 0.012 * h / 1.75)
    lofts = [trunk]
    if body.bust > 0:
        for sign in (-1, 1):
            centre = (sign * 0.042 * h, hip + 0.73 * (0.817 * h - hip), 0.045 * h)
            lofts.append(ellipsoid(centre, (0.040 * h, 0.042 * h, 0.012 * h + body.bust), BONE["chest"]))
    for side, sign in SIDES:
        lofts.append(_trapezius(body, joints, side, sign, 0.8 * loose))
        if look.sleeves > 0.05:
            lofts += _arm(body, joints, side, look.sleeves, loose * (0.8 if look.sleeves > 0.6 else 1.0), 0.006)
        ball = ellipsoid(
            joints[BONE[f"{side}_upper_arm"]],
            np.full(3, 0.0235 * h * body.girth + loose),
            BONE[f"{side}_clavicle"],
        )
        lofts += [ball] if look.sleeves > 0.05 else []
    folds = _waves(0.11, min(0.0045, 0.25 * loose), seed)
    add("top", lofts, step, 0.010, displace=folds)

    # bottom: pelvis and legs, or skirt
    waist = hip + 0.16 * (0.817 * h - hip)
    extra = min(look.bottom_loose, max(loose - 0.006, 0.004)) if not look.skirt else 0.006
    pelvis = _torso(body, 0.0, min(waist, hem + 0.03), extra, (0.02, 0.01))
    if look.skirt > 0:
        sections, bottom, top = _torso_sections(body, loose + 0.008)
        low = high - look.skirt
        t = np.linspace(0, 1, 12)
        at = np.clip((high - t * look.skirt - bottom) / (top - bottom), 0.10, 1)
        half = [np.interp(at, sections[:, 0], sections[:, i]) for i in (1, 2)]
        spread = look.flare * np.maximum(t - 0.25, 0) ** 1.2
        half = [np.maximum.accumulate(a) + spread for a in half]
        rows = np.column_stack([t, half[0], np.maximum(half[1], 0.075 * h * (0.4 + 0.6 * body.girth)), 0 * t])
        pair = (BONE["right_thigh"], BONE["left_thigh"])
        knots = ((0.25, BONE["pelvis"]), (0.8, pair))
        skirt = Loft(np.array([0, high, 0.0]), np.array([0, low, 0.0]), rows, knots, (0.006, 0.006), (-1.0, 0.0, 0.0))
        knots = ((0.25, BONE["pelvis"]), (0.8, (pair[1], pair[0])))  # the width axis of a downward loft points to -x
        skirt = replace(skirt, bones=knots)
        folds = _pleats(0.010)
        add("top" if look.dress else "bottom", [skirt], step, 0.006, displace=folds, skin_softness=0.03)
        inside = meshes[-1][1]  # is closed by a flat bottom, which no light reaches
        inside.occlusion[inside.normals[:, 1] < -0.8] = 0.1
        if look.dress:
            add("top", [_torso(body, hip, high + 0.05, 0.004, (0.01, 0.01))], step, 0.006)
    else:
        lofts = [pelvis]
        for side, _ in SIDES:
            lofts += _leg(body, joints, side, look.legs - 0.012, extra, look.flare, 0.006)
        add("bottom", lofts, step, 0.011, displace=_waves(0.12, min(0.004, 0.3 * extra), seed + 1.7))

    face_step = 0.0062 / max(detail, 0.6)
    add("face", _head(origin, s, look.nose), face_step * s, 0.0055 * s)
    lofts, carve, strands = _hair(look.hair_style, origin, s)
    displace = _strands(strands * s, origin) if strands else None
    add("hair", lofts, 1.1 * face_step * s, 0.008 * s, carve=carve, displace=displace)
    return _merge(body, look, joints, meshes)


def _pleats(depth: float):
    def displace(points: np.ndarray) -> np.ndarray:
        high = points[:, 1].max()
        down = np.clip((high - points[:, 1]) / max(high - points[:, 1].min(), 1e-6), 0, 1)
        angle = np.arctan2(points[:, 0], points[:, 2])
        return depth * down**1.3 * (np.sin(9 * angle + 0.5) + 0.5 * np.sin(14 * angle))

    return displace


def _merge(body: Body, look: Look, joints: np.ndarray, meshes: list[tuple[str, Mesh]]) -> Figure:
    parts = Figure.__dataclass_fields__["parts"].default
    offsets = np.cumsum([0] + [len(m.vertices) for _, m in meshes])
    weights = np.concatenate([m.weights for _, m in meshes])
    faces = np.concatenate([m.faces + o for (_, m), o in zip(meshes, offsets, strict=False)])
    part = np.concatenate([np.full(len(m.faces), parts.index(p)) for p, m in meshes])
    main = weights.argmax(1)
    # patterns change their axis between trunk, arms and legs: give each triangle one of them, as a seam does
    limb = _LIMB_OF[main]
    seam = np.median(limb[faces], axis=1).astype(int)
    stray = np.argwhere(limb[faces] != seam[:, None])
    source = np.concatenate([np.arange(len(main)), faces[tuple(stray.T)]])
    limb = np.concatenate([limb, seam[stray[:, 0]]])
    bone = main[faces[:, 0]]
    faces[tuple(stray.T)] = len(main) + np.arange(len(stray))
    vertices = np.concatenate([m.vertices for _, m in meshes])[source]
    return Figure(
        body=body,
        look=look,
        joints=joints,
        vertices=vertices.astype(np.float32),
        normals=np.concatenate([m.normals for _, m in meshes])[source].astype(np.float32),
        weights=np.where(weights < 0.01, 0, weights)[source].astype(np.float32),
        faces=faces.astype(np.int32),
        occlusion=np.concatenate([m.occlusion for _, m in meshes])[source].astype(np.float32),
        part=part.astype(np.int8),
        bone=bone.astype(np.int8),
        pattern=_pattern_position(joints, vertices, limb).astype(np.float32),
    )


# 0 trunk, 1 and 2 right and left arm, 3 and 4 right and left leg
_LIMB_OF = np.array(
    [
        ("right" in name) * (1 + 2 * leg) + ("left" in name) * (2 + 2 * leg)
        if leg or "arm" in name or "hand" in name
        else 0
        for name in BONES
        for leg in [name.endswith(("thigh", "shin", "foot", "toes"))]
    ]
)


def _pattern_position(joints: np.ndarray, vertices: np.ndarray, limb: np.ndarray) -> np.ndarray:
    """Rest position about the axis of the limb with the arms turned to hang straight down, and a radius for angles."""
    position = np.column_stack([vertices, np.full(len(vertices), 0.15)])
    for i, (side, sign) in enumerate(SIDES):
        arm, leg = limb == 1 + i, limb == 3 + i
        shoulder = joints[BONE[f"{side}_upper_arm"]]
        direction = arm_direction(sign)
        outward = np.array([-direction[1], direction[0], 0.0])  # perpendicular to the arm in the frontal plane
        relative = vertices[arm] - shoulder
        position[arm, 0] = relative @ outward
        position[arm, 1] = shoulder[1] - relative @ direction
        position[arm, 3] = 0.055
        hip, ankle = joints[BONE[f"{side}_thigh"]], joints[BONE[f"{side}_foot"]]
        position[leg, 0] -= np.interp(vertices[leg, 1], [ankle[1], hip[1]], [ankle[0], hip[0]])
        position[leg, 3] = 0.075
    return position


# ------------------------------------------------------------------------------------------------------------- movement


def _quaternions(rotations: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4) w, x, y, z of rotation matrices (..., 3, 3)."""
    m = rotations
    diagonal = np.stack([m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]], -1)
    trace = diagonal.sum(-1)
    signs = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    size = np.sqrt(np.maximum(1 + diagonal @ signs.T, 0)) / 2
    off = np.stack([m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]], -1)
    pairs = np.stack(
        [m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]], -1
    )  # xy, xz, yz
    best = np.argmax(np.concatenate([trace[..., None], diagonal], -1), -1)
    zero = np.zeros_like(trace)
    table = np.stack(
        [
            np.stack([zero, off[..., 0], off[..., 1], off[..., 2]], -1),
            np.stack([off[..., 0], zero, pairs[..., 0], pairs[..., 1]], -1),
            np.stack([off[..., 1], pairs[..., 0], zero, pairs[..., 2]], -1),
            np.stack([off[..., 2], pairs[..., 1], pairs[..., 2], zero], -1),
        ],
        -2,
    )
    chosen = np.take_along_axis(table, best[..., None, None], -2)[..., 0, :]
    largest = np.take_along_axis(size, best[..., None], -1)
    quaternion = chosen / np.maximum(4 * largest, 1e-9)
    np.put_along_axis(quaternion, best[..., None], largest, -1)
    return quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Hamilton product of quaternions (..., 4)."""
    aw, ax, ay, az = np.moveaxis(a, -1, 0)
    bw, bx, by, bz = np.moveaxis(b, -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        -1,
    )


def skin_mesh(figure: Figure, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and unit normals (V, 3) float32 in the world for one pose."""
    rotations, positions = forward(figure.joints, pose)
    moved = positions - (rotations @ figure.joints[..., None])[..., 0]
    real = _quaternions(rotations)
    for bone in range(1, len(BONES)):  # the same hemisphere along the chain, so that blends take the short way
        parent = PARENT[bone]
        if real[bone] @ real[parent] < 0:
            real[bone] *= -1
    dual = 0.5 * _product(np.concatenate([np.zeros((len(BONES), 1)), moved], 1), real)
    blended = figure.weights @ np.concatenate([real, dual], 1).astype(np.float32)
    blended /= np.linalg.norm(blended[:, :4], axis=1, keepdims=True)
    w, axis = blended[:, :1], blended[:, 1:4]
    dw, daxis = blended[:, 4:5], blended[:, 5:]

    def turn(v: np.ndarray) -> np.ndarray:
        return v + 2 * _cross(axis, _cross(axis, v) + w * v)

    shift = 2 * (w * daxis - dw * axis + _cross(axis, daxis))
    return turn(figure.vertices) + shift, turn(figure.normals)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        1,
    )


# keypoint -> bone whose joint it is; the head's points are given relative to the point between the eyes
_JOINT_OF = {
    2: "right_upper_arm", 3: "right_forearm", 4: "right_hand", 5: "left_upper_arm", 6: "left_forearm", 7: "left_hand",
    8: "right_thigh", 9: "right_shin", 10: "right_foot", 11: "left_thigh", 12: "left_shin", 13: "left_foot",
}  # fmt: skip
_ON_HEAD = {
    0: (0.0, -0.028, 0.1125), 14: (-0.031, 0.0, 0.082), 15: (0.031, 0.0, 0.082),
    16: (-0.084, -0.004, -0.008), 17: (0.084, -0.004, -0.008)
}  # fmt: skip


def keypoints_3d(figure: Figure, pose: Pose) -> np.ndarray:
    """The 18 keypoints in the world, (..., 18, 3) metres, for a pose with any leading dimensions."""
    rotations, positions = forward(figure.joints, pose)
    points = np.empty((*positions.shape[:-2], 18, 3))
    for k, bone in _JOINT_OF.items():
        points[..., k, :] = positions[..., BONE[bone], :]
    points[..., 1, :] = 0.5 * (points[..., 2, :] + points[..., 5, :])
    origin, scale = head_origin(figure.body, figure.joints)
    head = BONE["head"]
    for k, local in _ON_HEAD.items():
        offset = origin + scale * np.array(local) - figure.joints[head]
        points[..., k, :] = positions[..., head, :] + rotations[..., head, :, :] @ offset
    return points


# ------------------------------------------------------------------------------------------------------------- variety

SKINS = (
    (0.94, 0.78, 0.69),
    (0.90, 0.72, 0.60),
    (0.84, 0.64, 0.51),
    (0.74, 0.53, 0.40),
    (0.60, 0.41, 0.29),
    (0.44, 0.29, 0.21),
    (0.31, 0.20, 0.15),
)
HAIRS = (
    (0.07, 0.06, 0.06),
    (0.16, 0.10, 0.07),
    (0.30, 0.18, 0.10),
    (0.45, 0.28, 0.14),
    (0.72, 0.55, 0.30),
    (0.55, 0.20, 0.10),
    (0.55, 0.55, 0.56),
    (0.75, 0.25, 0.45),
)


def random_cloth(rng: np.random.Generator, plain: float = 0.4) -> Cloth:
    """A cloth of random colours; `plain` is the probability of no pattern."""

    def colour() -> tuple[float, float, float]:
        if rng.random() < 0.3:
            return tuple(np.clip(rng.uniform(0.04, 0.95) + rng.normal(0, 0.02, 3), 0.02, 0.98))
        hue, strength, value = rng.random(), rng.uniform(0.2, 0.95), rng.uniform(0.2, 0.98)
        wheel = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
        return tuple(value * (1 - strength * (1 - wheel)))

    pattern = "plain" if rng.random() < plain else str(rng.choice(PATTERNS[1:]))
    return Cloth(colour(), colour(), pattern, float(np.exp(rng.uniform(np.log(0.02), np.log(0.12)))))


def random_body(rng: np.random.Generator) -> Body:
    """Proportions of a random adult or, rarely, a child."""
    woman = rng.random() < 0.5
    height = float(np.clip(rng.normal(1.67 if woman else 1.78, 0.08), 1.45, 2.02))
    girth = float(np.clip(rng.normal(1.02, 0.11), 0.8, 1.4))
    return Body(
        height=height,
        shoulders=float(rng.normal(0.098 if woman else 0.108, 0.004)),
        hips=float(rng.normal(0.053 if woman else 0.051, 0.003)),
        legs=float(rng.normal(0.527, 0.012)),
        arms=float(rng.normal(1.0, 0.04)),
        head=float(np.clip(rng.normal(1.03, 0.05) * (height / 1.75) ** 0.5, 0.88, 1.2)),
        girth=girth,
        muscle=float(rng.normal(0.94 if woman else 1.0, 0.06)),
        waist=float(rng.normal(0.92 if woman else 1.03, 0.06)),
        hip_girth=float(rng.normal(1.06 if woman else 0.97, 0.04)),
        belly=max(0.0, float(rng.normal(0.06 * (girth - 1) * 4, 0.012))),
        bust=float(rng.uniform(0.025, 0.055)) if woman else 0.0,
    )


def random_look(rng: np.random.Generator, body: Body) -> Look:
    """Random skin, hair and clothes."""
    woman = body.bust > 0
    top, bottom = random_cloth(rng), random_cloth(rng, 0.7)
    skirt = woman and rng.random() < 0.4
    long_hair = rng.random() < (0.75 if woman else 0.1)
    style = (
        rng.choice(("fringe", "bob", "long", "ponytail", "bun", "curly"))
        if long_hair
        else rng.choice(("short", "crop", "fringe", "curly", "cap", "short", "bald"))
    )
    legs = float(rng.choice([0.3, 0.45, 0.55, 0.85, 1.0, 1.0, 1.0, 1.0]))
    skin = np.array(SKINS[rng.integers(len(SKINS))]) * rng.uniform(0.93, 1.05)
    return Look(
        skin=tuple(np.clip(skin, 0, 1)),
        hair_style=str(style),
        hair=tuple(np.clip(np.array(HAIRS[rng.integers(len(HAIRS))]) * rng.uniform(0.8, 1.2), 0.01, 1)),
        eyes=tuple(rng.uniform(0.1, 0.5, 3)),
        lips=tuple(np.clip(skin * [0.86, 0.55, 0.58] * (rng.uniform(0.7, 1.0) if woman else 1.0), 0, 1)),
        beard=float(rng.uniform(0.3, 0.9)) if not woman and rng.random() < 0.35 else 0.0,
        sleeves=float(rng.choice([0.0, 0.25, 0.35, 0.45, 0.5, 0.8, 1.0, 1.0])),
        top=top,
        top_loose=float(rng.uniform(0.008, 0.03)),
        top_hem=float(rng.uniform(-0.08, 0.06)),
        bottom=bottom,
        legs=legs,
        bottom_loose=float(rng.uniform(0.006, 0.02)),
        flare=float(rng.uniform(0.06, 0.25)) if skirt else float(max(0.0, rng.normal(0.0, 0.02))),
        skirt=float(rng.uniform(0.42, 0.85)) if skirt else 0.0,
        dress=bool(skirt and rng.random() < 0.5),
        shoe=random_cloth(rng).colour,
        sole=(0.93, 0.93, 0.9) if rng.random() < 0.6 else (0.1, 0.1, 0.1),
        glasses=bool(rng.random() < 0.15),
        nose=float(rng.uniform(0.75, 1.15)),
    )


def random_figure(rng: np.random.Generator, detail: float = 0.6) -> Figure:
    """A random figure: proportions, face, hair and clothes vary widely."""
    body = random_body(rng)
    return build_figure(body, random_look(rng, body), detail, int(rng.integers(1 << 30)) % 1000)


def restyle(figure: Figure, rng: np.random.Generator) -> Figure:
    """The same mesh with other colours and patterns (cheap: nothing is built again)."""
    other = random_look(rng, figure.body)
    colours = {
        k: getattr(other, k)
        for k in ("skin", "hair", "eyes", "lips", "top", "bottom", "shoe", "sole", "beard", "glasses")
    }
    return replace(figure, look=replace(figure.look, **colours))
