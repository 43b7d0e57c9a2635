"""The generator that knows people: rendered clips, learning from them, and what step 3 does with the result."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from person import painted, workspace
from tiny_pair import MODEL

from main import checkpoint, pretrain, test, train
from main import trainer as trainers
from main.config import Config
from main.pretrain import APART, MOMENTS
from pose_detector.errors import InputError


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Files as `render_person` writes them, of a stick figure."""
    folder = tmp_path_factory.mktemp("people")
    frames, poses, plate = painted(2 * MOMENTS)
    mattes = [np.uint8(255 * (frame != plate).any(-1)) for frame in frames]
    numbers = [APART * (i // 2 + 1) + i % 2 for i in range(2 * MOMENTS)]
    content = {"plate": pretrain.to_bytes(".png", plate)}
    content |= {f"frame{i}": pretrain.to_bytes(".jpg", frame) for i, frame in enumerate(frames)}
    content |= {f"matte{i}": pretrain.to_bytes(".png", matte) for i, matte in enumerate(mattes)}
    paths = [folder / f"person0_{i:04d}.npz" for i in range(2)]
    for path in paths:
        np.savez(path, keypoints=poses, numbers=np.array(numbers), **content)
    return paths


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A file of small pretrained networks, in place of the one that is shipped."""
    path = tmp_path / "weights" / "pretrained.pth"
    torch.manual_seed(3)
    trainer = trainers.build_trainer(Config(**MODEL), torch.device("cpu"))
    for network in (trainer.generator, trainer.discriminator):
        for value in network.parameters():
            value.data.normal_(0, 0.01)
    checkpoint.save_pretrained({"generator": trainer.generator, "discriminator": trainer.discriminator}, path)
    monkeypatch.setattr(checkpoint, "PRETRAINED", path)
    return path


def test_a_rendered_clip_holds_pairs_of_successive_frames_with_exact_mattes(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrain, "MOMENTS", 2)
    monkeypatch.setattr(pretrain, "SIZES", ((128, 160),))
    path = tmp_path / "person0_0003.npz"
    pretrain.render_person(path, 0)
    with np.load(path, allow_pickle=False) as file:
        assert file["numbers"].tolist() == [APART, APART + 1, 2 * APART, 2 * APART + 1]
        frame, plate, matte = (pretrain.to_picture(file[name]).astype(int) for name in ("frame0", "plate", "matte0"))
        inside = file["keypoints"][0]
    inside = inside[inside[:, 2] > 0]
    assert frame.shape == plate.shape == (160, 128, 3) and len(inside) > 12
    x, y = np.rint(inside[:, :2]).astype(int).T
    assert (matte[y, x] > 127).mean() > 0.8
    far = cv2.dilate(np.uint8(matte > 0), np.ones((9, 9))) == 0
    assert np.median(np.abs(frame - plate).max(-1)[far]) < 6  # but for its shadow, the room is the empty one


def test_a_clip_as_filmed_shows_the_same_person(people):
    rng = np.random.default_rng(1)
    filmed = [pretrain.read_person(people[0], rng) for _ in range(4)]
    with np.load(people[0], allow_pickle=False) as file:
        exact = file["keypoints"]
        matte = pretrain.to_picture(file["matte0"]).astype(float)
    mirrored = 0
    for clip in filmed:
        found = clip.frames[0, ..., 3].astype(float)
        there = np.minimum(found, matte).sum() / np.maximum(found, matte).sum()
        mirror = np.minimum(found, matte[:, ::-1]).sum() / np.maximum(found, matte[:, ::-1]).sum()
        assert max(there, mirror) > 0.7
        truth = exact
        if mirror > there:
            mirrored += 1
            truth = exact[:, pretrain.MIRROR] * [-1, 1, 1] + [matte.shape[1] - 1, 0, 0]
        off = np.linalg.norm(clip.poses[..., :2] - truth[..., :2], axis=-1) / clip.sizes[:, None]
        assert np.median(off[clip.poses[..., 2] > 0]) < 0.05
    assert 0 < mirrored < 4
    assert not np.array_equal(filmed[0].plate, filmed[1].plate)


def test_pairs_are_never_painted_from_their_own_moment(people):
    pairs = pretrain.pairs_of(pretrain.read_person(people[0], np.random.default_rng(0)), 64, augment=True, seed=0)
    numbers = pairs.clip.numbers
    assert len(pairs) == MOMENTS
    assert (np.abs(numbers[pairs.sources] - numbers[pairs.queries][:, None, None]) > 1).all()


@pytest.mark.slow
def test_it_overfits_one_person(people, monkeypatch):
    clip = pretrain.read_person(people[0], np.random.default_rng(0))
    dim = clip.frames.copy()
    dim[..., :3] //= 3  # what is copied is too dark, so that there is much to learn
    clip.texture = replace(clip.texture, frames=dim)
    monkeypatch.setattr(pretrain, "read_person", lambda path, rng: clip)
    monkeypatch.setattr(pretrain, "CHECKED", 1)
    monkeypatch.setattr(pretrain, "STEPS", 30)
    cfg = Config(
        start="scratch", learning_rate=2e-3, weight_adversarial=0.0, weight_feature_matching=0.0, ema=0.9,
        precision="float32", **MODEL,
    )  # fmt: skip
    scores = []
    monkeypatch.setattr(
        pretrain, "report", lambda trainer, checks: scores.append(trainers.validate(trainer, checks)[0])
    )
    trainer = pretrain.pretrain(people, cfg, torch.device("cpu"), most_steps=90)
    assert trainer.step == 90
    assert scores[-1]["psnr"] > scores[0]["psnr"] + 1.5  # dB


def test_step_3_starts_from_the_file(weights, tmp_path):
    trainer = trainers.build_trainer(Config(**MODEL), torch.device("cpu"))
    assert trainers.start_pretrained(trainer) is None
    state = checkpoint.load_pretrained(checkpoint.PRETRAINED)
    for name, network in (
        ("generator", trainer.generator), ("generator", trainer.averaged), ("discriminator", trainer.discriminator)
    ):  # fmt: skip
        for key, value in network.state_dict().items():
            assert torch.equal(value, state[name][key].float()), f"{name}.{key}"
            assert value.dtype == torch.float32


def test_the_shipped_file_fits_the_default_settings():
    trainer = trainers.build_trainer(Config(device="cpu", start="pretrained"), torch.device("cpu"))
    before = trainer.averaged.state_dict()["squeeze.weight"].clone()
    assert trainers.start_pretrained(trainer) is None
    assert not torch.equal(trainer.averaged.state_dict()["squeeze.weight"], before)
    assert checkpoint.PRETRAINED.stat().st_size <= 4e6


def test_other_settings_start_from_scratch_or_are_refused(weights):
    other = MODEL | {"channels": 24}
    trainer = trainers.build_trainer(Config(**other), torch.device("cpu"))
    before = {key: value.clone() for key, value in trainer.generator.state_dict().items()}
    assert "does not fit" in trainers.start_pretrained(trainer)
    assert all(torch.equal(value, before[key]) for key, value in trainer.generator.state_dict().items())
    for asked in ({"start": "pretrained"}, {"epochs": 0}):
        trainer.config = Config(**other, **asked)
        with pytest.raises(InputError, match="does not fit"):
            trainers.start_pretrained(trainer)


def test_no_epochs_gives_a_checkpoint_of_the_pretrained_generator(weights, tmp_path, capsys):
    config = Config(workspace=workspace(tmp_path), epochs=0, **MODEL)
    train.main(config)
    state = checkpoint.load(checkpoint.newest(config.checkpoint_dir))
    given = checkpoint.load_pretrained(checkpoint.PRETRAINED)["generator"]
    assert all(torch.equal(value, given[key].float()) for key, value in state["averaged"].items())
    assert (state["epoch"], state["step"], state["fingerprint"]) == (0, 0, "person")
    train.main(replace(config, epochs=1, continue_train=True, validation_frames=2))  # and training goes on from it
    assert checkpoint.load(checkpoint.newest(config.checkpoint_dir))["epoch"] == 1
    with pytest.raises(InputError, match="scratch"):
        train.main(replace(config, start="scratch"))
    assert checkpoint.load(checkpoint.newest(config.checkpoint_dir))["epoch"] == 1  # a refusal moves nothing


def test_training_stops_where_validation_no_longer_rises(weights, tmp_path, capsys, monkeypatch):
    marks = iter([0.5, 0.6, 0.55, 0.58, 0.7])
    real = trainers.validate

    def falling(trainer, checks):
        scores, rows = real(trainer, checks)
        return {**scores, "ssim": next(marks)}, rows

    monkeypatch.setattr(train, "validate", falling)
    config = Config(workspace=workspace(tmp_path), epochs=9, patience=2, validation_frames=2, **MODEL)
    train.main(config)
    newest = checkpoint.load(checkpoint.newest(config.checkpoint_dir))
    assert (newest["epoch"], newest["best_epoch"], newest["best"]) == (3, 1, 0.6)
    assert capsys.readouterr().out.count("validation has not risen for 2 epochs") == 1
    test.main(config)
    assert "checkpoint-best.pth, epoch 1," in capsys.readouterr().out, "rendered is the best, not the last"


@pytest.mark.parametrize("kind", ["missing", "cut", "foreign", "no weights", "not a number"])
def test_a_wrong_file_is_refused_in_one_line(weights, kind):
    if kind == "missing":
        weights.unlink()
    elif kind == "cut":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif kind == "foreign":
        torch.save({"a": torch.zeros(3)}, weights)
    elif kind == "no weights":
        checkpoint.save({"generator": [1, 2]}, weights)
    else:
        state = checkpoint.load_pretrained(checkpoint.PRETRAINED)
        next(iter(state["generator"].values())).fill_(float("nan"))
        checkpoint.save(state, weights)
    trainer = trainers.build_trainer(Config(start="pretrained", **MODEL), torch.device("cpu"))
    with pytest.raises(InputError, match="start scratch") as error:
        trainers.start_pretrained(trainer)
    assert "\n" not in str(error.value) and str(weights) in str(error.value)
