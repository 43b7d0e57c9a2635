"""Clothes and hair that hang: they cover what they should, follow the pose, and leave the sample as it was."""

from pathlib import Path

import numpy as np
import pytest

from data.sample import pair
from data.sample.cloth import Sheet, _offsets, body_capsules, hang, push_out, ring
from data.sample.figure import Figure, build_figure, hands_and_feet_3d, skin_mesh
from data.sample.looks import (
    HATS,
    MORE_PATTERNS,
    PATTERNS,
    Cloth,
    Hanging,
    Look,
    random_body,
    random_look,
    random_wardrobe,
)
from data.sample.pose import BONE, Body, Pose, Stance, dance_stance, forward, rest_joints, solve, standing, turned
from data.sample.renderer import Camera, Light, pattern_mix, render_figure
from data.sample.room import render_frame
from pose_detector.errors import InputError
from pose_detector.training import render_people
from pose_detector.training.loop import parse_part

CAMERA = Camera((0.0, 1.0, 4.0), pitch=0.0, yaw=0.0, focal=200.0, width=128, height=128)
BODY = Body(bust=0.03)
PLAIN = {"top": Cloth((0.1, 0.2, 0.9)), "bottom": Cloth((0.9, 0.1, 0.1)), "legs": 0.25, "top_hem": 0.05}
LOOKS = {
    "wide skirt": Look(**PLAIN, hanging=(Hanging("skirt", length=0.9, flare=0.35),)),
    "narrow skirt": Look(**PLAIN, hanging=(Hanging("skirt", length=0.85, flare=0.02),)),
    "dress": Look(**PLAIN, strapless=True, sleeves=0.0, hanging=(Hanging("skirt", "top", 0.4, 0.6, 0.012, 0.2),)),
    "coat": Look(
        **PLAIN | {"legs": 1.0}, sleeves=1.0, top_loose=0.025, front=Cloth((0.9, 0.9, 0.9)),
        hanging=(Hanging("skirt", "top", length=0.8, gap=0.8, loose=0.008),),
    ),
    "wide trousers": Look(**PLAIN, hanging=(Hanging("trousers", start=0.2, length=0.77, loose=0.02, flare=0.06),)),
    "wide sleeves and hair": Look(
        **PLAIN, sleeves=0.3, hair_style="open", hat="beanie",
        hanging=(Hanging("sleeves", "top", 0.2, 0.7, flare=0.08), Hanging("hair", "hair", length=0.5, gap=2.6)),
    ),
    "jumper": Look(**PLAIN | {"top_hem": -0.1}, top_loose=0.05, folds=0.005, sleeves=1.0, hat="hood"),
    "bare": Look(**PLAIN | {"top_hem": 0.15}, sleeves=0.0, barefoot=True, neckline=0.1, hat="brim"),
    "boots": Look(**PLAIN, boots=0.7, hat="cap"),
}  # fmt: skip


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    return {name: build_figure(BODY, look, detail=0.35) for name, look in LOOKS.items()}


def kick() -> Stance:
    stance = standing()
    stance.feet[1] = 0.12, 0.55, 0.45
    return stance


def leg_colours(figure: Figure, pose: Pose, camera: Camera = CAMERA) -> dict[str, np.ndarray]:
    """RGB of the picture at the middle of each thigh and shin."""
    frame = render_figure(figure, pose, camera, light=Light((0, 0.3, 1)))[0]
    positions = forward(figure.joints, pose)[1]
    colours = {}
    for side in ("right", "left"):
        for bone, end in (("thigh", "shin"), ("shin", "foot")):
            middle = 0.5 * (positions[BONE[f"{side}_{bone}"]] + positions[BONE[f"{side}_{end}"]])
            x, y, _ = np.rint(camera.project(middle)).astype(int)
            colours[f"{side}_{bone}"] = frame[y, x].astype(float)
    return colours


def is_red(colour: np.ndarray) -> bool:
    return bool(colour[0] > 2.5 * colour[1] and colour[0] > 2.5 * colour[2])


