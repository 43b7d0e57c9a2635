"""Steps 1, 2 and 5 as a user runs them, with a stub in the detector's place; bad input on the scripts themselves."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clip_maker import beeps, read_clip, tag_rotation, write_clip
from disc import GREEN, RED, Stub, scene
from looks import StubLooker, StubNetworks
from places import ROOT

from data import annot_normalize, video2data
from data.annotations import Annotations, image_name
from main.config import Config
from output import img2video
from pose_detector import skeleton
from pose_detector.errors import InputError


@pytest.fixture
def config(tmp_path):
    frames, _ = scene(30, (160, 96))
    train = write_clip(tmp_path / "she.mp4", frames, fps=20)
    frames, _ = scene(40, (96, 160), seed=1)
    dance = write_clip(tmp_path / "dance.mp4", frames, fps=16, sound=beeps([0.5, 1.5], 2.5))
    return Config(workspace=tmp_path / "work", train_video=train, test_video=dance, frame_area=128 * 64)


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "stub.pth"
    path.write_bytes(b"weights")
    return path


def prepare(config, weights, mode, stub=None):
    stub = stub or Stub()
    video2data.prepare(replace(config, mode=mode), StubNetworks(weights, stub, StubLooker(stub.closely)))
    return stub


def render(config, annotations):
    """What step 4 leaves: a picture a frame, its number written as brightness."""
    config.vis_dir.mkdir(parents=True, exist_ok=True)
    width, height = annotations.frame_size
    for i in annotations.frame_numbers:
        cv2.imwrite(str(config.vis_dir / image_name(i)), np.full((height, width, 3), 20 + 5 * i, np.uint8))


def contents(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_from_two_videos_to_the_result(config, weights, capsys):
    stub = prepare(config, weights, "train")
    prepare(config, weights, "test")
    train, dance = Annotations.load(config.train_annotations), Annotations.load(config.test_annotations)
    assert train.total_frames == 30 and dance.total_frames == 40
    assert (train.fps, dance.fps) == (20, 16) and train.source == "she.mp4"
    assert stub.shapes == {(train.frame_size[1], train.frame_size[0], 3)}
    assert train.frame_size[0] > train.frame_size[1] and dance.frame_size[0] < dance.frame_size[1]
    names = sorted(p.name for p in config.images_dir.iterdir())
    assert names == [f"{i:06d}.jpg" for i in range(30)]
    assert sorted(p.stem for p in config.masks_dir.iterdir()) == [Path(n).stem for n in names]
    mask = cv2.imread(str(config.masks_dir / "000005.png"), cv2.IMREAD_GRAYSCALE)
    x, y = train.keypoints[5, [2, 5, 8, 11], :2].mean(0).round().astype(int)
    assert mask.shape == train.frame_size[::-1] and mask[y, x] > 200 and mask[:8, :8].max() == 0
    assert np.allclose(train.extra[5, 0, :2], train.keypoints[5, 4, :2], atol=2) and train.extra[5, 0, 2] > 0
    picture = cv2.imread(str(config.images_dir / names[0]))[..., ::-1]
    assert picture.shape[:2] == train.frame_size[::-1]
    assert np.abs(picture[2, 2].astype(int) - GREEN).max() < 12
    x, y = train.keypoints[5, 1, :2]
    assert (
        np.abs(cv2.imread(str(config.images_dir / names[5]))[round(y), round(x), ::-1].astype(int) - RED) < 40
    ).all()
    plate = cv2.imread(str(config.background_image))
    assert plate.shape == picture.shape
    assert not ((plate[..., 2] > 170) & (plate[..., 1] < 80)).any(), "the dancer is in the plate"
    out = capsys.readouterr().out
    assert "she.mp4: 30 frames, 1 person, the whole body" in out and "dance.mp4: 40 frames, 1 person" in out

    annot_normalize.main(config)
    normal = Annotations.load(config.norm_test_annotations)
    assert normal.frame_size == train.frame_size and normal.target_fingerprint == train.fingerprint
    assert np.array_equal(normal.frame_numbers, dance.frame_numbers) and np.array_equal(normal.times, dance.times)
    assert np.median(skeleton.torso_length(normal.keypoints)) == pytest.approx(
        np.median(skeleton.torso_length(train.keypoints)), rel=0.1
    )

    render(config, normal)
    for stale in ("000040.jpg", "000099.jpg", "notes.txt"):
        (config.vis_dir / stale).write_bytes(b"of an earlier, longer run")
    img2video.main(config)
    frames, times = read_clip(config.result_dir / "result.mp4")
    assert len(frames) == 40 and np.allclose(times, np.arange(40) / 16, atol=1e-3)
    levels = np.array([f.mean() for f in frames])
    assert np.abs(levels - (20 + 5 * np.arange(40))).max() < 3
    beside, times = read_clip(config.result_dir / "comparison.mp4")
    width, height = train.frame_size
    assert beside[0].shape[0] == height and beside[0].shape[1] >= 2 * width + height * 0.55
    assert np.allclose(times, np.arange(40) / 16, atol=1e-3)
    assert beside[20][:, -width + 4 :].mean() == pytest.approx(120, abs=3)
    assert np.abs(beside[20][4, 4].astype(int) - GREEN).max() < 12
    for name in ("result.mp4", "comparison.mp4"):
        with av.open(str(config.result_dir / name)) as container:
            assert container.streams.audio
    assert not [p for p in config.workspace.rglob(".*")], "temporary files are left"


class Dying:
    """A function that stops the run at some call."""

    def __init__(self, function, at):
        self.function, self.at, self.calls = function, at, 0

    def __call__(self, *arguments):
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return self.function(*arguments)


@pytest.mark.parametrize("mode", ["train", "test"])
def test_step_1_goes_on_where_it_was_stopped(config, weights, mode):
    """Neither network sees a frame again, and the result is that of a run that nothing stopped."""
    prepare(config, weights, mode)
    config, undisturbed = replace(config, mode=mode, redo=True), contents(config.workspace)
    stub, looks = Stub(), []
    for first, second in ((3, 0), (0, 7), (0, 21), (0, 0)):
        detector, looker = Dying(stub, first), StubLooker(stub.closely)
        looker.look = Dying(looker.look, second)
        looks.append((detector, looker.look))
        try:
            video2data.prepare(config, StubNetworks(weights, detector, looker))
        except KeyboardInterrupt:
            assert contents(config.workspace).items() >= undisturbed.items(), "the result before it stays"
    batches = -(
        -Annotations.load(config.train_annotations if mode == "train" else config.test_annotations).total_frames // 8
    )
    made = [(detector.calls - (detector.at > 0), look.calls - (look.at > 0)) for detector, look in looks]
    assert made[:3] == [(2, 0), (batches - 2, 6), (0, 20)]
    once = StubLooker(stub.closely)
    video2data.prepare(config, StubNetworks(weights, stub, once))
    assert made[3] == (0, len(once.crops) - 26)
    assert contents(config.workspace) == undisturbed


def pattern(size):
    """Something to see: what a room is told by."""
    rng = np.random.default_rng(3)
    return cv2.resize(rng.integers(60, 140, (6, 10, 3), np.uint8), size, interpolation=cv2.INTER_CUBIC)


def scene_with_title(count, size):
    """A title card of a second, then somebody in a room full of things."""
    frames, _ = scene(count, size)
    room = pattern(size)
    shown = [np.where((frame == (90, 100, 120)).all(-1, keepdims=True), room, frame) for frame in frames]
    card = np.full_like(shown[0], (10, 20, 90))
    card[size[1] // 3 : size[1] // 2, size[0] // 4 : -size[0] // 4] = 230
    return [card] * 20, shown


def test_a_title_card_and_bars(config, weights, capsys):
    """Neither is in the plate or in training; the result has the bars."""
    title, room = scene_with_title(40, (160, 96))
    bars = [cv2.copyMakeBorder(frame, 24, 20, 0, 0, cv2.BORDER_CONSTANT) for frame in title + room]
    write_clip(config.train_video, bars, fps=20, options={"crf": "10"})
    prepare(config, weights, "train")
    train = Annotations.load(config.train_annotations)
    left, top, right, bottom = train.picture
    assert (left, right) == (0, 160) and 24 <= top <= 27 and 117 <= bottom <= 120
    assert train.shots.tolist() == [0, 20] and not train.usable[:20].any() and train.usable[21:].all()
    assert not train.keypoints[:20].any() and (train.keypoints[25:, :, 2] > 0).all()
    on_disk = {path.stem for path in config.images_dir.iterdir()}
    assert on_disk == {image_name(i)[:-4] for i in range(21, 60)}, "no frame of the card, nor one beside it"
    assert "20 of another scene (0.0-1.0 s)" in capsys.readouterr().out
    plate = cv2.imread(str(config.background_image))[..., ::-1]
    truth = cv2.resize(room[0][top - 24 : bottom - 24], plate.shape[1::-1])
    difference = np.abs(plate.astype(int) - truth).max(axis=-1)
    assert np.median(difference) <= 4 and difference[: plate.shape[0] // 6].mean() < 10

    prepare(config, weights, "test")
    annot_normalize.main(config)
    render(config, Annotations.load(config.norm_test_annotations))
    img2video.main(config)
    frames, _ = read_clip(config.result_dir / "result.mp4")
    assert frames[30].shape == (140, 160, 3)
    assert frames[30][40:100].mean() == pytest.approx(170, abs=3)
    assert frames[30][:22].max() < 12 and frames[30][-18:].max() < 12


def test_done_once_is_not_done_again(config, weights, capsys):
    prepare(config, weights, "train")
    before = contents(config.workspace)
    assert prepare(config, weights, "train").calls == 0
    assert "already done" in capsys.readouterr().out and contents(config.workspace) == before
    assert prepare(replace(config, redo=True), weights, "train").calls > 0
    assert prepare(replace(config, frame_area=320 * 192), weights, "train").calls > 0
    weights.write_bytes(b"others")
    assert prepare(replace(config, frame_area=320 * 192), weights, "train").calls > 0
    (config.masks_dir / "000003.png").unlink()
    assert prepare(replace(config, frame_area=320 * 192), weights, "train").calls > 0
    (config.images_dir / "000003.jpg").unlink()
    assert prepare(replace(config, frame_area=320 * 192), weights, "train").calls > 0
    # A shorter video leaves no pictures of the longer one.
    write_clip(config.train_video, scene(12, (160, 96))[0], fps=20)
    assert prepare(config, weights, "train").calls > 0
    assert len(list(config.images_dir.iterdir())) == 12


def test_a_large_video_keeps_its_size_and_a_long_one_few_frames(config, weights, tmp_path):
    frames, _ = scene(40, (320, 192))
    config = replace(config, train_video=write_clip(tmp_path / "large.mp4", frames, fps=20), most_frames=16)
    stub = prepare(config, weights, "train")
    train = Annotations.load(config.train_annotations)
    assert train.frame_size == (320, 192) and train.total_frames == len(train.keypoints) == 40
    assert max(shape[1] for shape in stub.shapes) < 192, "the look sees less"
    numbers = [int(path.stem) for path in sorted(config.images_dir.iterdir())]
    assert numbers == np.flatnonzero(train.kept).tolist() and 8 <= len(numbers) <= 16
    assert [int(path.stem) for path in sorted(config.masks_dir.iterdir())] == numbers
    picture = cv2.imread(str(config.images_dir / image_name(numbers[2])))
    x, y = np.rint(train.keypoints[numbers[2], 1, :2]).astype(int)
    assert picture.shape == (192, 320, 3) and (np.abs(picture[y, x, ::-1].astype(int) - RED) < 40).all()
    assert cv2.imread(str(config.background_image)).shape == picture.shape
    assert prepare(config, weights, "train").calls == 0
    prepare(replace(config, quality="draft"), weights, "train")
    assert Annotations.load(config.train_annotations).frame_size < (192, 128)


def test_uneven_times_and_rotation_are_kept(config, weights, tmp_path):
    frames, _ = scene(24, (96, 160))
    times = np.cumsum(np.tile([0.03, 0.03, 0.09], 8))
    path = write_clip(tmp_path / "phone.mp4", [np.ascontiguousarray(np.rot90(f)) for f in frames], times=times)
    config = replace(config, test_video=tag_rotation(path, 90))
    prepare(config, weights, "test")
    got = Annotations.load(config.test_annotations)
    assert got.rotation == 90 and got.frame_size[0] < got.frame_size[1]
    assert np.allclose(np.diff(got.times), np.diff(times), atol=1e-3)
    assert (got.keypoints[:, 8, 1] > got.keypoints[:, 1, 1]).all()


def test_nobody_in_the_video_damages_nothing(config, weights, tmp_path):
    prepare(config, weights, "train")
    before = contents(config.workspace)
    empty = write_clip(tmp_path / "empty_room.mp4", [np.full((96, 160, 3), 90, np.uint8)] * 12)
    with pytest.raises(InputError, match="no person"):
        prepare(replace(config, train_video=empty), weights, "train")
    with pytest.raises(InputError, match="person"):
        prepare(replace(config, person=3), weights, "train")
    assert contents(config.workspace) == before


def test_a_crash_half_way_damages_nothing(config, weights):
    prepare(config, weights, "train")
    before = contents(config.workspace)

    class Broken(Stub):
        def __call__(self, frames):
            if self.calls == 2:
                raise RuntimeError("out of memory")
            return super().__call__(frames)

    with pytest.raises(RuntimeError, match="out of memory"):
        prepare(replace(config, redo=True), weights, "train", Broken())
    after = {p: data for p, data in contents(config.workspace).items() if p.parent.name != ".train_annotations.part"}
    assert after == before, "but for what the networks saw"


def test_each_step_names_the_one_before(config, weights, tmp_path):
    with pytest.raises(InputError, match=r"video2data\.py --mode train"):
        annot_normalize.main(config)
    prepare(config, weights, "train")
    with pytest.raises(InputError, match=r"video2data\.py --mode test"):
        annot_normalize.main(config)
    prepare(config, weights, "test")
    with pytest.raises(InputError, match=r"annot_normalize\.py"):
        img2video.main(config)
    annot_normalize.main(config)
    normal = Annotations.load(config.norm_test_annotations)
    with pytest.raises(InputError, match=r"40 of 40 rendered frames.*main/test\.py"):
        img2video.main(config)
    render(config, normal)
    config.rendered_of.write_text("another dance")
    with pytest.raises(InputError, match="another dance"):
        img2video.main(config)
    config.rendered_of.unlink()
    (config.vis_dir / "000007.jpg").unlink()
    with pytest.raises(InputError, match=r"1 of 40 rendered frames.*000007\.jpg"):
        img2video.main(config)
    (config.vis_dir / "000007.jpg").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"000007\.jpg is missing or damaged"):
        img2video.main(config)
    assert not list(config.result_dir.glob("*")), "a broken picture must not leave half a video"
    # Another dance than the annotations are of.
    other = replace(config, test_video=write_clip(tmp_path / "other.mp4", scene(40, (96, 160), seed=2)[0]))
    for step in (annot_normalize.main, img2video.main):
        with pytest.raises(InputError, match="another video"):
            step(other)


def run(script, *arguments, cwd):
    return subprocess.run(
        [sys.executable, str(ROOT / script), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("kind", ["missing", "empty", "sound only", "no annotations", "no frames"])
def test_scripts_give_one_line_and_status_2(tmp_path, kind):
    work = tmp_path / "work"
    bad = tmp_path / "bad.mp4"
    if kind == "empty":
        bad.write_bytes(b"")
    elif kind == "sound only":
        write_clip(bad, None, sound=beeps([0.2], 1.0))
    script, arguments = {
        "no annotations": ("data/annot_normalize.py", []),
        "no frames": ("output/img2video.py", []),
    }.get(kind, ("data/video2data.py", ["--mode", "test", "--test-video", bad]))
    done = run(script, "--workspace", work, *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr
    assert not work.exists()
