"""Stand-ins for the networks of step 1."""

import cv2
import numpy as np

from pose_detector.crop import body_circle
from pose_detector.look import EXTRA_NAMES, Look

SIZE = 64


class StubLooker:
    """Sees whoever `find` tells of, keypoints (18, 3) in pixels of the frame or None, as a thick skeleton's hull."""

    first_look_trust = 0.0

    def __init__(self, find):
        self.find, self.crops = find, []

    def first_crop(self, keypoints):
        return body_circle(keypoints, 1.25)

    def look(self, frame, crop):
        self.crops.append(crop)
        keypoints, outline = self.find(frame), np.zeros((SIZE, SIZE), np.float32)
        nothing = np.zeros((len(EXTRA_NAMES), 3), np.float32)
        if keypoints is None:
            return Look(np.zeros((18, 3), np.float32), nothing, outline, 0.0, crop, crop)
        points = crop.to_crop(keypoints[keypoints[:, 2] > 0, :2], SIZE)
        cv2.fillConvexPoly(outline, cv2.convexHull(np.rint(points).astype(np.int32)), 1.0)
        extra = nothing.copy()
        extra[0] = *keypoints[4, :2], 0.5
        return Look(keypoints.astype(np.float32), extra, outline, 1.0, crop, body_circle(keypoints, 1.25) or crop)


class Somebody(StubLooker):
    """Sees somebody in the middle of every crop."""

    def __init__(self):
        super().__init__(None)

    def look(self, frame, crop):
        keypoints = np.zeros((18, 3), np.float32)
        outline = np.zeros((SIZE, SIZE), np.float32)
        outline[16:48, 24:40] = 1
        return Look(keypoints, np.zeros((10, 3), np.float32), outline, 1.0, crop, crop)


class OneOf(StubLooker):
    """Sees whoever of some people, keypoints (18, 3), stands in the middle of the crop; nobody where none does."""

    def __init__(self, *people):
        super().__init__(lambda frame: self.person)
        self.people = people

    def look(self, frame, crop):
        crops = [body_circle(person, 1.25) for person in self.people]
        inside = [max(abs(one.x - crop.x), abs(one.y - crop.y)) < crop.side / 4 for one in crops]
        self.person = next((person for person, here in zip(self.people, inside, strict=True) if here), None)
        return super().look(frame, crop)


class StubNetworks:
    """What `main.perception.Networks` offers, for a detector and a looker that are there already."""

    def __init__(self, weights, detector=None, looker=None, kind="bundled"):
        self.weights, self.detector, self.looker, self.kind = weights, detector, looker, kind

    def first(self):
        return self.weights, "a test"

    def load_first(self, _):
        assert self.detector is not None, "no detector is needed"
        return lambda batches: (self.detector(batch) for batch in batches)

    def second(self):
        return self.kind, self.weights, "a test"

    def load_second(self, *_):
        assert self.looker is not None, "no second look is needed"
        return self.looker
