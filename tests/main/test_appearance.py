"""Which frames texture is copied from, and which piece of the person each of their pixels shows."""

import cv2
import numpy as np
from person import clip, coloured, painted, with_mattes

from main import appearance, shadow

NAMES = [part.name for part in appearance.SOURCES]
FIRST = [NAMES.index(part.name) for part in appearance.PARTS]


def choose(queries, bank, rule=lambda costs: costs.argmin(1), **others):
    sizes = appearance.person_sizes(queries), appearance.person_sizes(bank)
    return appearance.choose_sources(queries, sizes[0], bank, sizes[1], rule, **others)


def costs_of(name, queries, bank):
    part = next(part for part in appearance.PARTS if part.name == name)
    sizes = appearance.person_sizes(queries), appearance.person_sizes(bank)
    return appearance.match_costs(part, part.sources[0], queries, sizes[0], bank, sizes[1])


def test_a_pose_finds_itself():
    _, poses, _ = clip()
    assert (choose(poses, poses)[FIRST] == np.arange(len(poses))).all()
    assert np.abs(np.diag(costs_of("body", poses, poses))).max() < 1e-3


def test_the_sources_of_a_part_are_different_frames():
    _, poses, _ = clip()
    chosen = choose(poses, poses)
    body = chosen[[i for i, name in enumerate(NAMES) if name == "body"]]
    assert all(len(set(column)) == len(column) for column in body.T.tolist())


def test_banned_frames_are_taken_last_of_all():
    _, poses, _ = clip()
    banned = np.ones((len(poses), len(poses)), bool)
    banned[:, 7] = False
    assert (choose(poses, poses, banned=banned) == 7).all()


def test_matching_ignores_place_and_size():
    _, poses, _ = clip()
    other = poses.copy()
    other[..., :2] = other[..., :2] * 1.7 + (30, -20)
    assert (choose(other, poses)[FIRST] == np.arange(len(poses))).all()


def test_frames_without_the_part_are_never_taken():
    _, poses, _ = clip()
    bank = poses.copy()
    bank[3, 4] = 0  # no right wrist in frame 3
    costs = costs_of("right arm", poses, bank)
    assert np.isinf(costs[:, 3]).all() and np.isfinite(costs[:, 4]).all()


def test_a_frame_that_lacks_a_leg_is_taken_unwillingly():
    pose = coloured(False)[0]
    other, lacking = pose.copy(), pose.copy()
    other[[9, 10, 12, 13], 0] += 3
    lacking[[9, 10]] = 0
    assert costs_of("body", pose[None], np.stack([lacking, other]))[0].argmin() == 1


def test_steady_choice_prefers_staying_and_going_on():
    rng = np.random.default_rng(0)
    costs = 0.3 + 0.005 * rng.random((40, 30)).astype(np.float32)
    free = appearance.choose_steadily(appearance.cheapest(costs), switch=0.0)
    steady = appearance.choose_steadily(appearance.cheapest(costs, 30), switch=0.1)
    assert (np.diff(free) > 1).any() and np.isin(np.diff(steady), (0, 1)).all()


def test_steady_choice_is_the_cheapest_path():
    rng = np.random.default_rng(1)
    costs = rng.random((4, 3)).astype(np.float32)

    def price(path):
        steps = np.diff(path)
        return costs[np.arange(4), path].sum() + 0.2 * ((steps != 0) & (steps != 1)).sum()

    best = min(price(np.array(path)) for path in np.ndindex(3, 3, 3, 3))
    assert np.isclose(price(appearance.choose_steadily(appearance.cheapest(costs), switch=0.2)), best)


def test_a_long_dance_is_chosen_for_piece_by_piece_as_at_once(monkeypatch):
    _, bank, _ = clip()
    poses = np.concatenate([bank, bank[::-1], bank[::2]])
    sizes = appearance.person_sizes(poses), appearance.person_sizes(bank)
    found = []
    for block in (len(poses), 4):
        monkeypatch.setattr(appearance, "BLOCK", block)
        both = poses, sizes[0], bank, sizes[1]
        sources = appearance.choose_sources(*both, appearance.cheapest, settle=appearance.choose_steadily)
        found.append([sources, *shadow.choose_steadily(*both)])
    assert len(appearance.blocks(len(poses))) > 5
    for at_once, by_pieces in zip(*found, strict=True):
        np.testing.assert_allclose(at_once, by_pieces, rtol=1e-4)


