"""The annotation file: round trip, atomic writing, refusal of what does not fit."""

from dataclasses import fields, replace

import numpy as np
import pytest

from data.annotations import Annotations, check_same_video, fingerprint, kept_frames
from pose_detector.errors import InputError


def make(n=7, **changes):
    rng = np.random.default_rng(0)
    values = dict(
        frame_numbers=np.arange(n, dtype=np.int64),
        times=np.arange(n) / 29.97,
        keypoints=rng.random((n, 18, 3), dtype=np.float32),
        filled=rng.random((n, 18)) < 0.1,
        fps=29.97,
        frame_size=(512, 288),
        total_frames=n,
        source="träin clip.mp4",
        rotation=90,
        fingerprint="0123456789abcdef",
        target_fingerprint="",
        settings="frames 512x288",
    )
    return Annotations(**{**values, **changes})


def test_round_trip(tmp_path):
    path = tmp_path / "new folder" / "a.npz"
    usable = np.arange(7) > 2
    want = make(picture=np.array([4, 0, 100, 50]), shots=np.array([0, 3]), usable=usable)
    assert want.crop == (4, 0, 100, 50) and make().crop is None
    want.save(path)
    got = Annotations.load(path)
    for field in fields(Annotations):
        a, b = getattr(want, field.name), getattr(got, field.name)
        assert type(a) is type(b), field.name
        assert np.array_equal(a, b) and getattr(a, "dtype", None) == getattr(b, "dtype", None), field.name


@pytest.mark.parametrize(
    "changes",
    [
        {"keypoints": np.zeros((7, 18, 2), np.float32)},
        {"keypoints": np.zeros((7, 18, 3))},
        {"keypoints": np.full((7, 18, 3), np.nan, np.float32)},
        {"keypoints": np.full((7, 18, 3), -1, np.float32)},
        {"filled": np.zeros((7, 18), np.uint8)},
        {"times": np.zeros(7)},
        {"frame_numbers": np.arange(7)[::-1].copy()},
        {"total_frames": 8},
        {"fps": 0.0},
        {"frame_size": (0, 288)},
        {"rotation": 45},
        {"picture": np.array([10, 0, 5, 8])},
        {"target_picture": np.array([0, 9, 5, 8])},
        {"shots": np.array([1, 4])},
        {"shots": np.array([0, 7])},
        {"usable": np.ones(6, bool)},
    ],
    ids=lambda c: "-".join(c),
)
def test_what_does_not_fit_is_neither_saved_nor_loaded(tmp_path, changes):
    path = tmp_path / "a.npz"
    bad = make(**changes)
    with pytest.raises(ValueError):
        bad.save(path)
    assert not path.exists()
    np.savez(path, format_version=1, **{f.name: np.asarray(getattr(bad, f.name)) for f in fields(bad)})
    with pytest.raises(InputError, match=r"a\.npz.*video2data") as error:
        Annotations.load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated", "version", "field", "array"])
def test_damaged_files(tmp_path, damage):
    path = tmp_path / "a.npz"
    make().save(path)
    with np.load(path) as data:
        stored = dict(data)
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("frame, x, y")
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:700])
    elif damage == "version":
        np.savez(path, **{**stored, "format_version": 99})
    elif damage == "field":
        del stored["times"]
        np.savez(path, **stored)
    elif damage == "array":
        with open(path, "wb") as file:
            np.save(file, np.zeros(3))
    with pytest.raises(InputError, match=r"make it.*step one") as error:
        Annotations.load(path, made_by="step one")
    assert "\n" not in str(error.value)


def test_another_video_is_noticed(tmp_path):
    video = tmp_path / "train.mp4"
    video.write_bytes(b"pictures" * 500_000)
    annotations = make(fingerprint=fingerprint(video))
    assert len(fingerprint(video)) == 16
    check_same_video(annotations, video, "step one")
    video.write_bytes(b"pictures" * 499_999 + b"Pictures")
    with pytest.raises(InputError, match=r"another video.*step one"):
        check_same_video(annotations, video, "step one")


def test_failed_save_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.npz"
    make().save(path)
    before = path.read_bytes()
    with pytest.raises(ValueError):
        replace(make(), times=np.zeros(7)).save(path)
    assert path.read_bytes() == before


def test_of_a_long_video_pairs_are_kept_evenly_spread():
    numbers = np.arange(1000)
    assert kept_frames(numbers, 1000, 1000).all() and kept_frames(numbers, 1000, 5000).all()
    kept = np.flatnonzero(kept_frames(numbers, 1000, 300))
    assert 200 <= len(kept) <= 300 and (kept[1::2] == kept[::2] + 1).all() and np.ptp(np.diff(kept[::2])) == 0
    assert [bool(kept_frames(i, 1000, 300)) for i in range(20)] == kept_frames(numbers[:20], 1000, 300).tolist()


def test_at_another_size_missing_keypoints_stay_missing(tmp_path):
    small = make()
    small.keypoints[0, 3] = 0
    large = small.resized(tuple(3 * side for side in small.frame_size))
    assert (large.keypoints[0, 3] == 0).all()
    seen = small.keypoints[..., 2] > 0
    np.testing.assert_allclose(large.keypoints[seen][:, :2], 3 * small.keypoints[seen][:, :2] + 1, atol=1e-3)
