"""Training examples: maps agree with what the grouping reads, and follow the picture through every view."""

import cv2
import numpy as np
import pytest

from pose_detector.augment import Picture, crop, draw_maps, merge_teacher, paste, random_view, warp_keypoints, warp_maps
from pose_detector.mirror import SWAP
from pose_detector.networks import HEATMAPS, STRIDE
from pose_detector.pafprocess import group
from tests.test_detector import PERSON


def person(width: float, height: float, x: float = 0, y: float = 0) -> np.ndarray:
    """(1, 18, 3) of somebody in a box."""
    return np.concatenate([PERSON * [width, height] + [x, y], np.ones((18, 1))], axis=1)[None].astype(np.float32)


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
def test_teachers_maps_follow_the_view(mirrored):
    """Maps seen through a view are the maps of the keypoints seen through it."""
    people = person(300, 340)
    scale, cells = 1.2, 24
    teacher = draw_maps(people * [scale, scale, 1] + [scale / 2 - 0.5, scale / 2 - 0.5, 0], (52, 52))
    stored = np.concatenate([teacher[:HEATMAPS] * 255, teacher[HEATMAPS:] * 127 + 128]).round().astype(np.uint8)
    cos, sin = np.cos(0.3), np.sin(0.3)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1.1 if mirrored else 1.1, 1.1])
    matrix = np.column_stack([linear, [96, 96] - linear @ [150, 150]]).astype(np.float32)
    seen = warp_maps(stored, scale, matrix, mirrored, cells)
    drawn = draw_maps(warp_keypoints(people, matrix, mirrored), (cells, cells))
    for j in range(18):
        if drawn[j].max() > 0.8:
            assert np.corrcoef(seen[j].ravel(), drawn[j].ravel())[0, 1] > 0.9, j
    agreement = (seen[HEATMAPS:] * drawn[HEATMAPS:]).sum() / np.square(drawn[HEATMAPS:]).sum()
    assert agreement > 0.75  # directions and channels; edges are blurred


def test_mirrored_keypoints_change_sides():
    flip = np.array([[-1, 0, 99], [0, 1, 0]], np.float32)
    people = person(100, 100)
    seen = warp_keypoints(people, flip, True)
    assert np.allclose(seen[0, 2, :2], [99 - people[0, 5, 0], people[0, 5, 1]])
    assert np.array_equal(SWAP[SWAP], np.arange(18))


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
    assert 0.45 < np.min(sizes)
    assert np.max(sizes) < 1.6


def test_crops_show_pictures_where_their_maps_say():
    """A bright dot drawn on the nose must be seen at the peak of the nose's map."""
    rng = np.random.default_rng(1)
    rgb = np.zeros((300, 300, 3), np.uint8)
    people = person(280, 280)
    cv2.circle(rgb, [int(v) for v in people[0, 0, :2]], 5, (255, 255, 255), -1)
    black = np.zeros((160, 160, 3), np.uint8)
    checked = 0
    for _ in range(30):
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
    swapped = labelled[SWAP]
    swapped[:, 2] = 1
    other = person(60, 60, 125, 100)[0]
    teacher = draw_maps(np.stack([swapped, other]), (24, 24))
    maps, weights = merge_teacher(drawn, teacher, labelled)

    def at(channel: int, point: np.ndarray) -> tuple[float, float]:
        x, y = ((point[:2] + 0.5) / 8).astype(int)
        return maps[channel, y, x], weights[channel, y, x]

    assert at(4, labelled[4])[0] > 0.5  # the right wrist is where the label says
    assert at(4, labelled[7])[0] < 0.2  # not where the teacher says
    assert at(4, labelled[4])[1] == 1
    assert at(0, swapped[0])[0] > 0.5  # the nose is the teacher's
    assert 0 < at(0, swapped[0])[1] < 1
    assert at(7, other[7])[0] > 0.5  # and so are bystanders
    alone, silent = merge_teacher(drawn, None, labelled)
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
