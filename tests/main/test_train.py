"""Steps 3 and 4 on a painted stick figure: they learn, resume exactly, keep what was trained, and say what is wrong."""

import copy
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from clip_maker import write_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from person import SIZE, painted, small, workspace
from places import ROOT
from torch.utils.data import default_collate

from data.annotations import Annotations
from main import checkpoint, evaluate, frame_files, losses, rendering, test, train, window
from main import trainer as trainers
from main.batches import load_batches, load_together, to_device
from main.config import Config
from main.dataset import Clip, Pairs, load_clip, source_bank, split
from main.distributed import Group
from main.networks.labels import draw_skeleton
from pose_detector.errors import InputError


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A workspace after two epochs."""
    path = workspace(tmp_path_factory.mktemp("trained"))
    train.main(small(path))
    return path


def test_it_overfits_a_tiny_clip(tmp_path):
    config = small(workspace(tmp_path, count=6), epochs=25, weight_adversarial=0.0, weight_feature_matching=0.0)
    train.main(config)
    lines = [json.loads(line) for line in open(config.checkpoint_dir / "stats.jsonl", encoding="utf-8")]
    assert lines[-1]["psnr"] > lines[0]["psnr"] + 3  # dB


def test_an_epoch_leaves_checkpoint_log_and_pictures(trained):
    folder = small(trained).checkpoint_dir
    assert [p.name for p in checkpoint.all_of(folder)] == ["checkpoint-0001.pth", "checkpoint-0002.pth"]
    assert (folder / checkpoint.BEST).is_file() and "epoch 2" in (folder / "log.txt").read_text()
    stats = [json.loads(line) for line in open(folder / "stats.jsonl", encoding="utf-8")]
    assert [line["epoch"] for line in stats] == [1, 2]
    assert {"psnr", "ssim", "sharpness", "discriminator"} <= stats[0].keys()
    assert cv2.imread(str(folder / "samples" / "epoch-0002.jpg")) is not None


def test_stopped_and_resumed_equals_never_stopped(trained, tmp_path, monkeypatch):
    config = small(workspace(tmp_path))
    steps = 0
    real_step = trainers.train_step

    def interrupted(trainer, batch):
        nonlocal steps
        steps += 1
        if steps == 5:  # in the middle of the second epoch
            raise KeyboardInterrupt
        return real_step(trainer, batch)

    monkeypatch.setattr(trainers, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.main(config)
    monkeypatch.setattr(trainers, "train_step", real_step)
    train.main(replace(config, continue_train=True))

    whole, resumed = (checkpoint.load(checkpoint.newest(c.checkpoint_dir)) for c in (small(trained), config))
    assert whole["step"] == resumed["step"] and whole["epoch"] == resumed["epoch"] == 2
    for name in ("generator", "averaged", "discriminator"):
        for key, value in whole[name].items():
            assert torch.equal(value, resumed[name][key]), f"{name}.{key}"


def test_resuming_a_finished_run_trains_nothing(trained, capsys):
    config = small(trained, continue_train=True)
    before = checkpoint.newest(config.checkpoint_dir).stat().st_mtime_ns
    train.main(config)
    assert checkpoint.newest(config.checkpoint_dir).stat().st_mtime_ns == before
    assert "done" in capsys.readouterr().out


def test_resuming_takes_the_architecture_from_the_checkpoint(trained):
    train.main(small(trained, continue_train=True, channels=24))  # would not fit otherwise


def test_bfloat16_learns_the_same(tmp_path):
    """Every weight gets its gradient, near to the one in float32, and losses are told in float32."""
    batch = default_collate([make_pairs(2)[i] for i in range(4)])
    terms, gradients = {}, {}
    for precision in ("float32", "bfloat16"):
        trainer = trainers.build_trainer(small(tmp_path, precision=precision, perceptual="pose"), torch.device("cpu"))
        trainer.step = 1  # two frames, one after the other
        terms[precision] = trainers.train_step(trainer, to_device(batch, torch.device("cpu")))
        parameters = [*trainer.generator.parameters(), *trainer.discriminator.parameters()]
        assert all(p.dtype == torch.float32 and p.grad is not None for p in parameters)
        gradients[precision] = torch.cat([p.grad.flatten() for p in parameters])
    for name, term in terms["float32"].items():
        assert terms["bfloat16"][name].dtype == torch.float32
        assert terms["bfloat16"][name].item() == pytest.approx(term.item(), rel=0.03), name
    assert torch.cosine_similarity(*gradients.values(), dim=0) > 0.98


def test_the_judge_learns_from_its_own_loss_alone(tmp_path):
    """The generator's loss leaves no gradient in it, though it sees the real frames once for both."""
    batch = to_device(default_collate([make_pairs(2)[i] for i in range(4)]), torch.device("cpu"))
    trainer = trainers.build_trainer(small(tmp_path), torch.device("cpu"))
    judge = copy.deepcopy(trainer.discriminator)
    rendering = trainers.render_first(trainer.generator, batch)
    trainers.train_step(trainer, batch)
    real_before, real = batch["pictures"].unbind(1)
    skeleton = draw_skeleton(batch["keypoints"][:, 1], real.shape[-2:])
    seen = (judge(torch.cat([skeleton, shown, real_before], 1)) for shown in (real, rendering.picture.detach()))
    losses.discriminator_loss(*seen).backward()
    for ours, theirs in zip(judge.parameters(), trainer.discriminator.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("threads", [0, 3])
def test_batches_come_in_order_however_many_threads_load_them(threads):
    pairs = make_pairs(2)
    items = np.arange(12).reshape(6, 2)
    found = list(load_batches(pairs, items, threads))
    assert len(found) == 6
    for row, batch in zip(items, found, strict=True):
        assert torch.equal(batch["pictures"][1], pairs[row[1]]["pictures"])
    batches = load_batches(pairs, items, threads)
    next(batches)
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_the_clip_is_matted_once_a_computer_and_mapped_by_the_others(tmp_path, monkeypatch):
    """Two processes, here two threads that wait for each other."""
    config = small(workspace(tmp_path, count=6))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    barrier, loads = threading.Barrier(2), []
    monkeypatch.setattr(Group, "wait", lambda self: barrier.wait(30))

    def load():
        loads.append(1)
        return load_clip(
            Annotations.load(config.train_annotations), config.images_dir, config.masks_dir, config.background_image
        )

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda rank: load_together(Group(rank, 2, rank), load), (0, 1))
    assert len(loads) == 1
    for ours, theirs in zip(one.frames, two.frames, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(one.shadows.maps, two.shadows.maps)
    assert not list(tmp_path.glob("everybody*"))


def test_an_earlier_run_is_kept_aside(tmp_path):
    config = small(workspace(tmp_path, count=6), epochs=1)
    train.main(config)
    first = checkpoint.newest(config.checkpoint_dir).read_bytes()
    train.main(config)
    assert (config.checkpoint_dir / "earlier-1" / "checkpoint-0001.pth").read_bytes() == first
    assert checkpoint.newest(config.checkpoint_dir).name == "checkpoint-0001.pth"


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_the_joint_batch(trained, tmp_path):
    config = small(workspace(tmp_path))
    config = replace(config, batch_size=2)  # of each
    settings = [f"--{name}={value}" for name, value in config.as_dict().items() if value != getattr(Config(), name)]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(ROOT / "main/train.py"), *settings], check=True, env=environment, timeout=200)
    one, two = (
        [json.loads(line) for line in open(c.checkpoint_dir / "stats.jsonl", encoding="utf-8")]
        for c in (small(trained), config)
    )
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for before, now in zip(one, two, strict=True):
        for name in ("pixel", "ssim", "detail", "adversarial", "matching", "discriminator", "psnr"):
            assert now[name] == pytest.approx(before[name], rel=5e-3), name


