"""Generator and judge."""

import pytest
import torch
from person import painted

from main.networks.discriminator import Discriminator
from main.networks.generator import REFERENCES, Generator

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
    generator = Generator(32, 1, 8, reach=8.0)
    with torch.no_grad():
        generator.flow.bias[:2] = torch.tensor([20.0, 0.0])  # saturated: 8 pixels to the right
    _, references, _, _ = inputs()
    flow = generator.flow(torch.zeros(1, 32, SIZE[0] // 4, SIZE[1] // 4))
    moved = generator._move(references, flow)
    torch.testing.assert_close(moved[:, 0, :, :, :-8], references[:, 0, :, :, 8:], atol=1e-3, rtol=0)
    torch.testing.assert_close(moved[:, 1], references[:, 1], atol=1e-3, rtol=0)


def test_window_sides_are_checked():
    pose, references, plate, previous = (t[..., :100, :] if t.dim() > 3 else t for t in inputs())
    with pytest.raises(AssertionError, match="multiples of 32"):
        Generator(32, 1, 8)(pose, references, plate, previous)


def test_judge_has_features_and_a_score_a_scale():
    scales = Discriminator(9, 8, 2)(torch.rand(1, 9, *SIZE))
    assert len(scales) == 2 and all(len(features) == 5 for features in scales)
    assert scales[0][-1].shape[1] == 1 and scales[0][-1].shape[-1] > scales[1][-1].shape[-1]