@pytest.mark.parametrize("name", ["wide skirt", "narrow skirt", "wide trousers"])
def test_cloth_covers_the_legs(figures, name: str) -> None:
    colours = leg_colours(figures[name], solve(BODY, standing()))
    assert all(is_red(colour) for colour in colours.values())
    bare = leg_colours(figures["bare"], solve(BODY, standing()))
    assert not any(is_red(colour) for colour in bare.values())


@pytest.mark.parametrize("name", ["wide skirt", "wide trousers"])
def test_cloth_goes_along_with_a_raised_leg(figures, name: str) -> None:
    assert is_red(leg_colours(figures[name], solve(BODY, kick()))["left_thigh"])


def test_a_skirt_spreads_with_the_legs_and_with_a_spin(figures) -> None:
    def widest(figure: Figure, stance: Stance) -> float:
        first, sheet = figure.sheets[0]
        rows, columns = sheet.fine_shape()
        points = skin_mesh(figure, solve(BODY, stance))[0][first : first + rows * columns]
        return float(np.ptp(points[:, 0]))

    wide = standing()
    wide.feet = np.array([[-0.4, 0, 0], [0.4, 0, 0]])
    figure = figures["wide skirt"]
    assert widest(figure, wide) > 1.1 * widest(figure, standing())
    spinning = Figure(**vars(figure) | {"spin": 5.0})
    assert widest(spinning, standing()) > 1.3 * widest(figure, standing())


@pytest.mark.parametrize("name", list(LOOKS))
def test_keypoints_lie_on_the_figure_and_faces_turn_away(figures, name: str) -> None:
    figure = figures[name]
    rgba, keypoints = render_people.cut_out(figure, solve(BODY, standing()), CAMERA, Light())
    alpha = rgba[..., 3]
    assert rgba.dtype == np.uint8 and keypoints.shape == (28, 3) and keypoints.dtype == np.float32
    assert alpha[[0, -1]].any(axis=1).all() and alpha[:, [0, -1]].any(axis=0).all()
    assert (keypoints[:, 2] >= 1).all() and (keypoints[[0, 14, 15, 4, 7, 22, 23, 25, 27], 2] == 2).mean() > 0.6
    padded = np.pad(alpha, 2)
    for x, y, _ in keypoints[keypoints[:, 2] == 2]:
        column, row = round(float(x)) + 2, round(float(y)) + 2
        assert padded[row - 1 : row + 2, column - 1 : column + 2].max() > 0
    away = render_people.cut_out(figure, solve(BODY, turned(standing(), np.pi)), CAMERA, Light())[1]
    assert (away[[0, 14, 15], 2] == 1).all()
    right, left = away[2, 0], away[5, 0]
    assert right > left and keypoints[2, 0] < keypoints[5, 0]


def test_a_canvas_that_cuts_the_feet_has_no_feet(figures) -> None:
    camera = Camera((0.0, 1.0, 4.0), pitch=0.0, yaw=0.0, focal=800.0, width=256, height=256)
    keypoints = render_people.cut_out(figures["bare"], solve(BODY, standing()), camera, Light())[1]
    assert (keypoints[[10, 13, 24, 25, 26, 27], 2] == 0).all() and (keypoints[[8, 11], 2] > 0).all()


def test_fingers_and_toes_are_where_hands_and_feet_end() -> None:
    figure = build_figure(BODY, Look(), detail=0.3)
    joints = rest_joints(BODY)
    pose = solve(BODY, standing())
    points, positions = hands_and_feet_3d(figure, pose), forward(joints, pose)[1]
    for i, side in enumerate(("right", "left")):
        pinky, index, thumb = points[3 * i : 3 * i + 3]
        wrist, elbow = positions[BONE[f"{side}_hand"]], positions[BONE[f"{side}_forearm"]]
        heel, toe = points[6 + 2 * i : 8 + 2 * i]
        for finger in (pinky, index, thumb):
            assert 0.04 < np.linalg.norm(finger - wrist) < 0.11
            assert np.linalg.norm(finger - elbow) > np.linalg.norm(wrist - elbow)
        assert np.linalg.norm(thumb - index) < np.linalg.norm(thumb - pinky)
        assert 0 < heel[1] < 0.05 and 0 < toe[1] < 0.06 and 0.18 < toe[2] - heel[2] < 0.32


