"""The five steps on a page in the browser: drop two videos, press a button, watch, play the result.

  ./run.sh --web                  installs what the page needs, and opens it
  python main/studio.py --help    its few settings

It listens on this computer alone unless told otherwise, and keeps everything in output/studio. What it runs is
`run.py`, as on the command line.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before Gradio is imported; nothing leaves this computer

try:
    import gradio as gr
except ImportError:
    gr = None  # `main` says so

from data import pictures
from data.files import only_run
from data.progress import in_words
from main.jobs import MOST_BYTES, VIDEOS, Job, Place, Progress, Studio, read_progress
from pose_detector.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = {mode: ROOT / "data" / "sample" / f"{mode}.mp4" for mode in ("train", "test")}
TICK = 1.0  # seconds
TITLES = {
    "1 train": "Look at the person",
    "1 test": "Look at the dance",
    "2": "Fit the dance to the person",
    "3": "Learn to draw the person",
    "4": "Draw every frame",
    "5": "Add the sound",
}
STATES = {"waiting": "waits", "running": "at work", "done": "done", "stopped": "stopped", "failed": "failed"}
SPEEDS = ["Not at all: a quick preview", "Up to 10 minutes", "Up to an hour"]
MINUTES = (0, 10, 60)
CSS = """
.gradio-container { width: 100%; max-width: 68rem !important; margin: 0 auto !important; }
h1 { letter-spacing: -.015em; } .soft { opacity: .7; }
.steps { list-style: none; margin: 0; padding: 0; display: grid; gap: .35rem; }
.steps li { display: grid; grid-template-columns: 1.4rem 1fr auto; align-items: baseline; opacity: .55; }
.steps li.now, .steps li.over { opacity: 1; } .steps li.now { font-weight: 600; }
.bar { height: .5rem; border-radius: 99px; background: rgba(128, 128, 128, .25); overflow: hidden; margin: .6rem 0; }
.bar div { height: 100%; background: #2f7fd6; border-radius: 99px; transition: width .6s; }
.left { font-size: 1.25rem; font-weight: 600; margin: 0; }
.wrong { border-left: 3px solid #d64545; padding-left: .7rem; }
#sample img { max-height: 34rem; object-fit: cover; object-position: top; }
#sample img, .poster img { border-radius: 8px; } .poster { cursor: pointer; }
.poster .icon-button-wrapper { display: none; } .notes { opacity: 1 !important; }
#try-sample { align-self: end; max-width: 16rem; }
@media (max-width: 480px) { .gradio-container { padding: .6rem !important; } }
"""
TOGETHER = """() => {
  const films = [...document.querySelectorAll("#dance video, #result video")];
  const stop = films.some(film => !film.paused);
  document.querySelector("#dance video").muted = true;  // the result has the same sound
  for (const film of films) {
    if (stop) film.pause(); else { film.currentTime = 0; film.play(); }
  }
}"""

_SETTING = r"\s*\([^)]*--[^)]*\)|;[^;]*--[^;]*"  # what names one, in brackets or between semicolons

Chosen = dict[str, Any]  # "video": str, and "place" where somebody was clicked on; empty: nothing chosen


# ---- What the page shows, as text ------------------------------------------------------------------------------------


def advice(told: dict[str, Any], clicked: bool = False) -> str:
    """Markdown of what a look tells of a video. What a page has no use for, settings, is left out.

    Args:
        told: as of `Studio.look`.
        clicked: whether somebody was clicked on.
    """
    first, *findings = told["lines"]
    text = re.sub(r"^\d+ of about \d+ frames, ", "", first.partition(": ")[2])
    lines = [f"{text[:1].upper()}{text[1:]}{' of the frames' * text.endswith('%')}.\n"]
    several = len(told["people"]) > 1
    if clicked:
        lines.append("**The one with the green outline is taken.** Click on another to change that.\n")
    elif several:
        lines.append("**Click on the one who is meant.** The green outline shows who is taken now.\n")
    for line in findings:
        what, _, remedy = line.removeprefix("- ").rpartition(": ")
        if not (several and re.match(r"\d+ people", what)):
            lines.append(f"- **{what}**: {re.sub(_SETTING, '', remedy)}")
    if not findings:
        lines.append("Nothing wrong was seen.")
    return "\n".join(lines)


def describe(job: Job | None) -> str:
    """HTML of where a run is."""
    if job is None:
        return ""
    name = f"<p class='soft'>{html.escape(job.name)}</p>"
    if job.state == "failed":
        return f'{name}<p class="wrong">{html.escape(job.message)}</p>'
    if job.state == "waiting":
        return f"{name}<p class='left'>Waits until those before it are done</p>"
    progress = read_progress(job.journal)
    if job.state == "done":
        return f'{name}<p class="left">Done</p>'
    head = "Stopped. It can go on from here." if job.state == "stopped" else _headline(progress)
    steps = list(TITLES)
    here = steps.index(progress.step) if progress.step in steps else -1
    items = []
    for i, step in enumerate(steps):
        mark, kind = ("✓", "over") if i < here else ("●", "now") if i == here else ("○", "")
        right = f"{progress.share:.0%}" if i == here and progress.total else ""
        items.append(f'<li class="{kind}"><span>{mark}</span><span>{TITLES[step]}</span><span>{right}</span></li>')
    bar = f'<div class="bar"><div style="width:{100 * progress.share:.0f}%"></div></div>' if here >= 0 else ""
    return f'{name}<p class="left">{head}</p>{bar}<ul class="steps">{"".join(items)}</ul>'


def _headline(progress: Progress) -> str:
    if not progress.step:
        return "Looks at both videos"
    where = f"Step {progress.step.split()[0]} of 5"
    left = progress.all_left if progress.all_left is not None else progress.left
    return where if left is None else f"{where}, about {in_words(left)} left"


def words_for(person: Chosen, dance: Chosen, trained: str | None, speed: str) -> list[str]:
    """The words for `run.py`.

    Raises:
        InputError: something is not chosen yet.
    """
    if not dance:
        raise InputError("choose a dance first")
    if trained:
        words = ["--person_file", trained, dance["video"]]
    elif person:
        words = [person["video"], dance["video"]]
    else:
        raise InputError("choose a video of the person first")
    for mode, chosen in (("train", person), ("test", dance)):
        if chosen.get("place") and not (trained and mode == "train"):
            words += [f"--{mode}_dancer", *(f"{value:.4f}" for value in chosen["place"])]
    minutes = MINUTES[SPEEDS.index(speed)]
    if {Path(chosen["video"]) for chosen in (person, dance) if chosen} == set(SAMPLE.values()):
        words += ["--second_look", "bundled"]  # nothing is fetched for it
        minutes = min(minutes, 2)
    if not trained:
        words += ["--max_minutes", str(minutes)] if minutes else ["--epochs", "0"]
    return words


def title_of(path: Path) -> str:
    """What a video that was kept, or a person's file, is called on the page."""
    sample = {"train": "the sample person", "test": "the sample dance"}  # all others have a digest in their name
    return sample.get(path.stem) or re.sub(r"-[0-9a-f]{8}$", "", path.stem)


def nearest(told: dict[str, Any], x: float, y: float) -> list[float]:
    """The box (left, top, right, bottom) of the person nearest to a click; all are shares of the picture's sides."""

    def distance(box: list[float]) -> float:
        return max(box[0] - x, 0, x - box[2]) + max(box[1] - y, 0, y - box[3])

    return min(told["people"], key=distance)


def place_of(told: dict[str, Any], box: list[float]) -> Place:
    """Of somebody: when, and the middle of their box."""
    return told["time"], (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def framed(picture: np.ndarray, box: list[float]) -> np.ndarray:
    """A copy of a picture (H, W, 3) uint8 RGB with a frame around a box, shares of its sides."""
    corners = np.rint(np.reshape(box, (2, 2)) * picture.shape[1::-1]).astype(int)
    corners += np.array([[-4, -8], [4, 8]])  # hair and hands go beyond the keypoints
    canvas = picture.copy()
    for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 2)):
        cv2.rectangle(canvas, corners[0].tolist(), corners[1].tolist(), colour, thickness, cv2.LINE_AA)
    return canvas


# ---- The page --------------------------------------------------------------------------------------------------------


def build(studio: Studio, settings: list[str]) -> gr.Blocks:
    """The page.

    Args:
        studio: what it shows.
        settings: put behind those of every run.
    """
    with gr.Blocks(title="Everybody Dance Now", analytics_enabled=False) as page:
        with gr.Row():
            with gr.Column(scale=3, min_width=300):
                gr.Markdown("# Everybody Dance Now\nThe person of one video does the dance of another.")
            sample = gr.Button("Try it with the sample pair", size="sm", elem_id="try-sample")
        person, trained, filmed, dance = _videos(studio)
        gr.Markdown("### 3. The video")
        with gr.Row(equal_height=True):
            speed = gr.Radio(
                SPEEDS, value=SPEEDS[1], label="How long may it learn the person?", scale=3, elem_id="speed"
            )
            make = gr.Button("Make the video", variant="primary", elem_id="make", scale=1, min_width=200)
        runs, watched = _watching(studio)
        shown = gr.State("")
        outputs = [*watched, trained, shown]

        def refresh(number: int | None, before: str) -> list[Any]:
            return _refreshed(studio, number, before)

        def start(one: Chosen, other: Chosen, file: str, how: str) -> gr.Radio:
            try:
                words = words_for(one, other, file or None, how)
            except InputError as error:
                raise gr.Error(str(error), duration=5, print_exception=False) from None
            dance_path = Path(other["video"])
            name = f"{title_of(Path(file or one['video']))} dances {title_of(dance_path)}"
            job = studio.add(name, [*words, *settings], dance_path)
            return gr.Radio(_runs(studio), value=job.number, visible=True)

        def choose(file: str) -> tuple[gr.Column, gr.Radio]:
            return gr.Column(visible=not file), gr.Radio(visible=not file)

        trained.change(choose, trained, [filmed, speed], show_progress="hidden")
        make.click(start, [person, dance, trained, speed], runs).then(refresh, [runs, shown], outputs)
        sample.click(
            lambda: ({"video": str(SAMPLE["train"])}, {"video": str(SAMPLE["test"])}, ""),
            None,
            [person, dance, trained],
        )
        _keep_fresh(page, runs, refresh, [runs, shown], outputs)
    return page


def _videos(studio: Studio) -> tuple[gr.State, gr.Dropdown, gr.Column, gr.State]:
    """Where person and dance are chosen: the person, a trained one instead, what is hidden then, and the dance."""
    with gr.Row():
        with gr.Column(min_width=300):
            gr.Markdown("### 1. The person")
            known = bool(studio.persons())
            trained = gr.Dropdown(_persons(studio), value="", show_label=False, visible=known, elem_id="trained")
            with gr.Column() as filmed:
                person = _chooser(studio, "train", "20 seconds or more, whole body, a camera that stands still")
        with gr.Column(min_width=300):
            gr.Markdown("### 2. The dance")
            dance = _chooser(studio, "test", "One dancer, whole body, with the music")
    return person, trained, filmed, dance


def _watching(studio: Studio) -> tuple[gr.Radio, list[Any]]:
    """The runs, and all that shows the chosen one, in the order of `_refreshed`."""
    heading = gr.Markdown("## Your videos", visible=bool(studio.jobs))
    runs = gr.Radio(_runs(studio), value=_newest(studio), show_label=False, visible=bool(studio.jobs), elem_id="runs")
    with gr.Row():
        with gr.Column(min_width=280):
            progress = gr.HTML(describe(None), elem_id="progress")
            with gr.Row():
                enough = gr.Button("Good enough", visible=False, elem_id="enough")
                stop = gr.Button("Stop", visible=False, elem_id="stop")
                resume = gr.Button("Go on", visible=False, elem_id="resume")
        label = "Learnt so far: pose, filmed, drawn, difference"
        picture = gr.Image(label=label, visible=False, elem_id="sample", buttons=[])
    with gr.Row(visible=False) as films:
        dance = gr.Video(label="The dance", interactive=False, elem_id="dance", min_width=280, buttons=[])
        result = gr.Video(label="The result", interactive=False, elem_id="result", min_width=280, buttons=[])
    with gr.Row(visible=False) as buttons:
        gr.Button("Play both together", elem_id="together").click(None, js=TOGETHER)
        save = gr.DownloadButton("Download the video", elem_id="download")
        report = gr.DownloadButton("Download the report", elem_id="report")
    for button, action in ((enough, studio.enough), (stop, studio.stop), (resume, studio.resume)):
        button.click(_on_job(studio, action), runs, None)  # what has changed is seen with the next tick
    return runs, [
        heading, runs, progress, enough, stop, resume, picture, films, buttons, dance, result, save, report,
    ]  # fmt: skip


def _keep_fresh(page: gr.Blocks, runs: gr.Radio, refresh: Any, inputs: list[Any], outputs: list[Any]) -> None:
    runs.change(refresh, inputs, outputs, show_progress="hidden")
    gr.Timer(TICK).tick(refresh, inputs, outputs, show_progress="hidden", queue=False)
    page.load(refresh, inputs, outputs, show_progress="hidden")


def _chooser(studio: Studio, mode: str, hint: str) -> gr.State:
    """A place to drop a video in, with what is seen of it; holds the `Chosen` one."""
    with gr.Column(min_width=300):
        gr.Markdown(f"<span class='soft'>{hint}</span>")
        file = gr.File(file_types=list(VIDEOS), label="Drop a video", elem_id=f"{mode}-file", height=140)
        poster = gr.Image(
            show_label=False,
            interactive=False,
            visible=False,
            elem_id=f"{mode}-poster",
            elem_classes="poster",
            buttons=[],
        )
        notes = gr.Markdown(elem_id=f"{mode}-notes", elem_classes="notes")
        told = gr.State({})
        chosen = gr.State({})

    def keep(path: str | None) -> Chosen:
        if not path:
            return {}
        try:
            kept = studio.keep(Path(path))
        except InputError as error:
            raise gr.Error(str(error), duration=10, print_exception=False) from None
        finally:
            Path(path).unlink(missing_ok=True)  # Gradio's copy
        return {"video": str(kept)}

    def look(now: Chosen) -> tuple[Any, ...]:
        if not now:
            return gr.Image(visible=False), "", {}
        try:
            picture, seen = studio.look(Path(now["video"]), mode, now.get("place"))
        except InputError as error:
            return gr.Image(visible=False), f"**This video cannot be used.** {error}", {}
        text = advice(seen, "place" in now)
        if mode == "train" and any(path.stem == Path(now["video"]).stem for path in studio.persons()):
            text = f"**Learnt already:** choose {title_of(Path(now['video']))} above to save the time.\n\n{text}"
        return gr.Image(str(picture), visible=True), text, seen

    def click(now: Chosen, seen: dict[str, Any], event: gr.SelectData) -> tuple[Any, ...]:
        if not now or len(seen.get("people", ())) < 2:
            return now, gr.skip()
        width, height = seen["picture"]
        box = nearest(seen, event.index[0] / width, event.index[1] / height)
        picture = pictures.read(studio.look(Path(now["video"]), mode, now.get("place"))[0])
        return now | {"place": place_of(seen, box)}, framed(picture, box)

    file.upload(keep, file, chosen)
    file.clear(lambda: {}, None, chosen)
    chosen.change(_looking, chosen, notes, show_progress="hidden").then(
        look, chosen, [poster, notes, told], show_progress="hidden"
    )
    poster.select(click, [chosen, told], [chosen, poster], show_progress="hidden")
    return chosen


def _looking(now: Chosen) -> str:
    if not now:
        return ""
    return "Looks at this person closely …" if "place" in now else "Looks at the video, for some seconds …"


def _refreshed(studio: Studio, number: int | None, before: str) -> list[Any]:
    """New values of all that changes, where it has changed."""
    job = next((job for job in studio.jobs if job.number == number), None)
    state = job.state if job else ""
    training = job is not None and state == "running" and read_progress(job.journal).name == "training"
    sample = job.newest_sample() if job and state != "done" else None
    done = job is not None and job.result.is_file() and state == "done"
    key = json.dumps([number, done])
    values: list[Any] = [
        gr.Markdown(visible=bool(studio.jobs)),
        gr.Radio(_runs(studio), visible=bool(studio.jobs)),
        describe(job),
        gr.Button(visible=training),
        gr.Button(visible=state in ("running", "waiting")),
        gr.Button(visible=state in ("stopped", "failed")),
        gr.Image(str(sample), visible=True) if sample else gr.Image(visible=False),
        gr.Row(visible=done),
        gr.Row(visible=done),
    ]
    if key == before:
        return [*values, *[gr.skip()] * 6]
    files = [str(job.result), str(job.result), str(job.report)] if done else [None] * 3
    persons = gr.Dropdown(_persons(studio), visible=bool(studio.persons()))
    return [*values, job.dance if done else None, *files, persons, key]


def _runs(studio: Studio) -> list[tuple[str, int]]:
    return [(f"{job.number}. {job.name} ({STATES[job.state]})", job.number) for job in reversed(studio.jobs)]


def _newest(studio: Studio) -> int | None:
    return studio.jobs[-1].number if studio.jobs else None


def _persons(studio: Studio) -> list[tuple[str, str]]:
    """The one of a new video, then everybody who is learnt; where two have a name, the later is numbered."""
    names: list[tuple[str, str]] = [("Somebody new: drop a video", "")]
    for path in studio.persons():
        name = title_of(path)
        number = sum(re.fullmatch(rf"{re.escape(name)}( \(\d+\))?", other) is not None for other, _ in names)
        names.append((f"{name} ({number + 1})" if number else name, str(path)))
    return names


def _on_job(studio: Studio, action: Any) -> Any:
    def act(number: int | None) -> None:
        for job in studio.jobs:
            if job.number == number:
                action(job)

    return act


def main(argv: list[str] | None = None) -> None:
    """Open the page and serve it until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=ROOT, help="folder whose output/studio holds everything")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; whoever reaches it can use the page")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860 on")
    parser.add_argument("--no_browser", action="store_true", help="do not open it")
    options, settings = parser.parse_known_args(argv)
    if gr is None:
        reason = "the page needs Gradio: pip install -e .[web], or ./run.sh --web, which does that"
        print(f"error: {reason}", file=sys.stderr)
        sys.exit(2)
    folder = (options.workspace / "output" / "studio").absolute()
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "cache")
    for number in (signal.SIGINT, signal.SIGTERM):  # also where this was started in the background
        signal.signal(number, signal.default_int_handler)
    try:
        with only_run(folder):  # two pages would take each other's runs for stopped ones
            serve(Studio(folder), options, settings)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def serve(studio: Studio, options: argparse.Namespace, settings: list[str]) -> None:
    """Serve the page until Ctrl-C; see `main` for the options.

    Raises:
        InputError: the port is taken.
    """
    folder = studio.folder
    page = build(studio, settings).queue(default_concurrency_limit=4)
    try:
        _, url, _ = page.launch(
            server_name=options.host,
            server_port=options.port,
            inbrowser=not options.no_browser,
            share=False,
            max_file_size=MOST_BYTES,
            allowed_paths=[str(folder / part) for part in ("videos", "looks", "jobs")] + [str(SAMPLE["test"])],
            footer_links=[],
            theme=gr.themes.Soft(font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace")),
            css=CSS,
            ssr_mode=False,
            mcp_server=False,
            enable_monitoring=False,
            quiet=True,
            prevent_thread_lock=True,
        )
        print(f"open {url} in a browser; everything is kept in {folder}; Ctrl-C ends it", flush=True)
        page.block_thread()
    except OSError as error:  # of Gradio, which tries a hundred ports where none is named
        where = f"{options.host}, port {options.port or 'any'}"
        raise InputError(f"no page can be opened at {where}; name another --port") from error
    finally:
        if left := studio.close():
            names = ", ".join(str(job.number) for job in left)
            print(
                f"stopped: {names}; open the page again, choose it under 'Your videos', and press 'Go on'", flush=True
            )


if __name__ == "__main__":
    main()
