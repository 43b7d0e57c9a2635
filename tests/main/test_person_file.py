"""A person as a file: it renders what its workspace renders, and what is wrong with one is said in one line."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from clip_maker import write_clip
from disc import Stub, scene
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from looks import StubLooker, StubNetworks
from person import annotations, painted, small, workspace

from data import annot_normalize, video2data
from data.annotations import Annotations
from main import checkpoint, person_file, test, train
from main.cli import run_step
from main.config import Config
from pose_detector.errors import InputError


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A workspace whose person has been trained, with the person's file."""
    path = workspace(tmp_path_factory.mktemp("trained"))
    train.main(small(path, epochs=1))
    return path


@pytest.fixture(scope="module")
def file(trained) -> Path:
    return trained / "output" / "persons" / "person.person"


def changed(file: Path, goal: Path, **parts: bytes) -> Path:
    """The same file with other parts."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(goal, "w") as new:
        for name in old.namelist():
            new.writestr(name, parts.get(name.split(".")[0], old.read(name)))
    return goal


def manifest(file: Path) -> dict:
    return json.loads(zipfile.ZipFile(file).read("manifest.json"))


def test_step_3_writes_it_and_it_tells_what_it_is(trained, file):
    told = manifest(file)
    assert told["statistics"]["frames"] == told["statistics"]["source_frames"] == 16
    assert told["fingerprint"] == "person" and told["settings"]["channels"] == 16
    assert str(trained) not in json.dumps(told)
    assert all(info.compress_type == zipfile.ZIP_STORED for info in zipfile.ZipFile(file).infolist())


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Decibels."""
    return float(10 * np.log10(255**2 / np.square(a.astype(np.float64) - b).mean()))


