"""The bundled network of one person: what it answers, how it is read, and that it learns."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_detector.crop import Crop
from pose_detector.errors import InputError
from pose_detector.person_network import POINTS, STRIDE, Bundled, PersonNetwork, decode, load, save

SMALL = {"widths": (8, 8, 16, 16, 16), "blocks": (1, 1, 1, 1)}


def answer(points, side=16, absent=()):
    """The network's answer for points (POINTS, 2) in pixels: sharp blobs."""
    cells = torch.arange(side)
    x, y = ((torch.as_tensor(points[:, i]).float() + 0.5) / STRIDE - 0.5 for i in (0, 1))
    squared = (cells - x[:, None]).square()[:, None, :] + (cells - y[:, None]).square()[:, :, None]
    missing = torch.full((POINTS,), -20.0)
    missing[list(absent)] = 30.0
    return (-squared / 2)[None], missing[None], torch.zeros(1, 1, 2 * side, 2 * side)


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_points_are_read_below_a_cell(seed):
    points = np.random.default_rng(seed).uniform(14, 48, (POINTS, 2))
    found, _ = decode(*answer(points))
    np.testing.assert_allclose(found[0, :, :2], points, atol=0.6)
    assert (found[0, :, 2] > 0.8).all() and (found[0, :, 2] <= 1 + 1e-6).all()


def test_what_is_absent_is_not_believed():
    found, outline = decode(*answer(np.full((POINTS, 2), 30.0), absent=[3, 4]))
    assert (found[0, [3, 4], 2] < 1e-3).all() and found[0, 5, 2] > 0.8
    assert outline.shape == (1, 32, 32) and np.allclose(outline, 0.5)


def test_shapes_of_the_answer():
    heat, absent, outline = PersonNetwork(**SMALL)(torch.zeros(2, 3, 64, 96))
    assert heat.shape == (2, POINTS, 16, 24) and absent.shape == (2, POINTS) and outline.shape == (2, 1, 32, 48)


def test_points_of_the_crop_become_keypoints_of_the_frame(monkeypatch):
    points = np.random.default_rng(0).uniform(80, 180, (POINTS, 2))
    network = PersonNetwork(**SMALL)
    monkeypatch.setattr(network, "forward", lambda _: answer(points, side=64, absent=[13]))
    crop = Crop(200, 150, 300, 0.3)
    look = Bundled(network).look(np.zeros((300, 400, 3), np.uint8), crop)
    wanted = crop.to_frame(points, 256)
    np.testing.assert_allclose(look.keypoints[[0, 2, 7, 13, 16, 17], :2], wanted[[0, 1, 6, 12, 15, 16]], atol=1)
    np.testing.assert_allclose(look.keypoints[1, :2], wanted[[1, 4]].mean(0), atol=1)  # the neck
    np.testing.assert_allclose(look.extra[:, :2], wanted[17:], atol=1)
    assert look.keypoints[14, 2] == 0 and look.presence > 0.8


def test_who_lies_down_is_turned_upright():
    upright = np.zeros((18, 3), np.float32)
    upright[[2, 5, 8, 11, 10, 13]] = [(40, 40, 1), (60, 40, 1), (42, 80, 1), (58, 80, 1), (42, 160, 1), (58, 160, 1)]
    looker = Bundled(PersonNetwork(**SMALL))
    crop = looker.first_crop(upright)
    assert crop.angle == 0 and np.isclose(crop.y, 100) and crop.side > 120
    lying = upright.copy()
    lying[..., 0], lying[..., 1] = 200 - upright[..., 1], upright[..., 0]
    lying[upright[..., 2] == 0] = 0
    assert np.isclose(looker.first_crop(lying).angle, np.pi / 2)


def test_weights_survive_the_file(tmp_path):
    network = PersonNetwork().eval()
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.uniform_(0.01, 0.3)
    path = tmp_path / "person.pth"
    save(network, path)
    picture = torch.rand(1, 3, 64, 64)
    for a, b in zip(network(picture), load(path)(picture), strict=True):
        torch.testing.assert_close(a, b, rtol=0.05, atol=0.05 * float(a.detach().abs().max()))
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("kind", ["missing", "garbage", "cut", "another", "pickle"])
def test_what_is_no_such_network_is_refused_in_one_line(tmp_path, kind):
    path = tmp_path / "person.pth"
    if kind == "garbage":
        path.write_bytes(b"no weights")
    elif kind == "cut":
        save(PersonNetwork(), path)
        path.write_bytes(path.read_bytes()[:100_000])
    elif kind == "another":
        save(PersonNetwork(**SMALL), path)
    elif kind == "pickle":
        torch.save({"state_dict": Crop}, path)
    with pytest.raises(InputError, match=r"person\.pth") as error:
        load(path)
    assert "\n" not in str(error.value)


def test_the_crop_does_not_close_in_on_a_few_sure_points(monkeypatch):
    points = np.full((POINTS, 2), 128.0) + np.random.default_rng(0).uniform(-8, 8, (POINTS, 2))
    network, crop = PersonNetwork(**SMALL), Crop(200, 150, 300)
    looker = Bundled(network)
    for sure, side in ((17, 270.0), (4, 300.0)):  # a face of many points, and too few to tell a size
        unseen = range(sure, POINTS)
        monkeypatch.setattr(network, "forward", lambda _, unseen=unseen: answer(points, side=64, absent=unseen))
        assert np.isclose(looker.look(np.zeros((300, 400, 3), np.uint8), crop).following.side, side)
