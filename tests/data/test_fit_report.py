"""What step 2 tells and shows: advice where it is due, a plot, a preview; and bad input in one line."""

from dataclasses import replace

import cv2
import numpy as np
import person
import pytest
from stick_figure import Camera, figure, keypoints, stroll

from data import annot_normalize, fit_report, pose_range
from data.annotations import Annotations
from data.retarget import PoseSequence, normalise
from data.video import probe
from main.cli import parse
from main.config import Config
from pose_detector.errors import InputError


def annotated(poses, size, digest):
    return replace(person.annotations(poses, digest), frame_size=size, view=None, source=f"{digest}.mp4")


@pytest.fixture
def target():
    return annotated(keypoints(figure(stroll(200, 0.4, 0.3, seed=1)), Camera()), (512, 288), "she")


@pytest.fixture
def config(tmp_path, target):
    dance = annotated(keypoints(figure(stroll(60, 0.4, 0.3, seed=2)), Camera(1.0, 5.0)), (512, 288), "dance")
    config = Config(workspace=tmp_path)
    target.save(config.train_annotations)
    dance.save(config.test_annotations)
    return config


def told(target, poses, travel_gain=1.0):
    poses = poses.astype(np.float32)
    zeros = np.zeros(poses.shape[:2], bool)
    _, report = normalise(
        PoseSequence(poses, zeros, 25.0, (512, 288)), PoseSequence(target.keypoints, target.filled, 25.0, (512, 288))
    )
    normal = annotated(poses, (512, 288), "dance")
    strange = pose_range.strangeness(poses, target.keypoints, 25.0)
    return fit_report.summary(normal, replace(report, travel_gain=travel_gain), strange, target)


def test_all_is_well(target):
    lines = told(target, target.keypoints)
    assert not any("advice" in line for line in lines)
    assert "200 frames" in lines[0] and any("stay as they are" in line for line in lines)


def test_advice_names_side_and_share(target):
    left = target.keypoints.copy()
    left[:50, :, 0] -= left[:50, :, 0].min(1, keepdims=True) + 10
    text = "\n".join(told(target, left))
    assert "on the left in 25% of the frames" in text and "right" not in text
    assert "shortened to 60%" in "\n".join(told(target, target.keypoints, travel_gain=0.6))


def test_advice_names_strange_poses_and_their_moments(target):
    strange = target.keypoints.copy()
    strange[100:150, 7, :2] = strange[100:150, 2, :2] - [60, 40]
    text = "\n".join(told(target, strange))
    assert "25% of the frames; worst at" in text and "left arm 25%" in text and "--stay_in_range" in text


def test_step_writes_plot_and_preview(config, capsys):
    annot_normalize.main(config)
    assert cv2.imread(str(config.norm_plot)).shape == (720, 960, 3)
    info = probe(config.norm_preview)
    assert (info.width, info.height, info.frames) == (1024, 288, 60)
    assert str(config.norm_preview) in capsys.readouterr().out
    # The curve lies within the picture and differs from an empty one.
    assert (cv2.imread(str(config.norm_plot)) != 255).any(-1).mean() > 0.01


def test_settings_are_obeyed(config):
    results = {}
    for name, settings in {"a": {}, "b": {"normalise": "global"}, "c": {}}.items():
        annot_normalize.main(replace(config, **settings))
        results[name] = Annotations.load(config.norm_test_annotations).keypoints
    assert np.array_equal(results["a"], results["c"]) and not np.array_equal(results["a"], results["b"])
    far = Annotations.load(config.test_annotations)
    far.keypoints[10:40, 4, :2] = far.keypoints[10:40, 5, :2] - [-80, 60]
    far.save(config.test_annotations)
    worst = []
    for stay in (False, True):
        annot_normalize.main(replace(config, stay_in_range=stay))
        normal, train = Annotations.load(config.norm_test_annotations), Annotations.load(config.train_annotations)
        worst.append(np.nanmax(pose_range.strangeness(normal.keypoints, train.keypoints, 25.0)[20:30]))
    assert worst[1] < 1.2 * pose_range.FAR < worst[0]


def test_who_drives_herself_is_recognised_at_another_resolution(config, target, capsys):
    large = target.keypoints.copy()
    large[..., :2] = (large[..., :2] + 0.5) * 3.75 - 0.5  # as --quality high reads the training video only
    replace(target, keypoints=large, frame_size=(1920, 1080), view=None).save(config.train_annotations)
    target.save(config.test_annotations)
    annot_normalize.main(config)
    assert "stay as they are" in capsys.readouterr().out
    moved = Annotations.load(config.norm_test_annotations).keypoints[..., :2] - large[..., :2]
    assert np.abs(moved[target.keypoints[..., 2] > 0]).max() < 0.05 * 1080


@pytest.mark.parametrize("which", ["train_annotations", "test_annotations"])
def test_nobody_to_normalise_is_one_clear_line(config, which):
    empty = Annotations.load(getattr(config, which))
    empty.keypoints[:] = 0
    empty.save(getattr(config, which))
    with pytest.raises(InputError, match="film") as error:
        annot_normalize.main(config)
    assert "\n" not in str(error.value)
    assert not config.norm_test_annotations.exists()


@pytest.mark.parametrize("which", ["train_annotations", "test_annotations"])
@pytest.mark.parametrize(("seen", "refused"), [(0.0, True), (0.15, True), (0.3, False)])
def test_a_video_from_the_hips_up_is_refused(config, which, seen, refused):
    """`seen`: share of the frames that show hips and legs."""
    upper = Annotations.load(getattr(config, which))
    upper.keypoints[round(seen * upper.total_frames) :, 8:14] = 0
    upper.save(getattr(config, which))
    if refused:
        with pytest.raises(
            InputError, match=f"from the hips up: .* {seen:.0%} of the frames.*from head to feet"
        ) as error:
            annot_normalize.main(config)
        assert "\n" not in str(error.value) and upper.source in str(error.value)
        assert not config.norm_test_annotations.exists() and not config.norm_preview.exists()
    else:
        annot_normalize.main(config)
        assert config.norm_test_annotations.exists()


def test_unknown_method_is_refused_by_name(capsys):
    with pytest.raises(SystemExit) as stop:
        parse("", ["--normalise", "best"])
    assert stop.value.code == 2
    complaint = capsys.readouterr().err
    assert "normalise" in complaint and complaint.count("\n") == 1
