"""Skeleton: proportions, forward kinematics, and poses solved from targets for hands and feet.

World axes: x to the viewer's right, y up, z towards the viewer; a figure without rotation looks along +z, so its left
hand is at +x. Every function accepts any leading dimensions (frames), shown as `...`.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d, minimum_filter1d
from scipy.spatial.transform import Rotation

BONES = (
    "pelvis", "waist", "chest", "neck", "head",
    "right_clavicle", "right_upper_arm", "right_forearm", "right_hand",
    "left_clavicle", "left_upper_arm", "left_forearm", "left_hand",
    "right_thigh", "right_shin", "right_foot", "right_toes",
    "left_thigh", "left_shin", "left_foot", "left_toes",
)  # fmt: skip
BONE = {name: i for i, name in enumerate(BONES)}
PARENT = (-1, 0, 1, 2, 3, 2, 5, 6, 7, 2, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)
SIDES = (("right", -1.0), ("left", 1.0))
ARM_SLOPE = np.deg2rad(48.0)  # arms below the horizontal in the rest position


@dataclass(frozen=True)
class Body:
    """Proportions. Lengths are fractions of the height except `height` (metres); factors are around 1."""

    height: float = 1.75
    shoulders: float = 0.107  # half distance of the shoulder joints
    hips: float = 0.052  # half distance of the hip joints
    legs: float = 0.525  # height of the hip joints
    arms: float = 1.0  # factor on the length of the arms
    head: float = 1.0  # factor on the size of the head
    girth: float = 1.0  # factor on the thickness of trunk and limbs
    muscle: float = 1.0  # factor on the thickness of the limbs alone
    waist: float = 1.0  # factor on the waist
    hip_girth: float = 1.0  # factor on the width of the pelvis
    belly: float = 0.0  # extra depth of the belly, metres
    bust: float = 0.0  # depth of the bust, metres


def rest_joints(body: Body) -> np.ndarray:
    """Positions (bones, 3) of the joint at the start of every bone, feet on y = 0, arms hanging outwards."""
    h = body.height
    joints = np.zeros((len(BONES), 3))
    hip, shoulder = body.legs * h, 0.817 * h
    crown_to_joint = 0.1925 * body.head
    joints[BONE["pelvis"]] = 0, hip + 0.015 * h, 0
    joints[BONE["waist"]] = 0, hip + 0.25 * (shoulder - hip), -0.005
    joints[BONE["chest"]] = 0, hip + 0.55 * (shoulder - hip), -0.01
    joints[BONE["neck"]] = 0, shoulder + 0.012 * h, -0.012
    joints[BONE["head"]] = 0, max(h - crown_to_joint, shoulder + 0.05 * h), -0.012
    for side, sign in SIDES:
        direction = arm_direction(sign)
        joints[BONE[f"{side}_clavicle"]] = sign * 0.015 * h, shoulder - 0.018 * h, 0
        arm = np.array([sign * body.shoulders * h, shoulder - 0.026 * h, -0.006])
        joints[BONE[f"{side}_upper_arm"]] = arm
        joints[BONE[f"{side}_forearm"]] = arm + direction * 0.168 * h * body.arms
        joints[BONE[f"{side}_hand"]] = arm + direction * (0.168 + 0.145) * h * body.arms
        x = sign * body.hips * h
        joints[BONE[f"{side}_thigh"]] = x, hip, 0
        out = sign * 0.024 * h  # legs a little apart, so that wide trousers do not grow together
        joints[BONE[f"{side}_shin"]] = x + out, 0.285 / 0.525 * hip, 0.004
        joints[BONE[f"{side}_foot"]] = x + 2 * out, 0.045 * h, -0.008
        joints[BONE[f"{side}_toes"]] = x + 2 * out, 0.013 * h, 0.062 * h
    return joints


def arm_direction(sign: float) -> np.ndarray:
    """Direction (3,) of the arm of one side in the rest position; sign is +1 for the left."""
    return np.array([sign * np.cos(ARM_SLOPE), -np.sin(ARM_SLOPE), 0.0])


@dataclass
class Pose:
    """root (..., 3): the pelvis in metres; rotations (..., bones, 3, 3): of each bone relative to its parent."""

    root: np.ndarray
    rotations: np.ndarray

    def __getitem__(self, frame) -> "Pose":
        return Pose(self.root[frame], self.rotations[frame])


def forward(joints: np.ndarray, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Joints (bones, 3) at rest -> rotations (..., bones, 3, 3) and positions (..., bones, 3) in the world."""
    rotations = np.empty(pose.rotations.shape)
    positions = np.empty((*pose.rotations.shape[:-2], 3))
    for bone, parent in enumerate(PARENT):
        if parent < 0:
            rotations[..., bone, :, :] = pose.rotations[..., bone, :, :]
            positions[..., bone, :] = pose.root
        else:
            rotations[..., bone, :, :] = rotations[..., parent, :, :] @ pose.rotations[..., bone, :, :]
            offset = joints[bone] - joints[parent]
            positions[..., bone, :] = positions[..., parent, :] + rotations[..., parent, :, :] @ offset
    return rotations, positions