def tube_sheet() -> Sheet:
    rows, columns = 8, 16
    centres = np.column_stack([np.zeros(rows), np.linspace(1.0, 0.4, rows), np.zeros(rows)])
    rest = ring(centres, np.full(rows, 0.2), np.full(rows, 0.2), np.array([0, 0, 1.0]), 2 * np.pi * np.arange(16) / 16)
    empty = np.zeros((rows, columns, 1))
    return Sheet("top", rest, empty, empty[..., 0], True, 2, np.ones(rows), 0.8, ())


def test_a_sheet_hangs_outside_of_what_it_meets_and_does_not_stretch() -> None:
    sheet = tube_sheet()
    capsules = [(np.array([0.1, 1.0, 0.0]), np.array([0.35, 0.3, 0.1]), (0.08, 0.06))]
    args = (sheet, sheet.rest, capsules, np.array([3.0, 0.0, 1.0]), 0.0, np.zeros(3))
    hanging = hang(*args)
    np.testing.assert_array_equal(hanging, hang(*args))
    np.testing.assert_allclose(hanging[:2], sheet.rest[:2], atol=1e-6)
    starts, ends, radii = (np.array(part, np.float32) for part in zip(*capsules, strict=True))
    _, distance, radius = _offsets(hanging[2:].reshape(-1, 3), starts, ends, radii)
    assert (distance - radius).min() > -1e-3
    lengths = np.linalg.norm(np.diff(hanging, axis=0), axis=-1)
    assert lengths.max() < 1.25 * np.linalg.norm(np.diff(sheet.rest, axis=0), axis=-1).max()
    assert hanging[-1, :, 0].mean() > 0.02  # blown to one side


def test_points_are_pushed_to_the_surface_and_above_the_floor() -> None:
    points = np.array([[[0.01, 0.5, 0.0], [0.5, -0.2, 0.0]]], np.float32)
    capsule = np.array([[0.0, 0.0, 0.0]], np.float32), np.array([[0.0, 1.0, 0.0]], np.float32), np.full((1, 2), 0.1)
    push_out(points, *capsule)
    np.testing.assert_allclose(points[0, 0], [0.1, 0.5, 0.0], atol=1e-5)
    assert points[0, 1, 1] > 0
    other = np.array([[[0.01, 0.5, 0.0]]], np.float32)
    push_out(other, *capsule, sides=np.array([[[-1.0, 0.0, 0.0]]], np.float32))
    assert other[0, 0, 0] == pytest.approx(-0.1, abs=1e-5)  # back to its own side


def test_refining_keeps_the_points_and_faces_look_outwards() -> None:
    sheet = tube_sheet()
    fine = sheet.refine(sheet.rest)
    assert fine.shape[:2] == sheet.fine_shape()
    np.testing.assert_allclose(fine[::2, ::2], sheet.rest, atol=1e-9)
    outwards = fine * [1, 0, 1]
    assert ((sheet.normals(fine) * outwards).sum(-1) > 0).all()
    a, b, c = (fine.reshape(-1, 3)[sheet.faces()[:, i]] for i in range(3))
    assert ((np.cross(b - a, c - a) * (a * [1, 0, 1])).sum(-1) > 0).all()


def test_capsules_lie_inside_the_body() -> None:
    capsules = body_capsules(BODY, rest_joints(BODY), 0.0, 0.0)
    vertices = build_figure(BODY, LOOKS["bare"], detail=0.35).vertices
    for capsule in capsules.values():
        for end in (capsule.start, capsule.end):
            assert np.linalg.norm(vertices - end, axis=1).min() < max(capsule.radii) + 0.03


