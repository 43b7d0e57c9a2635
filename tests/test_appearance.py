"""Which frames texture is copied from, and what of them is the person."""

import cv2
import numpy as np
from person import SIZE, clip, coloured, painted

from main import appearance


def costs_of(queries, bank):
    return appearance.match_costs(queries, appearance.person_sizes(queries), bank, appearance.person_sizes(bank))


OWN = [i for i, part in enumerate(appearance.PARTS) if not part.clear]  # parts whose best source is their own frame
CLEAR = [i for i, part in enumerate(appearance.PARTS) if part.clear >= 0.1]  # the torso beneath the arms


def test_a_pose_finds_itself():
    _, poses, _ = clip()
    costs = costs_of(poses, poses)[OWN]
    assert (costs.argmin(2) == np.arange(len(poses))).all()
    assert np.abs(costs[:, np.arange(12), np.arange(12)]).max() < 1e-3


def test_matching_ignores_place_and_size():
    _, poses, _ = clip()
    other = poses.copy()
    other[..., :2] = other[..., :2] * 1.7 + (30, -20)
    assert (costs_of(other, poses)[OWN].argmin(2) == np.arange(len(poses))).all()


def test_frames_without_the_part_are_never_taken():
    _, poses, _ = clip()
    bank = poses.copy()
    bank[3, 4] = 0  # no right wrist in frame 3
    costs = costs_of(poses, bank)
    forearm = next(i for i, part in enumerate(appearance.PARTS) if part.end == (4,))
    assert np.isinf(costs[forearm, :, 3]).all() and np.isfinite(costs[forearm, :, 4]).all()


def test_the_torso_beneath_comes_from_a_frame_where_no_arm_covers_it():
    poses = np.stack([coloured(True)[0], coloured(False)[0]])
    assert (costs_of(poses[:1], poses)[CLEAR, 0].argmin(1) == 1).all()


def test_a_head_comes_from_a_frame_where_no_hand_can_lie_before_it():
    before, beside, unknown = (coloured(False)[0] for _ in range(3))
    before[6, :2], before[7, :2] = (100, 50), (84, 26)
    unknown[7] = 0
    head = [part.end for part in appearance.PARTS].index(appearance.HEAD)
    costs = costs_of(beside[None], np.stack([before, unknown, beside]))[head, 0]
    assert costs.argmin() == 2 and costs[:2].min() > 0.01


def test_thighs_come_from_frames_where_no_hand_lies_before_them():
    before, beside, query = (coloured(False)[0] for _ in range(3))
    before[6, :2], before[7, :2] = (104, 66), (92, 86)
    query[[6, 7]] = 0  # so that nothing else tells the two apart
    thigh = [part.start + part.end for part in appearance.PARTS].index((11, 12))
    costs = costs_of(query[None], np.stack([before, beside]))[thigh, 0]
    assert costs.argmin() == 1 and costs[0] > 0.01


def test_shadows_and_what_no_bone_touches_are_no_part_of_the_person():
    pose, frame, plate = coloured(False)
    size = appearance.person_sizes(pose[None])[0]
    alone = appearance.matte(frame, plate, pose, size)
    assert alone[60, 80] == 255 and alone[70, 53] == 255 and alone[60, 20] == 0
    frame[2:8, 10:30] = 255  # a reflection
    wall = (frame == plate).all(-1)
    wall[:, :100] = False
    frame[wall] = frame[wall] * 0.8  # a shadow at the person's side
    np.testing.assert_array_equal(appearance.matte(frame, plate, pose, size)[:, :90], alone[:, :90])
    assert (appearance.matte(frame, plate, pose, size)[:, 125:] == 0).all()


def test_steady_choice_prefers_staying_and_going_on():
    rng = np.random.default_rng(0)
    costs = 0.3 + 0.005 * rng.random((1, 40, 30)).astype(np.float32)
    free = appearance.choose_steadily(costs, switch=0.0)[0]
    steady = appearance.choose_steadily(costs, switch=0.1, candidates=30)[0]
    assert (np.diff(free) > 1).any() and np.isin(np.diff(steady), (0, 1)).all()


def test_steady_choice_is_the_cheapest_path():
    rng = np.random.default_rng(1)
    costs = rng.random((1, 4, 3)).astype(np.float32)

    def price(path):
        steps = np.diff(path)
        return costs[0, np.arange(4), path].sum() + 0.2 * ((steps != 0) & (steps != 1)).sum()

    best = min(price(np.array(path)) for path in np.ndindex(3, 3, 3, 3))
    assert np.isclose(price(appearance.choose_steadily(costs, switch=0.2)[0]), best)


def before_a_wall(person, factor):
    """A frame of somebody of one colour before a pale wall, beside whom the wall's light is multiplied by factors."""
    pose, plate = painted(1)[1][0], np.full((SIZE[1], SIZE[0], 3), (200, 190, 180), np.uint8)
    size = float(appearance.person_sizes(pose[None])[0])
    body = np.zeros(plate.shape[:2], np.uint8)
    for a, b in appearance.LIMBS[: appearance.VISIBLE_LIMBS]:
        p, q = (tuple(np.rint(pose[j, :2]).astype(int).tolist()) for j in (a, b))
        cv2.line(body, p, q, 1, max(1, round(0.3 * size)))
    around = (cv2.dilate(body, np.ones((21, 21), np.uint8)) > 0) & (body == 0)
    frame = plate.astype(float)
    frame[around] *= factor
    frame[body > 0] = person
    return np.rint(frame).astype(np.uint8), plate, pose, size, body > 0, around


def test_a_tinted_shadow_is_no_part_of_the_person():
    frame, plate, pose, size, body, around = before_a_wall((60, 40, 90), (0.85, 0.76, 0.70))
    tint = appearance.shadow_tint([frame], plate, pose[None])
    assert tint == 0.2
    opaque = appearance.matte(frame, plate, pose, size, tint)
    core = cv2.erode(body.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    beside = cv2.erode(around.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert opaque[core].min() > 200 and beside.sum() > 200 and opaque[beside].mean() < 15
    assert appearance.matte(frame, plate, pose, size)[beside].mean() > 60, "an untinted one would not be found"


def test_a_halo_hardly_covers():
    frame, plate, pose, size, body, _ = before_a_wall((60, 40, 90), (1.0, 1.0, 1.0))
    rim = (cv2.dilate(body.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) & ~body
    frame[rim] = plate[rim] + np.array([25, 15, 10], np.uint8)  # a camera sharpens
    opaque = appearance.matte(frame, plate, pose, size)
    core = cv2.erode(body.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    outer = rim & (cv2.dilate(body.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    assert opaque[core].min() > 200 and outer.sum() > 100 and opaque[outer].mean() < 150


def test_skin_before_a_wall_of_its_colour_is_no_shadow():
    frame, plate, pose, size, body, _ = before_a_wall((170, 143, 126), (1.0, 1.0, 1.0))  # 0.85, 0.75, 0.7 of the wall
    tint = appearance.shadow_tint([frame], plate, pose[None])
    assert 0.1 <= tint < 0.16
    careful, careless = (appearance.matte(frame, plate, pose, size, t)[body] for t in (tint, 0.25))
    assert careful.mean() > 150 and careless.mean() < 0.8 * careful.mean()
