"""The page: its words, and the whole of it in a real browser, from two videos to the result."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from chromium import errors, open_browser, resize, too_wide, wait_for
from places import ROOT
from tiny_pair import cut

from data import video
from main import studio
from main.jobs import Job, Studio
from pose_detector.errors import InputError

LONGEST = 900  # seconds for what takes half a minute on a quiet computer


def test_advice_tells_what_to_do():
    told = {
        "lines": ["a.mp4: 20 of about 60 frames, 2 people", "- feet cut off (at 1:30 s): step back"],
        "people": [1, 2],
    }
    told["lines"] += [
        "- 2 people: alone is best; --person 1 names another",
        "- small: go near (or a larger --size); --x",
    ]
    text = studio.advice(told)
    assert "**feet cut off (at 1:30 s)**: step back" in text and "Click on the one" in text
    assert "- **small**: go near" in text and "--" not in text and "alone" not in text and text.startswith("2 people.")
    assert "is taken" in studio.advice(told, clicked=True) and "Click on the one" not in studio.advice(told, True)
    assert "Nothing wrong" in studio.advice({"lines": ["a.mp4: 20 frames"], "people": [1]})


def test_the_words_of_a_run():
    person, dance = {"video": "/v/me-0123abcd.mp4"}, {"video": "/v/dance.mp4", "place": (1.5, 0.25, 0.5)}
    preview, normal, _ = studio.SPEEDS
    place = ["--test_dancer", "1.5000", "0.2500", "0.5000"]
    assert studio.words_for(person, dance, None, preview) == [person["video"], dance["video"], *place, "--epochs", "0"]
    assert studio.words_for(person, dance, None, normal)[-2:] == ["--max_minutes", "10"]
    assert studio.words_for({}, dance, "a.person", normal) == ["--person_file", "a.person", dance["video"], *place]
    sample = [{"video": str(path)} for path in studio.SAMPLE.values()]
    assert studio.words_for(*sample, None, normal)[-4:] == ["--second_look", "bundled", "--max_minutes", "2"]
    for chosen in (({}, dance), (person, {}), ({}, {})):
        with pytest.raises(InputError, match="choose"):
            studio.words_for(*chosen, None, normal)
    assert studio.title_of(Path(person["video"])) == "me" and studio.title_of(Path("my-dance.mp4")) == "my-dance"
    assert studio.title_of(studio.SAMPLE["test"]) == "the sample dance"


def test_everybody_who_is_learnt_has_a_name_of_their_own(tmp_path):
    made = Studio(tmp_path, start=False)
    for number, name in ((1, "anna-0123abcd"), (2, "ben-01234567"), (3, "anna-0123abcd")):
        path = tmp_path / "jobs" / f"{number:04d}" / "output" / "persons" / f"{name}.person"
        path.parent.mkdir(parents=True)
        path.touch()
    names = dict(studio._persons(made))
    assert list(names)[1:] == ["anna", "ben", "anna (2)"] and "0003" in names["anna (2)"]


def test_progress_in_words(tmp_path):
    job = Job(1, "me <b> dances", [], "", "running", folder=tmp_path)
    assert "Looks at both videos" in studio.describe(job) and "me &lt;b&gt; dances" in studio.describe(job)
    job.journal.parent.mkdir()
    line = {"step": "3", "name": "training", "done": 30, "total": 120, "left": 40.0, "all_left": 100.0}
    job.journal.write_text(json.dumps(line))
    text = studio.describe(job)
    assert "Step 3 of 5, about 2 minutes left" in text and "width:25%" in text and text.count("✓") == 3
    job.state, job.message = "failed", "no <person>"
    assert "no &lt;person&gt;" in studio.describe(job)
    job.state = "done"
    assert "Done" in studio.describe(job)


@pytest.fixture
def clips(tmp_path):
    return cut(tmp_path, 24, (320, 192))


@contextlib.contextmanager
def serving(script, folder, *settings):
    """The page, served by a process of its own that runs a script."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = ["--workspace", str(folder / "work"), "--port", str(port), "--no_browser"]
    log = open(folder / "log.txt", "w")
    process = subprocess.Popen(
        [sys.executable, str(script), *place, *settings], stdout=log, stderr=subprocess.STDOUT, cwd=ROOT
    )
    url = f"http://127.0.0.1:{port}"

    def answers():
        assert process.poll() is None, (folder / "log.txt").read_text()
        try:
            return urllib.request.urlopen(url, timeout=5).status == 200
        except OSError:
            return False

    try:
        wait_for(answers, LONGEST)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()


@pytest.fixture
def address(tmp_path):
    with serving(ROOT / "main" / "studio.py", tmp_path, "--second_look", "bundled", "--frame_area", "61440") as url:
        yield url


# Looks that see two people, and runs that take no time.
STAND_IN = """
import sys
sys.path.insert(0, ROOT)
import cv2, numpy as np
from pathlib import Path
from main import jobs, studio

BOXES = [[0.1, 0.2, 0.3, 0.9], [0.6, 0.2, 0.8, 0.9]]

def look(self, video, mode, place=None):
    picture = np.full((200, 400, 3), 90, np.uint8)
    k = int(place is not None and place[1] > 0.5)
    cv2.rectangle(picture, (40 + 200 * k, 40), (120 + 200 * k, 180), (0, 255, 0), 3)
    path = self.folder / "looks" / f"{mode}{k}.png"
    cv2.imwrite(str(path), picture)
    lines = ["a.mp4: 20 of about 60 frames, 2 people", "- 2 people: alone is best; --person 1"]
    return path, {"lines": lines, "people": BOXES, "time": 1.5, "picture": [400, 200]}

jobs.Studio.look, jobs.ROOT = look, Path(__file__).parent
studio.main(sys.argv[1:])
"""
RUN = """
import sys
from pathlib import Path
folder = Path(sys.argv[-1].split("=", 1)[1])
person = folder / "output" / "persons" / (Path(sys.argv[1]).stem + ".person")
person.parent.mkdir(parents=True)
if "--person_file" not in sys.argv:
    person.touch()
"""


