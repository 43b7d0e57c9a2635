"""Generator and judge."""

import pytest
import torch
from person import painted

from main.networks.discriminator import Discriminator
from main.networks.generator import LEAST, LEAST_RENDERED, REFERENCES, Generator, compose, compose_at, move

SIZE = (128, 160)


def inputs(batch=1):
    rng = torch.Generator().manual_seed(0)
    pose = torch.from_numpy(painted(batch)[1])
    references = torch.rand((batch, REFERENCES, 4, *SIZE), generator=rng)
    plate = torch.rand((batch, 3, *SIZE), generator=rng)
    return pose, references, plate, torch.zeros_like(plate)


def test_weights_are_shares_and_the_picture_is_their_mixture():
    pose, references, plate, previous = inputs(2)
    rendering = Generator(32, 2, 8)(pose, references, plate, previous)
    assert rendering.picture.shape == plate.shape
    assert [p.shape for p in rendering.previews] == [(2, 3, SIZE[0] // 4, SIZE[1] // 4)]
    torch.testing.assert_close(rendering.weights.sum(1), torch.ones(2, *SIZE))


def test_far_from_the_person_the_plate_shows_untouched():
    pose, references, plate, previous = inputs()
    references[:, :, 3] = 0  # nothing copied
    picture = Generator(32, 1, 8)(pose, references, plate, previous).picture
    torch.testing.assert_close(picture[..., :8, :8], plate[..., :8, :8], atol=1e-3, rtol=0)


def test_untrained_it_shows_what_is_copied():
    pose, references, plate, previous = inputs()
    references[:, 0, 3], references[:, 1, 3] = 1, 0
    picture = Generator(32, 2, 8)(pose, references, plate, previous).picture
    assert (picture - references[:, 0, :3]).abs().mean() < 0.02


def test_the_plate_hardly_shines_through_a_copied_body():
    pose, references, plate, previous = inputs()
    references[:, 0, 3], references[:, 1, 3] = 1, 0
    generator = Generator(32, 1, 8)
    with torch.no_grad():
        generator.out.bias[3] = 1.0  # however much the masks ask for it
    shares = generator(pose, references, plate, previous).weights[0]
    assert shares[0].max() < 0.1 and shares[1].min() > 0.4


def test_flow_moves_copied_texture():
    _, references, _, _ = inputs()
    flow = torch.zeros(1, 2 * REFERENCES, *SIZE)
    flow[:, 0] = 8  # pixels to the right
    moved = move(references, flow)
    torch.testing.assert_close(moved[:, 0, :, :, :-8], references[:, 0, :, :, 8:], atol=1e-3, rtol=0)
    torch.testing.assert_close(moved[:, 1], references[:, 1], atol=1e-3, rtol=0)
    part = move(references, flow[..., 10:50, 20:90], (20, 10))
    torch.testing.assert_close(part, moved[..., 10:50, 20:90], atol=1e-3, rtol=0)


def test_flow_reaches_as_far_as_it_may():
    pose, references, plate, previous = inputs()
    generator = Generator(32, 1, 8, reach=8.0)
    with torch.no_grad():
        generator.flow.bias[:2] = torch.tensor([20.0, 0.0])
        flow = generator(pose, references, plate, previous).flow
    torch.testing.assert_close(flow[0, :, 0, 0], torch.tensor([8.0, 0, 0, 0]))


def test_window_sides_are_checked():
    pose, references, plate, previous = (t[..., :100, :] if t.dim() > 3 else t for t in inputs())
    with pytest.raises(AssertionError, match="multiples of 32"):
        Generator(32, 1, 8)(pose, references, plate, previous)


def test_judge_has_features_and_a_score_a_scale():
    scales = Discriminator(9, 8, 2)(torch.rand(1, 9, *SIZE))
    assert len(scales) == 2 and all(len(features) == 5 for features in scales)
    assert scales[0][-1].shape[1] == 1 and scales[0][-1].shape[-1] > scales[1][-1].shape[-1]


def test_at_more_resolution_the_same_is_composed_with_more_detail():
    torch.manual_seed(0)
    generator = Generator(16, 1, 4)
    for layer in (generator.flow, generator.out):
        torch.nn.init.normal_(layer.weight, std=0.3)
    keypoints = torch.zeros(1, 18, 3)
    keypoints[0, [1, 8, 11, 10, 13]] = torch.tensor([[32.0, 10, 1], [26, 40, 1], [38, 40, 1], [26, 60, 1], [38, 60, 1]])
    smooth = torch.nn.functional.interpolate(torch.rand(1, 11, 8, 8), size=(128, 128), mode="bicubic").clamp(0, 1)
    large, plate = smooth[0, :8].reshape(2, 4, 128, 128), smooth[0, 8:]
    few = torch.nn.functional.avg_pool2d(smooth, 2)
    with torch.inference_mode():
        generator.eval()
        rendering = generator(keypoints, few[:, :8].reshape(1, 2, 4, 64, 64), few[:, 8:], torch.zeros(1, 3, 64, 64))
        same, room = compose_at(rendering, few[0, :8].reshape(2, 4, 64, 64), few[0, 8:], (10, 5, 60, 50))
        assert torch.allclose(same, rendering.picture[0, :, 5:50, 10:60], atol=1e-3)
        assert torch.allclose(room, rendering.room[0, :, 5:50, 10:60], atol=1e-3)
        twice, _ = compose_at(rendering, large, plate, (20, 10, 120, 100))
        shrunk = torch.nn.functional.avg_pool2d(twice[None], 2)[0]
        assert (shrunk - same).abs().mean() < 0.02
        noise = large + 0.2 * torch.randn_like(large)
        noisy, _ = compose_at(rendering, noise.clamp(0, 1), plate, (20, 10, 120, 100))
        assert (noisy - twice).std() > 0.02, "detail of the copies is kept"


def test_a_rendered_arm_is_held_against_a_mask_that_wants_the_body():
    moved, plate = torch.zeros(1, 2, 4, 4, 4), torch.zeros(1, 3, 4, 4)
    moved[:, 0, 0], moved[:, 1, 1], moved[:, :, 3] = 1, 1, 1  # a red body, a green arm before all of it
    out = torch.zeros(1, 7, 4, 4)
    out[:, 4] = 2.0  # the body's share of the masks
    near = torch.zeros(1, 1, 4, 4)
    learnt, rendered = (compose(moved, plate, out, near, least)[1][0, 1].max() for least in (LEAST, LEAST_RENDERED))
    assert rendered < 0.15 < 0.3 < learnt
