"""What step 1 says and shows of what it saw, on short clips whose truth is known."""

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from maps import STANDING
from motion import dance, seen

from data import report
from data.annotations import Annotations
from data.camera import Path, standing
from data.frame_stats import FrameStats
from data.guesses import drop_guesses
from pose_detector import skeleton
from pose_detector.cleaning import clean
from pose_detector.tracking import Track

SIZE = (512, 288)
FPS = 25.0
N = 50


def people(n=N, torso=60.0, neck=(256, 90), seed=0):
    """(N, 18, 3)."""
    return seen(dance(np.random.default_rng(seed), n, FPS, torso, neck))


def room(seed=0):
    """A picture (H, W, 3) of a wall with things on it."""
    rng = np.random.default_rng(seed)
    picture = np.full((SIZE[1], SIZE[0], 3), 150, np.uint8)
    for x, y in rng.integers(0, (450, 230), (40, 2)):
        cv2.rectangle(picture, (int(x), int(y)), (int(x + 60), int(y + 56)), (int(rng.integers(60, 230)),) * 3, -1)
    return picture


def outline(pose):
    """(H, W) uint8 of a body around a skeleton, which goes on beyond the picture as the body does."""
    mask, size = np.zeros(SIZE[::-1], np.uint8), float(skeleton.body_size(pose))
    for a, b in skeleton.LIMBS[:13]:
        ends = skeleton.to_fixed(pose[[a, b], :2], mask.shape)
        cv2.line(mask, *ends, 255, round(0.25 * size), cv2.LINE_8, 4)
    return mask


def film(poses, rooms=None, light=1.0):
    """Statistics of a clip that shows somebody in grey, and what is seen of their keypoints: those in the picture."""
    stats, frames, outlines = FrameStats(), [], []
    for i, pose in enumerate(poses):
        frame, mask = (room() if rooms is None else rooms[i]).copy(), outline(pose)
        frame[mask > 0] = (200, 170, 150)
        frame = np.clip(frame * light, 0, 255).astype(np.uint8)
        stats.add_frame(frame)
        frames.append(frame)
        outlines.append(mask)
    for frame, mask in zip(frames, outlines, strict=True):
        stats.add_outline(frame, mask)
    shown = poses.copy()
    shown[((poses[..., :2] < 0) | (poses[..., :2] > np.array(SIZE) - 1)).any(axis=-1)] = 0
    return stats, shown


def annotated(poses, name="a.mp4"):
    n, found = len(poses), clean(poses, FPS)
    times = np.arange(n) / FPS
    return Annotations(np.arange(n), times, found.keypoints, found.filled, FPS, SIZE, n, name, 0, "0123")


def told(poses, rooms=None, light=1.0, **more):
    """The lines about a clip."""
    stats, shown = film(poses, rooms, light)
    return report.summary(annotated(shown), stats, **more)


def test_a_clean_clip_gets_no_advice():
    lines = told(people(), path=standing(N), unseen=np.zeros((288, 512), bool))
    assert lines == ["a.mp4: 50 frames, 1 person, the whole body clear of the edges in 100%"]


def with_feet(gone):
    """Feet below the picture in the frames 20 to 40."""
    poses = people()
    poses[20:40, :, 1] += 75 if gone else 0
    return poses


@pytest.mark.parametrize("light", [1.0, 0.4])
def test_feet_cut_off(light):
    lines = told(with_feet(True), light=light)
    assert len(lines) == 2 and "the whole body clear of the edges in 60%" in lines[0]
    assert re.search(r"feet cut off or at the edge in 40% of the frames \(0\.8-1\.6 s\): step back", lines[1])
    assert len(told(with_feet(False), light=light)) == 1


