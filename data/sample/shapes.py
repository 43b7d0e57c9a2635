"""Shapes of the parts of a body and of its clothes, as lofts around the joints at rest.

`joints` is always (bones, 3) of `rest_joints`, `sign` +1 for the left side, lengths are metres. Thickness is given
for the naked body; clothes are the same shapes, `extra` metres thicker.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from data.sample.looks import HAIR, HATS
from data.sample.mesh import Loft, ellipsoid, tube
from data.sample.pose import BONE, Body, arm_direction, rest_joints

Displacement = Callable[[np.ndarray], np.ndarray]


def head_origin(body: Body, joints: np.ndarray) -> tuple[np.ndarray, float]:
    """Point between the eyes in the rest position, on which the head is modelled, and the scale of the head."""
    return joints[BONE["head"]] + np.array([0, 0.075, 0.022]) * body.head, body.head


def torso_sections(body: Body, extra: float = 0.0) -> tuple[np.ndarray, float, float]:
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
    """Cubic interpolation with the slopes of central differences (Catmull-Rom)."""
    return CubicHermiteSpline(x, y, np.gradient(y, x))(at)


def torso(body: Body, low: float, high: float, extra: float, caps: tuple[float, float], drape: float = 0.0) -> Loft:
    """The trunk between two heights in metres, `extra` metres thicker than the body, `drape` more over the hips."""
    sections, bottom, top = torso_sections(body, extra)
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


def arm_radii(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Rows (t, radius in metres) of upper arm and forearm."""
    k = body.height * body.girth * body.muscle
    upper = np.array([[0, 0.0255], [0.2, 0.0275], [0.55, 0.0270], [0.8, 0.0235], [1, 0.0225]]) * [1, k]
    fore = np.array([[0, 0.0225], [0.25, 0.0240], [0.6, 0.0195], [1, 0.0150]]) * [1, k]
    return upper, fore


