"""Figures: a body of given proportions with face, hair, clothes and shoes, as one skinned mesh.

The mesh is built once in the rest position; a pose moves it by dual quaternion skinning (Kavan et al. 2007), which
keeps the volume at bent joints. Patterns of the clothes are functions of the position at rest, so they move with the
body.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial.transform import Rotation

from data.sample import shapes
from data.sample.cloth import Sheet, body_capsules, hang
from data.sample.garments import TRUNK, sheets
from data.sample.looks import Look, any_cloth, colours, random_body, random_look, random_wardrobe
from data.sample.mesh import Loft, Mesh, build, ellipsoid, tube
from data.sample.pose import BONE, BONES, PARENT, SIDES, Body, Pose, arm_direction, forward, rest_joints


@dataclass
class Figure:
    """A body with a look, ready to be posed and rendered.

    vertices, normals (V, 3) at rest; weights (V, bones); faces (F, 3); occlusion (V,); part (F,) index into `parts`;
    bone (F,) the bone that moves the triangle most; pattern (V, 4): position about the axis of the limb, and its
    radius. sheets: the first vertex of each sheet that hangs, and the sheet; force (m/s^2) and spin (rad/s): how wind
    and the motion of the body move them, see `cloth.hang`.
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
    parts: tuple[str, ...] = field(default=("skin", "face", "hair", "top", "bottom", "shoe", "hat"))
    sheets: tuple[tuple[int, Sheet], ...] = ()
    force: tuple[float, float, float] = (0.0, 0.0, 0.0)
    spin: float = 0.0


@dataclass(frozen=True)
class Piece:
    """One closed surface of a figure, and how it is meshed (see `mesh.build`)."""

    part: str
    lofts: list[Loft]
    step: float
    softness: float
    displace: shapes.Displacement | None = None
    carve: tuple = ()
    skin_softness: float = 0.018
    open_below: bool = False  # the flat bottom stands for an opening, into which no light falls

    def mesh(self) -> Mesh:
        """The garment's surface."""
        args = (self.lofts, len(BONES), self.step, self.softness, self.carve, self.skin_softness, self.displace)
        mesh = build(*args)
        if self.open_below:
            mesh.occlusion[mesh.normals[:, 1] < -0.8] = 0.1
        return mesh


def build_figure(body: Body, look: Look, detail: float = 1.0, seed: int = 0) -> Figure:
    """Build the mesh of a figure.

    detail: 1 = edges of about 12 mm on the body and 5 mm on the hands; 0.5 = twice as long, faster to render.
    seed: varies the folds of the cloth and the hands.
    """
    joints = rest_joints(body)
    step, fine = 0.0125 / detail, 1 / max(detail, 0.6)
    origin, s = shapes.head_origin(body, joints)
    lofts, carve, strands = shapes.hair(look.hair_style, origin, s)
    pieces = [
        *_skin(body, look, joints, min(step, 0.0125 * fine), fine, seed),
        _top(body, look, joints, step, seed),
        *(_skirt(body, look, step) if look.skirt else [_trousers(body, look, joints, step, seed)]),
        Piece("face", shapes.head(origin, s, look.nose), 0.0062 * fine * s, 0.0055 * s),
    ]
    if lofts:
        locks = shapes.strands(strands * s, origin) if strands else None
        pieces.append(Piece("hair", lofts, 1.1 * 0.0062 * fine * s, 0.008 * s, locks, tuple(carve)))
    if look.hat != "none":
        lofts, carve = shapes.hat(look.hat, origin, s)
        pieces.append(Piece("hat", lofts, 1.1 * 0.0062 * fine * s, 0.006 * s, None, tuple(carve)))
    return _with_sheets(_merge(body, look, joints, pieces), sheets(body, look, joints))


