"""Poses as OpenPose's JSON files: layouts, units, numbering, and what is wrong with them in one line."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clip_maker import tag_rotation, write_clip
from looks import Somebody, StubNetworks
from motion import dance, seen
from places import ROOT

from data import video2data
from data.annotations import Annotations
from data.pose_files import poses_fingerprint, read_poses, write_poses
from data.video import probe
from main.config import Config
from pose_detector.errors import InputError

VIDEO, SIZE = (640, 480), (320, 256)  # not quite of one shape, as working sizes are
FRAMES = 9


@pytest.fixture
def poses():
    """(9, 18, 3) of somebody in the video's pixels, one keypoint missing here and there."""
    people = seen(dance(np.random.default_rng(0), FRAMES, 25.0, torso=90, neck=(300, 120)))
    people[2, 4] = people[:, 16] = 0
    return people


def in_frames(pose):
    """(18, 3) in the working frame's pixels."""
    moved = (pose[:, :2] + 0.5) * np.divide(SIZE, VIDEO) - 0.5
    return np.concatenate([np.where(pose[:, 2:] > 0, moved, 0), pose[:, 2:]], axis=1)


def write(folder, rows, start=0, name="clip_{:012d}_keypoints.json", **more):
    """A file a frame; a row is a list of people, flat lists of numbers."""
    folder.mkdir(exist_ok=True)
    for number, people in enumerate(rows, start):
        content = {"version": 1.3, "people": [{"pose_keypoints_2d": list(map(float, p))} for p in people], **more}
        (folder / name.format(number)).write_text(json.dumps(content))
    return folder


def check(found, poses):
    assert len(found) == len(poses)
    for (keypoints, scores), pose in zip(found, poses, strict=True):
        wanted = in_frames(pose)
        assert keypoints.shape == (1, 18, 2) and keypoints.dtype == scores.dtype == np.float32
        np.testing.assert_allclose(keypoints[0], wanted[:, :2], atol=0.01)
        np.testing.assert_allclose(scores[0], wanted[:, 2], atol=1e-4)