def euler(pitch, yaw, roll) -> np.ndarray:
    """Rotation matrices (..., 3, 3): roll about z, then pitch about x, then yaw about y. Positive pitch bends forwards,
    positive yaw turns to the figure's left, positive roll leans to its right."""
    angles = np.stack(np.broadcast_arrays(yaw, pitch, roll), -1)
    return Rotation.from_euler("YXZ", angles.reshape(-1, 3)).as_matrix().reshape(*angles.shape[:-1], 3, 3)


def about(axis: np.ndarray, angle) -> np.ndarray:
    """Rotations (..., 3, 3) by `angle` (...) about the unit axis (3,) (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.asarray(angle, float)[..., None, None]
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) at length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def align(rest: tuple[np.ndarray, np.ndarray], now: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Rotation (..., 3, 3) that takes the orthonormal pair `rest` to the pair `now`."""

    def frame(pair) -> np.ndarray:
        a, b = np.broadcast_arrays(*pair)
        return np.stack([a, b, np.cross(a, b)], -1)

    return frame(now) @ np.swapaxes(frame(rest), -1, -2)


def bend_limb(start: np.ndarray, goal: np.ndarray, first: float, second: float, pole: np.ndarray, soft: float = 0.06):
    """Two-bone inverse kinematics; the middle joint points towards `pole`.

    Returns unit directions of both bones (..., 3) and the hinge axis (..., 3). A goal out of reach is approached
    softly; `soft` is the share of the length over which the limb resists to be straight.
    """
    delta = goal - start
    span = np.linalg.norm(delta, axis=-1, keepdims=True)
    axis = delta / np.maximum(span, 1e-9)
    longest = 0.999 * (first + second)
    knee = (1 - soft) * longest  # beyond this the limb straightens ever more slowly, without a jerk
    room = longest - knee
    reach = np.where(span > knee, knee + room * (1 - np.exp(-(span - knee) / room)), span)
    reach = np.maximum(reach, abs(first - second) + 0.12 * min(first, second))
    out = unit(pole - np.sum(pole * axis, -1, keepdims=True) * axis)
    cosine = np.clip((first**2 + reach**2 - second**2) / (2 * first * reach), -1, 1)
    sine = np.sqrt(1 - cosine**2)
    upper = cosine * axis + sine * out
    lower = unit(reach * axis - first * upper)
    return upper, lower, np.cross(out, axis)


@dataclass
class Stance:
    """Targets that define a pose for a body of any proportions; arrays over frames. Angles in radians.

    Floor positions are in metres for a body of 1.75 m and scale with the hip height. Sides are in the order right,
    left.
    """

    place: np.ndarray  # (..., 3) pelvis over the floor: x, height relative to standing (0 = straight legs), z
    turn: np.ndarray  # (...,) yaw of the pelvis
    lean: np.ndarray  # (..., 2) pitch and roll of the pelvis
    spine: np.ndarray  # (..., 3) pitch, yaw, roll of the chest relative to the pelvis
    head: np.ndarray  # (..., 3) pitch, yaw, roll of the head relative to the chest
    hands: np.ndarray  # (..., 2, 3) wrist relative to the shoulder, in arm lengths: outwards, up, forwards of the chest
    elbows: np.ndarray  # (..., 2) swivel of the elbow about shoulder-wrist: 0 down and back, positive outwards
    wrists: np.ndarray  # (..., 2, 2) flexion towards the palm, pronation
    shrug: np.ndarray  # (..., 2) extra lift of the shoulders
    feet: np.ndarray  # (..., 2, 3) ankle over the floor: x, lift, z
    aim: np.ndarray  # (..., 2) yaw of the feet
    heel: np.ndarray  # (..., 2) pitch of the feet: the heel rises, the ball of the foot stays

    def __getitem__(self, frame) -> "Stance":
        return Stance(**{f.name: getattr(self, f.name)[frame] for f in fields(self)})


