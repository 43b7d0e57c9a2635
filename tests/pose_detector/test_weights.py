"""Choosing, fetching and reading weights."""

import hashlib
from pathlib import Path

import pytest
import torch
from published import light_shapes, openpose_shapes

from pose_detector import weights
from pose_detector.errors import InputError
from pose_detector.model_files import ModelFile
from pose_detector.networks import Light, OpenPose


def hzzone_names() -> list[str]:
    """Layers of body_pose_model.pth in the order of `openpose_shapes`."""
    vgg = "1_1 1_2 2_1 2_2 3_1 3_2 3_3 3_4 4_1 4_2 4_3_CPM 4_4_CPM"
    names = [f"conv{layer}" for layer in vgg.split()]
    for branch in (1, 2):
        names += [f"conv5_{i}_CPM_L{branch}" for i in range(1, 6)]
        names += [f"Mconv{i}_stage{stage}_L{branch}" for stage in range(2, 7) for i in range(1, 8)]
    return names


def fake_state(shapes: dict[str, tuple[int, ...]], names: list[str] | None = None) -> dict[str, torch.Tensor]:
    """A state whose tensors take no memory; each is filled with its own number."""
    state = {key: torch.tensor(float(i)).expand(shape) for i, (key, shape) in enumerate(shapes.items())}
    if names is not None:
        state = dict(zip([f"{n}.{kind}" for n in names for kind in ("weight", "bias")], state.values(), strict=True))
    return state


def save(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def load_state(monkeypatch, state: dict[str, torch.Tensor]):
    """Load without a file, which for OpenPose would have 209 MB."""
    monkeypatch.setattr(weights, "read_bytes", lambda path: b"")
    monkeypatch.setattr(weights, "load_tensors", lambda content: state)
    monkeypatch.setattr(Path, "is_file", lambda self: True)
    return weights.load_network(Path("fake.pth"))


@pytest.mark.parametrize("names", [None, hzzone_names()], ids=["tensorboy", "hzzone"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_both_openpose_layouts_load(monkeypatch, names, prefix):
    state = {prefix + key: value for key, value in fake_state(openpose_shapes(), names).items()}
    network = load_state(monkeypatch, state)
    assert isinstance(network, OpenPose)
    for i, (key, value) in enumerate(fake_state(openpose_shapes()).items()):
        assert network.state_dict()[key].flatten()[0] == i, key
        assert network.state_dict()[key].shape == value.shape


def test_names_are_those_of_the_published_file(shared):
    lines = shared("weights/hzzone_body_pose_model_keys.txt").read_text().splitlines()
    listed = {line.split("\t")[0]: line.split("\t")[1] for line in lines if not line.startswith("#")}
    state = fake_state(openpose_shapes(), hzzone_names())
    assert {key: str(tuple(value.shape)) for key, value in state.items()} == listed


@pytest.mark.parametrize("width", [0.25, 0.375, 1.0])
def test_light_layout_loads_at_its_width(tmp_path, width):
    network = Light(width)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean)
    path = tmp_path / "light.pth"
    weights.save_light(path, network)
    loaded = weights.load_network(path)
    assert isinstance(loaded, Light)
    for key, value in network.state_dict().items():
        assert torch.allclose(loaded.state_dict()[key].float(), value.float(), atol=1e-3, rtol=1e-3), key
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    assert list(tmp_path.iterdir()) == [path]


def test_published_light_checkpoint_loads(tmp_path):
    state = {key: value.clone() for key, value in fake_state(light_shapes()).items()}
    for key in [k for k in state if k.endswith("num_batches_tracked")]:
        del state[key]  # as stored by older PyTorch
    content = {"state_dict": {f"module.{k}": v for k, v in state.items()}, "optimizer": {"lr": 1.0}, "iter": 370000}
    network = weights.load_network(save(tmp_path / "checkpoint_iter_370000.pth", content))
    assert network.state_dict()["model.0.0.weight"].shape == (32, 3, 3, 3)


def broken(kind: str, folder: Path) -> Path:
    state = Light(0.25).state_dict()
    path = folder / "weights.pth"
    if kind == "shape":
        state["cpm.align.0.weight"] = torch.zeros(1, 2, 3, 4)
    elif kind == "missing":
        del state["initial_stage.trunk.1.0.bias"]
    elif kind == "extra":
        state["head.weight"] = torch.zeros(1)
    elif kind == "foreign":
        state = torch.nn.Linear(2, 2).state_dict()
    elif kind == "no state":
        state = {"iter": 3}
    elif kind == "list":
        state = [torch.zeros(1)]
    save(path, state)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    elif kind == "text":
        path.write_text("<html>404</html>")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "absent":
        path.unlink()
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("shape", "cpm.align.0.weight"),
        ("missing", "initial_stage.trunk.1.0.bias"),
        ("extra", "head.weight"),
        ("foreign", "not the weights of a network"),
        ("no state", "no weights"),
        ("list", "no weights"),
        ("truncated", "cut short"),
        ("text", "not a readable"),
        ("empty", "not a readable"),
        ("absent", "no such"),
    ],
)
def test_unusable_files_are_refused_in_one_line(tmp_path, kind, words):
    path = broken(kind, tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        weights.load_network(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


class Payload:
    """Would create a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_in_a_file_is_executed(tmp_path):
    path = save(tmp_path / "evil.pth", {"state_dict": Payload(tmp_path / "executed")})
    with pytest.raises(InputError):
        weights.load_network(path)
    assert not (tmp_path / "executed").exists()


def test_order_in_which_weights_are_looked_for(tmp_path, monkeypatch):
    bundled, own, named = tmp_path / "light.pth", tmp_path / "folder" / "pose_model.pth", tmp_path / "mine.onnx"
    monkeypatch.setattr(weights, "BUNDLED", bundled)
    with pytest.raises(InputError, match="missing"):
        weights.resolve("", own.parent)
    bundled.touch()
    path, reason = weights.resolve("", own.parent)
    assert path == bundled
    assert "bundled" in reason
    own.parent.mkdir()
    own.touch()
    assert weights.resolve("", own.parent)[0] == own
    assert weights.resolve("openpose", own.parent)[0] == own
    assert weights.resolve("light", own.parent)[0] == bundled
    with pytest.raises(InputError, match=r"mine\.onnx"):
        weights.resolve(str(named), own.parent)
    named.touch()
    assert weights.resolve(str(named), own.parent)[0] == named


def test_openpose_weights_are_taken_where_they_lie_else_the_line_says_what_to_do(tmp_path):
    content = b"weights" * 1000
    published = ModelFile("w.pth", "http://127.0.0.1:1/w.pth", len(content), hashlib.sha256(content).hexdigest())
    path = tmp_path / "w.pth"
    with pytest.raises(InputError, match="offline") as caught:
        weights.resolve("openpose", tmp_path, True, published)
    for words in (published.url, str(path), "pose_weights light"):
        assert words in str(caught.value)
    path.write_bytes(content)
    assert weights.resolve("openpose", tmp_path, True, published)[0] == path


def test_bundled_weights_are_small_and_load():
    assert weights.BUNDLED.stat().st_size < 8e6
    assert isinstance(weights.load_network(weights.BUNDLED), Light)
