"""The report of a run: what is in it, and how a browser shows it."""

import base64
import io
import json
import re

import av
import cv2
import numpy as np
import pytest
from chromium import errors, open_browser, resize, too_wide, wait_for
from clip_maker import beeps, write_clip

from data.annotations import Annotations, fingerprint, image_name, mask_name
from main.config import Config
from output import report

SIZE = (96, 128)
COUNT = 20
TAGS = {"comment": "Synthetic, says a test"}


def annotations(video, target=""):
    pose = np.zeros((18, 3), np.float32)
    pose[1:14] = [(40 + 3 * (i % 4), 30 + 6 * i, 0.9) for i in range(13)]
    return Annotations(
        frame_numbers=np.arange(COUNT, dtype=np.int64),
        times=np.arange(COUNT) / 10,
        keypoints=np.tile(pose, (COUNT, 1, 1)),
        filled=np.zeros((COUNT, 18), bool),
        fps=10.0,
        frame_size=SIZE,
        total_frames=COUNT,
        source=video.name,
        rotation=0,
        fingerprint=fingerprint(video),
        target_fingerprint=target,
    )


@pytest.fixture
def run(tmp_path):
    """Config and dance of a run that has come to step 5."""
    frames = [np.full((128, 96, 3), 60 + 5 * i, np.uint8) for i in range(COUNT)]
    dance = write_clip(tmp_path / "<dance>.mp4", frames, fps=10, sound=beeps([0.5], 2.0))
    config = Config(workspace=tmp_path / "work", train_video=tmp_path / "she.mp4", test_video=dance, seed=7)
    write_clip(config.train_video, frames, fps=10)
    person = annotations(config.train_video)
    person.save(config.train_annotations)
    for folder in (config.images_dir, config.masks_dir, config.result_dir, config.step_logs):
        folder.mkdir(parents=True)
    for i in range(COUNT):
        cv2.imwrite(str(config.images_dir / image_name(i)), frames[i])
        cv2.imwrite(str(config.masks_dir / mask_name(i)), np.full((128, 96), 255 * (i % 2), np.uint8))
    write_clip(config.result_dir / "result.mp4", frames, fps=10, sound=beeps([0.5], 2.0))
    said = {
        "1-train": ["she.mp4: 20 frames, 1 person", "- feet cut off <often> (at 0.1 s): step back", "written: x"],
        "2": ["poses unlike all of the training: 30% of the frames", "advice: train with more such poses"],
    }
    for name, lines in said.items():
        entry = {"step": name.replace("-", " "), "began": 0, "seconds": 61.0, "megabytes": 700.0, "lines": lines}
        (config.step_logs / f"{name}.json").write_text(json.dumps(entry | {"settings": {}}))
    samples = config.checkpoint_dir / "samples"
    samples.mkdir(parents=True)
    for epoch in (0, 1, 10):
        cv2.imwrite(str(samples / f"epoch-{epoch:04d}.jpg"), np.full((40, 80, 3), 20 * epoch, np.uint8))
    rows = [
        {"epoch": e, "minutes": e / 2, "psnr": 20 + e, "ssim": 0.8, "sharpness": 0.7, "pixel": 0.1} for e in range(3)
    ]
    text = "\n".join(map(json.dumps, [*rows, rows[2] | {"psnr": 25.0}]))
    (config.checkpoint_dir / "stats.jsonl").write_text(text + '\n{"epoch": 3, "psn')
    return config, annotations(dance, person.fingerprint), frames


def test_everything_is_in_one_file(run):
    config, dance, frames = run
    path = report.write(config, frames, dance, TAGS)
    page = path.read_text(encoding="utf-8")
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    inside = [link for link in links if link.startswith("data:")]
    assert {link for link in links if not link.startswith(("data:", "#"))} == {"result.mp4", "comparison.mp4"}
    assert sum(link.startswith("data:video/mp4") for link in inside) == 3
    for name, told in (("dance", {}), ("result", TAGS), ("bones", TAGS)):
        data = re.search(rf'class="{name}"><video[^>]*src="data:video/mp4;base64,([^"]+)"', page)[1]
        with av.open(io.BytesIO(base64.b64decode(data))) as film:
            assert {key: film.metadata[key] for key in film.metadata if key == "comment"} == told
    assert sum(link.startswith("data:image/jpeg") for link in inside) == 3, "first and last grid, contact sheet"
    assert "<title>she dances &lt;dance&gt;</title>" in page and "feet cut off &lt;often&gt; (at 0.1 s)" in page
    for word in (
        "step back",
        "train with more such poses",
        "1 minute",
        "700",
        "PSNR",
        "<td>seed</td><td>7</td>",
        "torch",
    ):
        assert word in page
    assert "epoch 10" in page and "epoch 1:" not in page
    assert "minutes of training</text>" in page, "letters as letters"
    assert "currentColor" in page and "#010203" not in page
    assert not re.search(r"https?://(?!www\.w3\.org|purl\.org|creativecommons\.org)", page), "it fetches something"


def test_a_line_cut_short_and_an_epoch_told_twice(run):
    stats = report.read_stats(run[0].checkpoint_dir)
    assert [record["epoch"] for record in stats] == [0, 1, 2] and stats[2]["psnr"] == 25


def test_findings_and_advice_are_told_apart():
    lines = ["a.mp4: 3 frames", "- dark (at 1:30 s): use light", "advice: choose another", "written: x"]
    assert report.findings(lines) == [("dark (at 1:30 s)", "use light"), ("choose another", "")]


def test_without_training_and_logs_it_is_still_a_report(run):
    config, dance, frames = run
    for path in (*config.step_logs.iterdir(), config.train_annotations, config.checkpoint_dir / "stats.jsonl"):
        path.unlink()
    for path in (config.checkpoint_dir / "samples").iterdir():
        path.unlink()
    page = report.write(config, frames, dance, TAGS).read_text(encoding="utf-8")
    assert "Nothing was trained" in page and "What could be better" not in page


def test_a_browser_shows_and_plays_it(run):
    config, dance, frames = run
    path = report.write(config, frames, dance, TAGS)
    with open_browser() as browser:
        browser.get(path.as_uri())
        films = "[...document.querySelectorAll('video')]"
        wait_for(lambda: browser.execute_script(f"return {films}.every(film => film.readyState >= 2)"), 30)
        sizes = browser.execute_script(f"return {films}.map(film => [film.videoWidth, film.videoHeight, film.muted])")
        assert sizes == [[270, 360, True], [270, 360, False], [270, 360, True]]
        browser.execute_script("document.getElementById('together').click()")
        wait_for(lambda: browser.execute_script(f"return {films}.every(film => film.currentTime > 0.3)"), 30)
        assert browser.execute_script(
            "return [...document.images].every(image => image.complete && image.naturalWidth > 0)"
        )
        assert not too_wide(browser) and not errors(browser)
        resize(browser, 390, 800)
        assert not too_wide(browser)