def _skin(body: Body, look: Look, joints: np.ndarray, step: float, fine: float, seed: int) -> list[Piece]:
    """Neck, arms, hands, legs as far as the clothes leave them free, and the shoes."""
    h, hip = body.height, body.legs * body.height
    neck = tube(
        joints[BONE["neck"]] + [0, -0.05, 0.002],
        joints[BONE["head"]] + [0, 0.015, 0.004],
        np.array([0.036, 0.0315, 0.030]) * h * (0.6 + 0.4 * body.girth),
        BONE["neck"],
    )
    neck = replace(neck, bones=((0.1, BONE["chest"]), (0.45, BONE["neck"]), (1.0, BONE["head"])))
    slopes = [shapes.trapezius(body, joints, side, sign, -0.002) for side, sign in SIDES]
    bare = 0.7 if look.top_hem < 0.08 else 0.1  # a short top leaves the belly free
    chest = shapes.torso(body, hip + bare * (0.817 * h - hip), 9.0, -0.004, (0.02, 0.01))
    pieces = [Piece("skin", [neck, *slopes, chest], step, 0.010 * h / 1.75)]
    for side, sign in SIDES:
        upper, fore = shapes.arm_radii(body)
        shoulder, elbow, wrist = (f"{side}_{name}" for name in ("upper_arm", "forearm", "hand"))
        begin = max(look.sleeves - 0.12, 0.0)
        if begin < 0.5:
            arm = [shapes.limb(joints, shoulder, elbow, upper, 2 * begin), shapes.limb(joints, elbow, wrist, fore)]
        else:
            arm = [shapes.limb(joints, elbow, wrist, fore, min(2 * begin - 1, 0.9))]
        if look.sleeves < 0.1:
            arm.append(ellipsoid(joints[BONE[shoulder]], np.full(3, 0.0265 * h * body.girth), BONE[f"{side}_clavicle"]))
        rng = np.random.default_rng([seed, int(sign > 0)])
        hand = shapes.hand(body, joints, side, sign, rng.uniform(0.3, 1.2), rng.uniform(0.1, 0.7))
        pieces += [Piece("skin", arm, step, 0.006), Piece("skin", hand, 0.0055 * fine, 0.003)]
        if look.skirt or look.legs < 0.97:
            thigh, shin = shapes.leg_radii(body)
            hip_joint, knee, ankle = (f"{side}_{name}" for name in ("thigh", "shin", "foot"))
            begin = min(0.42, 0.4 * look.skirt / (0.5 * h)) if look.skirt else max(look.legs - 0.12, 0.0)
            leg = [shapes.limb(joints, hip_joint, knee, thigh, 2 * begin)] if begin < 0.5 else []
            leg.append(shapes.limb(joints, knee, ankle, shin, max(2 * begin - 1, 0.0)))
            pieces.append(Piece("skin", leg, step, 0.008))
        if look.boots > 0:
            shin = shapes.leg_radii(body)[1]
            knee, ankle = f"{side}_shin", f"{side}_foot"
            shaft = shapes.limb(joints, knee, ankle, shin, 1 - look.boots, 0.97, 0.016, 0.006)
            pieces.append(Piece("shoe", [shaft], step, 0.006))
        foot = "skin" if look.barefoot else "shoe"
        pieces.append(Piece(foot, shapes.shoe(body, joints, side, look.barefoot), 0.009 * fine, 0.006))
    return pieces


def _waist(body: Body) -> float:
    """Height of the upper edge of a skirt, metres."""
    hip = body.legs * body.height
    return hip + 0.30 * (0.817 * body.height - hip)


def _hem(body: Body, look: Look) -> float:
    """Height of the lower edge of the top, which is tucked into a skirt, metres."""
    return _waist(body) - 0.06 if look.skirt else body.legs * body.height + look.top_hem


def _top(body: Body, look: Look, joints: np.ndarray, step: float, seed: int) -> Piece:
    """Trunk and sleeves."""
    h, hip, loose = body.height, body.legs * body.height, look.top_loose
    drape = 0.0 if look.skirt else 0.012 * h / 1.75
    lofts = [shapes.torso(body, _hem(body, look), 9.0, loose, (0.008, 0.004), drape)]
    if body.bust > 0:
        for sign in (-1, 1):
            centre = (sign * 0.042 * h, hip + 0.73 * (0.817 * h - hip), 0.045 * h)
            lofts.append(ellipsoid(centre, (0.040 * h, 0.042 * h, 0.012 * h + body.bust), BONE["chest"]))
    for side, sign in SIDES:
        lofts.append(shapes.trapezius(body, joints, side, sign, 0.8 * loose))
        if look.sleeves > 0.05:
            wide = loose * (0.8 if look.sleeves > 0.6 else 1.0)
            lofts += shapes.arm(body, joints, side, look.sleeves, wide, 0.006, look.sleeve_flare)
            radius = np.full(3, 0.0235 * h * body.girth + loose)
            lofts.append(ellipsoid(joints[BONE[f"{side}_upper_arm"]], radius, BONE[f"{side}_clavicle"]))
    return Piece("top", lofts, step, 0.010, shapes.waves(0.11, min(0.0045, 0.25 * loose) + look.folds, seed))


def _trousers(body: Body, look: Look, joints: np.ndarray, step: float, seed: int) -> Piece:
    hip = body.legs * body.height
    extra = min(look.bottom_loose, max(look.top_loose - 0.006, 0.004))
    high = min(hip + 0.16 * (0.817 * body.height - hip), _hem(body, look) + 0.03)
    lofts = [shapes.torso(body, 0.0, high, extra, (0.02, 0.01))]
    for side, _ in SIDES:
        lofts += shapes.leg(body, joints, side, look.legs - 0.012, extra, look.flare, 0.006)
    return Piece("bottom", lofts, step, 0.011, shapes.waves(0.12, min(0.004, 0.3 * extra), seed + 1.7))