def standing(frames: tuple[int, ...] = ()) -> Stance:
    """A relaxed upright stance, arms hanging."""

    def fill(*value) -> np.ndarray:
        return np.broadcast_to(np.array(value, float), (*frames, *np.shape(value))).copy()

    return Stance(
        place=fill(0, -0.012, 0),
        turn=np.zeros(frames),
        lean=fill(0, 0),
        spine=fill(0, 0, 0),
        head=fill(0, 0, 0),
        hands=fill([0.16, -0.95, 0.08], [0.16, -0.95, 0.08]),
        elbows=fill(0.3, 0.3),
        wrists=fill([0.1, 0], [0.1, 0]),
        shrug=fill(0, 0),
        feet=fill([-0.11, 0, 0], [0.11, 0, 0]),
        aim=fill(-0.2, 0.2),
        heel=fill(0, 0),
    )


def solve(body: Body, stance: Stance, smooth: float = 0.0) -> Pose:
    """The pose of a body that meets the targets of the stance; feet on the floor have priority over the pelvis height.

    smooth: for a sequence of frames (N,), the time in frames over which the height of the pelvis is kept from jerking.
    """
    joints = rest_joints(body)
    scale = body.legs * body.height / (0.525 * 1.75)
    frames = stance.turn.shape
    local = np.broadcast_to(np.eye(3), (*frames, len(BONES), 3, 3)).copy()
    pelvis = euler(stance.lean[..., 0], stance.turn, stance.lean[..., 1])
    half = stance.spine / 2
    bend = euler(half[..., 0], half[..., 1], half[..., 2])
    nod = euler(*(stance.head[..., i] / 2 for i in range(3)))
    local[..., BONE["pelvis"], :, :] = pelvis
    local[..., BONE["waist"], :, :] = local[..., BONE["chest"], :, :] = bend
    local[..., BONE["neck"], :, :] = local[..., BONE["head"], :, :] = nod

    # pelvis: as high as the stance asks, but never so high that a foot would leave its place
    thigh = np.linalg.norm(joints[BONE["left_shin"]] - joints[BONE["left_thigh"]])
    shin = np.linalg.norm(joints[BONE["left_foot"]] - joints[BONE["left_shin"]])
    ankle = joints[BONE["left_foot"]][1]
    ankles = _ankles(joints, stance, scale)
    root = np.stack(
        [stance.place[..., 0] * scale, joints[0, 1] + stance.place[..., 1] * scale, stance.place[..., 2] * scale], -1
    )
    ceiling = []
    for i, (side, _) in enumerate(SIDES):
        offset = pelvis @ (joints[BONE[f"{side}_thigh"]] - joints[0])
        flat = ankles[..., i, :] - root - offset
        length = 0.978 * (thigh + shin)
        rise = np.sqrt(np.maximum(length**2 - flat[..., 0] ** 2 - flat[..., 2] ** 2, (0.3 * length) ** 2))
        free = 4 * np.maximum(stance.feet[..., i, 1], 0)  # a lifted foot may miss its goal
        ceiling.append(ankles[..., i, 1] + rise - offset[..., 1] + free)
    sharp = 60.0  # soft minimum, so that the pelvis never jerks
    stacked = np.stack([root[..., 1], *ceiling], -1)
    root[..., 1] = -np.log(np.exp(-sharp * (stacked - ankle)).sum(-1)) / sharp + ankle

    if smooth:
        width = 2 * int(np.ceil(1.5 * smooth)) + 1
        low = minimum_filter1d(root[..., 1], width, axis=0, mode="nearest")
        root[..., 1] = gaussian_filter1d(low, smooth, axis=0, mode="nearest")

    for i, (side, sign) in enumerate(SIDES):
        hip = root + pelvis @ (joints[BONE[f"{side}_thigh"]] - joints[0])
        aim = stance.aim[..., i]
        knee_yaw = 0.5 * (aim + stance.turn)
        pole = np.stack([np.sin(knee_yaw), 0 * aim, np.cos(knee_yaw)], -1)
        upper, lower, hinge = bend_limb(hip, ankles[..., i, :], thigh, shin, pole, 0.015)
        thigh_rotation = align(_leg_frame(joints, side, "thigh", "shin"), (upper, hinge))
        shin_rotation = align(_leg_frame(joints, side, "shin", "foot"), (lower, hinge))
        foot_rotation = euler(stance.heel[..., i], aim, 0.0)
        _set(local, f"{side}_thigh", pelvis, thigh_rotation)
        _set(local, f"{side}_shin", thigh_rotation, shin_rotation)
        _set(local, f"{side}_foot", shin_rotation, foot_rotation)
        _set(local, f"{side}_toes", foot_rotation, euler(np.minimum(stance.heel[..., i], 0), aim, 0.0))

        target = stance.hands[..., i, :]
        lift = np.clip(0.22 * (target[..., 1] + 0.35), -0.05, 0.38) + stance.shrug[..., i]
        swing = np.clip(0.20 * (target[..., 2] - 0.2) - 0.25 * np.minimum(target[..., 0], 0), -0.1, 0.3)
        clavicle = euler(0.0, -sign * swing, sign * lift)
        local[..., BONE[f"{side}_clavicle"], :, :] = clavicle
        shoulder_offset = joints[BONE[f"{side}_upper_arm"]] - joints[BONE[f"{side}_clavicle"]]
        moved = clavicle @ shoulder_offset
        arm = np.linalg.norm(joints[BONE[f"{side}_forearm"]] - joints[BONE[f"{side}_upper_arm"]])
        forearm = np.linalg.norm(joints[BONE[f"{side}_hand"]] - joints[BONE[f"{side}_forearm"]])
        goal = target * np.array([sign, 1.0, 1.0]) * (arm + forearm) + shoulder_offset
        upper, lower, hinge = bend_limb(
            moved, goal, arm, forearm, _elbow_pole(goal - moved, stance.elbows[..., i], sign)
        )
        direction = arm_direction(sign)
        rest = (direction, np.cross([0.0, 0.0, -1.0], direction))
        arm_rotation, forearm_rotation = align(rest, (upper, hinge)), align(rest, (lower, hinge))
        _set(local, f"{side}_upper_arm", clavicle, arm_rotation)
        _set(local, f"{side}_forearm", arm_rotation, forearm_rotation)
        flexion, pronation = stance.wrists[..., i, 0], stance.wrists[..., i, 1]
        local[..., BONE[f"{side}_hand"], :, :] = about(direction, sign * pronation) @ about(
            np.array([0.0, 0.0, 1.0]), -sign * flexion
        )
    return Pose(root, local)


