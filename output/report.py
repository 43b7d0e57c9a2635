"""The report of a run: one HTML file that holds all it shows, and opens without a server or a network."""

from __future__ import annotations

import base64
import contextlib
import html
import io
import json
import platform
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import fields
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data import pictures, step_log, video
from data.annotations import Annotations, image_name, mask_name
from data.files import atomic_path
from data.progress import STEPS, in_words
from main.config import Config
from pose_detector import skeleton
from pose_detector.errors import InputError
from pose_detector.series import spread

HEIGHT = 360  # pixels of the embedded videos
SECONDS = 20.0  # of the dance that they show; with it the file has some MB
CRF = 28.0  # of H.264: a preview
SHEET = (6, 3)  # columns and rows of training frames
CELL = 240  # pixels of one of their longer sides
PACKAGES = ("torch", "opencv-python-headless", "opencv-python", "numpy", "scipy", "av", "ai-edge-litert")
CURVES = (
    ("psnr", "PSNR of held-out frames, dB"),
    ("ssim", "SSIM of held-out frames"),
    ("sharpness", "Sharpness (1 = as filmed)"),
    ("pixel", "L1 in training"),
)


def write(config: Config, frames: Iterable[np.ndarray], dance: Annotations, tags: dict[str, str]) -> Path:
    """Write the report of the run in a workspace beside its result.

    Args:
        config: of the run.
        frames: the result, (H, W, 3) uint8 RGB, one a frame of the dance.
        dance: its normalised poses.
        tags: of the videos that were made, see `provenance.tags`; the dance itself was filmed.

    Returns:
        the file.
    """
    logs = step_log.read(config.step_logs)
    parts = [
        _films(config, frames, dance, tags),
        _findings(logs),
        _training(config.checkpoint_dir),
        _sheet(config),
        _costs(logs),
        _settings(config),
        _printed(logs),
    ]
    path = config.result_dir / "report.html"
    title = f"{(config.person_file or config.train_video_path).stem} dances {config.test_video_path.stem}"
    page = _PAGE.replace("TITLE", html.escape(title)).replace("BODY", "\n".join(filter(None, parts)))
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


# ---- Parts -----------------------------------------------------------------------------------------------------------


def _films(config: Config, frames: Iterable[np.ndarray], dance: Annotations, tags: dict[str, str]) -> str:
    """Dance, skeleton and result, small and shortened, each a video of its own that is played with the others."""
    count = max(2, int((dance.times - dance.times[0] < SECONDS).sum()))
    times = dance.times[:count]
    width, height = dance.frame_size
    small = _even(width * HEIGHT / height), HEIGHT
    room = dim_room(config, small)
    result = (video.resize(frame, small) for frame in islice(frames, count))
    bones = (skeleton.draw(room, pose) for pose in dance.resized(small).keypoints[:count])
    full = config.result_dir / "result.mp4"
    films = [("The result", "result", result, full)]
    info = None
    if config.test_video_path.is_file():
        info = video.probe(config.test_video_path)
        size = _even(info.width * HEIGHT / info.height), HEIGHT
        read = video.read_frames(config.test_video_path, size)
        films.insert(0, ("The dance", "dance", (frame for *_, frame in islice(read, count)), None))
    films.append(("Its skeleton, on the person", "bones", bones, None))
    cells = []
    for name, kind, shown, sound in films:
        data = _film(shown, times - times[0], dance.fps, sound, {} if kind == "dance" else tags)
        muted = "" if sound else " muted"
        cells.append(
            f'<figure class="{kind}"><video controls playsinline loop{muted} '
            f'src="data:video/mp4;base64,{data}"></video>'
            f"<figcaption>{name}</figcaption></figure>"
        )
    whole = "" if count == len(dance.times) else f" The first {SECONDS:g} seconds are shown here."
    return _section(
        "Result",
        f'<div class="films">{"".join(cells)}</div>'
        f'<p><button id="together">Play together</button> The whole video: <a href="result.mp4">result.mp4</a>, '
        f'beside the dance: <a href="comparison.mp4">comparison.mp4</a>.{whole}</p>',
    )


def dim_room(config: Config, size: tuple[int, int]) -> np.ndarray:
    """What the result shows of the empty room, dark, to draw skeletons on: (H, W, 3) uint8 RGB at (width, height);
    black where it is not known."""
    room = pictures.read(config.background_image)
    if room is None:
        return np.zeros((*size[::-1], 3), np.uint8)
    with contextlib.suppress(InputError):
        room = Annotations.load(config.train_annotations).shown(room)
    return video.resize(room, size) // 3