def test_more_processes_than_pairs_are_refused():
    pairs = make_pairs(2)
    assert trainers.batch_size(pairs, Config(batch_size=4), Group(size=3)) == 4
    assert trainers.batch_size(pairs, Config(batch_size=4), Group(size=len(pairs) // 2)) == 2
    with pytest.raises(InputError, match="start fewer"):
        trainers.batch_size(pairs, Config(batch_size=4), Group(size=len(pairs) + 1))


def test_time_limit_stops_saved_and_counts_over_calls(tmp_path):
    config = small(workspace(tmp_path, count=6), epochs=500, max_minutes=1e-6)
    train.main(config)
    state = checkpoint.load(checkpoint.newest(config.checkpoint_dir))
    assert state["step"] == 1, "over before it begins, and yet there is something to go on from"
    train.main(replace(config, continue_train=True))
    assert checkpoint.load(checkpoint.newest(config.checkpoint_dir))["step"] == state["step"]


@pytest.mark.parametrize(
    ("step", "minutes", "factor"), [(20, 1, 1), (75, 1, 0.5), (20, 7.5, 0.5), (99, 7.5, 0.02), (20, 11, 0.01)]
)
def test_rates_fall_with_the_epochs_or_the_minutes_whichever_end_first(step, minutes, factor):
    config = Config(epochs=10, max_minutes=10, channels=16, detail=4, perceptual="none")
    trainer = trainers.build_trainer(config, torch.device("cpu"))
    trainer.step, trainer.began = step, time.monotonic() - 60 * minutes
    trainers.set_rates(trainer, steps_an_epoch=10)
    rate = trainer.generator_optimizer.param_groups[0]["lr"]
    assert rate == pytest.approx(factor * config.learning_rate, rel=1e-2)


def test_divergence_stops_and_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    config = small(workspace(tmp_path, count=6), epochs=2)
    real_step = trainers.train_step

    def exploding(trainer, batch):
        terms = real_step(trainer, batch)
        return {**terms, "pixel": torch.tensor(float("nan"))} if trainer.epoch == 1 else terms

    monkeypatch.setattr(trainers, "train_step", exploding)
    with pytest.raises(InputError, match="diverged"):
        train.main(config)
    assert checkpoint.newest(config.checkpoint_dir).name == "checkpoint-0001.pth"


def test_rendering_gives_every_frame_and_nothing_stale(trained):
    config = small(trained)
    config.vis_dir.mkdir(parents=True, exist_ok=True)
    (config.vis_dir / "000099.jpg").write_bytes(b"stale")
    test.main(config)
    pictures = sorted(config.vis_dir.glob("*.jpg"))
    assert [p.name for p in pictures] == [f"{n:06d}.jpg" for n in range(6)]
    plate = cv2.imread(str(config.background_image))
    picture = cv2.imread(str(pictures[0]))
    assert picture.shape == plate.shape == (SIZE[1], SIZE[0], 3)
    np.testing.assert_allclose(picture[:10, :10].astype(int), plate[:10, :10], atol=1)
    # Somebody stands where the pose is: limbs are bright and coloured, the plate is grey.
    pose = Annotations.load(config.norm_test_annotations).keypoints[0]
    x, y = np.rint(pose[[8, 11], :2].mean(0)).astype(int)
    assert np.ptp(picture[y - 3 : y + 3, x - 8 : x + 8].astype(int), axis=-1).max() > 60


def test_rendering_goes_on_where_it_was_stopped(trained, monkeypatch):
    config = small(trained)
    monkeypatch.setattr(rendering, "WARM_UP", 0)  # short stretches
    monkeypatch.setattr(frame_files, "stretches", lambda count, parts: [range(0, 3), range(3, 6)])
    monkeypatch.setattr(frame_files, "MOST_STREAMS", 1)  # one stretch after the other
    config.rendered_by.unlink(missing_ok=True)  # what is done would not be done again
    test.main(config)
    whole = {path.name: path.read_bytes() for path in config.vis_dir.glob("*.jpg")}
    config.rendered_by.unlink()
    real, written, limit = frame_files.pictures.write, [], 4

    def write(path, picture, quality):
        if len(written) == limit:
            raise KeyboardInterrupt
        written.append(path.name)
        real(path, picture, quality)

    monkeypatch.setattr(frame_files.pictures, "write", write)
    with pytest.raises(KeyboardInterrupt):
        test.main(config)
    assert {path.name: path.read_bytes() for path in config.vis_dir.glob("*.jpg")} == whole
    first, limit = list(written), 99
    written.clear()
    test.main(config)
    assert len(first) == 4 and len(written) == 3, "the whole stretch is kept, the other is rendered anew"
    assert {path.name: path.read_bytes() for path in config.vis_dir.glob("*.jpg")} == whole


@given(st.integers(1, 2000), st.integers(1, 16))
def test_stretches_hold_every_frame_once_and_are_not_short(count, parts):
    cut = rendering.stretches(count, parts)
    assert [t for stretch in cut for t in stretch] == list(range(count)) and len(cut) <= parts
    assert len(cut) == 1 or min(map(len, cut)) > 3 * rendering.WARM_UP


def ready(trained):
    """What it takes to render the clip's own poses: generator, clip, plan, device."""
    config, device = small(trained), torch.device("cpu")
    person = Annotations.load(config.train_annotations)
    clip = load_clip(person, config.images_dir, config.masks_dir, config.background_image)
    generator = checkpoint.make_generator(config)
    checkpoint.load_weights(generator, checkpoint.load(checkpoint.newest(config.checkpoint_dir))["averaged"], trained)
    rendering.prepare_generator(generator, device)
    return generator, clip, rendering.make_plan(clip, clip.poses), device


def test_stretches_rendered_apart_fit_together(trained):
    generator, clip, plan, device = ready(trained)
    whole = list(rendering.render(generator, clip, plan, device))
    assert len(whole) == len(plan) and np.abs(whole[10].astype(int) - whole[13]).max() > 50
    for t, picture in zip(range(10, 14), rendering.render(generator, clip, plan, device, range(10, 14)), strict=True):
        assert np.abs(picture.astype(int) - whole[t]).max() <= 2


def test_nothing_is_carried_over_a_cut(trained, monkeypatch):
    generator, clip, plan, device = ready(trained)
    through = next(rendering.render(generator, clip, plan, device, range(10, 11)))
    plan.cuts = frozenset([0, 10])
    cut = next(rendering.render(generator, clip, plan, device, range(10, 11)))
    monkeypatch.setattr(rendering, "WARM_UP", 0)
    plan.cuts = frozenset()
    begun = next(rendering.render(generator, clip, plan, device, range(10, 11)))
    assert (cut == begun).all() and (cut != through).any()


def test_evaluation_of_a_result_against_itself_is_perfect_and_needs_a_truth(trained, tmp_path, capsys):
    config = small(trained)
    test.main(config)
    rendered = [cv2.imread(str(path))[..., ::-1] for path in sorted(config.vis_dir.glob("*.jpg"))]
    write_clip(tmp_path / "truth.mkv", rendered, codec="ffv1")
    evaluate.main(replace(config, truth=tmp_path / "truth.mkv"))
    rows = {line[:31].strip(): line[31:].split() for line in capsys.readouterr().out.splitlines()}
    ours, empty = rows["result, person"], rows["background, person"]
    assert float(ours[0]) > 30 and float(ours[1]) > 0.97 and float(ours[4]) == pytest.approx(1, abs=0.05)
    assert float(empty[1]) < 0.9 and "nearest training frame, hands" in rows
    with pytest.raises(InputError, match="--truth"):
        evaluate.main(config)


def test_the_nearest_frame_is_judged_by_what_both_show():
    poses = painted(6)[1]
    few = poses.copy()
    few[2, 4:] = 0  # too little to be compared with
    assert evaluate.nearest_frames(poses, poses).tolist() == list(range(6))
    assert evaluate.nearest_frames(poses, few)[2] != 2
    half = poses[:1].copy()
    half[0, 10:] = 0
    assert evaluate.nearest_frames(half, poses).tolist() == [0]


def test_a_large_person_is_generated_smaller_and_the_room_keeps_its_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(Config, "most_height", 60)
    config = small(workspace(tmp_path), quality="high", crop=32, epochs=1)
    room = cv2.imread(str(config.background_image))
    room += np.random.default_rng(0).integers(0, 7, (*room.shape[:2], 1), dtype=np.uint8)
    cv2.imwrite(str(config.background_image), room)
    person = Annotations.load(config.train_annotations)
    clip = load_clip(
        person, config.images_dir, config.masks_dir, config.background_image, source_bank(person, most_height=60)
    )
    heights = np.ptp(clip.poses[..., 1], axis=1)
    assert 55 < heights.max() < 66 and clip.room.shape == room.shape and clip.size[0] < SIZE[0]
    train.main(config)
    test.main(replace(config, quality="normal"))  # the checkpoint knows
    dance = Annotations.load(config.norm_test_annotations)
    picture, pose = cv2.imread(str(config.vis_dir / "000003.jpg")), dance.keypoints[3]
    xs, ys = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    far = np.min(np.hypot(xs[..., None] - pose[:, 0], ys[..., None] - pose[:, 1]), axis=-1) > 50
    assert far.sum() > 1000
    difference = np.abs(picture[far].astype(int) - room[far])
    assert difference.max() <= 5 and difference.mean() < 1, "of a JPEG; at less resolution the noise would be gone"
    x, y = np.rint(pose[1, :2]).astype(int)
    assert np.abs(picture[y - 3 : y + 4, x - 3 : x + 4].astype(int) - room[y - 3 : y + 4, x - 3 : x + 4]).mean() > 20


@settings(max_examples=30)
@given(st.floats(0.35, 1.0), st.integers(0, 40), st.integers(0, 30))
def test_an_enlarged_window_lies_where_it_belongs(scale, x, y):
    frame = np.zeros((200, 240, 3), np.uint8)
    goal = np.array([(x + 32) / scale, (y + 32) / scale]) - 0.5  # the window's middle
    rows, columns = np.indices((64, 64)) - 31.5
    person = np.zeros((64, 64, 4), np.float32)
    person[..., :3] = np.exp(-(rows**2 + columns**2) / 18)[..., None]
    person[..., 3] = 1 - person[..., 0]
    rendering.put(frame, person, (x, y), np.array([scale, scale]))
    weight = frame[..., 0].astype(float)
    found = (weight * np.indices(weight.shape)).sum((1, 2))[::-1] / weight.sum()
    inside = goal + 12 / scale < (240, 200)
    np.testing.assert_allclose(found[inside], goal[inside], atol=0.2 / scale)


def test_frames_without_a_person_show_the_empty_room(trained):
    config = small(trained)
    dance = Annotations.load(config.norm_test_annotations)
    gone = dance.keypoints.copy()
    gone[2:4] = 0
    try:
        replace(dance, keypoints=gone).save(config.norm_test_annotations)
        test.main(config)
    finally:
        dance.save(config.norm_test_annotations)
    picture, plate = (cv2.imread(str(p)) for p in (config.vis_dir / "000002.jpg", config.background_image))
    assert np.abs(picture.astype(int) - plate).max() <= 2


def bad_checkpoint(kind: str, source: Path, goal: Path) -> Path:
    state = torch.load(source, weights_only=True)
    if kind == "truncated":
        goal.write_bytes(source.read_bytes()[:5000])
    elif kind == "text":
        goal.write_text("hello")
    elif kind == "shape":
        state["config"]["channels"] = 24
        torch.save(state, goal)
    elif kind == "person":
        torch.save({**state, "fingerprint": "somebody else"}, goal)
    elif kind == "version":
        torch.save({**state, "format_version": 99}, goal)
    return goal


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "missing"), ("truncated", "damaged"), ("text", "damaged"), ("shape", "does not fit"),
        ("person", "another video"), ("version", "format"),
    ],
)  # fmt: skip
def test_bad_checkpoints_are_refused_in_one_line(trained, tmp_path, kind, words):
    config = small(trained)
    bad = bad_checkpoint(kind, checkpoint.newest(config.checkpoint_dir), tmp_path / "bad.pth")
    with pytest.raises(InputError, match=words) as refusal:
        test.main(replace(config, checkpoint=bad))
    assert "\n" not in str(refusal.value)


