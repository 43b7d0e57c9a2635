"""A result says of itself that it is synthetic, by which program, and from which files."""

import hashlib
from dataclasses import replace

import av
import cv2
import numpy as np
import pytest
from clip_maker import moving_square
from media_maker import write_media
from rendered import step_5

from data import provenance, video
from main.config import Config
from output import img2video


@pytest.mark.parametrize("size", [(64, 48), (512, 288), (1080, 1920)])
def test_the_mark_is_small_readable_and_in_the_corner(size):
    width, height = size
    for grey in (0, 128, 255):
        picture = np.full((height, width, 3), grey, np.uint8)
        marked = provenance.mark(picture)
        changed = (marked != picture).any(-1)
        y, x = np.nonzero(changed)
        assert y.min() > 0.6 * height and (width < 100 or x.min() > 0.5 * width)
        assert np.ptp(marked[changed].astype(int)) > 200, "white on black"
        assert (picture == grey).all() and changed.mean() < 0.2


def test_tags_are_read_back_from_the_file(tmp_path):
    tags = provenance.tags({"train video": "ab" * 32, "dance": "cd" * 32})
    video.write_video(tmp_path / "a.mp4", moving_square(5), 25, metadata=tags)
    with av.open(str(tmp_path / "a.mp4")) as container:
        found = container.metadata
    assert {name: found[name] for name in tags} == tags
    assert "Synthetic" in found["comment"] and "ab" * 32 in found["comment"] and "cd" * 32 in found["comment"]
    assert provenance.PROGRAM in found["comment"] and provenance.SOURCE_TYPE in found["description"]


def test_step_5_tells_the_files_it_was_made_from(tmp_path):
    dance = write_media(tmp_path / "a.mp4", moving_square(20))
    digest = hashlib.sha256(dance.read_bytes()).hexdigest()
    for made in step_5(tmp_path / "work", dance):
        with av.open(str(made)) as container:
            assert f"dance sha256:{digest}" in container.metadata["comment"]
            assert "train video sha256:" in container.metadata["comment"]
    config = Config(workspace=tmp_path / "work", test_video=dance, mark=True)
    plain = [f for *_, f in video.read_frames(config.result_dir / "result.mp4")]
    img2video.main(config)
    marked = [f for *_, f in video.read_frames(config.result_dir / "result.mp4")]
    for a, b in zip(plain, marked, strict=True):
        assert cv2.absdiff(a, b)[30:].max() > 40 and cv2.absdiff(a, b)[:20].max() < 8
    (tmp_path / "a.person").write_bytes(b"a person")
    (tmp_path / "b.person").write_bytes(b"another")
    told = replace(config, person_file=tmp_path / "a.person", partner=tmp_path / "b.person")
    sources = img2video.origin(told, None)
    assert sources["person file"] == hashlib.sha256(b"a person").hexdigest()
    assert sources["second person file"] == hashlib.sha256(b"another").hexdigest()