def _film(frames: Iterator[np.ndarray], times: np.ndarray, fps: float, sound: Path | None, tags: dict[str, str]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        video.write_video(path, frames, fps, times, audio_from=sound, crf=CRF, preset="veryfast", metadata=tags)
        return base64.b64encode(path.read_bytes()).decode()


def findings(lines: Iterable[str]) -> list[tuple[str, str]]:
    """What is wrong and what to do about it, from the lines that a step printed; either may be empty."""
    found = []
    for line in lines:
        if line.startswith("- "):
            text, _, advice = line[2:].rpartition(": ")
            found.append((text, advice))
        elif line.startswith("advice: "):
            found.append((line.removeprefix("advice: "), ""))
        elif line.startswith(("poses unlike", "steps to the side", "the dance shows the same")):
            found.append((line, ""))
    return found


def _findings(logs: list[dict[str, Any]]) -> str:
    if not logs:
        return ""
    blocks = []
    for entry in logs:
        items = "".join(
            f"<li><strong>{html.escape(text)}</strong>{f'<br>{html.escape(advice)}' if advice else ''}</li>"
            for text, advice in findings(entry["lines"])
        )
        if items:
            blocks.append(f"<h3>{_title(entry)}</h3><ul>{items}</ul>")
    return _section("What could be better", "".join(blocks) or "<p>Nothing was found.</p>")


def read_stats(folder: Path) -> list[dict[str, float]]:
    """The epochs of a training run in order, the last word on each; empty where there was none."""
    epochs: dict[int, dict[str, float]] = {}
    path = folder / "stats.jsonl"
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
                epochs[int(record["epoch"])] = record
            except (ValueError, KeyError, TypeError):
                continue  # a line that a kill cut short
    return [epochs[epoch] for epoch in sorted(epochs)]


def _training(folder: Path) -> str:
    stats = read_stats(folder)
    samples = sorted((folder / "samples").glob("epoch-*.jpg"))
    if not stats and not samples:
        return _section("Training", "<p>Nothing was trained: the pretrained generator rendered this.</p>")
    body = f'<div class="plots">{"".join(curves(stats))}</div><div class="films">'
    for path in dict.fromkeys(samples[:1] + samples[-1:]):
        epoch = int(re.search(r"\d+", path.stem)[0])
        body += (
            f'<figure><img alt="validation after epoch {epoch}" src="data:image/jpeg;base64,{_base64(path)}">'
            f"<figcaption>Held-out frames after epoch {epoch}: skeleton, filmed, generated, difference</figcaption>"
            "</figure>"
        )
    return _section("Training", f"{body}</div>")


def curves(stats: list[dict[str, float]]) -> list[str]:
    """What was measured after each epoch, over minutes: an SVG each, in the colour of the text around it."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    marker = "#010203"  # a colour that stands for that of the text
    drawn = []
    for name, title in CURVES:
        known = [(record.get("minutes", 0.0), record[name]) for record in stats if name in record]
        if not known:
            continue
        figure = Figure(figsize=(4.4, 2.3), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        axes.plot(*zip(*known, strict=True), color="#2f7fd6", marker="o", markersize=3, linewidth=1.8)
        axes.set_title(title, fontsize=10, color=marker, loc="left")
        axes.set_xlabel("minutes of training", fontsize=8, color=marker)
        axes.tick_params(colors=marker, labelsize=8, length=0)
        axes.set_facecolor("none")
        axes.grid(axis="y", alpha=0.2, color=marker)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(marker)
        figure.patch.set_alpha(0)
        text = io.StringIO()
        with matplotlib.rc_context({"svg.fonttype": "none"}):
            figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        svg = text.getvalue()
        drawn.append(svg[svg.index("<svg") :].replace(marker, "currentColor"))
    return drawn


def _sheet(config: Config) -> str:
    """Some training frames with outline and skeleton."""
    try:
        person = Annotations.load(config.train_annotations)
    except InputError:
        return ""
    kept = np.flatnonzero(person.kept)
    rows = kept[spread(len(kept), SHEET[0] * SHEET[1])]
    cells = []
    for i in rows:
        frame = pictures.read(config.images_dir / image_name(person.frame_numbers[i]))
        outline = pictures.read(config.masks_dir / mask_name(person.frame_numbers[i]), grey=True)
        if frame is None:
            continue
        drawn = skeleton.draw(frame, person.resized(frame.shape[1::-1]).keypoints[i], 0.05)
        if outline is not None and outline.shape == drawn.shape[:2]:
            skeleton.draw_outline(drawn, outline)
        shrink = CELL / max(drawn.shape[:2])
        cells.append(video.resize(drawn, (round(drawn.shape[1] * shrink), round(drawn.shape[0] * shrink))))
    if not cells:
        return ""
    columns = SHEET[0] if cells[0].shape[1] <= cells[0].shape[0] else SHEET[0] // 2
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    sheet = np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)])
    data = base64.b64encode(cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]).decode()
    image = f'<img alt="training frames with outline and skeleton" src="data:image/jpeg;base64,{data}">'
    return _section("What was seen of the person", f"<figure>{image}</figure>")


def _costs(logs: list[dict[str, Any]]) -> str:
    rows = [
        f"<tr><td>{_title(entry)}</td><td>{_time(entry['seconds'])}</td>"
        f"<td>{'' if entry['megabytes'] is None else format(entry['megabytes'], '.0f')}</td></tr>"
        for entry in logs
    ]
    total = sum(entry["seconds"] for entry in logs)
    most = max((entry["megabytes"] or 0 for entry in logs), default=0)
    rows.append(f"<tr><th>All</th><th>{_time(total)}</th><th>{most:.0f}</th></tr>")
    head = "<tr><th></th><th>Time</th><th>Memory, MB at most</th></tr>"
    return _section("Time and memory", f"<table>{head}{''.join(rows)}</table>")


def _settings(config: Config) -> str:
    """Settings that differ from the defaults, versions and seed."""
    default = Config()
    rows = []
    for field in fields(config):
        value = getattr(config, field.name)
        if value != getattr(default, field.name) and field.name != "mode":
            shown = value.name if isinstance(value, Path) else value
            rows.append((f"--{field.name}", str(shown)))
    rows.append(("seed", str(config.seed)))
    rows.append(("Python", platform.python_version()))
    for package in ("everybody-dance-now", *PACKAGES):
        try:
            rows.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            continue
    rows.append(("system", f"{platform.system()} {platform.machine()}, {sys.implementation.name}"))
    cells = "".join(f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>" for name, value in rows)
    return _section("Settings and versions", f"<table>{cells}</table>")


def _printed(logs: list[dict[str, Any]]) -> str:
    blocks = [
        f"<details><summary>{_title(entry)}</summary><pre>{html.escape(chr(10).join(entry['lines']))}</pre></details>"
        for entry in logs
    ]
    return _section("What each step said", "".join(blocks))


# ---- Small things ----------------------------------------------------------------------------------------------------


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>"


def _title(entry: dict[str, Any]) -> str:
    return f"Step {entry['step'][0]}: {STEPS[entry['step']]}"


def _even(side: float) -> int:
    return max(2, 2 * round(side / 2))


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 55 else in_words(seconds)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>TITLE</title>
<style>
:root { --text: #1d1f23; --soft: #5d636e; --line: #dfe2e7; --ground: #fcfcfb; --accent: #1f6fc9; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e8eb; --soft: #9aa1ac; --line: #33373e; --ground: #16181b; --accent: #6fb1ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 62rem; color: var(--text); background: var(--ground);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.015em; overflow-wrap: anywhere; }
h1 + p { margin: 0; color: var(--soft); }
h2 { font-size: 1.2rem; margin: 3rem 0 .9rem; padding-top: .9rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; color: var(--soft); font-weight: 600; }
ul { margin: .3rem 0; padding-left: 1.1rem; } li { margin: .45rem 0; } strong { font-weight: 600; }
figure { margin: 1rem 0; } figcaption { color: var(--soft); font-size: .875rem; margin-top: .35rem; }
img, video, .plots svg { max-width: 100%; height: auto; display: block; border-radius: 6px; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: .5rem 1rem;
  margin-bottom: 1rem; }
.films { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); gap: 1rem; }
.films figure { margin: 0; } .films video { width: 100%; background: #000; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; max-width: 40rem; }
td, th { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
th { font-weight: 600; }
details { border-bottom: 1px solid var(--line); padding: .5rem 0; } summary { cursor: pointer; }
pre { overflow-x: auto; font: .8125rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; color: var(--soft); }
a { color: var(--accent); }
button { font: inherit; padding: .35rem .9rem; border: 1px solid var(--line); border-radius: 999px; color: inherit;
  background: none; cursor: pointer; margin-right: .6rem; } button:hover { border-color: var(--accent); }
</style>
</head>
<body>
<h1>TITLE</h1>
<p>A synthetic video, made by Everybody Dance Now.</p>
BODY
<script>
const films = [...document.querySelectorAll(".films video")], button = document.getElementById("together");
if (button) button.onclick = () => {
  const stop = films.some(film => !film.paused);
  for (const film of films) { if (stop) film.pause(); else { film.currentTime = 0; film.play(); } }
  button.textContent = stop ? "Play together" : "Stop";
};
</script>
</body>
</html>
"""