def _leg_frame(joints: np.ndarray, side: str, bone: str, end: str) -> tuple[np.ndarray, np.ndarray]:
    """Direction of a bone of the leg at rest, and its hinge axis."""
    along = unit(joints[BONE[f"{side}_{end}"]] - joints[BONE[f"{side}_{bone}"]])
    return along, unit(np.cross([0.0, 0.0, 1.0], along))


def _ankles(joints: np.ndarray, stance: Stance, scale: float) -> np.ndarray:
    """World positions (..., 2, 3) of the ankles; with a raised heel the ball of the foot stays where it is."""
    foot, toes = joints[BONE["left_foot"]], joints[BONE["left_toes"]]
    lever = foot - toes
    flat = np.array([0.0, 1.0, 0.0]) * foot[1]
    ball = euler(np.zeros_like(stance.heel), stance.aim, 0.0) @ (toes - foot)
    raised = euler(np.maximum(stance.heel, 0), stance.aim, 0.0) @ lever
    return stance.feet * scale + flat + ball + raised


def _elbow_pole(reach: np.ndarray, swivel: np.ndarray, sign: float) -> np.ndarray:
    """Direction in which the elbow points for a wrist at `reach` (..., 3) from the shoulder, in the frame of the chest.

    The natural direction is carried from a hand in front of the body to the others without twist; the only direction
    where that is undefined lies behind the opposite shoulder, where no hand goes.
    """
    axis = unit(reach)
    front = unit(np.array([0.5 * sign, -0.3, 0.8]))
    down = np.array([0.15 * sign, -1.0, 0.0])
    down = unit(down - (down @ front) * front)
    base = down - ((axis @ down) / np.maximum(1 + axis @ front, 1e-3))[..., None] * (front + axis)
    side = np.cross(axis, base)
    return np.cos(swivel)[..., None] * base + np.sin(swivel)[..., None] * side * sign


