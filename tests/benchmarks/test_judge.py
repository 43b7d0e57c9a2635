"""What the benchmarks on real clips share, with a stub in BlazePose's place."""

import judge as judging
import numpy as np
import pytest
from judge import Judge, run, steady_torso, videos

from pose_detector.blazepose import SIZE
from pose_detector.crop import Crop
from pose_detector.errors import InputError


class Stub:
    """Sees the white spot of a picture as the hips of a person whose circle is 40 pixels of the frame."""

    side: float  # of the crop in the frame, which the picture does not tell

    def run(self, picture):
        landmarks = np.zeros((39, 4))
        row, column = np.unravel_index(picture[..., 0].argmax(), picture.shape[:2])
        landmarks[:, :2], landmarks[:, 3] = (column, row), 0.9
        landmarks[34, 1] -= 40 * SIZE / self.side
        return landmarks, float(picture.max() > 100), np.ones((SIZE, SIZE), np.float32)


@pytest.fixture
def judge(monkeypatch, tmp_path):
    stub = Stub()
    monkeypatch.setattr(judging, "BlazePose", lambda _: stub)
    cut = Crop.cut

    def spied(crop, frame, size):
        stub.side = crop.side
        return cut(crop, frame, size)

    monkeypatch.setattr(Crop, "cut", spied)
    (tmp_path / "model").touch()
    return Judge(tmp_path / "model")


def spot(x, y):
    frame = np.zeros((200, 300, 3), np.uint8)
    if x is not None:
        frame[y - 3 : y + 4, x - 3 : x + 4] = 255
    return frame


def test_the_judge_follows_a_person_and_finds_them_anew(judge):
    for x, y in ((150, 100), (165, 110), (60, 150)):
        sight = judge(spot(x, y))
        assert sight.crop.side == pytest.approx(100, abs=1)
        assert np.abs([sight.crop.x - x, sight.crop.y - y]).max() < 5
        assert np.abs(sight.keypoints[:, :2] - (x, y)).max() < 5
    assert judge(spot(None, None)).keypoints.sum() == 0
    assert np.abs(judge(spot(240, 60)).landmarks[0, :2] - (240, 60)).max() < 5


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(InputError, match=r"missing\.tflite.*--judge"):
        Judge(tmp_path / "missing.tflite")


def test_the_torso_keeps_its_length_while_the_person_bends():
    keypoints = np.zeros((40, 18, 3), np.float32)
    keypoints[..., 2] = 1
    keypoints[:, [8, 11], 1] = 100
    keypoints[10:14, [8, 11], 1] = 20  # bent
    keypoints[20:25, 1, 2] = 0
    assert steady_torso(keypoints, np.arange(40) / 10) == pytest.approx(np.full(40, 100))
    assert np.isnan(steady_torso(np.zeros((3, 18, 3)), np.arange(3.0))).all()


def test_videos_of_a_folder(tmp_path):
    for name in ("b.MP4", "a.mov", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in videos(tmp_path)] == ["a.mov", "b.MP4"]
    with pytest.raises(InputError, match="holds no video"):
        videos(tmp_path / "none")


def test_a_failing_step_gives_its_last_line(tmp_path):
    log = tmp_path / "log.txt"
    with pytest.raises(InputError, match=r"annot_normalize\.py: .*train_annotations\.npz is missing"):
        run("data/annot_normalize.py", ["--workspace", str(tmp_path)], log)
    assert log.read_text().startswith("\n$ data/annot_normalize.py --workspace")
