"""Figures of quality and the terms of the loss, on exact cases."""

import cv2
import numpy as np
import pytest
import torch
from person import painted

from main import losses, metrics

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (64, 80, 3), dtype=np.uint8)


def test_equal_pictures_are_perfect():
    scores = metrics.compare(PICTURE, PICTURE, (5, 5, 60, 50))
    assert scores["psnr"] > 100 and scores["ssim"] == pytest.approx(1) and scores["sharpness"] == pytest.approx(1)


def test_psnr_of_a_known_error():
    other = np.clip(PICTURE.astype(int), 10, 245).astype(np.uint8)
    assert metrics.psnr(other + np.uint8(10), other) == pytest.approx(20 * np.log10(255 / 10))


def test_blur_lowers_sharpness_and_ssim():
    scores = metrics.compare(cv2.GaussianBlur(PICTURE, (0, 0), 2), PICTURE, (0, 0, 79, 63))
    assert scores["sharpness"] < 0.2 and scores["ssim"] < 0.5


def test_only_the_box_counts():
    other = PICTURE.copy()
    other[:, 70:] = 0
    assert metrics.compare(other, PICTURE, (0, 0, 60, 63))["psnr"] > 100


def test_small_boxes_at_the_rim_are_widened():
    assert metrics.within_box(PICTURE, (78, 62, 79, 63)).shape == (11, 11, 3)


def test_face_and_hands_weigh_most():
    pose = torch.from_numpy(painted(1)[1])
    real = torch.rand(1, 3, 128, 160) * 0.5
    weight = losses.pixel_weights(pose, real, 1 - real * 0.2, gain=3.0)[0, 0]
    x, y = pose[0, 4, :2].round().int().tolist()
    assert weight[y, x] > 3.9 and weight[-1, 0] < 1.01
    assert (losses.pixel_weights(pose * 0, real, real + 0.1) == 1).all()
    assert (losses.pixel_weights(pose * 0, real, real) == 4).all()


def test_judges_losses_at_their_extremes():
    def scores(value):
        return [[torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), value)]]

    assert losses.discriminator_loss(scores(1.0), scores(0.0)) == 0
    assert losses.adversarial_loss(scores(1.0)) == 0 and losses.adversarial_loss(scores(0.0)) == 1
    assert losses.feature_matching_loss(scores(1.0), scores(0.0)) == 0  # the score itself does not count


def test_ssim_loss_is_the_mean_over_windows_as_defined():
    rng = np.random.default_rng(1)
    fake, real = rng.random((2, 1, 3, 10, 12)).astype(np.float32)
    values = []
    for channel, y, x in np.ndindex(3, 4, 6):
        a, b = (p[0, channel, y : y + 7, x : x + 7].astype(np.float64) for p in (fake, real))
        means = (2 * a.mean() * b.mean() + 1e-4) / (a.mean() ** 2 + b.mean() ** 2 + 1e-4)
        covariance = ((a - a.mean()) * (b - b.mean())).mean()
        values.append(means * (2 * covariance + 9e-4) / (a.var() + b.var() + 9e-4))
    found = losses.ssim_loss(torch.from_numpy(fake), torch.from_numpy(real), window=7)
    assert float(found) == pytest.approx(1 - np.mean(values), abs=1e-4)
    assert float(losses.ssim_loss(torch.from_numpy(real), torch.from_numpy(real))) == pytest.approx(0, abs=1e-5)


def test_detail_loss_counts_blur_and_not_a_shift():
    real = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    real = torch.nn.functional.interpolate(real, scale_factor=2, mode="bicubic").clamp(0, 1)
    shifted, blurred = real.roll(1, 3), torch.nn.functional.avg_pool2d(real, 5, 1, 2)
    assert losses.detail_loss(real, real) == 0
    assert losses.detail_loss(blurred, real) > 2 * losses.detail_loss(shifted, real)
    # A flat picture has the least strength there is, 0.01: nearly all is missing, at a place and around it.
    assert losses.detail_loss(torch.full_like(real, 0.5), real) == pytest.approx(2, abs=0.4)


def test_preview_loss_is_the_mean_distance_to_the_shrunk_picture():
    real = torch.zeros(1, 3, 8, 8)
    real[..., :4] = 1.0
    halves = torch.nn.functional.avg_pool2d(real, 4)
    assert losses.preview_loss([halves], real) == 0
    assert losses.preview_loss([halves, halves + 0.5], real) == pytest.approx(0.25)
    assert losses.preview_loss([], real) == 0


def test_perceptual_loss_is_zero_for_equals_and_moves_the_picture():
    class Features(torch.nn.Module):
        def forward(self, x):
            return [x, torch.nn.functional.avg_pool2d(x, 2)]

    loss = losses.PerceptualLoss(Features(), (1.0, 1.0))
    real = torch.rand(1, 3, 8, 8)
    fake = torch.rand(1, 3, 8, 8, requires_grad=True)
    assert loss(real, real) == 0
    loss(fake, real).backward()
    assert fake.grad.abs().sum() > 0


def test_iou_of_known_masks():
    left, right = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
    left[:, :4], right[:, 2:] = True, True
    assert metrics.iou(left, right) == pytest.approx(8 / 24)
    assert metrics.iou(left, left) == 1 and metrics.iou(left, ~left) == 0
    assert np.isnan(metrics.iou(left & right & ~left, np.zeros((4, 6), bool)))


def test_a_keypoint_is_found_within_its_reach_and_only_where_both_are_seen():
    truth = np.zeros((2, 18, 3), np.float32)
    truth[..., :2], truth[..., 2] = 50, 1
    ours = truth.copy()
    ours[0, 0, 0] += 19  # of a torso of 100 pixels
    ours[0, 1, 0] += 21
    ours[1, 0, 0] += 19  # of a torso of 50
    ours[0, 2, 2] = 0
    truth[0, 3, 2] = 0
    found = metrics.found(ours, truth, np.array([100.0, 50.0]))
    assert found[0].tolist() == [True, False, False, False] + 14 * [True]
    assert not found[1, 0] and found[1, 1:].all()
    assert not metrics.found(ours, truth, np.nan).any()
