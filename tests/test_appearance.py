"""Texture copied from training frames."""

import numpy as np
from person import SIZE, painted

from main import appearance


def costs_of(queries, bank):
    return appearance.match_costs(queries, appearance.person_sizes(queries), bank, appearance.person_sizes(bank))


def paint(pose, source, rgba, poses):
    sources, sizes = np.full(len(appearance.PARTS), source), appearance.person_sizes(poses)
    return appearance.paint_references(pose, float(sizes[source]), SIZE, sources, rgba, poses, sizes)


def clip(count=12):
    frames, poses, plate = painted(count)
    rgba = np.stack([np.dstack([f, appearance.matte(f, plate)]) for f in frames])
    return rgba, poses, plate


def test_a_pose_finds_itself():
    _, poses, _ = clip()
    costs = costs_of(poses, poses)
    assert (costs.argmin(2) == np.arange(len(poses))).all()
    assert np.abs(costs[:, np.arange(12), np.arange(12)]).max() < 1e-3


def test_matching_ignores_place_and_size():
    _, poses, _ = clip()
    other = poses.copy()
    other[..., :2] = other[..., :2] * 1.7 + (30, -20)
    assert (costs_of(other, poses).argmin(2) == np.arange(len(poses))).all()


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