def test_pixels_shares_and_canvas(tmp_path, poses):
    pixels = [[p.ravel()] for p in poses]
    half = np.array([0.5, 0.5, 0])
    shares = [[((p + half) / (*VIDEO, 1) * (p[:, 2:] > 0)).ravel()] for p in poses]
    halved = [[(((p + half) / (2, 2, 1) - half) * (p[:, 2:] > 0)).ravel()] for p in poses]
    canvas = {"canvas_width": VIDEO[0] // 2, "canvas_height": VIDEO[1] // 2}
    for number, (rows, more) in enumerate([(pixels, {}), (shares, {}), (shares, canvas), (halved, canvas)]):
        check(read_poses(write(tmp_path / str(number), rows, **more), FRAMES, VIDEO, SIZE), poses)


def test_body_25(tmp_path, poses):
    """Middle of the hips and feet are left out; the places of the others are OpenPose's."""
    names = "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist MidHip RHip RKnee RAnkle LHip LKnee LAnkle REye LEye REar LEar LBigToe LSmallToe LHeel RBigToe RSmallToe RHeel".split()  # noqa: E501
    coco = "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist RHip RKnee RAnkle LHip LKnee LAnkle REye LEye REar LEar".split()  # noqa: E501
    rows = np.full((FRAMES, 25, 3), 33.0)
    for k, name in enumerate(coco):
        rows[:, names.index(name)] = poses[:, k]
    check(read_poses(write(tmp_path / "b25", [[r.ravel()] for r in rows]), FRAMES, VIDEO, SIZE), poses)


def test_a_list_of_frames_in_one_file(tmp_path, poses):
    frames = [{"people": [{"pose_keypoints_2d": p.ravel().tolist(), "face_keypoints_2d": None}]} for p in poses]
    (tmp_path / "all.json").write_text(json.dumps(frames))
    check(read_poses(tmp_path / "all.json", FRAMES, VIDEO, SIZE), poses)
    check(read_poses(tmp_path, FRAMES, VIDEO, SIZE), poses)
    single = tmp_path / "single"
    single.mkdir()
    for i, frame in enumerate(frames):
        (single / f"frame_{i + 1}.json").write_text(json.dumps([frame]))
    check(read_poses(single, FRAMES, VIDEO, SIZE), poses)


def test_order_is_that_of_the_numbers(tmp_path):
    poses = seen(dance(np.random.default_rng(1), 12, 25.0, torso=90, neck=(300, 120)))
    folder = write(tmp_path / "n", [[p.ravel()] for p in poses], start=1, name="my 2nd clip_{}_keypoints.json")
    (folder / "notes.txt").write_text("frame 10 comes after frame 9")
    check(read_poses(folder, 12, VIDEO, SIZE), poses)


def test_nobody_several_and_what_is_not_seen(tmp_path, poses):
    odd = poses[0].copy()
    odd[3] = (-1, -1, 0.9)  # some tools' word for missing
    odd[5] = (np.nan, 100, 0.9)
    odd[6, 2] = -1
    folder = write(tmp_path / "p", [[], [poses[0].ravel(), poses[1].ravel()], [odd.ravel()], [[]]])
    empty, two, one, hand = read_poses(folder, 4, VIDEO, SIZE)
    assert empty[0].shape == (0, 18, 2) and empty[1].shape == (0, 18)
    assert hand[0].shape == (0, 18, 2) and two[0].shape == (2, 18, 2)
    missing = [3, 5, 6, 16]
    assert (one[1][0, missing] == 0).all() and (one[0][0, missing] == 0).all()
    assert (np.delete(one[1][0], missing) > 0).all()


def test_writing_and_reading_again(tmp_path, poses):
    poses = poses / (2, 2, 1)
    detections = [(np.stack([p, p + 7])[..., :2] * (p[:, 2:] > 0), np.stack([p[:, 2]] * 2)) for p in poses[1:]]
    detections.append((np.zeros((0, 18, 2), np.float32), np.zeros((0, 18), np.float32)))
    write_poses(tmp_path, "clip", detections, SIZE, VIDEO)
    assert (tmp_path / "clip_000000000008_keypoints.json").is_file()
    for (keypoints, scores), wanted in zip(read_poses(tmp_path, FRAMES, VIDEO, SIZE), detections, strict=True):
        np.testing.assert_allclose(keypoints, wanted[0], atol=1e-3)
        np.testing.assert_allclose(scores, wanted[1], atol=1e-3)


def test_the_fingerprint_is_of_all_files(tmp_path, poses):
    folder = write(tmp_path / "p", [[p.ravel()] for p in poses])
    first = poses_fingerprint(folder)
    assert first == poses_fingerprint(folder)
    write(folder, [[(poses[-1] + 1).ravel()]], start=FRAMES - 1)
    assert poses_fingerprint(folder) != first


def broken(folder, poses, kind):
    rows = [[p.ravel()] for p in poses]
    if kind == "missing":
        return folder
    if kind == "length":
        rows[4] = [poses[4].ravel()[:-1]]
    elif kind == "few":
        rows = rows[:-2]
    elif kind == "many":
        rows += rows[-2:]
    elif kind == "words":
        return write(folder, rows, people="nobody")
    elif kind == "outside":
        rows = [[(p * (4, 4, 1)).ravel()] for p in poses]
    elif kind == "sideways":
        return write(folder, rows, canvas_width=480, canvas_height=640)
    elif kind == "canvas":
        return write(folder, rows, canvas_width=0, canvas_height="high")
    write(folder, rows)
    if kind == "gap":
        (folder / "clip_000000000003_keypoints.json").unlink()
    elif kind == "empty":
        for path in folder.iterdir():
            path.unlink()
    elif kind == "json":
        (folder / "clip_000000000005_keypoints.json").write_text('{"people": [{"pose_key')
    elif kind == "binary":
        (folder / "clip_000000000005_keypoints.json").write_bytes(bytes(range(256)))
    elif kind == "number":
        (folder / "clip_000000000005_keypoints.json").write_text("5")
    elif kind == "values":
        values = json.dumps({"people": [{"pose_keypoints_2d": [["a"]] * 54}]})
        (folder / "clip_000000000005_keypoints.json").write_text(values)
    elif kind == "twice":
        write(folder, rows, name="other_{:012d}_keypoints.json")
    return folder


COMPLAINTS = {
    "missing": "missing", "empty": "no .json", "json": "not JSON", "binary": "not JSON", "number": "OpenPose",
    "words": "people", "length": "53 values", "values": "54", "few": "7 frames.*has 9", "many": "11 frames.*has 9",
    "gap": "8 frames.*number 3", "twice": "one frame", "outside": "outside", "sideways": "480x640.*640x480",
    "canvas": "canvas",
}  # fmt: skip


@pytest.mark.parametrize("kind", COMPLAINTS)
def test_bad_files_are_named_in_one_line(tmp_path, poses, kind):
    folder = broken(tmp_path / "poses", poses, kind)
    with pytest.raises(InputError, match=COMPLAINTS[kind]) as error:
        read_poses(folder, FRAMES, VIDEO, SIZE)
    assert "\n" not in str(error.value) and str(folder) in str(error.value)


# ---- Through step 1 --------------------------------------------------------------------------------------------------


def networks():
    """None of them tells the keypoints; the outline comes from one."""
    return StubNetworks(Path(__file__), looker=Somebody())


@pytest.fixture
def clip(tmp_path):
    """A phone's video, stored sideways, and poses in it as it is shown."""
    frames = [np.full((320, 192, 3), 90, np.uint8) + np.uint8(i) for i in range(20)]
    path = write_clip(tmp_path / "phone.mp4", [np.ascontiguousarray(np.rot90(f)) for f in frames], fps=20)
    poses = seen(dance(np.random.default_rng(2), 20, 20.0, torso=60, neck=(96, 80)))
    return tag_rotation(path, 90), write(tmp_path / "poses", [[p.ravel()] for p in poses]), poses


def test_step_1_takes_and_gives_them(tmp_path, clip, capsys):
    path, folder, poses = clip
    config = Config(
        workspace=tmp_path / "work", mode="test", test_video=path, test_poses=folder, frame_area=96 * 160,
        save_poses=True, preview=True,
    )  # fmt: skip
    video2data.prepare(config, networks())
    got = Annotations.load(config.test_annotations)
    assert got.frame_size == (96, 160) and got.rotation == 90
    wanted = (poses[..., :2] + 0.5) / 2 - 0.5
    assert np.median(np.abs(got.keypoints[..., :2] - wanted)) < 0.3 and (got.keypoints[..., 2] > 0).all()
    info = probe(config.preview_video)
    assert (info.width, info.height, info.frames) == (96, 160, 20)
    assert f"written: {config.preview_video}" in capsys.readouterr().out

    # What was written says the same, and gives the same.
    written = sorted(config.poses_dir.iterdir())
    assert [p.name for p in written[:2]] == [f"phone_{i:012d}_keypoints.json" for i in (0, 1)] and len(written) == 20
    again = replace(config, workspace=tmp_path / "again", test_poses=config.poses_dir)
    video2data.prepare(again, networks())
    second = Annotations.load(again.test_annotations)
    np.testing.assert_allclose(second.keypoints, got.keypoints, atol=0.01)

    video2data.prepare(config, networks())
    assert "already done" in capsys.readouterr().out
    write(folder, [[(poses[0] * (1.1, 1, 1)).ravel()]])
    video2data.prepare(config, networks())
    assert "already done" not in capsys.readouterr().out, "other poses"


def test_training_takes_them_too(tmp_path, clip):
    path, folder, _ = clip
    config = Config(workspace=tmp_path / "work", train_video=path, train_poses=folder, frame_area=96 * 160)
    video2data.prepare(config, networks())
    assert len(list(config.images_dir.iterdir())) == 20 and config.background_image.is_file()
    assert Annotations.load(config.train_annotations).total_frames == 20


@pytest.mark.parametrize("kind", ["missing", "json", "length", "few"])
def test_the_script_gives_one_line_and_status_2(tmp_path, clip, kind):
    path, _, poses = clip
    folder = broken(tmp_path / "bad", poses, kind)
    words = ["--mode", "test", "--test_video", path, "--test_poses", folder, "--workspace", tmp_path / "work"]
    script = [sys.executable, str(ROOT / "data" / "video2data.py"), *map(str, words)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and done.stderr.startswith("error: ")
    assert not list((tmp_path / "work").rglob("*_annotations.npz"))