def _skirt(body: Body, look: Look, step: float) -> list[Piece]:
    """A skirt and, for a dress, the cloth between it and the top."""
    h, high = body.height, _waist(body)
    t = np.linspace(0, 1, 12)
    sections, bottom, top = shapes.torso_sections(body, look.top_loose + 0.008)
    at = np.clip((high - t * look.skirt - bottom) / (top - bottom), 0.10, 1)
    spread = look.flare * np.maximum(t - 0.25, 0) ** 1.2
    width, depth = (np.maximum.accumulate(np.interp(at, sections[:, 0], sections[:, i])) + spread for i in (1, 2))
    rows = np.column_stack([t, width, np.maximum(depth, 0.075 * h * (0.4 + 0.6 * body.girth)), 0 * t])
    # the width of a loft that runs downwards is measured to the right
    bones = ((0.25, BONE["pelvis"]), (0.8, (BONE["left_thigh"], BONE["right_thigh"])))
    ends = np.array([0, high, 0.0]), np.array([0, high - look.skirt, 0.0])
    skirt = Loft(*ends, rows, bones, (0.006, 0.006), (-1.0, 0.0, 0.0))
    part = "top" if look.dress else "bottom"
    pieces = [Piece(part, [skirt], step, 0.006, shapes.pleats(0.010), skin_softness=0.03, open_below=True)]
    if look.dress:
        hip = body.legs * body.height
        pieces.append(Piece("top", [shapes.torso(body, hip, high + 0.05, 0.004, (0.01, 0.01))], step, 0.006))
    return pieces


def _merge(body: Body, look: Look, joints: np.ndarray, pieces: list[Piece]) -> Figure:
    """One figure of all pieces; triangles on a seam get vertices of their own."""
    meshes = [(piece.part, piece.mesh()) for piece in pieces]
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