def spoil(state: dict, what: str) -> None:
    first = next(iter(state["averaged"]))
    if what == "weights":
        state["averaged"][first] = state["averaged"][first] * math.nan
    elif what == "channels":
        state["config"]["channels"] = 10**9
    elif what == "quality":
        state["config"]["quality"] = "best"
    elif what == "moments":
        state["generator_optimizer"]["state"][0]["exp_avg"] = torch.zeros(3)
    else:
        state[what] = {"rng": torch.zeros(3), "epoch": -1, "minutes": math.nan, "averaged": []}[what]


@pytest.mark.parametrize("what", ["weights", "channels", "quality", "moments", "rng", "epoch", "minutes", "averaged"])
def test_values_without_sense_in_a_checkpoint_are_refused(trained, tmp_path, what):
    """By the step that reads them: rendering, or going on with the training."""
    config = small(shutil.copytree(trained, tmp_path / "work"), continue_train=True, epochs=3)
    step = train.main if what in ("moments", "rng") else test.main
    path = (checkpoint.newest if step is train.main else checkpoint.best)(config.checkpoint_dir)
    state = torch.load(path, weights_only=True)
    spoil(state, what)
    torch.save(state, path)
    with pytest.raises(InputError, match=f"checkpoint|{what}") as refusal:
        step(config)
    assert "\n" not in str(refusal.value)