def test_hands_cut_off():
    poses = np.repeat(seen(STANDING[None] * 60 + (256, 90)), N, axis=0)
    poses[:, 4, :2] = poses[:, 3, :2] + (-15, -30)
    poses[10:30, 3, :2] = (30, 100)  # an arm stretched to the side
    poses[10:30, 4, :2] = (-10, 100)
    poses[30:, 6, :2] = (300, 40)  # and one upwards
    poses[30:, 7, :2] = (300, -10)
    stats, shown = film(poses)
    cut = report.cut_off(annotated(shown), stats)
    assert cut["hands"][12:28].all() and cut["hands"][32:].all() and not cut["hands"][:8].any()
    assert not cut["feet"].any() and not cut["head"].any()
    lines = report.summary(annotated(shown), stats)
    assert any(re.search(r"hands cut off .*room for stretched arms", line) for line in lines)


def test_head_cut_off():
    poses = people(neck=(256, 10))
    stats, shown = film(poses)
    cut = report.cut_off(annotated(shown), stats)
    assert cut["head"].mean() > 0.9 and not cut["feet"].any()


def test_from_the_hips_up():
    poses = people(torso=150, neck=(256, 130))
    stats, shown = film(poses)
    shown[:, [8, 11]] = (256, 286, 0.9)  # as the network guesses
    extra = np.zeros((N, 10, 3), np.float32)
    drop_guesses(shown, extra, stats, SIZE)
    annotations = annotated(shown)
    assert report.hips_seen(annotations) == 0
    lines = report.summary(annotations, stats)
    assert "hips seen in only 0% of the frames, so step 2 refuses this video: film the whole body" in lines[1]
    assert len(lines) == 2, "one line is enough"


def test_a_dark_clip():
    lines = told(people(), light=0.15)
    assert len(lines) == 2 and "the picture too dark in 100% of the frames: use more light" in lines[1]


def test_against_the_light_and_in_black():
    poses = people()
    stats, shown = film(poses)
    stats.light = [30.0] * N
    assert any("against a bright background, too dark in 100%" in x for x in report.summary(annotated(shown), stats))
    stats.light, stats.brightness = [150.0] * N, [10.0] * N
    assert len(report.summary(annotated(shown), stats)) == 1, "before a black wall"


def test_a_small_person():
    lines = told(people(torso=15, neck=(256, 150)))
    assert len(lines) == 2
    assert re.search(r"too small in 100% of the frames, [3-6]\d pixels tall of 288: film nearer", lines[1])


def test_who_crouches_is_not_small():
    poses = people(torso=40)
    poses[20:30, :, 1] = 150 + (poses[20:30, :, 1] - 150) / 3
    assert not any("small" in line for line in told(poses))


def test_the_shots_of_a_dance():
    stats, shown = film(people())
    annotations = replace(annotated(shown), shots=np.array([0, 30, 40]))
    lines = report.summary(annotations, stats)
    assert ", 3 shots, " in lines[0]
    assert lines[1].startswith("- 2 cuts (at 1.2, 1.6 s): each shot is fitted") and len(lines) == 2


def test_frames_that_are_left_out_of_training():
    """A title, and a fade; what is wrong with them is not told."""
    stats, shown = film(people())
    title, fading = np.arange(N) < 20, np.arange(N) >= 45
    shown[title | fading] = 0
    annotations = replace(annotated(shown), shots=np.array([0, 20]), usable=~(title | fading))
    lines = report.summary(annotations, stats, left_out={"of another scene": title, "fading": fading})
    assert "the dancer in" not in lines[0] and lines[0].endswith("2 shots, the whole body clear of the edges in 100%")
    told = "- 25 frames left out: 20 of another scene (0.0-0.8 s), 5 fading (1.8-2.0 s): if that is more"
    assert lines[1].startswith(told) and len(lines) == 2


