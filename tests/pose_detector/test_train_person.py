"""Training of the person network: labels of several sources, examples, and that it learns."""

from dataclasses import replace

import cv2
import numpy as np
import torch

from pose_detector.blazepose import COCO18, EXTRA
from pose_detector.crop import Crop
from pose_detector.person_network import POINTS, PersonNetwork
from pose_detector.training.person_examples import (
    BODY,
    FACE,
    LEEDS,
    MIRROR,
    MOVENET,
    Examples,
    Mixture,
    Person,
    join_labels,
    see,
    to_crop,
)
from pose_detector.training.train_person import Settings, loss_of, train

NAMES = [
    "nose", "r sho", "r elb", "r wri", "l sho", "l elb", "l wri", "r hip", "r kne", "r ank", "l hip", "l kne", "l ank",
    "r eye", "l eye", "r ear", "l ear",
    "r lit", "r ind", "r thu", "l lit", "l ind", "l thu", "r hee", "r toe", "l hee", "l toe",
]  # fmt: skip


def standing(seed=0):
    """Points (POINTS, 2) of somebody upright, about 200 pixels tall."""
    xy = {
        "nose": (100, 30), "r sho": (80, 60), "r elb": (66, 90), "r wri": (60, 120), "r hip": (86, 120),
        "r kne": (84, 165), "r ank": (84, 210), "r eye": (95, 26), "r ear": (90, 29), "r lit": (56, 132),
        "r ind": (60, 134), "r thu": (64, 128), "r hee": (82, 216), "r toe": (76, 220),
    }  # fmt: skip
    xy |= {"l" + name[1:]: (200 - x, y) for name, (x, y) in xy.items() if name.startswith("r ")}
    return np.array([xy[name] for name in NAMES], np.float32) + np.random.default_rng(seed).normal(0, 1, (POINTS, 2))


def teachers(points):
    """Both teachers' answers to the same person."""
    thunder = np.zeros((17, 3), np.float32)
    thunder[MOVENET] = np.column_stack([points[:17], np.full(17, 0.9)])
    landmarks = np.zeros((39, 3), np.float32)
    landmarks[COCO18[BODY]] = landmarks[EXTRA] = 0
    landmarks[COCO18[BODY], :2], landmarks[EXTRA, :2] = points[:17], points[17:]
    landmarks[:, 2] = 0.95
    return thunder, landmarks


def test_names_mirror_as_they_should():
    for name, other in zip(NAMES, np.array(NAMES)[MIRROR], strict=True):
        wanted = {"r": "l", "l": "r"}.get(name[0], name[0]) + name[1:] if name[1] == " " else name
        assert other == wanted


def test_where_the_teachers_agree_their_mean_counts():
    points = standing()
    thunder, landmarks = teachers(points)
    landmarks[COCO18[BODY], 0] += 4
    joined, same = join_labels(thunder, landmarks, None)
    assert same
    np.testing.assert_allclose(joined[:17, :2], points[:17] + np.array([2, 0]), atol=1e-3)
    assert (joined[:17, 2] == 1).all() and (joined[:, 3] == 0).all()


def test_where_they_do_not_movenet_counts_by_half_if_it_is_sure():
    points = standing()
    thunder, landmarks = teachers(points)
    landmarks[COCO18[BODY][[3, 6]], 1] -= 40  # both wrists
    thunder[MOVENET[6], 2] = 0.2
    joined, _ = join_labels(thunder, landmarks, None)
    np.testing.assert_allclose(joined[3, :3], [*points[3], 0.5], atol=1e-3)
    assert joined[6, 2] == 0
    assert (joined[17:23, 2] == 0).all() and (joined[23:, 2] == 1).all(), "hands hang on wrists"


def test_a_face_that_movenet_does_not_see_is_turned_away():
    thunder, landmarks = teachers(standing())
    thunder[MOVENET[FACE[0]], 2] = 0.05
    joined, _ = join_labels(thunder, landmarks, None)
    assert joined[FACE[0], 3] == 1 and (joined[FACE[1:], 3] == 0).all()


def test_labels_by_hand_are_untangled_and_averaged_in():
    points = standing()
    hand = np.zeros((14, 3), np.float32)
    body = np.column_stack([points[:17] + np.array([0, 2]), np.ones(17)])
    hand[:12] = body[LEEDS]
    right, good = join_labels(*teachers(points), hand)[0], points[LEEDS] + np.array([0, 1])
    np.testing.assert_allclose(right[LEEDS, :2], good, atol=1e-3)
    swapped = hand.copy()
    swapped[:12] = body[MIRROR[:17]][LEEDS]  # left and right confused
    np.testing.assert_allclose(join_labels(*teachers(points), swapped)[0][:13, :2], right[:13, :2], atol=1e-3)


