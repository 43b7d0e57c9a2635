"""Texture copied from training frames."""

import cv2
import numpy as np
from person import SIZE, painted

from main import appearance


def costs_of(queries, bank):
    return appearance.match_costs(queries, appearance.person_sizes(queries), bank, appearance.person_sizes(bank))


def paint(pose, source, rgba, poses, arms=None, beneath=None):
    sources, sizes = np.full(len(appearance.PARTS), source), appearance.person_sizes(poses)
    sources[CLEAR] = source if beneath is None else beneath
    arms = np.ones((2, *[appearance.BINS] * 3), np.float32) if arms is None else arms
    texture = appearance.Texture(rgba, poses, sizes, arms)
    return appearance.paint_references(pose, float(sizes[source]), SIZE, sources, texture)


OWN = [i for i, part in enumerate(appearance.PARTS) if not part.clear]  # parts whose best source is their own frame
CLEAR = [i for i, part in enumerate(appearance.PARTS) if part.clear >= 0.1]  # the torso beneath the arms


def with_mattes(frames, poses, plate):
    mattes = map(appearance.matte, frames, [plate] * len(frames), poses, appearance.person_sizes(poses))
    return np.stack([np.dstack([frame, opaque]) for frame, opaque in zip(frames, mattes, strict=True)])


def clip(count=12):
    frames, poses, plate = painted(count)
    return with_mattes(frames, poses, plate), poses, plate


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


def test_copies_between_pixels_are_as_sharp_as_the_frame():
    _, poses, _ = clip()
    noise = np.random.default_rng(0).normal(128, 60, (SIZE[1], SIZE[0], 3))
    frame = np.clip(cv2.GaussianBlur(noise, (0, 0), 0.6), 0, 255).astype(np.uint8)  # as cameras resolve
    rgba = np.repeat(np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)])[None], len(poses), 0)
    strengths = []
    for shift in np.random.default_rng(1).random((12, 2)):
        pose = poses[2].copy()
        pose[:, :2] += shift
        body = paint(pose, 2, rgba, poses)[0]
        core = cv2.erode((body[3] > 250).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        assert core.sum() > 50
        strengths.append(cv2.Laplacian(body[1].astype(np.float32), cv2.CV_32F)[core].std())
    wanted = cv2.Laplacian(frame[..., 1].astype(np.float32), cv2.CV_32F).std()
    assert abs(np.mean(strengths) / wanted - 1) < 0.08


def test_frames_without_the_part_are_never_taken():
    _, poses, _ = clip()
    bank = poses.copy()
    bank[3, 4] = 0  # no right wrist in frame 3
    costs = costs_of(poses, bank)
    forearm = next(i for i, part in enumerate(appearance.PARTS) if part.end == (4,))
    assert np.isinf(costs[forearm, :, 3]).all() and np.isfinite(costs[forearm, :, 4]).all()


def test_painting_a_pose_from_its_own_frame_gives_the_frame_back():
    rgba, poses, _ = clip()
    layers = paint(poses[5], 5, rgba, poses)
    for layer in layers:
        sure = layer[3] > 250
        assert sure.sum() > 100
        error = np.abs(layer[:3].transpose(1, 2, 0)[sure].astype(int) - rgba[5, ..., :3][sure])
        assert error.mean() < 2


def test_painted_parts_follow_the_pose():
    rgba, poses, _ = clip()
    moved = poses[5].copy()
    moved[:, :2] += (10, -6)
    here, there = (paint(pose, 5, rgba, poses) for pose in (poses[5], moved))
    np.testing.assert_allclose(there[:, :, :-6, 10:].astype(int), here[:, :, 6:, :-10].astype(int), atol=2)


def coloured(arm_up):
    """A red person with green forearms before a grey wall; the left forearm hangs, or lies before the chest."""
    pose = np.zeros((18, 3), np.float32)
    xy = {0: (80, 20), 1: (80, 40), 2: (66, 42), 3: (56, 60), 4: (50, 80), 5: (94, 42), 6: (104, 60), 7: (110, 80)}
    xy |= {8: (73, 80), 9: (73, 100), 10: (73, 120), 11: (87, 80), 12: (87, 100), 13: (87, 120)}
    if arm_up:
        xy[7] = (78, 58)
    for joint, place in xy.items():
        pose[joint] = *place, 1
    frame = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)
    plate = frame.copy()
    for a, b, width in ((1, 8, 26), (1, 11, 26), (8, 10, 12), (11, 13, 12), (0, 1, 14), (2, 3, 8), (5, 6, 8)):
        cv2.line(frame, xy[a], xy[b], (220, 20, 20), width)
    for a, b in ((3, 4), (6, 7)):
        cv2.line(frame, xy[a], xy[b], (20, 220, 20), 8)
    return pose, frame, plate


