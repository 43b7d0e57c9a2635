"""Keypoints found again in the result, with a stub in the detector's place."""

import numpy as np

from main.evaluate import found_again


def detector(real, ours):
    """Sees these people, (P, 18, 3) each, in the real frame and in the result."""
    return lambda frames: [(people[..., :2], people[..., 2]) for people in (real, ours)]


def people(*offsets):
    """A person with a torso of 40 pixels for each offset to the right."""
    keypoints = np.ones((len(offsets), 18, 3))
    keypoints[:, [8, 11], 1] = 41
    keypoints[..., 0] += np.array(offsets).reshape(-1, 1)
    return keypoints


def test_the_person_who_fits_best_counts():
    real = people(0)
    real[0, 3, 2] = 0.3  # not sure
    sure, again = found_again(detector(real, people(100, 7.9)), None, None)
    assert again.sum() == 17 and not sure[3] and not again[3]
    assert found_again(detector(real, people(8.1)), None, None)[1].sum() == 0


def test_nobody_in_one_of_the_frames():
    nobody = people()
    assert not np.any(found_again(detector(nobody, people(0)), None, None))
    sure, again = found_again(detector(people(0), nobody), None, None)
    assert sure.all() and not again.any()
    no_hip = people(0)
    no_hip[0, 8, 2] = 0
    assert not np.any(found_again(detector(no_hip, people(0)), None, None))