def whole(frames, poses, plate):
    return appearance.cut_up(with_mattes(frames, poses, plate), poses, appearance.person_sizes(poses))


def test_every_pixel_of_the_matte_belongs_to_a_piece():
    frames, poses, plate = painted()
    texture = whole(frames, poses, plate)
    np.testing.assert_array_equal(texture.shows == appearance.NOBODY, texture.frames[..., 3] == 0)


def test_arms_and_body_are_told_apart():
    pose, frame, plate = coloured(False)
    shows = whole([frame], pose[None], plate).shows[0]
    assert shows[70, 53] == appearance.RIGHT_ARM and shows[70, 107] == appearance.LEFT_ARM
    assert shows[22, 80] == shows[60, 80] == shows[110, 73] == appearance.BODY


def test_an_arm_behind_the_body_is_not_cut_out_of_it():
    pose, frame, plate = coloured(False)
    rgba = with_mattes([frame], pose[None], plate)
    pose[[3, 4], 2] = appearance.HIDDEN / 2
    shows = appearance.cut_up(rgba, pose[None], appearance.person_sizes(pose[None])).shows[0]
    assert not (shows == appearance.RIGHT_ARM).any() and (shows == appearance.LEFT_ARM).any()


def test_a_frame_that_hides_the_arm_is_taken_unwillingly():
    _, poses, _ = clip()
    pair = poses[[4, 4]].copy()
    pair[0, 4, 2] = appearance.HIDDEN / 2
    assert costs_of("right arm", poses[4:5], pair)[0, 0] > costs_of("right arm", poses[4:5], pair)[0, 1] + 0.05


def test_an_arm_that_hangs_free_is_not_taken_from_before_the_chest():
    (hanging, _, _), (raised, _, _) = coloured(False), coloured(True)
    left = next(part for part in appearance.PARTS if part.name == "left arm")
    both = np.stack([hanging, raised])
    before = appearance.lies_before(both, appearance.person_sizes(both), left)
    assert before[0] == 0 and before[1] > 0.3
    near = hanging.copy()
    near[7, :2] += (6, 3)
    costs = costs_of("left arm", near[None], np.stack([hanging, raised]))[0]
    assert costs[1] - costs[0] > appearance.CROSSING / 3


def test_what_is_worn_beyond_the_bones_is_the_body():
    pose, frame, plate = coloured(False)
    cv2.fillPoly(frame, [np.array([(66, 80), (94, 80), (112, 112), (48, 112)])], (20, 20, 220))  # a wide skirt
    shows = whole([frame], pose[None], plate).shows[0]
    assert (shows[100:112, 56:104] == appearance.BODY).all()


def test_fingers_go_with_the_arm_and_not_with_the_body():
    pose, frame, plate = coloured(False)
    pose[[6, 7], :2] = (116, 36), (134, 30)
    frame[:, 97:] = plate[:, 97:]
    cv2.line(frame, (94, 42), (116, 36), (220, 20, 20), 8)
    cv2.line(frame, (116, 36), (156, 23), (20, 220, 20), 6)  # longer than hands are
    shows = whole([frame], pose[None], plate).shows[0]
    assert shows[24, 152] == appearance.LEFT_ARM


def test_sleeves_are_as_thick_as_they_are_seen():
    pose, frame, plate = coloured(False)
    pose[[3, 4, 6, 7], :2] = (44, 36), (26, 30), (116, 36), (134, 30)
    size = appearance.person_sizes(pose[None])[0]
    frame[:, :64] = plate[:, :64]
    frame[:, 97:] = plate[:, 97:]
    for thickness in (6, 16):
        for a, b in ((2, 3), (3, 4), (5, 6), (6, 7)):
            cv2.line(frame, *pose[[a, b], :2].astype(int).tolist(), (220, 20, 20), thickness)
        rgba = with_mattes([frame] * 10, np.repeat(pose[None], 10, 0), plate)
        radii = appearance.arm_radii(list(rgba[..., 3]), np.repeat(pose[None], 10, 0), np.full(10, size))
        np.testing.assert_allclose(radii * size, thickness / 2, atol=2)


def test_a_head_that_arms_cut_off_is_no_finger():
    pose, frame, plate = coloured(False)
    pose[[2, 3, 4], :2] = (66, 42), (80, 44), (94, 42)  # both arms before the neck
    pose[[5, 6, 7], :2] = (94, 42), (80, 40), (66, 42)
    shows = whole([frame], pose[None], plate).shows[0]
    assert shows[18, 80] == appearance.BODY
