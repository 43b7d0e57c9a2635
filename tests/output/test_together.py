"""Two dancers: a person rendered alone lies over the room as if rendered in it, and both stand as in the dance."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from person import SIZE, annotations, painted, workspace

from data.annotations import Annotations
from main import checkpoint, person_file, test
from main.config import Config
from main.dataset import load_clip
from main.rendering import make_plan, prepare_generator, render
from output import together
from pose_detector.errors import InputError

STILL = np.array([[1.0, 0, 0], [0, 1, 0]])


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A person and a generator that paints at random, so that everything it can do is seen."""
    config = Config(workspace=workspace(tmp_path_factory.mktemp("scene")))
    clip = load_clip(
        Annotations.load(config.train_annotations), config.images_dir, config.masks_dir, config.background_image
    )
    torch.manual_seed(0)
    generator = checkpoint.make_generator(Config(channels=16, detail=4))
    torch.nn.init.normal_(generator.out.weight, std=0.1)
    return prepare_generator(generator, torch.device("cpu")), clip, painted(4, seed=5)[1]


def test_a_person_alone_over_the_room_is_the_person_in_the_room(scene):
    generator, clip, poses = scene
    plan = make_plan(clip, poses)
    inside, alone = (list(render(generator, clip, plan, torch.device("cpu"), alone=a)) for a in (False, True))
    for whole, layer in zip(inside, alone, strict=True):
        assert layer.shape == (*clip.plate.shape[:2], 4)
        assert (cv2.absdiff(whole, clip.plate) > 40).any(), "nobody is there"
        apart = cv2.absdiff(together.lay(clip.plate, layer, STILL), whole)
        assert apart.max() <= 6 and apart.mean() < 0.2  # shadows lose their colour


def test_nobody_leaves_an_empty_layer(scene):
    generator, clip, poses = scene
    poses = poses.copy()
    poses[2] = 0
    layers = list(render(generator, clip, make_plan(clip, poses), torch.device("cpu"), alone=True))
    assert [bool(layer.any()) for layer in layers] == [True, True, False, True]


def moved(poses, scale, x, y):
    """Keypoints after a change of scale about the picture's corner and a shift."""
    result = poses.copy()
    result[..., :2] = np.where(poses[..., 2:] > 0, poses[..., :2] * scale + (x, y), 0)
    return result


def test_the_second_stands_to_the_first_as_in_the_dance():
    poses = painted(40)[1]
    left = annotations(poses, "dance")
    right = annotations(moved(poses, 1.2, 60, 20), "dance")
    # The first room shows people half as large, the second one twice.
    first, second = annotations(moved(poses, 0.5, 30, 40), "dance"), annotations(moved(poses, 2, 0, -100), "dance")
    line, (still, maps), front = together.place([left, right], [first, second], 400)
    assert np.allclose(still, STILL) and "moved by 0" in line
    wanted = moved(right.keypoints, 0.5, 30, 40)
    ones = np.concatenate([second.keypoints[..., :2], np.ones((40, 18, 1))], 2)
    placed = np.einsum("nij,nkj->nki", maps, ones)
    seen = second.keypoints[..., 2] > 0
    assert np.abs(placed - wanted[..., :2])[seen].max() < 0.5
    assert (front == 1).all()  # whose feet are lower
    _, _, front = together.place([right, left], [second, first], 4000)
    assert (front == 0).all()


def test_who_would_leave_the_room_is_moved_back_with_the_other():
    poses = painted(40)[1]
    pair = [annotations(poses, "dance"), annotations(moved(poses, 1, 80, 0), "dance")]
    _, (still, maps), _ = together.place(pair, pair, SIZE[0])
    assert still[0, 0, 2] < -5 and np.allclose(maps[:, 0, 2], still[:, 0, 2], atol=0.1)


def test_hands_stay_in_the_room():
    poses = painted(40)[1]
    poses[:, 4, 0] = poses[..., 0].max() + 30  # an arm far out
    pair = [annotations(poses, "dance"), annotations(moved(poses, 1, 20, 0), "dance")]
    _, (_, maps), _ = together.place(pair, pair, 300)
    assert (maps[:, 0, 2] > -0.5).all(), "there is room enough"
    width = round(poses[0, 4, 0] + 10)
    _, (_, maps), _ = together.place(pair, pair, width)
    assert (pair[1].keypoints[:, 4, 0] + maps[:, 0, 2] < width).all()


def test_both_are_rendered_alone_and_joined_in_the_first_ones_room(tmp_path):
    names = ("anna", "ben")
    files = []
    for i, name in enumerate(names):
        path = workspace(tmp_path / name)
        config = Config(workspace=path)
        state = {"config": Config(channels=16, detail=4).as_dict(), "epoch": 0}
        state["averaged"] = checkpoint.make_generator(Config(channels=16, detail=4)).state_dict()
        files.append(tmp_path / f"{name}.person")
        person_file.save(files[i], Annotations.load(config.train_annotations), state, config, [])
    config = Config(workspace=tmp_path / "work", person_file=files[0], partner=files[1], name="pair", device="cpu")
    with pytest.raises(InputError):
        together.main(replace(config, partner=None))
    moves = painted(6, seed=5)[1]
    for i, dancer in enumerate(("first", "second")):
        mine = config.of_dancer(dancer)
        assert mine.person == i and mine.person_file == files[i]
        person_file.unpack(files[i], mine.person_dir)
        seen = annotations(moved(moves, 0.8, 60 * i, 10 * i), "dance", "person")
        seen.save(mine.norm_test_annotations)
        (tmp_path / "dance.mp4").write_bytes(b"a dance")
        mine = replace(mine, test_video=tmp_path / "dance.mp4")
        seen.save(mine.test_annotations)
        test.main(mine)
    config = replace(config, test_video=tmp_path / "dance.mp4")
    together.main(config)
    made = sorted(config.vis_dir.glob("*.jpg"))
    assert len(made) == 6 and config.rendered_of.read_text() == "dance"
    assert Annotations.load(config.norm_test_annotations).target_fingerprint == "person"
    picture, room = (cv2.imread(str(p)) for p in (made[3], config.background_image))
    there = np.flatnonzero((cv2.absdiff(picture, room) > 60).any((0, 2)))
    assert there.max() - there.min() > 60, "both are there"
