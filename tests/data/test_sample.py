"""The rendered sample: exact keypoints, what is visible, what touches the floor, and that a seed fixes every byte."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from data.sample import pair, render_readme
from data.sample.figure import Figure, build_figure, keypoints_3d, random_figure, restyle, skin_mesh
from data.sample.looks import Look
from data.sample.mesh import build, ellipsoid
from data.sample.motion import FPS, random_dance, test_dance, train_dance
from data.sample.pose import (
    BONE,
    BONES,
    Body,
    Pose,
    bend_limb,
    euler,
    forward,
    random_pose,
    random_stance,
    rest_joints,
    solve,
    standing,
)
from data.sample.renderer import Camera, Light, from_linear, project, rasterize, render_figure, render_figures
from data.sample.room import ROOM_A, backdrop, random_camera, random_room, render_frame
from data.sample.sound import RATE, beat_track

test_dance.__test__ = False  # a dance, not a test
CAMERA = Camera((0.0, 1.0, 4.0), pitch=0.0, yaw=0.0, focal=200.0, width=160, height=128)


@pytest.fixture(scope="module")
def figure() -> Figure:
    return build_figure(Body(), Look(), detail=0.45)


def rest_pose(figure: Figure) -> Pose:
    """No bone turned."""
    return Pose(figure.joints[0], np.tile(np.eye(3), (len(BONES), 1, 1)))


def test_camera_projects_by_hand() -> None:
    points = np.array([[0.0, 1.0, 0.0], [0.4, 1.0, 0.0], [0.0, 1.5, 2.0]])
    expected = [[79.5, 63.5, 4.0], [79.5 + 200 * 0.4 / 4, 63.5, 4.0], [79.5, 63.5 - 200 * 0.5 / 2, 2.0]]
    np.testing.assert_allclose(CAMERA.project(points), expected, atol=1e-9)


def test_camera_turns_as_documented() -> None:
    ahead = np.array([0.0, 1.0, 0.0])
    assert Camera((0, 1, 4), pitch=0.1).project(ahead)[1] < Camera((0, 1, 4), pitch=0.0).project(ahead)[1]
    assert Camera((0, 1, 4), pitch=0, yaw=0.1).project(ahead)[0] > Camera((0, 1, 4), pitch=0, yaw=0).project(ahead)[0]


def test_rays_are_the_inverse_of_projection() -> None:
    camera = Camera((0.3, 1.2, 4.0), 0.1, -0.2, 150.0, 40, 30)
    points = np.asarray(camera.position) + 3.0 * camera.rays()
    grid = np.stack(np.meshgrid(np.arange(40), np.arange(30)), -1)
    np.testing.assert_allclose(camera.project(points)[..., :2], grid, atol=1e-9)


def test_keypoints_of_the_rest_pose_are_the_joints(figure: Figure) -> None:
    keypoints = project(figure, rest_pose(figure), CAMERA)
    joints = rest_joints(figure.body)
    for k, bone in (
        (2, "right_upper_arm"),
        (4, "right_hand"),
        (5, "left_upper_arm"),
        (9, "right_shin"),
        (13, "left_foot"),
    ):
        x, y, z = joints[BONE[bone]]
        np.testing.assert_allclose(
            keypoints[k], [79.5 + 200 * x / (4 - z), 63.5 - 200 * (y - 1) / (4 - z), 1], atol=1e-3
        )
    shoulders = keypoints_3d(figure, rest_pose(figure))[[2, 5]]
    np.testing.assert_allclose(keypoints_3d(figure, rest_pose(figure))[1], shoulders.mean(0))


def test_left_is_left(figure: Figure) -> None:
    stance = standing()
    facing = project(figure, solve(figure.body, stance), CAMERA)
    stance.turn = np.array(np.pi)
    stance.aim = np.array([np.pi, np.pi])
    stance.feet = -stance.feet
    away = project(figure, solve(figure.body, stance), CAMERA)
    for right, left in ((2, 5), (4, 7), (8, 11), (10, 13), (14, 15), (16, 17)):
        assert facing[left, 0] > facing[right, 0]
        assert away[left, 0] < away[right, 0]


def test_project_is_vectorised(figure: Figure) -> None:
    poses = solve(figure.body, train_dance().stance(np.arange(5) / 5), 1.0)
    together = project(figure, poses, CAMERA)
    assert together.shape == (5, 18, 3)
    for i in range(5):
        np.testing.assert_array_equal(together[i], project(figure, poses[i], CAMERA))


def test_a_raised_hand_arrives_where_it_was_sent(figure: Figure) -> None:
    stance = standing()
    stance.hands[0] = 0.6, 0.5, 0.3
    _, positions = forward(figure.joints, solve(figure.body, stance))
    joints = figure.joints
    arm = sum(
        np.linalg.norm(joints[BONE[b]] - joints[BONE[a]])
        for a, b in (("right_upper_arm", "right_forearm"), ("right_forearm", "right_hand"))
    )
    shoulder = positions[BONE["right_clavicle"]] + joints[BONE["right_upper_arm"]] - joints[BONE["right_clavicle"]]
    np.testing.assert_allclose(positions[BONE["right_hand"]], shoulder + arm * np.array([-0.6, 0.5, 0.3]), atol=1e-6)


def test_bend_limb_keeps_lengths_and_reaches() -> None:
    rng = np.random.default_rng(0)
    goal = rng.normal(size=(50, 3))
    goal *= rng.uniform(0.15, 0.5, (50, 1)) / np.linalg.norm(goal, axis=1, keepdims=True)
    upper, lower, hinge = bend_limb(np.zeros(3), goal, 0.3, 0.25, np.array([0.1, -1.0, 0.2]))
    np.testing.assert_allclose(0.3 * upper + 0.25 * lower, goal, atol=1e-9)
    for vectors in (upper, lower, hinge):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-9)
    np.testing.assert_allclose((hinge * upper).sum(1), 0, atol=1e-9)


def test_mesh_is_closed_and_has_the_volume_of_its_shape() -> None:
    mesh = build([ellipsoid((0.1, 0.2, 0.3), (0.10, 0.20, 0.15), 0)], 1, 0.01)
    edges = np.sort(np.concatenate([mesh.faces[:, [i, (i + 1) % 3]] for i in range(3)]), axis=1)
    assert np.all(np.unique(edges, axis=0, return_counts=True)[1] == 2)
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    volume = (a * np.cross(b, c)).sum() / 6  # positive only if the triangles face outwards
    assert volume == pytest.approx(4 / 3 * np.pi * 0.1 * 0.2 * 0.15, rel=0.03)
    assert np.all((mesh.normals * (mesh.vertices - [0.1, 0.2, 0.3])).sum(1) > 0)


def test_skinning_is_rigid_where_nothing_bends(figure: Figure) -> None:
    pose = rest_pose(figure)
    vertices, normals = skin_mesh(figure, pose)
    np.testing.assert_allclose(vertices, figure.vertices, atol=1e-5)
    np.testing.assert_allclose(normals, figure.normals, atol=1e-5)
    turn = euler(0.3, 2.8, -0.2)
    pose.rotations[0] = turn
    vertices, _ = skin_mesh(figure, pose)
    pelvis = figure.joints[0]
    np.testing.assert_allclose(vertices, (figure.vertices - pelvis) @ turn.T + pelvis, atol=1e-5)


def test_rasterizer_takes_the_nearest_front_face() -> None:
    screen = np.array(
        [[1, 1, 2], [1, 9, 2], [9, 1, 2], [0, 0, 5], [0, 19, 5], [19, 0, 5], [2, 2, 1], [8, 2, 1], [2, 8, 1]], float
    )
    faces = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8]])  # the last one is nearest but looks away
    pixels, hit, weights, depth = rasterize(screen, faces, 20, 20)
    image = np.full(400, -1)
    image[pixels] = hit
    image = image.reshape(20, 20)
    assert image[3, 3] == 0 and image[12, 3] == 1 and image[0, 0] == 1 and image[19, 19] == -1
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-5)
    assert set(np.round(depth, 3)) == {2.0, 5.0}


def test_visible_keypoints_lie_on_the_figure() -> None:
    rng = np.random.default_rng(3)
    seen = 0
    for _ in range(4):
        figure = random_figure(rng, 0.45)
        for _ in range(4):
            frame, keypoints, visible, alpha = render_figure(figure, random_pose(rng, figure.body), CAMERA)
            assert frame.shape == (128, 160, 3) and frame.dtype == np.uint8
            assert keypoints.shape == (18, 3) and visible.dtype == bool
            column, row = np.rint(keypoints[visible, :2]).astype(int).T
            around = [
                alpha[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].max() for x, y in zip(column, row, strict=True)
            ]
            assert min(around) > 0
            seen += visible.sum()
    assert seen > 16 * 18 * 0.55


def test_silhouette_agrees_with_projection(figure: Figure) -> None:
    pose = solve(figure.body, standing())
    alpha = render_figure(figure, pose, CAMERA)[3]
    points = CAMERA.project(skin_mesh(figure, pose)[0])
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    np.testing.assert_allclose([columns[0], columns[-1]], [points[:, 0].min(), points[:, 0].max()], atol=1.0)
    np.testing.assert_allclose([rows[0], rows[-1]], [points[:, 1].min(), points[:, 1].max()], atol=1.0)


def test_face_is_hidden_from_behind_and_outside_the_frame(figure: Figure) -> None:
    stance = standing()
    front = render_figure(figure, solve(figure.body, stance), CAMERA)[2]
    assert front.all()
    stance.turn = np.array(np.pi)
    back = render_figure(figure, solve(figure.body, stance), CAMERA)[2]
    assert not back[[0, 14, 15]].any() and back[[2, 5, 8, 11]].all()
    narrow = Camera((0.0, 1.0, 4.0), 0.0, 0.0, 200.0, 160, 60)
    keypoints, visible = render_figure(figure, solve(figure.body, standing()), narrow)[1:3]
    assert not visible[(keypoints[:, 1] < -0.5) | (keypoints[:, 1] > 59.5)].any() and visible.any()


def test_a_person_in_front_hides_the_other(figure: Figure) -> None:
    pose = solve(figure.body, standing())
    behind = Pose(pose.root + np.array([0, 0, -1.0]), pose.rotations)
    beside = Pose(pose.root + np.array([1.0, 0, -1.0]), pose.rotations)
    camera = Camera((0.0, 1.0, 4.0), 0.0, 0.0, 150.0, 160, 128)
    assert render_figures([(figure, pose), (figure, beside)], camera)[2].all()
    visible = render_figures([(figure, pose), (figure, behind)], camera)[2]
    assert visible[0].all() and visible[1, [0, 1, 8, 11]].sum() == 0


def test_background_is_kept_where_nobody_is(figure: Figure) -> None:
    background = np.random.default_rng(0).integers(0, 256, (128, 160, 3), dtype=np.uint8)
    frame, _, _, alpha = render_figure(figure, solve(figure.body, standing()), CAMERA, background)
    np.testing.assert_array_equal(frame[alpha == 0], background[alpha == 0])
    assert (frame[alpha == 1] != background[alpha == 1]).any(-1).mean() > 0.95


def test_looks_change_without_moving_a_keypoint(figure: Figure) -> None:
    other = restyle(figure, np.random.default_rng(4))
    pose = solve(figure.body, standing())
    one, two = render_figure(figure, pose, CAMERA), render_figure(other, pose, CAMERA)
    np.testing.assert_array_equal(one[1], two[1])
    np.testing.assert_array_equal(one[3], two[3])
    assert np.abs(one[0].astype(int) - two[0])[one[3] == 1].mean() > 10


def test_light_comes_from_its_direction(figure: Figure) -> None:
    pose = solve(figure.body, standing())
    halves = []
    for x in (-1.0, 1.0):
        frame, _, _, alpha = render_figure(figure, pose, CAMERA, light=Light((x, 0.3, 0.3)), shadows=False)
        bright = np.where(alpha == 1, frame.mean(-1), 0)
        halves.append(bright[:, :80].sum() / bright[:, 80:].sum())
    assert halves[0] > 1.15 and halves[1] < 0.87


@pytest.mark.parametrize("make", [train_dance, test_dance])
def test_planted_feet_do_not_slide_and_stand_on_the_floor(make) -> None:
    body = pair.PERSON_A[0]
    stance = make().stance(np.arange(25 * FPS) / FPS)
    _, positions = forward(rest_joints(body), solve(body, stance, smooth=2.0))
    for foot, side in enumerate(("right", "left")):
        ball = positions[:, BONE[f"{side}_toes"]]
        still = (np.abs(np.diff(stance.feet[:, foot], axis=0)).max(1) == 0) & (np.diff(stance.aim[:, foot]) == 0)
        assert still.mean() > 0.3
        assert np.abs(np.diff(ball, axis=0))[still].max() < 1e-3
        assert np.abs(ball[1:][still][:, 1] - rest_joints(body)[BONE["left_toes"]][1]).max() < 1e-3


def test_shoes_touch_the_floor(figure: Figure) -> None:
    vertices, _ = skin_mesh(figure, solve(figure.body, standing()))
    assert abs(vertices[:, 1].min()) < 0.01


@pytest.mark.parametrize("make", [train_dance, test_dance])
def test_dances_move_as_a_body_can(make) -> None:
    body = pair.PERSON_A[0]
    poses = solve(body, make().stance(np.arange(25 * FPS) / FPS), smooth=2.0)
    rotations, positions = forward(rest_joints(body), poses)
    speed = np.linalg.norm(np.diff(positions, axis=0), axis=-1) * FPS
    assert speed[:, BONE["pelvis"]].max() < 2.5 and speed.max() < 8.0
    turned = rotations[1:] @ np.swapaxes(rotations[:-1], -1, -2)
    angle = np.degrees(np.arccos(np.clip((np.trace(turned, axis1=-2, axis2=-1) - 1) / 2, -1, 1)))
    assert angle.max() < 50  # no joint flips from one frame to the next
    hands = positions[:, [BONE["right_hand"], BONE["left_hand"]]]
    assert (hands[..., 1] > positions[:, None, BONE["head"], 1]).any(0).all()  # both hands overhead at some time
    assert (hands[:, 0, 0] > hands[:, 1, 0]).any()  # arms crossed at some time
    sideways = rotations[:, BONE["pelvis"], 0, 2]
    assert sideways.max() > 0.8 and sideways.min() < -0.8  # turned by more than 53 degrees both ways
    assert np.ptp(positions[:, 0, 0]) > 0.6 and np.ptp(positions[:, 0, 2]) > 0.5  # goes left and right, near and far


def test_a_seed_fixes_every_byte() -> None:
    def picture(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        figure = random_figure(rng, 0.4)
        frame, keypoints, visible, _ = render_figure(figure, random_pose(rng, figure.body), CAMERA)
        return frame.tobytes() + keypoints.tobytes() + visible.tobytes()

    assert picture(1) == picture(1)
    assert picture(1) != picture(2)


def test_random_poses_and_dances_are_finite_and_varied() -> None:
    rng = np.random.default_rng(5)
    body = Body()
    wrists = []
    for _ in range(60):
        pose = solve(body, random_stance(rng))
        rotations, positions = forward(rest_joints(body), pose)
        assert np.isfinite(positions).all()
        np.testing.assert_allclose(
            rotations @ np.swapaxes(rotations, -1, -2), np.eye(3)[None].repeat(len(BONES), 0), atol=1e-6
        )
        wrists.append(positions[BONE["right_hand"]])
    assert np.ptp(np.array(wrists), axis=0).min() > 0.9
    stance = random_dance(rng, 8.0).stance(np.arange(200) / FPS)
    assert np.isfinite(solve(body, stance, 2.0).rotations).all()


def test_people_darken_the_room_they_stand_in(figure: Figure) -> None:
    rng = np.random.default_rng(6)
    room, camera = random_room(rng), random_camera(rng, 160, 96)
    empty = backdrop(room, camera).linear
    frame, keypoints, visible = render_frame([(figure, solve(figure.body, standing()))], camera, room)
    assert frame.shape == (96, 160, 3) and keypoints.shape == (1, 18, 3) and visible.shape == (1, 18)
    height = np.ptp(keypoints[0, :, 1]) / 96
    assert 0.4 < height < 0.85
    x, y = keypoints[0, [10, 13], :2].mean(0)
    floor = (int(y) + 3, int(x))
    assert np.isfinite(empty).all() and empty.min() >= 0
    assert from_linear(empty)[floor].sum() > frame[floor].sum()
    gone = Pose(np.array([50.0, 1.0, 0.0]), rest_pose(figure).rotations)
    frame, _, visible = render_frame([(figure, gone)], camera, room)
    assert not visible.any()
    np.testing.assert_array_equal(frame, from_linear(empty))


def test_beat_is_on_the_beat() -> None:
    sound = beat_track(120.0, 4.0, 1)
    assert sound.shape == (4 * RATE,) and np.abs(sound).max() <= 1.0
    np.testing.assert_array_equal(sound, beat_track(120.0, 4.0, 1))
    power = [np.square(sound[round(t * RATE) : round((t + 0.05) * RATE)]).mean() for t in np.arange(0, 4, 0.25)]
    on, off = np.mean(power[0::2]), np.mean(power[1::2])
    assert on > 2 * off


def read(path: Path, index: int) -> tuple[np.ndarray, av.container.InputContainer]:
    with av.open(str(path)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i == index:
                return frame.to_ndarray(format="rgb24"), container
    raise AssertionError(f"{path} has no frame {index}")


FOLDER = Path(pair.__file__).parent


@pytest.mark.parametrize("name", ["train", "test"])
def test_committed_clips_are_as_promised(name: str) -> None:
    with av.open(str(FOLDER / f"{name}.mp4")) as container:
        video = container.streams.video[0]
        assert (video.width, video.height, video.average_rate, video.codec_context.name) == (512, 288, 25, "h264")
        assert video.frames == pair.SECONDS[name] * FPS and 20 <= pair.SECONDS[name] <= 30
        assert len(container.streams.audio) == (name == "test")
    assert sum(path.stat().st_size for path in FOLDER.glob("*.mp4")) < 5e6


def test_committed_clip_is_what_the_script_renders() -> None:
    index = 60
    committed, _ = read(FOLDER / "train.mp4", index)
    clip = pair.clips()["train"]
    frame, keypoints, _ = render_frame([(clip.figure, clip.poses[index])], clip.camera, ROOM_A)
    error = np.square(frame.astype(float) - committed).mean()
    assert 10 * np.log10(255**2 / error) > 33
    assert np.ptp(keypoints[0, :, 1]) / 288 > 0.5


@pytest.mark.parametrize(("x", "left"), [(20, 0), (100, 50), (190, 100)])
def test_readme_shows_the_square_around_the_person(x, left):
    keypoints = np.zeros((3, 18, 3), np.float32)
    keypoints[:, 2:5] = (x - 10, 50, 1), (x, 50, 1), (x + 10, 50, 1)
    assert render_readme.square(keypoints, 200, 100) == slice(left, left + 100)


def test_readmes_moving_picture_has_every_frame_at_its_time(tmp_path):
    frames = [np.full((16, 32, 3), 60 * i, np.uint8) for i in range(4)]
    render_readme.save_moving(tmp_path / "moving.webp", frames, fps=12.5)
    with Image.open(tmp_path / "moving.webp") as picture:
        assert (picture.n_frames, picture.size, picture.info["loop"]) == (4, (32, 16), 0)
        for i in range(4):
            picture.seek(i)
            picture.load()
            assert picture.info["duration"] == 80
            assert abs(np.asarray(picture.convert("RGB")).mean() - 60 * i) < 4