def _with_sheets(figure: Figure, hanging: list[Sheet]) -> Figure:
    """The same figure with sheets, each with an outer and an inner side."""
    vertices, normals, weights, faces = [figure.vertices], [figure.normals], [figure.weights], [figure.faces]
    occlusion, part, bone, pattern, firsts = [figure.occlusion], [figure.part], [figure.bone], [figure.pattern], []
    count = len(figure.vertices)
    for sheet in hanging:
        points, weight = sheet.refine(sheet.rest), np.maximum(sheet.refine(sheet.weights), 0)
        weight /= weight.sum(-1, keepdims=True)
        flat, weight = points.reshape(-1, 3), weight.reshape(-1, len(BONES))
        normal = sheet.normals(points).reshape(-1, 3)
        triangles = sheet.faces()
        limb = _LIMB_OF[weight.argmax(1)] if sheet.closed and len(set(sheet.obstacles) & {"hips"}) == 0 else 0
        position = _pattern_position(figure.joints, flat, np.broadcast_to(limb, len(flat)))
        firsts.append((count, sheet))
        rows, columns = sheet.fine_shape()
        limb_below = sheet.bone[np.arange(rows)[:, None] // 2, (np.arange(columns) // 2)[None]].ravel()
        for sign, light in ((1, 0.9), (-1, 0.35)):
            vertices.append(flat)
            normals.append(sign * normal)
            weights.append(weight)
            faces.append((triangles if sign > 0 else triangles[:, ::-1]) + count)
            occlusion.append(np.full(len(flat), light))
            part.append(np.full(len(triangles), figure.parts.index(sheet.part)))
            bone.append(limb_below[triangles[:, 0]])
            pattern.append(position)
            count += len(flat)
    grown = {
        name: np.concatenate(value).astype(value[0].dtype)
        for name, value in (
            ("vertices", vertices), ("normals", normals), ("weights", weights), ("faces", faces),
            ("occlusion", occlusion), ("part", part), ("bone", bone), ("pattern", pattern),
        )
    }  # fmt: skip
    return replace(figure, **grown, sheets=tuple(firsts))


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


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Hamilton product (..., 4) of a pure quaternion (..., 3) with one (..., 4) w, x, y, z."""
    w, axis = b[..., :1], b[..., 1:]
    return np.concatenate([-(a * axis).sum(-1, keepdims=True), w * a + np.cross(a, axis)], -1)


def skin_mesh(figure: Figure, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and unit normals (V, 3) float32 in the world for one pose."""
    rotations, positions = forward(figure.joints, pose)
    moved = positions - (rotations @ figure.joints[..., None])[..., 0]
    real = Rotation.from_matrix(rotations).as_quat()[:, [3, 0, 1, 2]]
    for bone in range(1, len(BONES)):  # the same hemisphere along the chain, so that blends take the short way
        parent = PARENT[bone]
        if real[bone] @ real[parent] < 0:
            real[bone] *= -1
    dual = 0.5 * _product(moved, real)
    blended = figure.weights @ np.concatenate([real, dual], 1).astype(np.float32)
    blended /= np.linalg.norm(blended[:, :4], axis=1, keepdims=True)
    w, axis = blended[:, :1], blended[:, 1:4]
    dw, daxis = blended[:, 4:5], blended[:, 5:]

    def turn(v: np.ndarray) -> np.ndarray:
        return v + 2 * np.cross(axis, np.cross(axis, v) + w * v)

    shift = 2 * (w * daxis - dw * axis + np.cross(axis, daxis))
    vertices, turned = turn(figure.vertices) + shift, turn(figure.normals)
    if figure.sheets:
        _let_hang(figure, rotations, positions, vertices, turned)
    return vertices, turned


def _let_hang(
    figure: Figure, rotations: np.ndarray, positions: np.ndarray, vertices: np.ndarray, normals: np.ndarray
) -> None:
    """Put the skinned sheets of a posed figure where they come to hang, in place."""
    look = figure.look
    wide = any(h.kind == "trousers" for h in look.hanging)
    legs = 0.02 if wide else look.bottom_loose if look.legs > 0.5 else 0.0
    capsules = body_capsules(figure.body, figure.joints, 0.012 + legs, 0.012)
    for first, sheet in figure.sheets:
        shape = sheet.fine_shape()
        size = shape[0] * shape[1]
        guess = vertices[first : first + size].reshape(*shape, 3)[::2, ::2]
        met = []
        for name in sheet.obstacles:
            if name in capsules:
                capsule = capsules[name]
                ends = np.stack([capsule.start, capsule.end]) - figure.joints[capsule.bone]
                start, end = ends @ rotations[capsule.bone].T + positions[capsule.bone]
                margin = sheet.trunk if name in TRUNK else sheet.margin
                met.append((start, end, [radius + margin for radius in capsule.radii]))
        points = sheet.refine(hang(sheet, guess, met, figure.force, figure.spin, positions[0]))
        normal = sheet.normals(points).reshape(-1, 3)
        for side, sign in ((0, 1), (1, -1)):
            here = slice(first + side * size, first + (side + 1) * size)
            vertices[here], normals[here] = points.reshape(-1, 3), sign * normal


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
    origin, scale = shapes.head_origin(figure.body, figure.joints)
    head = BONE["head"]
    for k, local in _ON_HEAD.items():
        offset = origin + scale * np.array(local) - figure.joints[head]
        points[..., k, :] = positions[..., head, :] + rotations[..., head, :, :] @ offset
    return points


def hands_and_feet_3d(figure: Figure, pose: Pose) -> np.ndarray:
    """Ten more points in the world, (10, 3) metres, of one pose: where little finger and index begin and the middle of
    the thumb, right and left; heel and tip of the toes, right and left."""
    rotations, positions = forward(figure.joints, pose)
    points = []
    for side, sign in SIDES:
        hand = shapes.hand_points(figure.body, figure.joints, side, sign)
        points += [(f"{side}_hand", p) for p in hand]
    for side, _ in SIDES:
        heel, toe = shapes.foot_points(figure.body, figure.joints, side)
        points += [(f"{side}_foot", heel), (f"{side}_toes", toe)]
    return np.stack([
        positions[BONE[name]] + rotations[BONE[name]] @ (point - figure.joints[BONE[name]]) for name, point in points
    ])  # fmt: skip


def dressed_figure(rng: np.random.Generator, detail: float = 0.5) -> Figure:
    """As `random_figure`, from the larger wardrobe."""
    body = random_body(rng)
    return build_figure(body, random_wardrobe(rng, body), detail, int(rng.integers(1 << 30)) % 1000)


def recolour(figure: Figure, rng: np.random.Generator) -> Figure:
    """The same figure with other skin, hair, colours and patterns; nothing is built again."""
    look = random_look(rng, figure.body)
    kept = {k: getattr(look, k) for k in ("skin", "hair", "eyes", "lips", "sole", "beard", "glasses")}
    kept |= colours(rng, look.skin)
    if figure.look.hat == "hood":
        kept["hat_cloth"] = kept["top"]
    if figure.look.front is not None:
        kept["front"] = any_cloth(rng, look.skin)
    return replace(figure, look=replace(figure.look, **kept))


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
