"""The training script on a handful of drawn figures: it learns, saves, exports and goes on."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from maps import PERSON

from pose_detector.networks import Light
from pose_detector.skeleton import LIMBS
from pose_detector.training import light_examples
from pose_detector.training.augment import Picture, draw_maps
from pose_detector.training.light_examples import PHOTO_JOINTS, Examples, Photos, mark_people, mark_photos
from pose_detector.training.loop import update_average
from pose_detector.training.train_light import Settings, initialise, learning_rate, loss_of, share_found, train
from pose_detector.weights import load_network


def stick_person(rng: np.random.Generator) -> Picture:
    keypoints = np.concatenate([PERSON * 100 + rng.normal(0, 2, (18, 2)), np.ones((18, 1))], axis=1)
    rgba = np.zeros((100, 100, 4), np.uint8)
    for a, b in LIMBS:
        ends = [tuple(int(v) for v in keypoints[j, :2]) for j in (a, b)]
        cv2.line(rgba, *ends, (*(int(c) for c in rng.integers(0, 256, 3)), 255), 4)
    return Picture(rgba[..., :3].copy(), keypoints[None].astype(np.float32), rgba[..., 3].copy())


def settings(folder: Path, **changes) -> Settings:
    values = {"width": 0.25, "examples": 48, "crops": ((64, 64),), "batch_pixels": 8 * 64 * 64, "workers": 0}
    values |= {"measured": 2, "threads": torch.get_num_threads()} | changes
    return Settings(cache=folder, output=folder / "light.pth", **values)


def test_training_saves_exports_and_goes_on(tmp_path, capsys):
    rng = np.random.default_rng(0)
    figures = [stick_person(rng) for _ in range(6)]
    train(settings(tmp_path), None, figures, figures[:2])
    first = torch.load(tmp_path / "checkpoint.pth", weights_only=True)
    assert (first["seen"], first["step"]) == (48, 6)
    assert isinstance(load_network(tmp_path / "light.pth"), Light)
    assert "held-out" in capsys.readouterr().out
    train(settings(tmp_path, examples=64), None, figures, [])
    second = torch.load(tmp_path / "checkpoint.pth", weights_only=True)
    assert (second["seen"], second["step"]) == (64, 8)
    assert not torch.equal(first["network"]["model.0.0.weight"], second["network"]["model.0.0.weight"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.pth", "light.pth"]


def test_learning_rate_rises_and_falls(tmp_path):
    chosen = settings(tmp_path, examples=1000)
    rates = [learning_rate(chosen, seen) for seen in range(0, 1001, 10)]
    assert rates[0] == 0
    assert max(rates) == pytest.approx(chosen.learning_rate, rel=0.05)
    assert rates[-1] == pytest.approx(chosen.learning_rate / 100)


def test_loss_is_zero_for_the_right_maps_only():
    rng = np.random.default_rng(0)
    maps = torch.from_numpy(rng.random((2, 57, 4, 4), dtype=np.float32))
    right = [(maps[:, :19], maps[:, 19:])] * 2
    wrong = [(maps[:, :19], maps[:, 19:] + 0.1)] * 2
    assert loss_of(right, maps, torch.ones_like(maps)) == 0
    assert loss_of(wrong, maps, torch.ones_like(maps)) > 0
    assert loss_of(wrong, maps, torch.zeros_like(maps)) == 0


def test_average_follows_the_network():
    network, average = Light(0.25), Light(0.25)
    initialise(network)
    for _ in range(60):
        update_average(average, network, 0.8)
    for old, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        assert torch.allclose(old.float(), new.float(), atol=1e-4)


def test_share_found_counts_peaks_at_the_keypoints():
    rng = np.random.default_rng(0)
    picture = stick_person(rng)

    class Knows(torch.nn.Module):
        def __init__(self, people):
            super().__init__()
            self.people = people

        def forward(self, field):
            maps = torch.from_numpy(draw_maps(self.people, (field.shape[2] // 8, field.shape[3] // 8)))[None]
            return maps[:, :19], maps[:, 19:]

    assert share_found(Knows(picture.keypoints), [picture], torch.device("cpu")) == 1
    assert share_found(Knows(picture.keypoints + np.float32([50, 0, 0])), [picture], torch.device("cpu")) < 0.2


def test_the_teacher_looks_at_photos_and_at_people_set_upright(tmp_path, monkeypatch):
    """Each person is shown upright in a quarter of the teacher's input, and finds its own quarter of the answer."""
    joints, names = np.ones((6, 14, 3), np.float32), [f"{i}.jpg" for i in range(6)]
    joints[:, :12, :2] = (PERSON[PHOTO_JOINTS] * [-60, -120] + [100, 140]).astype(np.float32)  # head down
    np.savez(tmp_path / "photos.npz", joints=joints)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for i, name in enumerate(names):
            archive.writestr(name, cv2.imencode(".jpg", np.full((160, 200, 3), 20 * (i + 1), np.uint8))[1].tobytes())

    class Brightness:
        """Instead of keypoints it finds how bright each cell is."""

        def __init__(self, path):
            pass

        def __call__(self, rgb):
            assert rgb.shape == (*light_examples.TEACHER_SIZE, 3)
            return np.repeat(rgb[None, 4::8, 4::8, 0], 57, axis=0)

    monkeypatch.setattr(light_examples, "Teacher", Brightness)
    photos = Photos(tmp_path / "photos")
    assert photos[0].views == ()
    mark_photos(photos, 5, tmp_path, tmp_path / "whole.npy")
    mark_people(photos, 5, tmp_path, tmp_path / "upright.npy")
    photos = Photos(tmp_path / "photos", tmp_path / "whole.npy", tmp_path / "upright.npy")
    assert [len(photo.views) for photo in (photos[i] for i in range(6))] == [2, 2, 2, 2, 2, 0]
    for i in range(5):
        upright, whole = photos[i].views
        assert upright.maps.shape == (57, 23, 27)
        assert abs(int(upright.maps[0, 11, 13]) - 20 * (i + 1)) < 3
        assert abs(int(whole.maps[0, 20, 20]) - 20 * (i + 1)) < 3
        assert upright.matrix[1, 1] < 0  # turned over


def test_batches_have_the_shapes_asked_for(tmp_path):
    rng = np.random.default_rng(0)
    figures = [stick_person(rng) for _ in range(3)]
    chosen = settings(tmp_path, crops=((64, 32), (48, 64)), batch_pixels=4 * 64 * 32)
    batches = iter(Examples(None, figures, figures, chosen, 0))
    shapes = {tuple(part.shape for part in next(batches)) for _ in range(12)}
    assert shapes == {
        ((4, 3, 64, 32), (4, 57, 8, 4), (4, 57, 8, 4)),
        ((2, 3, 48, 64), (2, 57, 6, 8), (2, 57, 6, 8)),
    }
