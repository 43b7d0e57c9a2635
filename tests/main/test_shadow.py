"""Shadows seen in training frames, moved along with the person."""

import numpy as np
import pytest
from person import painted

from main import appearance, shadow

CELL = shadow.CELL
TINT = np.array([0.7, 0.72, 0.75])  # the light that a shadow leaves


def room(size=(160, 128)):
    y, x = np.mgrid[: size[1], : size[0]]
    return (120 + 40 * np.sin(x / 9.0) * np.cos(y / 7.0))[..., None].repeat(3, 2).astype(np.uint8)


def shaded(plate, feet, size, reach=0.8):
    """The plate with a shadow to the right of a place, as long as one and a half torsos."""
    frame = plate.astype(float)
    x, y = np.rint(feet).astype(int)
    side = round(reach * size)
    frame[max(y - side // 2, 0) : y + side // 2, x + side : x + 3 * side] *= TINT
    return np.rint(frame).astype(np.uint8)


def feet(pose):
    return pose[list(shadow.GROUND), :2].mean(0)


def filmed(count=12):
    """Maps of frames of a person who walks about with a shadow, the poses, sizes and the plate."""
    poses, plate = painted(count)[1], room()
    sizes = appearance.person_sizes(poses)
    nobody = np.zeros(plate.shape[:2], np.uint8)
    frames = [shaded(plate, feet(pose), size) for pose, size in zip(poses, sizes, strict=True)]
    return np.stack([shadow.missing_light(f, plate, nobody) for f in frames]), poses, sizes, plate, frames


def test_the_light_that_is_missing_is_measured_in_each_colour():
    plate, nobody = room(), np.zeros((128, 160), np.uint8)
    frame = plate.astype(float)
    frame[40:80, 40:80] *= TINT
    found = shadow.missing_light(np.rint(frame).astype(np.uint8), plate, nobody)
    inside = found[13:17, 13:17]
    assert (inside[..., 3] == 255).all()
    assert np.allclose(inside[..., :3] / 255, 1 - TINT, atol=0.02)
    assert not found[:7, :, :3].any() and (found[:7, :, 3] == 255).all()


@pytest.mark.parametrize("factor", [(1.0, 0.6, 0.6), (0.2, 0.2, 0.2), (1.3, 1.3, 1.3)], ids=["red", "black", "light"])
def test_what_is_no_shadow_tells_nothing(factor):
    plate, nobody = room(), np.zeros((128, 160), np.uint8)
    frame = plate.astype(float)
    frame[40:80, 40:80] *= factor
    found = shadow.missing_light(np.clip(frame, 0, 255).astype(np.uint8), plate, nobody)
    assert not found[11:18, 11:18].any()


def test_nothing_is_known_where_the_person_is():
    plate, matte = room(), np.zeros((128, 160), np.uint8)
    matte[40:80, 40:80] = 255
    found = shadow.missing_light((plate * 0.7).astype(np.uint8), plate, matte)
    assert not found[9:21, 9:21].any(), "nor right beside"
    assert found[:8, :8, 3].all()


def test_a_frame_gets_its_own_shadow_back():
    maps, poses, sizes, plate, frames = filmed()
    shadows = shadow.Shadows(maps, poses, sizes, np.full(2, CELL))
    for i in (0, 5, 11):
        light = shadow.cast(shadows, poses[i], float(sizes[i]), np.array([i]), np.array([1.0]))
        error = np.abs(shadow.shade(plate, light).astype(int) - frames[i])
        without = np.abs(plate.astype(int) - frames[i])
        assert error.mean() < 0.35 * without.mean(), "the rim of a cell is soft, the rest is right"
        dark = without.max(-1) > 20
        assert np.median(error[dark]) <= 4


def test_the_shadow_goes_and_grows_with_the_person():
    maps, poses, sizes, _, _ = filmed()
    shadows = shadow.Shadows(maps, poses, sizes, np.full(2, CELL))
    i = int(np.argmin([feet(pose)[0] for pose in poses]))  # nothing of it is cut off
    pose = poses[i].copy()
    pose[:, :2] = (pose[:, :2] - feet(pose)) * 1.5 + (20, 64)
    light = shadow.cast(shadows, pose, 1.5 * float(sizes[i]), np.array([i]), np.array([1.0]))
    rows, columns = np.nonzero(light[..., 0] < 0.85)
    side = 0.8 * 1.5 * sizes[i]
    centre = np.array([columns.mean(), rows.mean()]) * CELL + CELL / 2
    assert np.abs(centre - (20 + 2 * side, 64)).max() < CELL
    assert abs((columns.max() - columns.min() + 1) * CELL - 2 * side) < 2.5 * CELL


def test_what_is_always_dark_is_no_shadow():
    maps, poses, sizes, _, _ = filmed()
    maps[:, 2:6, 2:6] = (50, 50, 50, 255)  # a flaw of the plate
    shadows = shadow.gather(maps, poses, sizes, (160, 128))
    assert not shadows.maps[:, 2:6, 2:6, :3].any() and shadows.maps[..., :3].max() > 50


def test_shares_sum_to_one_and_come_and_go_without_a_jump():
    rng = np.random.default_rng(0)
    costs = rng.random((40, 30))
    index, shares = shadow.choose(costs)
    assert np.allclose(shares.sum(1), 1) and shares.shape == (40, shadow.NEIGHBOURS + 1)
    assert (shares.argmax(1) == np.take_along_axis(costs, index, 1).argmin(1)).all()
    way = np.linspace(0, 1, 400)[:, None]
    index, shares = shadow.choose((1 - way) * costs[:1] + way * costs[1:2])
    dense = np.zeros((400, 30))
    np.put_along_axis(dense, index, shares, 1)
    assert np.abs(np.diff(dense, axis=0)).max() < 0.05


def test_frames_that_will_not_do_have_no_share():
    costs = np.full((2, 20), np.inf)
    costs[0, 3] = 0.5
    index, shares = shadow.choose(costs)
    assert shares[0, index[0] == 3] == 1 and shares[1].sum() == 0


def test_far_from_the_person_the_plate_keeps_its_pixels():
    poses, plate = painted(12)[1], room()
    poses[..., :2] = poses[..., :2] * 0.3 + (5, 80)
    sizes = appearance.person_sizes(poses)
    maps = np.zeros((12, 32, 40, 4), np.uint8) + np.array([9, 9, 9, 255], np.uint8)
    light = shadow.cast(
        shadow.Shadows(maps, poses, sizes, np.full(2, CELL)), poses[2], float(sizes[2]), np.arange(4), np.full(4, 0.25)
    )
    x = poses[2][:, 0].max()
    edge = round((x + 3.2 * sizes[2]) / CELL)
    assert (light[:, edge:] == 1).all() and light.min() < 0.97
    far = shadow.shade(plate, light)[:, CELL * edge + CELL :]
    assert far.size and (far == plate[:, CELL * edge + CELL :]).all()


def test_a_pose_without_hips_and_ankles_casts_no_shadow():
    maps, poses, sizes, _, _ = filmed()
    shadows = shadow.gather(maps, poses, sizes, (160, 128))
    pose = poses[0].copy()
    pose[list(shadow.GROUND)] = 0
    light = shadow.cast(shadows, pose, float(sizes[0]), np.arange(4), np.full(4, 0.25))
    assert (light == 1).all()


def test_what_one_frame_alone_shows_counts_less_than_its_share():
    pose = np.zeros((18, 3), np.float32)
    pose[[1, 8, 11, 10, 13]] = [(40, 10, 1), (36, 40, 1), (44, 40, 1), (36, 60, 1), (44, 60, 1)]
    maps = np.zeros((4, 20, 20, 4), np.uint8)
    maps[..., 3] = 255
    maps[0, 5:10, 5:10, :3] = 120  # writing in one frame
    maps[:, 14:18, 5:15, :3] = 80  # a shadow in all of them
    shadows = shadow.Shadows(maps, np.repeat(pose[None], 4, 0), np.full(4, 30.0), np.array([4.0, 4.0]))
    light = shadow.cast(shadows, pose, 30.0, np.arange(4), np.full(4, 0.25, np.float32))
    assert 1 - light[15, 9, 0] > 0.9 * 80 / 255
    assert 1 - light[7, 7, 0] < 0.5 * 0.25 * 120 / 255