def leg_radii(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Rows (t, radius in metres) of thigh and shin."""
    k = body.height * body.girth * body.muscle
    thigh = np.array([[0, 0.0440], [0.2, 0.0480], [0.5, 0.0430], [0.8, 0.0345], [1, 0.0315]]) * [1, k]
    shin = np.array([[0, 0.0305], [0.15, 0.0315], [0.32, 0.0330], [0.6, 0.0255], [0.85, 0.0195], [1, 0.0195]]) * [1, k]
    return thigh, shin


def _part(radii: np.ndarray, first: float, last: float) -> np.ndarray:
    """The rows of a radius table between two parameters, rescaled to [0, 1]."""
    t = np.linspace(first, last, 8)
    return np.column_stack([np.linspace(0, 1, 8), np.interp(t, radii[:, 0], radii[:, 1])])


def limb(joints: np.ndarray, bone: str, end: str, radii: np.ndarray, first=0.0, last=1.0, extra=0.0, cap=None) -> Loft:
    """Tube along a bone from parameter first to last."""
    a, b = joints[BONE[bone]], joints[BONE[end]]
    rows = _part(radii, first, last) + np.array([0, extra])
    return tube(a + first * (b - a), a + last * (b - a), rows, BONE[bone], cap)


def _with_cuff(tube_to_end: Loft, cuff: float) -> Loft:
    """The same tube with a flat end, rounded by `cuff` metres."""
    return replace(tube_to_end, caps=(tube_to_end.caps[0], cuff))


def arm(
    body: Body, joints: np.ndarray, side: str, until: float, extra: float, cuff: float, flare: float = 0.0
) -> list[Loft]:
    """A sleeve down to `until` (0.5 = elbow, 1 = wrist), `extra` metres thicker than the skin and `flare` more at its
    end."""
    upper, fore = arm_radii(body)
    upper[:, 1] += flare * np.minimum(0.5 * upper[:, 0] / max(until, 0.1), 1)
    fore[:, 1] += flare * np.minimum((0.5 + 0.5 * fore[:, 0]) / max(until, 0.1), 1)
    shoulder, elbow, wrist = (f"{side}_{name}" for name in ("upper_arm", "forearm", "hand"))
    if until <= 0.5:
        return [_with_cuff(limb(joints, shoulder, elbow, upper, 0, until * 2, extra), cuff)]
    lower = limb(joints, elbow, wrist, fore, 0, until * 2 - 1, extra)
    return [limb(joints, shoulder, elbow, upper, 0, 1, extra), _with_cuff(lower, cuff)]


def leg(body: Body, joints: np.ndarray, side: str, until: float, extra: float, flare: float, cuff: float) -> list[Loft]:
    """A trouser leg down to `until` (0.5 = knee, 1 = ankle), hanging from thigh and calf without hugging the knee."""
    thigh, shin = (radii.copy() for radii in leg_radii(body))
    hanging = (thigh[2, 1] + extra) * 0.84 + flare * thigh[:, 0] ** 2 * min(until, 1)
    thigh[:, 1] = np.maximum(thigh[:, 1] + extra, hanging)
    hanging = 0.030 * body.height * body.girth + flare * (0.5 + 0.5 * shin[:, 0])
    shin[:, 1] = np.maximum(shin[:, 1] + extra, hanging)
    hip, knee, ankle = (f"{side}_{name}" for name in ("thigh", "shin", "foot"))
    if until <= 0.5:
        return [_with_cuff(limb(joints, hip, knee, thigh, 0, until * 2), cuff)]
    return [limb(joints, hip, knee, thigh), _with_cuff(limb(joints, knee, ankle, shin, 0, until * 2 - 1), cuff)]


def trapezius(body: Body, joints: np.ndarray, side: str, sign: float, extra: float) -> Loft:
    """The slope from the neck to the shoulder."""
    h = body.height
    inner = np.array([sign * 0.018 * h, joints[BONE["neck"]][1] - 0.008 * h, -0.012])
    outer = joints[BONE[f"{side}_upper_arm"]] + [-sign * 0.014 * h, 0.002 * h, 0]
    loft = tube(inner, outer, np.array([0.022, 0.022, 0.0235]) * h * (0.5 + 0.5 * body.girth) + extra, BONE["chest"])
    return replace(loft, bones=((0.25, BONE["chest"]), (0.75, BONE[f"{side}_clavicle"])))


def _hand_frame(body: Body, joints: np.ndarray, side: str, sign: float) -> tuple[Callable, np.ndarray, float]:
    """A function that gives the point (3,) at a place of the hand (along, towards the thumb, out of the palm, in metres
    for an average hand), the direction towards the thumb, and the size of the hand."""
    origin = joints[BONE[f"{side}_hand"]]
    along = arm_direction(sign)
    across = np.array([0.0, 0.0, 1.0])  # towards the thumb
    palm = np.cross(across, along) * -sign  # out of the palm
    k = body.height / 1.75 * (0.75 + 0.25 * body.girth)

    def at(a: float, c: float, p: float = 0.0) -> np.ndarray:
        return origin + k * (a * along + c * across + p * palm)

    return at, across, k


def hand_points(body: Body, joints: np.ndarray, side: str, sign: float) -> np.ndarray:
    """Where little finger and index begin, and the second joint of the thumb (3, 3), at rest."""
    at, _, _ = _hand_frame(body, joints, side, sign)
    return np.stack([at(0.078, -0.028), at(0.078, 0.028), at(0.052, 0.052, 0.014)])


def foot_points(body: Body, joints: np.ndarray, side: str) -> np.ndarray:
    """Heel, and tip of the big toe (2, 3), at rest."""
    foot, toes, k = joints[BONE[f"{side}_foot"]], joints[BONE[f"{side}_toes"]], body.height / 1.75
    return np.array([[foot[0], 0.022 * k, foot[2] - 0.060 * k], [foot[0], 0.024 * k, toes[2] + 0.078 * k]])


def hand(body: Body, joints: np.ndarray, side: str, sign: float, spread: float, curl: float) -> list[Loft]:
    """Palm, four fingers and a thumb; the palm faces the thigh, the thumb points forwards."""
    at, across, k = _hand_frame(body, joints, side, sign)
    bone = BONE[f"{side}_hand"]
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


def shoe(body: Body, joints: np.ndarray, side: str, bare: bool = False) -> list[Loft]:
    """A shoe, or a bare foot."""
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
    if bare:
        rows[:, 1:3] *= 0.86
        tip = tip - np.array([0, 0, 0.012 * k])
    sole = Loft(heel, tip, rows, knots, (0.030 * k, 0.035 * k))
    collar = tube(
        foot - np.array([0, 0.02 * k, 0.004]),
        foot + np.array([0, 0.022 * k, -0.008]),
        (0.034 * k, 0.029 * k) if bare else (0.040 * k, 0.034 * k),
        bones[0],
        0.006,
    )
    return [sole, collar]


def head(origin: np.ndarray, s: float, nose: float) -> list[Loft]:
    """Skull, jaw, nose, lips, brows and ears around the point between the eyes; s scales, `nose` is its width."""
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


def hair(style: str, origin: np.ndarray, s: float) -> tuple[list[Loft], list[tuple], float]:
    """Lofts, half spaces that are cut away, and the amplitude of the strands in metres. Raises ValueError for a style
    that is not in `looks.HAIR`."""
    if style not in HAIR:
        raise ValueError(f"unknown hair style {style!r}; known are {', '.join(HAIR)}")
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
    if style == "open":  # the rest of it is a sheet
        return [cap, nape, *side], [face(0.066, 0.092, 0.45)], 0.003
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


def hat(style: str, origin: np.ndarray, s: float) -> tuple[list[Loft], list[tuple]]:
    """Lofts of a hat, and half spaces that are cut away. Raises ValueError for a style that is not in `looks.HATS`."""
    if style not in HATS[1:]:
        raise ValueError(f"unknown hat {style!r}; known are {', '.join(HATS)}")
    bone = BONE["head"]

    def at(x: float, y: float, z: float) -> np.ndarray:
        return origin + s * np.array([x, y, z])

    def below(y: float, slope: float = 0.0) -> tuple:
        """Cut away what lies under a plane at height y over the eyes, which falls towards the nape."""
        normal = np.array([0.0, -1.0, slope]) / np.hypot(1.0, slope)
        return normal, float(normal @ at(0, y, 0))

    crown = ellipsoid(at(0, 0.045, -0.014), s * np.array([0.090, 0.106, 0.110]), bone)
    if style == "beanie":
        high = ellipsoid(at(0, 0.075, -0.024), s * np.array([0.084, 0.088, 0.098]), bone)
        return [crown, high], [below(0.040, 0.25)]
    if style == "cap":
        rows = np.array([[0, 0.072, 0.008, 0], [0.7, 0.066, 0.007, 0], [1, 0.045, 0.006, 0]]) * [1, s, s, s]
        peak = Loft(at(0, 0.062, 0.060), at(0, 0.046, 0.160), rows, ((0.0, bone),), (0.01, 0.012))
        return [crown, peak], [below(0.038)]
    if style == "brim":
        brim = tube(at(0, 0.052, -0.010), at(0, 0.060, -0.010), s * np.array([0.175, 0.185]), bone, 0.008 * s, 1.08)
        top = tube(at(0, 0.06, -0.012), at(0, 0.140, -0.014), s * np.array([0.094, 0.086]), bone, 0.03 * s, 1.12)
        return [top, brim], []
    hood = ellipsoid(at(0, 0.022, -0.030), s * np.array([0.100, 0.122, 0.112]), bone)
    cape = tube(at(0, -0.05, -0.055), at(0, -0.17, -0.06), s * np.array([0.085, 0.10]), BONE["neck"], None, 0.8)
    cape = replace(cape, bones=((0.0, bone), (0.8, BONE["neck"]), (1.0, BONE["chest"])))
    normal = np.array([0.0, 0.10, 1.0]) / np.hypot(0.10, 1.0)
    return [hood, cape], [(normal, float(normal @ at(0, 0.0, 0.030)))]


def waves(scale: float, amplitude: float, seed: float) -> Displacement:
    """Folds of cloth: a few crossing waves."""

    def displace(points: np.ndarray) -> np.ndarray:
        x, y, z = (points / scale).T
        a = np.sin(2.1 * x + 3.7 * y + 1.3 * z + seed + 0.9 * np.sin(1.7 * y - 2.3 * z))
        b = np.sin(-3.1 * x + 2.9 * y + 2.2 * z + 2 * seed + 1.1 * np.sin(2.9 * x + seed))
        return amplitude * (0.6 * a + 0.4 * b)

    return displace


def strands(amplitude: float, origin: np.ndarray) -> Displacement:
    """Locks of hair around the head."""

    def displace(points: np.ndarray) -> np.ndarray:
        x, y, z = (points - origin).T
        angle = np.arctan2(x, z + 0.02)
        wave = np.sin(23 * angle + 40 * y + 2 * np.sin(60 * y)) + 0.6 * np.sin(41 * angle - 70 * y)
        return amplitude * (0.6 * wave + 0.4 * np.sin(90 * x + 70 * y + 110 * z))

    return displace


def pleats(depth: float) -> Displacement:
    """Folds of a skirt, deeper towards its hem."""

    def displace(points: np.ndarray) -> np.ndarray:
        high = points[:, 1].max()
        down = np.clip((high - points[:, 1]) / max(high - points[:, 1].min(), 1e-6), 0, 1)
        angle = np.arctan2(points[:, 0], points[:, 2])
        return depth * down**1.3 * (np.sin(9 * angle + 0.5) + 0.5 * np.sin(14 * angle))

    return displace