def test_every_wardrobe_can_be_built_and_is_varied() -> None:
    rng = np.random.default_rng(0)
    kinds, hats, patterns = set(), set(), set()
    for i in range(150):
        body = random_body(rng)
        look = random_wardrobe(rng, body)
        kinds |= {(hanging.kind, hanging.part) for hanging in look.hanging}
        hats.add(look.hat)
        patterns |= {look.top.pattern, look.bottom.pattern}
        assert 0 <= min(look.top.colour) and max(look.top.colour) <= 1
        if i % 50 == 0:
            vertices, normals = skin_mesh(build_figure(body, look, 0.3), solve(body, dance_stance(rng)))
            assert np.isfinite(vertices).all() and np.isfinite(normals).all()
    assert kinds >= {
        ("skirt", "top"),
        ("skirt", "bottom"),
        ("trousers", "bottom"),
        ("sleeves", "top"),
        ("hair", "hair"),
    }
    assert hats == set(HATS) and len(patterns) > 10


def test_new_patterns_mix_two_colours() -> None:
    rng = np.random.default_rng(1)
    position = np.column_stack([rng.uniform([-0.2, 0.2, -0.1], [0.2, 1.5, 0.1], (4000, 3)), np.full(4000, 0.15)])
    for pattern in set(MORE_PATTERNS) - set(PATTERNS):
        mix = pattern_mix(Cloth(pattern=pattern), position)
        assert mix.min() >= 0 and mix.max() <= 1 and 0.02 < mix.mean() < 0.98


def test_dancers_kneel_crouch_and_turn() -> None:
    rng = np.random.default_rng(2)
    low, turns = [], []
    for _ in range(200):
        stance = dance_stance(rng)
        pose = solve(BODY, stance)
        assert np.isfinite(pose.rotations).all()
        low.append(pose.root[1])
        turns.append(np.cos(float(stance.turn)))
    assert np.mean(np.array(low) < 0.65) > 0.05 and np.mean(np.array(turns) < -0.3) > 0.1


def test_turning_a_stance_turns_every_joint() -> None:
    stance = kick()
    there, here = (forward(rest_joints(BODY), solve(BODY, s))[1] for s in (turned(stance, 1.1), stance))
    spin = np.array([[np.cos(1.1), 0, np.sin(1.1)], [0, 1, 0], [-np.sin(1.1), 0, np.cos(1.1)]])
    np.testing.assert_allclose(there, here @ spin.T, atol=1e-6)


def test_files_are_written_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(render_people, "FIGURES_PER_FILE", 2)
    monkeypatch.setattr(render_people, "FIGURES_PER_BODY", 2)
    settings = render_people.Settings(tmp_path, files=2, seed=3, part="1/2")
    render_people.main(settings)
    (path,) = tmp_path.iterdir()
    assert path.name == "people3_0001.npz"
    with np.load(path, allow_pickle=False) as content:
        assert set(content) == {"rgba0", "keypoints0", "rgba1", "keypoints1"}
        assert content["rgba0"].shape[2] == 4 and content["keypoints1"].shape == (28, 3)
        assert (content["rgba0"] != 0).any() and content["rgba0"].shape[0] <= render_people.SIZE
    before = path.stat().st_mtime_ns
    render_people.main(settings)
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize("part", ["2/2", "x", "1", "-1/2", "0/0"])
def test_a_wrong_share_is_an_error(part: str) -> None:
    with pytest.raises(InputError, match="share"):
        parse_part(part)


def test_the_sample_is_as_before() -> None:
    clip = pair.clips()["train"]
    frame, keypoints, _ = render_frame([(clip.figure, clip.poses[100])], clip.camera, clip.room)
    assert (frame.mean(), frame.std()) == pytest.approx((161.576590, 42.014950), abs=1e-4)
    assert keypoints.sum() == pytest.approx(5646.9175, abs=0.01)


def test_random_looks_draw_as_before() -> None:
    rng = np.random.default_rng(7)
    body = random_body(rng)
    look = random_look(rng, body)
    drawn = body.height, look.top_loose, rng.random()
    assert drawn == pytest.approx((1.8038996430006775, 0.026637305420049124, 0.6379965807883322), abs=1e-12)