def _set(local: np.ndarray, bone: str, parent: np.ndarray, rotation: np.ndarray) -> None:
    local[..., BONE[bone], :, :] = np.swapaxes(parent, -1, -2) @ rotation


def random_stance(rng: np.random.Generator) -> Stance:
    """One stance of a great variety: turned, bent, arms anywhere, on one leg, crouching."""
    stance = standing()
    energy = rng.uniform(0.2, 1.0)
    stance.turn = np.asarray(rng.normal(0, 0.9) * energy if rng.random() < 0.85 else rng.uniform(-np.pi, np.pi))
    stance.lean = rng.normal(0, [0.12, 0.1]) * energy
    stance.spine = rng.normal([0.05, 0, 0], [0.25, 0.25, 0.2]) * energy
    stance.head = rng.normal(0, [0.25, 0.4, 0.2])
    for i in range(2):
        kind = rng.random()
        if kind < 0.2:  # hanging
            hand = np.array([0.15, -0.93, 0.1]) + rng.normal(0, 0.12, 3)
        elif kind < 0.3:  # on the hip or at the belly
            hand = np.array([rng.uniform(-0.3, 0.25), rng.uniform(-0.8, -0.4), rng.uniform(0.15, 0.4)])
        elif kind < 0.6:  # across the body, from the thigh to the other shoulder: dancers do, and it is hard to see
            hand = np.array([rng.uniform(-0.75, -0.05), rng.uniform(-0.75, 0.25), rng.uniform(0.28, 0.6)])
        else:
            hand = rng.normal(size=3) * [1.0, 1.0, 0.7] + [0.3, 0.1, 0.45]
            hand *= rng.uniform(0.45, 1.0) / max(np.linalg.norm(hand), 1e-6)
        inside = (hand[0] < 0.1) & (hand[1] < 0.3)
        if inside:  # in front of the body, not through it
            hand[2] = max(hand[2], 0.28)
        stance.hands[i] = hand
    stance.elbows = rng.normal(0.3, 0.5, 2)
    stance.wrists = rng.normal(0, 0.5, (2, 2))
    spread = abs(rng.normal(0, 0.18)) * energy
    stance.feet = np.array([[-0.09 - spread, 0, rng.normal(0, 0.15)], [0.09 + spread, 0, rng.normal(0, 0.15)]])
    spin = euler(0.0, stance.turn, 0.0)
    stance.feet = stance.feet @ spin.T
    stance.aim = stance.turn + np.array([-0.25, 0.25]) + rng.normal(0, 0.25, 2)
    stance.place = np.array([rng.normal(0, 0.06), -abs(rng.normal(0, 0.16)) * energy, rng.normal(0, 0.05)])
    if rng.random() < 0.3:  # one leg lifted
        i = rng.integers(2)
        forward_kick = spin @ np.array([0, 0, rng.uniform(-0.35, 0.5)])
        stance.feet[i] += forward_kick + np.array([0, rng.uniform(0.05, 0.5), 0])
        stance.heel[i] = rng.uniform(-0.2, 0.8)
    stance.heel = np.where(rng.random(2) < 0.25, rng.uniform(0, 0.6, 2), stance.heel)
    return stance


def random_pose(rng: np.random.Generator, body: Body | None = None) -> Pose:
    """A random pose of a body (of average proportions if none is given), standing near the origin of the floor."""
    return solve(body or Body(), random_stance(rng))


def turned(stance: Stance, angle: float) -> Stance:
    """The same stance, turned about the vertical through the origin; a positive angle turns to the figure's left."""
    spin = euler(0.0, angle, 0.0)
    level = np.array([1.0, 0.0, 1.0])
    place = (stance.place * level) @ spin.T + stance.place * (1 - level)
    feet = stance.feet @ spin.T
    return replace(stance, place=place, feet=feet, turn=stance.turn + angle, aim=stance.aim + angle)