def person(seed=0, **options):
    """A blue stick figure with its points and mask on a grey ground."""
    points = standing(seed)
    picture, mask = np.full((240, 200, 3), 120, np.uint8), np.zeros((240, 200), np.uint8)
    for a, b in ((1, 2), (2, 3), (4, 5), (5, 6), (1, 7), (4, 10), (7, 8), (8, 9), (10, 11), (11, 12), (1, 4), (7, 10)):
        for canvas, colour in ((picture, (20, 40, 200)), (mask, 255)):
            cv2.line(canvas, *np.rint(points[[a, b]]).astype(int).tolist(), colour, 12)
    for index, colour in ((3, (250, 40, 40)), (6, (40, 250, 40))):  # right and left hand differ
        cv2.circle(picture, np.rint(points[index]).astype(int).tolist(), 8, colour, -1)
    labels = np.column_stack([points, np.ones(POINTS), np.zeros(POINTS)]).astype(np.float32)
    return Person(picture, labels, mask, **options)


def test_points_stay_on_their_pixels_in_any_view():
    someone = person()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        crop = Crop(*rng.uniform(80, 120, 2), rng.uniform(180, 320), rng.uniform(-3, 3))
        mirrored = bool(seed % 2)
        picture, mask = see(someone, crop, 128, mirrored)
        points = to_crop(someone.points, crop, 128, mirrored)
        for index, colour in ((3, 0), (6, 1)):
            x, y, _, hidden = points[MIRROR[index] if mirrored else index]
            if not hidden and 3 < x < 124 and 3 < y < 124:
                assert picture[round(y), round(x), colour] > 200 and mask[round(y), round(x)] > 200
    outside = to_crop(someone.points, Crop(100, 60, 100), 128, False)
    assert outside[[9, 12], 3].all() and not outside[[1, 4], 3].any()


def test_examples_have_their_shapes_and_are_reproducible():
    people = [person(i) for i in range(4)]
    figures = [person(9, cut_out=True)]
    batches = [next(iter(Examples([people], (1.0,), figures, 64, 6, Mixture(rendered=0.5), [3]))) for _ in range(2)]
    pictures, points, masks, weights = batches[0]
    assert pictures.shape == (6, 3, 64, 64) and pictures.dtype == torch.uint8
    assert points.shape == (6, POINTS, 4) and masks.shape == (6, 64, 64) and weights.tolist() == [1] * 6
    assert all(torch.equal(a, b) for a, b in zip(*batches, strict=True))


def test_the_loss_is_least_where_the_labels_are():
    truth = torch.zeros(1, POINTS, 4)
    truth[..., :2] = torch.as_tensor(standing())[None] / 4
    truth[..., 2] = 1
    truth[:, 5, 3] = 1
    masks, outlined = torch.zeros(1, 64, 64), torch.ones(1)
    masks[:, 16:48, 16:48] = 1
    cells = torch.arange(16)
    x, y = ((truth[0, :, i] + 0.5) / 4 - 0.5 for i in (0, 1))

    def loss(shift=0.0, absent=6.0, outline=6.0):
        heat = -((cells - x[:, None] - shift).square()[:, None] + (cells - y[:, None]).square()[:, :, None]) / 3.2
        missing = torch.full((1, POINTS), -6.0)
        missing[0, 5] = absent
        inside = torch.nn.functional.avg_pool2d(masks[:, None], 2)
        return float(loss_of((heat[None], missing, (2 * inside - 1) * outline), truth, masks, outlined))

    best = loss()
    assert loss(shift=1.0) > best + 0.1 and loss(absent=-6.0) > best + 0.1 and loss(outline=-6.0) > best + 1


def test_it_learns_one_person(tmp_path):
    torch.manual_seed(0)
    network = PersonNetwork((8, 16, 32, 32, 32), (1, 1, 1, 1))
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3)
    people = [person(i) for i in range(3)]
    calm = Mixture(rendered=0, moved=0, bystander=0, hidden=0, part=0, turned=0, lean=0.05)
    batches, losses = iter(Examples([people], (1.0,), [], 64, 8, calm, [0])), []
    for _ in range(60):
        pictures, points, masks, outlined = next(batches)
        loss = loss_of(network(pictures.float() / 255), points, masks.float() / 255, outlined)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.72 * np.mean(losses[:5])


def test_training_writes_a_network_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "pose_detector.training.train_person.PersonNetwork", lambda: PersonNetwork((8, 8, 8, 8, 8), (1, 1, 1, 1))
    )
    people = [person(i) for i in range(6)]
    settings = Settings(
        cache=tmp_path, minutes=0.01, sizes=(64, 64), batch=2, held_out=2, workers=0, output=tmp_path / "person.pth"
    )
    train(settings, [people])
    state = torch.load(tmp_path / "checkpoint.pth", weights_only=True)
    assert (tmp_path / "person.pth").is_file() and state["seen"] >= 2
    settings.minutes = state["seconds"] / 60 + 0.02
    train(settings, [people])
    assert torch.load(tmp_path / "checkpoint.pth", weights_only=True)["seen"] > state["seen"]

    # Another run may begin with what this one has learnt.
    known = torch.load(tmp_path / "person.pth", weights_only=True)["state_dict"]["stem.0.weight"].float()
    other = tmp_path / "other"
    other.mkdir()
    settings = replace(settings, cache=other, start=tmp_path / "person.pth", minutes=1e-4, learning_rate=0.0)
    train(settings, [people])
    begun = torch.load(other / "checkpoint.pth", weights_only=True)["network"]["stem.0.weight"]
    torch.testing.assert_close(begun, known)