def test_step_3_without_step_1_says_so_and_ends_with_status_2(tmp_path):
    command = [sys.executable, str(ROOT / "main" / "train.py"), "--workspace", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2 and "video2data.py --mode train" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_missing_or_foreign_pictures_are_named(tmp_path):
    config = small(workspace(tmp_path, count=6))
    victim = sorted(config.images_dir.iterdir())[3]
    cv2.imwrite(str(victim), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(InputError, match=r"10x10, not 160x128"):
        train.main(config)
    victim.unlink()
    with pytest.raises(InputError, match="missing"):
        train.main(config)
    assert not list(config.checkpoint_dir.glob("*.pth"))


def test_annotations_of_another_video_are_refused(tmp_path):
    config = small(workspace(tmp_path, count=6))
    config.train_video_path.write_bytes(b"a new video")
    with pytest.raises(InputError, match="another video"):
        train.main(config)


def make_pairs(apart: int, augment: bool = True) -> Pairs:
    frames, poses, plate = painted(16)
    clip = Clip.of_frames(np.dstack([frames.reshape(-1, SIZE[0], 3), np.full((16 * SIZE[1], SIZE[0]), 255, np.uint8)])
                .reshape(16, SIZE[1], SIZE[0], 4), poses, np.arange(16), plate)  # fmt: skip
    return Pairs(clip, np.arange(16), np.arange(16), (64, 64), apart, augment, seed=3)


def test_texture_never_comes_from_near_the_frame_itself():
    pairs = make_pairs(apart=4)
    best = pairs.bank[pairs.sources[:, :, 0]]  # (Q, parts)
    assert (np.abs(best - pairs.queries[:, None]) >= 4).all()


def test_items_depend_on_seed_epoch_and_index_alone():
    one, other = make_pairs(2), make_pairs(2)
    _ = one[3]
    for key, value in one[5].items():
        assert torch.equal(value, other[5][key])
    other.epoch = 1
    assert not torch.equal(one[5]["pictures"], other[5]["pictures"])


def test_pose_and_picture_of_an_item_belong_together():
    pairs = make_pairs(2, augment=False)
    item = pairs[4]
    x, y = item["keypoints"][1, 1, :2].round().int().tolist()
    whole = pairs.clip.poses[pairs.queries[4], 1, :2].round().astype(int)
    expected = pairs.clip.frames[pairs.queries[4], whole[1], whole[0], :3]
    assert item["pictures"][1, :, y, x].tolist() == expected.tolist()


def test_split_holds_out_stretches_and_leaves_the_rest():
    training, held_out = split(400)
    assert len(held_out) == 24 and not set(training) & set(held_out) and len(training) + len(held_out) == 400
    assert (np.diff(held_out) > 1).sum() == 2


def test_window_holds_the_person_and_stays_within_the_frame():
    _, poses, _ = painted(16)
    size = window.window_size(poses, SIZE)
    origins = window.window_origins(poses, size, SIZE)
    assert size[0] % 32 == 0 and size[1] % 32 == 0
    assert (origins >= 0).all() and (origins + size <= SIZE).all()
    inside = window.shift(poses, origins)[..., :2]
    assert (inside >= 0).all() and (inside <= np.array(size) - 1).all()
