"""Geometry of the detector, with a network that paints known peaks, and ONNX files."""

import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from maps import PERSON

from pose_detector import weights
from pose_detector.detector import Detector, Letterbox, suppress, turn_back
from pose_detector.errors import InputError
from pose_detector.networks import HEATMAPS, Light, PoseNetwork
from pose_detector.onnx_network import OnnxNetwork, input_shape, split_outputs
from pose_detector.skeleton import MIRROR
from pose_detector.training.augment import draw_maps


class Painter(PoseNetwork):
    """Gives the maps of a person at known places of the input; remembers its input."""

    default_height = 256

    def __init__(self, keypoints: np.ndarray) -> None:
        super().__init__()
        self.people = np.concatenate([keypoints, np.ones((18, 1))], axis=1)[None]

    def forward(self, pictures):
        self.pictures = pictures
        maps = torch.from_numpy(draw_maps(self.people, tuple(s // 8 for s in pictures.shape[2:])))
        maps = maps.expand(len(pictures), -1, -1, -1)
        return maps[:, :HEATMAPS], maps[:, HEATMAPS:]


@pytest.mark.parametrize("size", [(512, 288), (455, 256), (288, 512), (333, 777), (1920, 1080), (97, 61)])
def test_keypoints_come_back_to_the_frames_pixels(size):
    width, height = size
    box = Letterbox.to_height(width, height, 256)
    truth = PERSON * size  # in the frame
    resized = np.array(box.resized)
    detector = Detector(Painter((truth + 0.5) * resized / size - 0.5))
    ((keypoints, scores),) = detector([np.zeros((height, width, 3), np.uint8)])
    assert keypoints.shape == (1, 18, 2)
    assert (scores > 0.5).all()
    error = np.abs(keypoints[0] - truth) * resized / size  # pixels of the network's input
    assert error.max() < 0.8  # of 8 a cell; a lost half pixel or a scale by the padding shows


@given(
    width=st.integers(8, 3000),
    height=st.integers(8, 3000),
    wanted=st.sampled_from([64, 184, 256, 300, 368]),
)
@settings(max_examples=200)
def test_fit_keeps_corners_and_aspect(width, height, wanted):
    for box in (Letterbox.to_height(width, height, wanted), Letterbox.to_box(width, height, (432, 368))):
        corners = np.array([[-0.5, -0.5], np.array(box.resized) - 0.5])
        assert np.allclose(box.to_frame(corners), [[-0.5, -0.5], [width - 0.5, height - 0.5]], atol=1e-2)
        assert all(p >= r for p, r in zip(box.padded, box.resized, strict=True))
        assert all(p % 8 == 0 for p in box.padded)
        wide, high = box.resized
        assert wide == 1 or abs(wide - width * high / height) <= 0.5 + 0.5 * width / height


def test_resizing_and_colour_order_meet_the_convention():
    """A dot in the frame must lie in the network's input where the inverse of `to_frame` says, in its colour."""
    frame = np.zeros((300, 500, 3), np.uint8)
    frame[200:210, 350:360, 0] = 255  # red, centre (354.5, 204.5)
    painter = Painter(PERSON * 200)
    Detector(painter, height=200)([frame])
    red, green, blue = painter.pictures[0].numpy()
    assert green[:, :333].max() == blue[:, :333].max() == 0
    assert np.allclose(painter.pictures[0, :, :, 334:], 128 / 255)  # padding: 500 * 2 / 3 -> 333 of 336
    red = red[:, :333]
    ys, xs = np.mgrid[: red.shape[0], : red.shape[1]]
    centre = np.array([(xs * red).sum(), (ys * red).sum()]) / red.sum()
    box = Letterbox.to_height(500, 300, 200)
    assert np.allclose(box.to_frame(centre), [354.5, 204.5], atol=0.1)


def test_batches_give_the_same_as_single_frames():
    torch.manual_seed(0)
    network = Light(0.25)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)  # so that the input is still felt at the end
    detector = Detector(network, height=64)
    frames = list(np.random.default_rng(0).integers(0, 256, (3, 60, 90, 3), dtype=np.uint8))
    (batched,) = detector.maps(detector.prepare(frames))
    for frame, together in zip(frames, batched, strict=True):
        ((alone,),) = detector.maps(detector.prepare([frame]))
        assert np.allclose(together, alone, atol=1e-3 * np.abs(alone).max())
    assert not np.allclose(batched[0], batched[1], rtol=0.1)
    assert detector([]) == []


class Counter(PoseNetwork):
    """Paints as many people as the picture is bright."""

    default_height = 256

    def forward(self, pictures):
        people = np.concatenate([PERSON * 240 + 8, np.ones((18, 1))], axis=1)
        counts = (pictures[:, 0, 0, 0] * 255).round().int().tolist()
        shifted = [[people + np.array([250 * n, 0, 0]) for n in range(count)] for count in counts]
        maps = np.stack([draw_maps(np.array(p).reshape(-1, 18, 3), (32, 128)) for p in shifted])
        maps = torch.from_numpy(maps)
        return maps[:, :HEATMAPS], maps[:, HEATMAPS:]


def test_a_stream_keeps_the_order_and_hands_errors_on():
    detector = Detector(Counter())
    batches = [[np.full((256, 1024, 3), n % 4, np.uint8) for n in range(k, k + 3)] for k in range(5)]
    found = [[len(keypoints) for keypoints, _ in batch] for batch in detector.stream(iter(batches))]
    assert found == [[n % 4 for n in range(k, k + 3)] for k in range(5)]
    assert list(detector.stream([])) == []

    def broken():
        yield batches[0]
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        list(detector.stream(broken()))


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("scales", [(0.5, 1.0), (1.5, 0.8, 1.0), (2.0,)])
def test_scales_agree_on_the_place(scales, flip):
    class Finder(PoseNetwork):
        """Paints a person of the input's height where the dot is seen."""

        default_height = 256

        def forward(self, pictures):
            height, width = pictures.shape[2:]
            brightness = pictures[0, 0].numpy() * (pictures[0, 1].numpy() < 0.1)
            x = (brightness.sum(axis=0) * np.arange(width)).sum() / brightness.sum()
            y = (brightness.sum(axis=1) * np.arange(height)).sum() / brightness.sum()
            offsets = (PERSON - PERSON[1]) * height
            if x > width / 2:  # in the mirror
                offsets = (offsets * (-1, 1))[MIRROR]
            people = np.concatenate([offsets + np.array([x, y]), np.ones((18, 1))], axis=1)[None]
            maps = torch.from_numpy(draw_maps(people, (height // 8, width // 8)))[None]
            return maps[:, :HEATMAPS], maps[:, HEATMAPS:]

    frame = np.zeros((200, 333, 3), np.uint8)
    frame[48:53, 98:103, 0] = 255  # the neck, at (100, 50)
    ((keypoints, scores),) = Detector(Finder(), flip=flip, scales=scales)([frame])
    assert (scores[0] > 0.2).all()
    assert np.abs(keypoints[0] - ((PERSON - PERSON[1]) * 200 + (100, 50))).max() < 1.5


@pytest.mark.parametrize("scales", [(), (0.0,), (-1.0, 1.0), (0.01,)])
def test_scales_are_checked(scales):
    with pytest.raises(InputError, match=r"pose_scales|height"):
        Detector(Painter(PERSON * 100), scales=scales)


class MirrorProof(Painter):
    """Sees the person where it is, whichever way round the picture is; the left edge of a true picture is white."""

    def forward(self, pictures):
        if pictures[0, 0, 0, 0] > 0.9:
            return super().forward(pictures)
        people = self.people.copy()
        people[..., 0] = pictures.shape[3] - 1 - people[..., 0]
        maps = torch.from_numpy(draw_maps(people[:, MIRROR], tuple(s // 8 for s in pictures.shape[2:])))[None]
        return maps[:, :HEATMAPS], maps[:, HEATMAPS:]


def test_looking_in_the_mirror_keeps_sides_and_places():
    frame = np.zeros((128, 130, 3), np.uint8)  # 6 pixels of padding
    frame[:, 0] = 255
    network = MirrorProof(PERSON * 128)
    plain, flipped = (Detector(network, height=128, flip=flip) for flip in (False, True))
    once, twice = (detector.maps(detector.prepare([frame]))[0] for detector in (plain, flipped))
    assert np.allclose(once, twice, atol=1e-5)
    assert once[:, :HEATMAPS].max() > 0.5 and once[:, HEATMAPS:].max() > 0.5


class Standing(PoseNetwork):
    """Sees only people who stand: the head, red, above the feet, green. They are as tall as the two are apart."""

    default_height = 256

    def forward(self, pictures):
        height, width = pictures.shape[2:]
        maps = []
        for picture in pictures.numpy():
            (top, x), (bottom, _) = (
                np.argwhere((picture[c] > 0.9) & (picture[1 - c] < 0.1)).mean(axis=0) for c in (0, 1)
            )
            tall = bottom - top
            person = (PERSON - PERSON[0]) * max(tall, 1) / (PERSON[10, 1] - PERSON[0, 1]) + (x, top)
            people = np.concatenate([person, np.full((18, 1), float(tall > height / 3))], axis=1)[None]
            maps.append(draw_maps(people, (height // 8, width // 8)))
        maps = torch.from_numpy(np.stack(maps))
        return maps[:, :HEATMAPS], maps[:, HEATMAPS:]


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("size", [(240, 256), (256, 200)])
def test_people_upside_down_are_found_by_turning(quarters, size):
    frame = np.zeros((*size, 3), np.uint8)
    nose = np.array([100.0, 50.0])
    truth = (PERSON - PERSON[0]) * 240 + nose  # the ankle 175 pixels below
    frame[47:54, 97:104, 0] = 255
    frame[222:229, 97:104, 1] = 255
    turned = np.ascontiguousarray(np.rot90(frame, -quarters))
    ((keypoints, scores),) = Detector(Standing(), height=turned.shape[0], turns=True)([turned])
    assert len(keypoints) == 1 and (scores > 0.2).all()
    there = turn_back(truth, quarters, frame.shape[1::-1])  # turned by -quarters
    assert np.abs(keypoints[0] - there).max() < 3
    ((plain, _),) = Detector(Standing(), height=turned.shape[0])([turned])
    assert len(plain) == (quarters == 0)


@given(
    quarters=st.integers(0, 3),
    size=st.tuples(st.integers(3, 40), st.integers(3, 40)),
    place=st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)),
)
@settings(max_examples=100)
def test_turning_back_finds_the_same_pixel(quarters, size, place):
    picture = np.zeros(size, np.uint8)
    row, column = (int(p * s) for p, s in zip(place, size, strict=True))
    picture[row, column] = 1
    turned = np.rot90(picture, quarters)
    ((y, x),) = np.argwhere(turned)
    found = turn_back(np.array([x, y], np.float32), quarters, turned.shape[1::-1])
    assert found.tolist() == [column, row]


def test_of_several_views_the_surest_counts():
    person = PERSON.astype(np.float32) * 100
    sure, unsure = np.full(18, 0.9, np.float32), np.full(18, 0.4, np.float32)
    couple = np.stack([person, person + 5]), np.stack([sure, unsure])  # they embrace
    aside = np.stack([person + 2, person + 300]), np.stack([unsure, unsure])
    nobody = np.zeros((0, 18, 2), np.float32), np.zeros((0, 18), np.float32)
    keypoints, _ = suppress([nobody, couple, aside])
    assert np.allclose(keypoints[:, 0, 0], [50, 55, 350])
    keypoints, scores = suppress([nobody, nobody])
    assert keypoints.shape == (0, 18, 2) and scores.shape == (0, 18)


def test_frames_of_several_sizes_are_refused():
    detector = Detector(Painter(PERSON * 100), height=64)
    with pytest.raises(ValueError, match="60x90"):
        detector([np.zeros((90, 60, 3), np.uint8), np.zeros((60, 90, 3), np.uint8)])


def test_heights_are_checked():
    with pytest.raises(InputError, match="height"):
        Detector(Painter(PERSON * 100), height=4)


def test_load_says_which_weights_and_why(tmp_path, caplog):
    path = tmp_path / "mine.pth"
    weights.save_light(path, Light(0.25))
    with caplog.at_level(logging.INFO):
        detector = Detector.load(str(path))
    assert isinstance(detector.network, Light)
    assert detector.height == Light.default_height
    assert str(path) in caplog.text
    assert "named" in caplog.text


def message(number: int, content: bytes | int) -> bytes:
    """A protobuf field."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    digits = bytearray()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])


def onnx_file(shape: tuple[int, ...]) -> bytes:
    """An ONNX model with one constant, which is listed as an input too, and one input of a shape (0: left open)."""

    def tensor(name: bytes, shape: tuple[int, ...]) -> bytes:
        dims = b"".join(message(1, message(1, d) if d else message(2, b"N")) for d in shape)
        return message(11, message(1, name) + message(2, message(1, message(1, 1) + message(2, dims))))

    constant = message(5, message(8, b"weights"))
    return message(1, 8) + message(7, constant + tensor(b"weights", (7, 7)) + tensor(b"image", shape))


@pytest.mark.parametrize("shape", [(1, 368, 432, 3), (1, 3, 256, 456), (0, 3, 0, 0)])
def test_input_shape_is_read_from_the_file(shape):
    assert input_shape(onnx_file(shape)) == list(shape)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", onnx_file((1, 3, 8, 8))[:40], b"\xff" * 100])
def test_files_that_are_no_networks_are_refused(tmp_path, content):
    path = tmp_path / "network.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a network") as caught:
        OnnxNetwork(path)
    assert "\n" not in str(caught.value)


def test_outputs_are_told_apart_by_their_shape(tmp_path):
    maps = np.arange(57 * 4 * 5, dtype=np.float32).reshape(57, 4, 5)
    heat, pafs = maps[:19], maps[19:]
    for outputs in (
        [maps[None]],
        [maps.transpose(1, 2, 0)[None]],
        [pafs[None], heat[None]],
        [heat[None] * 0, pafs[None] * 0, heat[None], pafs[None]],  # of two stages
    ):
        found = split_outputs(outputs, tmp_path)
        assert np.array_equal(found[0], heat)
        assert np.array_equal(found[1], pafs)
    with pytest.raises(InputError, match="19 heat maps"):
        split_outputs([np.zeros((1, 17, 4, 5), np.float32)], tmp_path)


def test_onnx_teacher_sees_a_dancer(shared):
    detector = Detector.load(str(shared("weights/mobilenet_v2_dm14_368x432.onnx")))
    assert detector.network.size == (368, 432)
    av = pytest.importorskip("av")
    with av.open(str(shared("clips/target.mp4"))) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    ((keypoints, scores),) = detector([frame])
    assert keypoints.shape == (1, 18, 2)
    assert (scores > 0).sum() >= 16
    nose, ankle = keypoints[0, 0], keypoints[0, 10]
    assert 60 < nose[1] < 110 < 230 < ankle[1] < 288  # she stands upright in the middle