def test_arms_are_told_from_the_body_by_their_colours():
    (hanging, free, plate), (raised, covered, _) = coloured(False), coloured(True)
    poses = np.stack([hanging, raised])
    rgba = with_mattes((free, covered), poses, plate)
    arms = appearance.arm_colours(rgba, poses, appearance.person_sizes(poses))
    red, green = (tuple(np.array(c) * appearance.BINS // 256) for c in ((220, 20, 20), (20, 220, 20)))
    assert arms[1][green] > 0.95 and arms[1][red] < 0.2
    # The forearm before the chest is moved away from it: it takes no red along, and leaves no green behind.
    body, arm = paint(hanging, 1, rgba, poses, arms, beneath=0)
    chest = body[:3, 50:66, 72:90].astype(int)
    assert (chest[1] > 100).sum() < 0.05 * chest[0].size
    sure = arm[:, 60:90, 104:124]
    assert (sure[3] > 200).sum() > 60 and (sure[0][sure[3] > 200] > 120).mean() < 0.1


def test_a_face_is_not_copied_with_the_hand_beside_it(monkeypatch):
    pose, frame, plate = coloured(False)
    pose[6, :2], pose[7, :2] = (108, 42), (94, 24)
    cv2.circle(frame, (80, 20), 9, (255, 255, 255), -1)
    rgba = with_mattes([frame], pose[None], plate)

    def white():
        arm = paint(pose, 0, rgba, pose[None])[1]
        return ((arm[:3] > 230).all(0) & (arm[3] > 60)).sum()

    copied = white()
    monkeypatch.setattr(appearance, "FACE", 0.0)
    assert white() > 30 and copied < 0.5 * white()


def test_sleeves_go_with_the_arms():
    hanging, _, plate = coloured(False)
    spread, frame, _ = coloured(False)
    spread[[3, 4, 6, 7], :2] = (44, 36), (26, 30), (116, 36), (134, 30)
    frame[:] = np.where((frame == (20, 220, 20)).all(-1, keepdims=True), plate, frame)
    for shoulder, elbow in ((2, 3), (5, 6)):
        cv2.line(frame, *spread[[shoulder, elbow], :2].astype(int).tolist(), (220, 20, 20), 12)
    rgba, poses = with_mattes([frame], spread[None], plate), spread[None]
    body, arms = paint(hanging, 0, rgba, poses)
    beside = [np.s_[3, 34:42, columns] for columns in (slice(59, 63), slice(97, 101))]  # where they were
    assert max(body[sleeve].max() for sleeve in beside) < 30
    assert body[3, 42:76, 70:90].min() > 200
    assert arms[3, 46:58, 56:62].mean() > 150  # where they hang
    hanging[6:8] = 0  # nothing would be drawn instead
    assert paint(hanging, 0, rgba, poses)[0][beside[1]].mean() > 40


def test_the_chest_stays_where_arms_hang_before_it():
    side, frame, plate = coloured(False)
    side[[2, 5, 3, 6, 4, 7], :2] = (79, 42), (81, 42), (79, 60), (81, 60), (79, 78), (81, 78)
    frame[:, 90:] = plate[:, 90:]
    body, _ = paint(side, 0, with_mattes([frame], side[None], plate), side[None])
    assert body[3, 44:76, 72:88].min() > 200


def test_a_hand_before_the_other_arm_is_no_part_of_that(monkeypatch):
    apart, _, plate = coloured(False)
    crossed, frame, _ = coloured(False)
    crossed[7, :2] = (70, 50)
    cv2.line(frame, (104, 60), (70, 50), (20, 220, 20), 8)
    cv2.circle(frame, (60, 48), 6, (20, 220, 20), -1)
    poses = crossed[None]
    rgba = with_mattes([frame], poses, plate)

    def green():
        arm = paint(apart, 0, rgba, poses)[1].astype(int)[:, 38:56, 52:74]
        return ((arm[1] > arm[0] + 60) & (arm[3] > 60)).sum()

    copied = green()
    monkeypatch.setattr(appearance, "_nearest", lambda shape, *_: np.ones(shape, np.float32))
    assert green() > 60 and copied < 0.8 * green()


def test_scraps_beside_an_arm_are_not_copied_with_it():
    pose, frame, plate = coloured(False)
    frame[60:, 100:] = plate[60:, 100:]
    cv2.line(frame, *pose[[6, 7], :2].astype(int).tolist(), (20, 220, 20), 2)
    rgba = with_mattes([frame], pose[None], plate)
    clean = paint(pose, 0, rgba, pose[None])[1]
    rgba[0, 70:74, 113:115] = 20, 220, 20, 255
    arm = paint(pose, 0, rgba, pose[None])[1]
    assert arm[3, 68:76, 112:116].max() < 60
    np.testing.assert_array_equal(arm[3, 60:80, 103:109], clean[3, 60:80, 103:109])


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


def test_nothing_is_painted_of_a_missing_person():
    rgba, poses, _ = clip()
    assert paint(poses[5] * 0, 5, rgba, poses).max() == 0


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