def test_a_moving_camera():
    eye = np.tile(np.eye(3), (N, 1, 1))
    followed = Path(eye, np.ones(N, bool), moved=0.07)
    assert told(people(), path=followed)[1] == "- the camera moves by up to 7% of the picture: that has been taken out"
    around = Path(eye, np.arange(N) < N // 2, moved=0.07)
    assert "in 50% of the frames it cannot be followed: 50% are used" in told(people(), path=around)[1]
    assert "too little to tell" in told(people(), path=standing(N, known=False))[1]
    assert len(told(people(), path=standing(N))) == 1


def test_several_people():
    guest, echo, ghost = people(neck=(420, 90), seed=1), people(seed=2), people(neck=(100, 90), seed=3)
    guest[30:] = ghost[:20] = ghost[25:] = 0
    outside = np.ones((3, N))
    outside[1] = 0.2
    others = report.bystanders([guest, echo, ghost], outside, N, FPS)
    assert others.tolist() == [1] * 30 + [0] * 20
    lines = told(people(), others=others)
    assert "2 people" in lines[0] and re.search(r"2 people \(0\.0-1\.2 s\): .*--person", lines[1])
    assert report.bystanders([], None, N, FPS).tolist() == [0] * N
    furniture = np.array([0.2, 1.0, 1.0])
    assert not report.bystanders([guest, echo, ghost], outside, N, FPS, furniture).any()
    crowd = others.copy()
    crowd[0] = 7
    assert "2 people" in told(people(), others=crowd)[0], "one frame tells how many there are"


def test_somebody_who_leaves_and_hidden_joints():
    poses = people()
    stats, shown = film(poses)
    shown[30:] = 0
    shown[:25, [4, 7]] = 0
    lines = report.summary(annotated(shown), stats)
    assert "the dancer in 60% of the frames" in lines[0]
    assert re.search(r"not seen in 40% of the frames \(1\.2-2\.0 s\): cut the video", lines[1])
    assert re.search(r"hidden or blurred: wrists in 83% of the frames: .*exposure", lines[2]) and len(lines) == 3


def test_what_spoils_more_is_told_first():
    poses = people(torso=15, neck=(256, 150))
    poses[20:40, :, 1] += 115
    unseen = np.zeros((288, 512), bool)
    unseen[:100] = True
    stats, shown = film(poses)
    left_out = {"blank": np.arange(N) == 49}
    lines = report.summary(annotated(shown), stats, unseen=unseen, left_out=left_out)
    order = ("1 frame left out", "too small", "feet cut off", "35% of the background never seen")
    assert [next(name for name in order if name in line) for line in lines[1:]] == list(order)


def test_without_outlines_keypoints_tell():
    stats, shown = film(with_feet(True))
    stats.size, stats.light, stats.contacts = [], [], []
    assert "feet cut off or at the edge in 40%" in report.summary(annotated(shown), stats)[1]


def test_preview_shows_everybody_and_who_is_chosen():
    chosen, other = people(40, 50, (150, 90)), people(40, 50, (380, 90), seed=1)
    outlines = [outline(pose) for pose in chosen]
    chosen[10:15, 4] = other[20:] = 0
    annotations = annotated(chosen)
    frames = [np.full((288, 512, 3), 100, np.uint8)] * 40
    drawn = list(report.preview(frames, annotations, [Track(chosen), Track(other)], 0))
    assert len(drawn) == 40 and (frames[0] == 100).all(), "the frames given stay as they are"
    changed = [np.abs(d.astype(int) - 100).max(axis=-1) > 20 for d in drawn]
    assert changed[5][:, 280:].any() and not changed[30][:260, 280:].any()
    red = (np.abs(drawn[12].astype(int) - (255, 0, 0)) < 60).all(axis=-1)
    x, y = annotations.keypoints[12, 4, :2].round().astype(int)
    assert red[y - 2 : y + 3, x - 2 : x + 3].any(), "a filled keypoint is red"
    x, y = annotations.keypoints[30, 4, :2].round().astype(int)
    assert (np.abs(drawn[30][y, x].astype(int) - 204) < 30).all(), "a seen one as light as it is sure"
    assert cv2.norm(drawn[5][:260, :280], drawn[6][:260, :280]) > 0
    outlined = list(report.preview(frames, annotations, [Track(chosen), Track(other)], 0, outlines))
    assert len(outlined) == 40
    rim = cv2.morphologyEx(outlines[30], cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    green = (outlined[30][..., 1] > 180) & (outlined[30][..., [0, 2]] < 90).all(axis=-1)
    green &= ~(drawn[30] != 100).any(axis=-1)  # no limb
    assert (
        green.sum() > 0.2 * rim.sum()
        and not green[~cv2.dilate(rim.astype(np.uint8), np.ones((5, 5))).astype(bool)].any()
    )
