"""From pictures to keypoints and outlines."""
