"""Training examples: maps agree with what the grouping reads, and follow the picture through every view."""

import cv2
import numpy as np
import pytest
from maps import PERSON

from pose_detector.networks import HEATMAPS, STRIDE
from pose_detector.pafprocess import group
from pose_detector.skeleton import MIRROR
from pose_detector.training.augment import (
    Picture,
    View,
    crop,
    draw_maps,
    look,
    merge_teacher,
    paste,
    random_view,
    set_upright,
    trunk_down,
    untangle,
    warp_keypoints,
    warp_maps,
)


def person(width: float, height: float, x: float = 0, y: float = 0) -> np.ndarray:
    """(1, 18, 3) of somebody in a box."""
    return np.concatenate([PERSON * [width, height] + [x, y], np.ones((18, 1))], axis=1)[None].astype(np.float32)


def turned(angle: float, scale: float, about: tuple[float, float] = (100, 100)) -> np.ndarray:
    """(2, 3) rotation and scaling, float32."""
    return cv2.getRotationMatrix2D(about, angle, scale).astype(np.float32)


def stored(maps: np.ndarray) -> np.ndarray:
    """Maps as a view holds them."""
    return np.concatenate([maps[:HEATMAPS] * 255, maps[HEATMAPS:] * 127 + 128]).round().astype(np.uint8)


def test_drawn_people_are_grouped_again():
    people = np.concatenate([person(200, 240), person(180, 200, 150, 30)])
    people[1, 4] = 0  # a wrist that is not known
    maps = draw_maps(people, (32, 48))
    keypoints, scores = group(maps[:18], maps[HEATMAPS:], STRIDE)
    assert len(keypoints) == 2
    for truth in people:
        found = np.linalg.norm(keypoints - truth[:, :2], axis=2).mean(axis=1).argmin()
        assert (scores[found] > 0).tolist() == (truth[:, 2] > 0).tolist()
        assert np.abs(keypoints[found] - truth[:, :2])[truth[:, 2] > 0].max() < 2
    assert np.allclose(maps[18], 1 - maps[:18].max(axis=0))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("angle", [0, 130])
def test_teachers_maps_follow_the_view(mirrored, angle):
    """Maps seen through a view are the maps of the keypoints seen through it, however the teacher looked."""
    people = person(200, 220, 50, 60)
    asked = turned(angle, 1.2, (150, 170))
    view = View(stored(draw_maps(warp_keypoints(people, asked, False), (48, 48))), asked)
    cos, sin = np.cos(0.3), np.sin(0.3)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1.1 if mirrored else 1.1, 1.1])
    matrix = np.column_stack([linear, [96, 96] - linear @ [150, 170]]).astype(np.float32)
    seen, shown = warp_maps(view, matrix, mirrored, 24)
    drawn = draw_maps(warp_keypoints(people, matrix, mirrored), (24, 24))
    assert shown.all()
    for j in range(18):
        if drawn[j].max() > 0.8:
            assert np.corrcoef(seen[j].ravel(), drawn[j].ravel())[0, 1] > 0.9, j
    agreement = (seen[HEATMAPS:] * drawn[HEATMAPS:]).sum() / np.square(drawn[HEATMAPS:]).sum()
    assert agreement > 0.7  # directions and channels; edges are blurred


def test_the_first_view_that_shows_a_place_is_believed():
    near = View(np.full((57, 8, 8), 255, np.uint8), np.float32([[1, 0, -64], [0, 1, -64]]))  # pixels 64-128
    far = View(np.full((57, 12, 12), 51, np.uint8), np.float32([[1, 0, 0], [0, 1, 0]]))  # pixels 0-96
    maps, shown = look((near, far), np.float32([[1, 0, 0], [0, 1, 0]]), False, 20)
    assert np.allclose(maps[0, 8:16, 8:16], 1)
    assert np.allclose(maps[0, :8, :12], 0.2)
    assert shown.sum() == 8 * 8 + 12 * 12 - 4 * 4
    assert not look((), np.float32([[1, 0, 0], [0, 1, 0]]), False, 20)[1].any()


@pytest.mark.parametrize("angle", [0, 75, 180])
def test_people_are_set_upright(angle):
    lying = warp_keypoints(person(60, 120, 70, 40), turned(angle, 0.8), False)
    seen = warp_keypoints(lying, set_upright(lying[0], (184, 216)), False)[0]
    trunk = trunk_down(seen)
    assert trunk[1] > 30
    assert abs(trunk[0]) < 0.01 * trunk[1]
    assert (seen[:, :2] > 0).all()
    assert (seen[:, :2] < [216, 184]).all()


def test_a_trunk_needs_both_ends():
    hipless = person(60, 120)[0]
    hipless[[8, 11], 2] = 0
    assert trunk_down(hipless) is None
    assert np.isfinite(set_upright(hipless, (184, 216))).all()


def test_labels_of_swapped_legs_are_put_right():
    truth = person(100, 150, 20, 15)[0]
    labelled, legs = truth.copy(), [8, 9, 10, 11, 12, 13]
    labelled[legs] = truth[MIRROR[legs]]
    view = View(stored(draw_maps(truth[None], (23, 27))), np.float32([[1, 0, 0], [0, 1, 0]]))
    assert np.array_equal(untangle(labelled, view), truth)
    assert np.array_equal(untangle(truth, view), truth)
    blind = View(stored(np.zeros((57, 23, 27), np.float32)), view.matrix)
    assert np.array_equal(untangle(labelled, blind), labelled)