def test_it_renders_what_its_workspace_renders(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(person_file, "LEVELS", ((1, 0),))  # without loss: what is left comes from anything but H.264
    here = small(trained)
    test.main(here)
    state = checkpoint.load(checkpoint.newest(here.checkpoint_dir))
    file = tmp_path / "a.person"
    person_file.save(file, Annotations.load(here.train_annotations), state, here, [])
    there = small(tmp_path / "elsewhere", person_file=file)
    person_file.unpack(file, there.person_dir)
    moves = painted(6, seed=5)[1]
    annotations(moves, "dance", "person").save(there.norm_test_annotations)
    test.main(there)
    names = sorted(path.name for path in here.vis_dir.glob("*.jpg"))
    assert len(names) == 6 and names == sorted(path.name for path in there.vis_dir.glob("*.jpg"))
    ours, theirs = (np.stack([cv2.imread(str(c.vis_dir / name)) for name in names]) for c in (here, there))
    shown = cv2.absdiff(ours, np.stack([cv2.imread(str(here.background_image))] * len(names)))
    assert shown.max() > 60, "nobody is rendered"
    # 45.8 dB; frames are JPEG once more, which now and then turns a vote of the painting, and weights are rounded.
    assert psnr(ours, theirs) > 44


def test_what_it_stores_is_what_was_filmed(trained, file, tmp_path):
    person_file.unpack(file, tmp_path / "there")
    here, there = small(trained), small(tmp_path / "there")
    frames = sorted(path.name for path in here.images_dir.iterdir())
    assert frames == sorted(path.name for path in there.images_dir.iterdir())
    for name in frames:
        ours, theirs = (cv2.imread(str(c.images_dir / name)) for c in (here, there))
        assert psnr(ours, theirs) > 43, "44.5 dB and more; thin lines of pure colour are what video keeps worst"
    for path in here.masks_dir.iterdir():
        ours, theirs = (cv2.imread(str(c.masks_dir / path.name), cv2.IMREAD_GRAYSCALE) for c in (here, there))
        assert ((ours > 127) == (theirs > 127)).all()


def test_it_is_unpacked_once_and_for_good(file, tmp_path, monkeypatch):
    folder = tmp_path / "here"
    person_file.unpack(file, folder)
    assert not list(folder.rglob("*.mp4")) and not list(tmp_path.rglob(".*"))
    kept = Annotations.load(folder / "data" / "source" / "annotations" / "train_annotations.npz").kept
    assert kept.sum() == len(list((folder / "data" / "source" / "images").iterdir()))
    monkeypatch.setattr(person_file, "read", lambda path: pytest.fail("read again"))
    person_file.unpack(file, folder)


def test_frames_are_thinned_until_they_fit(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(person_file, "BUDGET", 1)
    monkeypatch.setattr(person_file, "LEVELS", ((1, 4), (2, 16)))
    config = workspace(tmp_path, count=40)
    train.main(small(config, epochs=0, channels=96, detail=16))
    path = config / "output" / "persons" / "person.person"
    assert manifest(path)["statistics"]["source_frames"] == 20
    person_file.unpack(path, tmp_path / "there")
    assert len(list((tmp_path / "there" / "data" / "source" / "images").iterdir())) == 20


def test_an_unchanged_person_is_not_written_again(trained, file):
    before = file.stat().st_mtime_ns
    train.main(small(trained, epochs=1, continue_train=True))
    assert file.stat().st_mtime_ns == before


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_truncated_or_flipped_file_is_refused_or_means_the_same(file, tmp_path, data):
    whole = file.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        broken = whole[:place]
    else:
        broken = bytearray(whole)
        broken[place] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "broken.person"
    path.write_bytes(broken)
    try:
        assert person_file.read(path) == person_file.read(file)  # where a date of the archive was hit
    except InputError as error:
        assert "broken.person" in str(error) and "\n" not in str(error)


def foreign(kind: str, file: Path, goal: Path) -> Path:
    """A file that is wrong in one way."""
    told = manifest(file)
    if kind == "too new":
        return changed(file, goal, manifest=json.dumps(told | {"format_version": 2}).encode())
    if kind == "a picture":
        cv2.imwrite(str(goal.with_suffix(".png")), np.zeros((8, 8, 3), np.uint8))
        return goal.with_suffix(".png").rename(goal)
    if kind == "another archive":
        with zipfile.ZipFile(goal, "w") as archive:
            archive.writestr("readme.txt", "hello")
    if kind == "a path outside":
        changed(file, goal)
        with zipfile.ZipFile(goal, "a") as archive:
            archive.writestr("../../outside.txt", "hello")
    if kind == "a bomb":
        with zipfile.ZipFile(goal, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("manifest.json", bytes(64 << 20))
    if kind == "huge networks":
        changed(file, goal, manifest=json.dumps(told | {"settings": told["settings"] | {"channels": 10**9}}).encode())
    if kind == "another network":
        changed(file, goal, manifest=json.dumps(told | {"settings": told["settings"] | {"channels": 32}}).encode())
    if kind == "pickled weights":
        buffer = io.BytesIO()
        np.savez(buffer, weights=np.array([{"a": 1}], object))
        resigned(file, goal, "generator.npz", buffer.getvalue())
    if kind == "another room":
        resigned(file, goal, "plate.png", cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes())
    if kind == "no video":
        resigned(file, goal, "frames.mp4", b"no video")
    return goal


def resigned(file: Path, goal: Path, name: str, data: bytes) -> None:
    """The same with another part, and the checksum of that."""
    told = manifest(file)
    told["sha256"][name] = person_file.hashlib.sha256(data).hexdigest()
    changed(file, goal, **{name.split(".")[0]: data, "manifest": json.dumps(told).encode()})


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "missing"), ("too new", "newer version"), ("a picture", "no file of a person"),
        ("another archive", "no file of a person"), ("a path outside", "no file of a person"),
        ("a bomb", "no file of a person"), ("huge networks", "cannot be used"),
        ("another network", "cannot be used"), ("pickled weights", "cannot be used"),
        ("another room", "cannot be used"), ("no video", "cannot be used"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line_with_status_2(file, tmp_path, kind, words, monkeypatch, capsys):
    path = foreign(kind, file, tmp_path / "a.person")
    work = tmp_path / "work"
    monkeypatch.setattr("sys.argv", ["test.py", "--person_file", str(path), "--workspace", str(work)])
    with pytest.raises(SystemExit) as stop:
        run_step(test.main, "")
    lines = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2 and len(lines) == 1 and words in lines[0]
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p != path], "something was left"


def test_steps_that_made_it_are_refused(file, tmp_path):
    config = Config(workspace=tmp_path, person_file=file)
    with pytest.raises(InputError, match="--mode test"):
        video2data.main(config)
    with pytest.raises(InputError, match="trained already"):
        train.main(config)


@pytest.mark.slow
def test_three_persons_and_three_dances_cost_three_trainings_and_nine_renderings(tmp_path, monkeypatch):
    persons = [write_clip(tmp_path / f"p{i}.mp4", scene(14, (160, 96), seed=i)[0], fps=20) for i in range(3)]
    dances = [write_clip(tmp_path / f"d{i}.mp4", scene(8, (160, 96), seed=5 + i)[0], fps=20) for i in range(3)]
    (tmp_path / "stub.pth").write_bytes(b"weights")
    stub, counts = Stub(), {"trained": 0, "rendered": 0}

    def counted(name, function):
        def call(*args, **options):
            counts[name] += 1
            return function(*args, **options)

        return call

    monkeypatch.setattr(train, "train_one_epoch", counted("trained", train.train_one_epoch))
    monkeypatch.setattr(test, "render_pictures", counted("rendered", test.render_pictures))

    def run(person, dance):
        name = f"{person.stem} {dance.stem}"
        config = replace(small(tmp_path / "work"), train_video=person, test_video=dance, name=name, epochs=1)
        config = replace(config, continue_train=True, frame_area=160 * 96)
        for mode in ("train", "test"):
            networks = StubNetworks(tmp_path / "stub.pth", stub, StubLooker(stub.closely))
            video2data.prepare(replace(config, mode=mode), networks)
        annot_normalize.main(config)
        train.main(config)
        test.main(config)
        return config

    configs = [run(person, dance) for person in persons for dance in dances]
    detected = stub.calls
    assert counts == {"trained": 3, "rendered": 9}
    assert len({config.vis_dir for config in configs}) == 9 and len({config.checkpoint_dir for config in configs}) == 3
    for person in persons:
        for dance in dances:
            run(person, dance)
    assert counts == {"trained": 3, "rendered": 9} and stub.calls == detected
    assert {checkpoint.load(checkpoint.newest(c.checkpoint_dir))["fingerprint"] for c in configs} == {
        Annotations.load(c.train_annotations).fingerprint for c in configs
    }
    assert all(len(list(config.vis_dir.glob("*.jpg"))) == 8 for config in configs)


@pytest.mark.parametrize("name", ["../up", "a/b", "persons", ".hidden", "ends ", "x" * 200])
def test_names_that_are_no_folder_of_their_own_are_refused(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["test.py", f"--name={name}", "--workspace", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        run_step(test.main, "")
    assert stop.value.code == 2 and "--name" in capsys.readouterr().err
