"""The two networks: names and shapes of their parameters, shapes of their outputs, simplification for inference."""

import copy

import pytest
import torch
from published import light_shapes, openpose_shapes

from pose_detector.networks import HEATMAPS, PAFS, Light, OpenPose, fuse_norms


def shapes_of(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


@pytest.mark.parametrize(("make", "shapes"), [(OpenPose, openpose_shapes()), (Light, light_shapes())])
def test_parameters_are_named_and_shaped_as_published(make, shapes):
    with torch.device("meta"):
        assert shapes_of(make()) == shapes


def test_openpose_has_the_parameters_of_the_published_file(shared):
    lines = shared("weights/tensorboy_pose_model_keys.txt").read_text().splitlines()
    listed = {key: shape for key, shape in (line.split("\t")[:2] for line in lines)}
    with torch.device("meta"):
        assert {key: str(shape) for key, shape in shapes_of(OpenPose()).items()} == listed


@pytest.mark.parametrize("make", [OpenPose, Light, lambda: Light(0.375), lambda: Light(0.25, refinements=0)])
def test_maps_are_an_eighth_of_the_picture(make):
    with torch.device("meta"):
        heatmaps, pafs = make()(torch.empty(2, 3, 64, 104))
    assert heatmaps.shape == (2, HEATMAPS, 8, 13)
    assert pafs.shape == (2, PAFS, 8, 13)


def test_input_is_bgr_around_zero():
    red = torch.zeros(1, 3, 1, 1)
    red[0, 0] = 128 / 255
    assert torch.allclose(Light.normalize(red).flatten(), torch.tensor([-0.5, -0.5, 0.0]), atol=1e-6)


@pytest.mark.parametrize("make", [OpenPose, lambda: Light(0.25)])
def test_features_grow_coarser_and_reach_the_input(make):
    if make is OpenPose:
        with torch.device("meta"):
            network, pictures = make(), torch.empty(1, 3, 64, 64)
    else:
        network, pictures = make(), torch.rand(1, 3, 64, 64, requires_grad=True)
    features = network.features(pictures)
    sides = [f.shape[2] for f in features]
    assert len(features) == 5
    assert sides == sorted(sides, reverse=True)
    if make is not OpenPose:
        sum(f.mean() for f in features).backward()
        assert pictures.grad.abs().sum() > 0


def test_fusing_norms_changes_nothing_but_the_work():
    torch.manual_seed(0)
    network = Light(0.25)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 2)
    network.eval()
    fused = fuse_norms(copy.deepcopy(network))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in fused.modules())
    pictures = torch.rand(1, 3, 48, 48)
    with torch.inference_mode():
        for old, new in zip(network(pictures), fused(pictures), strict=True):
            assert torch.allclose(old, new, atol=1e-4, rtol=1e-3)
            assert old.std() > 1e-6


def test_torchvision_imports_beside_a_torch_without_cuda():
    from main.networks.perceptual import declare_missing_operators

    declare_missing_operators()
    from torchvision.models import vgg19

    assert len(vgg19(weights=None).features) == 37