def test_mirrored_keypoints_change_sides():
    flip = np.array([[-1, 0, 99], [0, 1, 0]], np.float32)
    people = person(100, 100)
    seen = warp_keypoints(people, flip, True)
    assert np.allclose(seen[0, 2, :2], [99 - people[0, 5, 0], people[0, 5, 1]])
    assert np.array_equal(MIRROR[MIRROR], np.arange(18))


def test_views_contain_the_person_at_a_useful_size():
    rng = np.random.default_rng(0)
    people = person(200, 300, 40, 10)
    inside, sizes = [], []
    for _ in range(300):
        matrix, mirrored = random_view(people, 160, 0.1, rng)
        assert (np.linalg.det(matrix[:, :2]) < 0) == mirrored
        seen = warp_keypoints(people, matrix, mirrored)[0, :, :2]
        inside.append(((seen > 0) & (seen < 160)).all(axis=1).mean())
        sizes.append(np.ptp(seen, axis=0).max() / 160)
    assert np.mean(inside) > 0.7
    assert 0.38 < np.min(sizes)
    assert np.max(sizes) < 1.6


@pytest.mark.parametrize("mirrored", [False, True])
def test_views_can_set_people_upright(mirrored):
    rng = np.random.default_rng(3)
    lying = warp_keypoints(person(100, 200), turned(100, 1), False)
    leaning = []
    for _ in range(200):
        matrix, flipped = random_view(lying, 160, 0.01, rng, set_up=1.0)
        if flipped == mirrored:
            trunk = trunk_down(warp_keypoints(lying, matrix, flipped)[0])
            leaning.append(np.degrees(np.arctan2(trunk[0], trunk[1])))
    assert np.median(np.abs(leaning)) < 5


def test_crops_show_pictures_where_their_maps_say():
    """A bright dot drawn on the nose must be seen at the peak of the nose's map."""
    rng = np.random.default_rng(1)
    rgb = np.zeros((300, 300, 3), np.uint8)
    people = person(280, 280)
    cv2.circle(rgb, [int(v) for v in people[0, 0, :2]], 5, (255, 255, 255), -1)
    black = np.zeros((160, 160, 3), np.uint8)
    checked = 0
    for _ in range(60):
        seen, maps, weights, cover = crop(Picture(rgb, people), 160, 0.2, black, rng)
        if maps[0].max() < 0.9 or seen.max() < 200:
            continue
        ys, xs = np.nonzero(seen[..., 0] > 100)
        y, x = np.unravel_index(maps[0].argmax(), maps[0].shape)
        assert np.hypot(xs.mean() - (x * 8 + 3.5), ys.mean() - (y * 8 + 3.5)) < 8
        assert cover.shape == (160, 160)
        assert weights.min() == 1
        checked += 1
    assert checked > 5


def test_transparent_figures_let_the_backdrop_through():
    rng = np.random.default_rng(2)
    rgb = np.full((100, 100, 3), 200, np.uint8)
    figure = Picture(rgb, person(90, 90), alpha=np.zeros((100, 100), np.uint8))
    backdrop = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    seen, _, _, cover = crop(figure, 64, 0.1, backdrop, rng)
    assert np.array_equal(seen, backdrop)
    assert cover.max() == 0


def test_labels_outweigh_the_teacher_in_the_box_of_the_person():
    labelled = person(60, 60, 20, 20)[0]
    labelled[[0, 14, 15, 16, 17], 2] = 0  # labels have no face
    drawn = draw_maps(labelled[None], (24, 24))
    swapped = labelled[MIRROR]
    swapped[:, 2] = 1
    other = person(60, 60, 125, 100)[0]
    teacher = draw_maps(np.stack([swapped, other]), (24, 24))
    maps, weights = merge_teacher(drawn, teacher, np.ones((24, 24), bool), labelled)

    def at(channel: int, point: np.ndarray) -> tuple[float, float]:
        x, y = ((point[:2] + 0.5) / 8).astype(int)
        return maps[channel, y, x], weights[channel, y, x]

    assert at(4, labelled[4])[0] > 0.5  # the right wrist is where the label says
    assert at(4, labelled[7])[0] < 0.2  # not where the teacher says
    assert at(4, labelled[4])[1] == 1
    assert at(0, swapped[0])[0] > 0.5  # the nose is the teacher's
    assert 0 < at(0, swapped[0])[1] < 1
    assert at(7, other[7])[0] > 0.5  # and so are bystanders
    alone, silent = merge_teacher(drawn, np.zeros_like(drawn), np.zeros((24, 24), bool), labelled)
    assert np.array_equal(alone, drawn)
    assert silent[0].max() == 0


def test_pasted_figures_hide_what_is_behind():
    below = draw_maps(person(120, 120), (16, 16)), np.ones((57, 16, 16), np.float32)
    cover = np.zeros((128, 128), np.float32)
    cover[:, 64:] = 1
    front = draw_maps(person(60, 120, 64), (16, 16))
    merged = paste(below, (np.zeros(0), front, below[1], cover))
    assert np.allclose(merged[:18, :, 8:], front[:18, :, 8:])
    assert np.all(merged[:18, :, :8] >= below[0][:18, :, :8] - 1e-6)