def dance_stance(rng: np.random.Generator) -> Stance:
    """As `random_stance`, seen from all around, and with more that dancers do: crouching, kneeling, lunges, wide legs,
    bending far, arms crossed before the body, behind it and over the head."""
    stance = random_stance(rng)
    kind = rng.random()
    spin = euler(0.0, float(stance.turn), 0.0)

    def put_feet(right: list[float], left: list[float], height: float) -> None:
        stance.feet = (np.array([right, left]) + rng.normal(0, 0.04, (2, 3)) * [1, 0, 1]) @ spin.T
        stance.aim = stance.turn + np.array([-0.3, 0.3]) + rng.normal(0, 0.2, 2)
        stance.heel = np.zeros(2)
        stance.place = np.array([0.0, height, 0.0])

    if kind < 0.08:  # crouching
        put_feet([-0.13, 0, rng.normal(0, 0.1)], [0.13, 0, rng.normal(0, 0.1)], -rng.uniform(0.3, 0.6))
        stance.heel = rng.uniform(0, 0.8, 2)
        stance.lean[0] = rng.uniform(0, 0.5)
    elif kind < 0.13:  # on one knee
        feet = [[-0.11, 0, 0.28], [0.11, 0, -0.40]]
        back = 1
        if rng.random() < 0.5:
            feet, back = [[-0.11, 0, -0.40], [0.11, 0, 0.28]], 0
        put_feet(*feet, -rng.uniform(0.36, 0.46))
        stance.heel[back] = rng.uniform(0.9, 1.4)
    elif kind < 0.17:  # on both
        seated = rng.random() < 0.4
        z, height = (-0.22, -0.6) if seated else (-0.40, -0.43)
        put_feet([-0.12, 0, z], [0.12, 0, z], height + rng.normal(0, 0.02))
        stance.heel = np.full(2, rng.uniform(0.9, 1.4))
    elif kind < 0.24:  # wide
        spread = rng.uniform(0.3, 0.6)
        put_feet([-spread, 0, 0], [spread, 0, 0], -rng.uniform(0.05, 0.35))
        stance.aim = stance.turn + np.array([-0.7, 0.7]) + rng.normal(0, 0.2, 2)
    elif kind < 0.31:  # lunge
        feet = [[-0.1, 0, rng.uniform(0.2, 0.5)], [0.1, 0, -rng.uniform(0.2, 0.5)]]
        put_feet(*(feet if rng.random() < 0.5 else [[-0.1, 0, feet[1][2]], [0.1, 0, feet[0][2]]]), -rng.uniform(0, 0.3))
        stance.heel = np.where(np.array(stance.feet @ spin)[:, 2] < 0, rng.uniform(0, 0.8), 0)
    elif kind < 0.36:  # bending far
        stance.lean = np.array([rng.uniform(0.3, 1.0), rng.normal(0, 0.15)])
        stance.spine = np.array([rng.uniform(0.2, 0.8), *rng.normal(0, 0.3, 2)])

    arms = rng.random()
    if arms < 0.10:  # crossed before the body
        high = rng.uniform(-0.6, 0.05)
        stance.hands = np.array(
            [[-rng.uniform(0.3, 0.6), high + rng.normal(0, 0.08), rng.uniform(0.25, 0.45)] for _ in "rl"]
        )
    elif arms < 0.15:  # behind the back
        stance.hands = np.array(
            [[rng.uniform(-0.2, 0.1), -rng.uniform(0.65, 0.85), -rng.uniform(0.2, 0.35)] for _ in "rl"]
        )
    elif arms < 0.22:  # over the head
        stance.hands = np.array([[rng.uniform(-0.3, 0.5), rng.uniform(0.6, 0.98), rng.normal(0.1, 0.2)] for _ in "rl"])
    elif arms < 0.27:  # hanging
        stance.hands = np.array([0.15, -0.95, 0.06]) + rng.normal(0, 0.04, (2, 3))
    if rng.random() < 0.45:
        stance = turned(stance, rng.uniform(-np.pi, np.pi))
    return stance