def find(browser, selector):
    return browser.find_elements("css selector", selector)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt" or "CI" in os.environ, reason="Chromium may hang beside other work: run by hand")
def test_from_two_videos_to_a_result_that_plays(address, clips, tmp_path):
    with open_browser() as browser:
        browser.get(address)
        wait_for(lambda: find(browser, "#test-file input[type=file]"), 60)
        broken = tmp_path / "broken.mp4"
        broken.write_bytes(b"no video")
        find(browser, "#train-file input[type=file]")[0].send_keys(str(broken))
        wait_for(lambda: "cannot be used" in find(browser, "#train-notes")[0].text, 120)
        find(browser, "#train-file button[aria-label='Clear']")[0].click()
        for mode, clip in zip(("train", "test"), clips, strict=True):
            wait_for(lambda mode=mode: find(browser, f"#{mode}-file input[type=file]"), 30)
            find(browser, f"#{mode}-file input[type=file]")[0].send_keys(str(clip))
        for mode in ("train", "test"):
            wait_for(lambda mode=mode: find(browser, f"#{mode}-poster img"), 300)
            assert "1 person" in find(browser, f"#{mode}-notes")[0].text
        browser.execute_script(
            "[...document.querySelectorAll('label')].find(x => /^Not at all/.test(x.innerText)).click()"
        )
        browser.execute_script("document.querySelector('#make').click()")
        wait_for(lambda: "Step" in find(browser, "#progress")[0].text, LONGEST)
        wait_for(lambda: "Done" in find(browser, "#progress")[0].text, LONGEST)
        films = "[...document.querySelectorAll('#dance video, #result video')]"
        wait_for(lambda: browser.execute_script(f"return {films}.filter(film => film.readyState >= 2).length == 2"), 60)
        browser.execute_script("document.querySelector('#together').click()")
        wait_for(lambda: browser.execute_script(f"return {films}.every(film => film.currentTime > 0.2)"), 30)
        result = "document.querySelector('#result video')"
        muted, sound = browser.execute_script(f"return [{result}.muted, {result}.webkitAudioDecodedByteCount]")
        assert not muted and sound > 0
        assert not errors(browser) and not too_wide(browser)
        resize(browser, 390, 800)
        assert not too_wide(browser)
    jobs = tmp_path / "work" / "output" / "studio" / "jobs"
    assert video.probe(jobs / "0001" / "output" / "result" / "result.mp4").has_audio
    for path in ("/etc/passwd", ROOT / "run.py", tmp_path / "log.txt"):
        with pytest.raises(urllib.error.HTTPError, match="40"):
            urllib.request.urlopen(f"{address}/gradio_api/file={path}", timeout=30)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt" or "CI" in os.environ, reason="Chromium may hang beside other work: run by hand")
def test_a_click_chooses_the_dancer_and_who_was_learnt_dances_again(tmp_path):
    (tmp_path / "page.py").write_text(f"ROOT = {str(ROOT)!r}\n{STAND_IN}")
    (tmp_path / "run.py").write_text(RUN)
    with serving(tmp_path / "page.py", tmp_path) as url, open_browser() as browser:
        browser.get(url)
        for mode in ("train", "test"):
            (tmp_path / f"{mode}-clip.mp4").write_bytes(mode.encode())
            wait_for(lambda mode=mode: find(browser, f"#{mode}-file input[type=file]"), LONGEST)
            find(browser, f"#{mode}-file input[type=file]")[0].send_keys(str(tmp_path / f"{mode}-clip.mp4"))
            wait_for(lambda mode=mode: "Click on the one" in find(browser, f"#{mode}-notes")[0].text, LONGEST)
        poster = find(browser, "#test-poster img")[0]
        chain = pytest.importorskip("selenium.webdriver").ActionChains(browser)
        chain.move_to_element_with_offset(poster, int(0.2 * poster.rect["width"]), 0).click().perform()
        wait_for(lambda: "is taken" in find(browser, "#test-notes")[0].text, LONGEST)

        def words(number):
            browser.execute_script("document.querySelector('#make').click()")
            wait_for(lambda: len(find(browser, "#runs label")) == number, LONGEST)
            path = tmp_path / "work" / "output" / "studio" / "jobs" / f"{number:04d}"
            wait_for(lambda: Job.load(path).state == "done", LONGEST)
            return Job.load(path).words

        first = words(1)
        assert first[first.index("--test_dancer") :][:4] == ["--test_dancer", "1.5000", "0.7000", "0.5500"]
        assert "--train_dancer" not in first
        wait_for(lambda: find(browser, "#trained input"), LONGEST)
        find(browser, "#trained input")[0].click()
        wait_for(lambda: len(find(browser, "ul[role=listbox] li")) == 2, LONGEST)
        find(browser, "ul[role=listbox] li")[1].click()
        gone = "return !document.querySelector('#speed')?.offsetParent"
        wait_for(lambda: browser.execute_script(gone), LONGEST)  # there is nothing to learn
        again = words(2)
        assert again[0] == "--person_file" and again[1].endswith(".person") and "--max_minutes" not in again
        assert not errors(browser)
