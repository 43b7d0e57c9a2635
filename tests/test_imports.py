"""Imports run one way, read from the source: pose_detector <- data <- main, output; nothing imports a script."""

import ast
from collections.abc import Iterator

import pytest
from places import ROOT

ROOMS = {"pose_detector": 0, "data": 1, "main": 2, "output": 2}
# The roof: it may import anything, and only it may import another part of the roof that is no program, `ROOF`.
SCRIPTS = {
    "data.video2data",
    "data.annot_normalize",
    "data.sample.render_readme",
    "data.sample.render_sample",
    "main.look",
    "main.studio",
    "main.train",
    "main.test",
    "main.evaluate",
    "main.pretrain",
    "output.img2video",
    "output.live",
    "output.together",
    "pose_detector.training.label_photos",
    "pose_detector.training.render_people",
    "pose_detector.training.train_light",
    "pose_detector.training.train_person",
}
ROOF = {"main.config", "main.cli"}
# Rendered figures train the pose networks: these parts of their training take them from `data`. Training and its
# checkpoints, the choice of step 1's networks, a run's report, what a run will take, and what of a person is kept,
# depend on all settings.
ROOF_LIBRARIES = {
    "pose_detector.training.light_figures",
    "main.checkpoint",
    "main.estimate",
    "main.frame_files",
    "main.perception",
    "main.person_file",
    "main.trainer",
    "output.report",
}


def imported(source: str) -> Iterator[str]:
    """Names of all modules that a source imports, and of what it takes from them, which may be modules."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wrong(module: str, names: Iterator[str]) -> set[str]:
    """Those of the names that a module may not import."""
    room, found = module.split(".")[0], set()
    roof = module in SCRIPTS | ROOF_LIBRARIES | ROOF or room not in ROOMS
    for name in set(names):
        upwards = ROOMS.get(name.split(".")[0], 0) > ROOMS.get(room, 2)
        if name in SCRIPTS - {module} or (not roof and (upwards or name in ROOF)):
            found.add(name)
    return found


def test_the_check_sees_what_is_wrong():
    assert wrong("pose_detector.crop", imported("from data import files")) == {"data", "data.files"}
    assert wrong("data.video", imported("def f():\n    import main.device")) == {"main.device"}
    assert wrong("main.rendering", imported("from main.config import Config")) == {"main.config"}
    assert wrong("main.test", imported("from main import train")) == {"main.train"}
    assert not wrong("main.test", imported("from main.config import Config\nfrom data import files"))
    assert not wrong("data.video", imported("import numpy\nfrom pose_detector.errors import InputError"))


@pytest.mark.parametrize("room", [*ROOMS, "benchmarks"])
def test_imports_run_one_way(room):
    paths = sorted((ROOT / room).rglob("*.py"))
    assert paths
    for path in paths:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        assert not wrong(module, imported(path.read_text(encoding="utf-8"))), module


def test_the_scripts_are_there():
    for name in SCRIPTS | ROOF_LIBRARIES | ROOF:
        assert (ROOT / name.replace(".", "/")).with_suffix(".py").is_file(), name
