"""Fetching model files from a server that may do anything, and checking them."""

import hashlib
import http.server
import math
import os
import socket
import sys
import threading
import time
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from pose_detector import model_files
from pose_detector.errors import InputError
from pose_detector.model_files import ModelFile, SecondLook, download, load_blazepose, resolve_second_look

CONTENT = bytes(range(256)) * 400
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
FAILURES = {  # path: what the error says, seconds that the server is given
    "absent": ("the server answered 404", 60),
    "broken": ("the server answered 500", 60),
    "silent": ("did not answer within 0.1 s", 0.1),
    "dripping": ("did not answer within 0.1 s", 0.1),  # a header that comes byte by byte
    "headers": ("did not answer within 0.1 s", 0.1),  # sends no more than them
    "round": ("cannot be reached", 60),  # sends round in a circle
    "half": ("broke off or stalled", 60),
    "stalling": ("broke off or stalled", 1),
    "wrong": ("wrong checksum", 60),
    "short": ("wrong checksum", 60),  # half, and does not tell how much it should be
}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """The servers here are on this machine; no proxy shall be asked for them."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def server():
    """A server whose paths name what it does: (its address, the paths that it was asked for)."""
    over = threading.Event()
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            what = self.path.strip("/")
            asked.append(what)
            if what == "silent":
                over.wait(20)
            elif what == "dripping":  # every byte in time, the answer late
                end = time.monotonic() + 5
                self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
                while not over.wait(0.02) and time.monotonic() < end:
                    self.wfile.write(b"x")
                self.wfile.write(b"\r\n\r\n" + CONTENT)
            elif what in ("absent", "broken"):
                self.send_error({"absent": 404, "broken": 500}[what])
            elif what == "round":
                self.send_response(302)
                self.send_header("Location", "/round")
                self.end_headers()
            else:
                self.send_response(200)
                if what != "short":
                    self.send_header("Content-Length", str(len(CONTENT)))
                self.end_headers()
                if what == "headers":
                    over.wait(20)
                    return
                half = what in ("half", "stalling", "short")
                content = CONTENT[: len(CONTENT) // 2] if half else CONTENT[::-1] if what == "wrong" else CONTENT
                pieces = 15 if what == "slow" else 1
                for i in range(pieces):
                    self.wfile.write(content[i * len(content) // pieces : (i + 1) * len(content) // pieces])
                    if what == "slow":
                        over.wait(0.1)
                if what == "stalling":
                    over.wait(20)

        def log_message(self, *args):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *args):  # the other side has gone: meant
            pass

    with Server(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}", asked
        over.set()
        httpd.shutdown()


@pytest.fixture
def closed():
    """An address where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


@pytest.fixture
def bundled(tmp_path) -> Path:
    path = tmp_path / "person.pth"
    path.touch()
    return path


def published(address: str, what: str = "good") -> ModelFile:
    return ModelFile("net.tflite", f"{address}/{what}", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def second_look(name: str, file: ModelFile, cache: Path, bundled: Path, **options) -> SecondLook:
    return resolve_second_look(
        name, cache=cache, published={"blazepose": file, "blazepose_full": file}, bundled=bundled, **options
    )


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["auto", "blazepose", "blazepose_full"])
def test_a_file_is_announced_fetched_and_kept(server, tmp_path, bundled, name):
    address, asked = server
    lines: list[str] = []
    for _ in range(2):
        kind, path, reason = second_look(name, published(address), tmp_path / "cache", bundled, announce=lines.append)
        assert kind == "blazepose" and path.read_bytes() == CONTENT and str(path.parent) in reason
        assert files_below(tmp_path / "cache") == [path]
    assert asked == ["good"] and len(lines) == 1
    assert f"{address}/good" in lines[0] and "0 MB" in lines[0]
    assert path.stat().st_mode & 0o044 == 0o044 or sys.platform == "win32"  # a shared cache is for all users
    assert second_look(name, published(address), tmp_path / "cache", bundled, offline=True).path == path


@pytest.mark.parametrize("what", FAILURES)
def test_what_cannot_be_fetched_is_one_line_and_leaves_nothing(server, tmp_path, bundled, what):
    cache = tmp_path / "cache"
    file = published(server[0], what)
    expected, seconds = FAILURES[what]
    with pytest.raises(InputError, match=expected) as caught:
        second_look("blazepose", file, cache, bundled, timeout=seconds)
    message = str(caught.value)
    assert "\n" not in message and not files_below(cache)
    for advice in (file.url, str(cache), file.name, "second_look bundled"):
        assert advice in message

    kind, path, reason = second_look("auto", file, cache, bundled, auto_timeout=seconds, timeout=seconds)
    assert (kind, path) == ("bundled", bundled) and not files_below(cache)
    assert expected in reason and "\n" not in reason


def test_auto_gives_up_soon_what_is_asked_for_by_name_later(server, tmp_path, bundled):
    file = published(server[0], "silent")
    reason = second_look("auto", file, tmp_path, bundled, auto_timeout=0.1, timeout=60).reason
    assert "within 0.1 s" in reason


def test_what_has_begun_may_take_its_time(server, tmp_path):
    path = download(published(server[0], "slow"), tmp_path, first_byte=1, stall=1)  # it takes 1.5 s
    assert path.read_bytes() == CONTENT


def test_looking_up_the_name_counts(tmp_path, bundled, monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: over.wait() and [])
    try:
        look = second_look("auto", published("http://models.invalid"), tmp_path, bundled, auto_timeout=0.1)
    finally:
        over.set()
    assert look.kind == "bundled" and "within 0.1 s" in look.reason


def test_without_a_network_auto_takes_the_bundled_one(closed, tmp_path, bundled):
    look = second_look("auto", published(closed), tmp_path / "cache", bundled)
    assert look.kind == "bundled" and "cannot be reached" in look.reason and not files_below(tmp_path / "cache")


def test_a_dead_proxy_is_no_network(server, closed, tmp_path, bundled, monkeypatch):
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", closed)
    assert second_look("auto", published(server[0]), tmp_path / "cache", bundled).kind == "bundled"
    assert not server[1]


def test_offline_asks_nobody(server, tmp_path, bundled):
    address, asked = server
    cache = tmp_path / "cache"
    look = second_look("auto", published(address), cache, bundled, offline=True)
    assert look.kind == "bundled" and "offline" in look.reason
    with pytest.raises(InputError, match="offline"):
        second_look("blazepose", published(address), cache, bundled, offline=True)
    assert not asked and not cache.exists()


def test_a_damaged_file_is_fetched_again_or_refused(server, tmp_path, bundled):
    address, _ = server
    path = download(published(address), tmp_path)
    for damaged in (CONTENT[:1000], b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="damaged and could not be fetched again: offline"):
            download(published(address), tmp_path, offline=True)
        with pytest.raises(InputError, match="damaged and could not be fetched again: the server answered 404"):
            download(published(address, "absent"), tmp_path)
        assert path.read_bytes() == damaged
        assert download(published(address), tmp_path).read_bytes() == CONTENT
    assert files_below(tmp_path) == sorted([path, bundled])


def test_a_file_in_the_cache_folders_place(server, tmp_path, bundled):
    cache = tmp_path / "cache"
    cache.touch()
    look = second_look("auto", published(server[0]), cache, bundled)
    assert look.kind == "bundled" and f"{cache}" in look.reason and "cannot be used" in look.reason
    with pytest.raises(InputError, match="cannot be used") as caught:
        second_look("blazepose", published(server[0]), cache, bundled)
    assert "None" not in str(caught.value) and cache.is_file()


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_without_write_permission(server, tmp_path, bundled, monkeypatch, exists):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    folder = tmp_path / "cache"
    if exists:
        folder.mkdir()
    monkeypatch.setattr("os.makedirs", refuse)  # root may write anywhere
    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    with pytest.raises(InputError, match=r"cannot be used \(permission denied\)"):
        download(published(server[0]), folder)
    assert second_look("auto", published(server[0]), folder, bundled).kind == "bundled"
    assert not server[1]


def test_a_full_disk_is_one_line_and_leaves_nothing(server, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.move", full)
    with pytest.raises(InputError, match="No space left"):
        download(published(server[0]), tmp_path)
    assert not files_below(tmp_path)


def test_a_stop_by_the_user_leaves_nothing(server, tmp_path, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("tqdm.tqdm.update", stop)
    with pytest.raises(KeyboardInterrupt):
        download(published(server[0]), tmp_path)
    assert not files_below(tmp_path)


def test_settings_that_contradict_or_lead_nowhere(tmp_path, bundled):
    own = tmp_path / "own.tflite"
    with pytest.raises(InputError, match="leave one of them out"):
        resolve_second_look("bundled", own, bundled=bundled)
    with pytest.raises(InputError, match=r"own\.tflite: there is no such file"):
        resolve_second_look("auto", own, bundled=bundled)
    with pytest.raises(InputError, match="sharp is not known"):
        resolve_second_look("sharp")
    with pytest.raises(InputError, match="missing"):
        resolve_second_look("bundled", bundled=tmp_path / "absent.pth")
    assert resolve_second_look("none") == SecondLook("none", None, "second_look is none")
    assert resolve_second_look("bundled", bundled=bundled).path == bundled


def test_without_litert_nothing_is_fetched(server, tmp_path, bundled, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    look = second_look("auto", published(server[0]), tmp_path, bundled)
    assert look.kind == "bundled" and "pip install" in look.reason
    with pytest.raises(InputError, match="pip install"):
        second_look("blazepose", published(server[0]), tmp_path, bundled)
    assert not server[1]


def test_one_cache_for_all_workspaces_or_where_the_user_wants_it(tmp_path, monkeypatch):
    monkeypatch.delenv(model_files.CACHE_VARIABLE, raising=False)
    assert model_files.cache_folder().is_absolute()
    assert Path(os.getcwd()) not in model_files.cache_folder().parents
    monkeypatch.setenv(model_files.CACHE_VARIABLE, str(tmp_path))
    assert model_files.cache_folder() == tmp_path


@pytest.mark.parametrize("name", ["blazepose", "blazepose_full"])
def test_the_published_files_are_the_pinned_ones_and_fit(shared, tmp_path, name):
    file = model_files.BLAZEPOSE[name]
    path = shared(f"weights/mediapipe/{file.name}")
    content = path.read_bytes()
    assert len(content) == file.size
    assert hashlib.sha256(content).hexdigest() == file.sha256
    network = load_blazepose(path)
    network.invoke()
    assert resolve_second_look("auto", path) == SecondLook("blazepose", path, "named by second_look_model")

    cut = tmp_path / "cut.tflite"
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cut short"):
        load_blazepose(cut)


def tflite(path: Path, inputs: list[tuple[int, ...]], outputs: dict[str, tuple[int, ...]], kind: int = 0) -> Path:
    """Write a network without operators: inputs, and constant outputs."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [], [schema.BufferT()]
    graph.tensors, graph.operators = [], []
    for name, shape in [*((f"input_{i}", shape) for i, shape in enumerate(inputs)), *outputs.items()]:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), list(shape), kind, 0
        if name in outputs:
            tensor.buffer = len(model.buffers)
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.zeros(4 * math.prod(shape), np.uint8)
        graph.tensors.append(tensor)
    graph.inputs = list(range(len(inputs)))
    graph.outputs = list(range(len(inputs), len(graph.tensors)))
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    return path


RIGHT = {"Identity": (1, 195), "Identity_1": (1, 1), "Identity_2": (1, 256, 256, 1)}


def test_a_network_of_the_right_shape_is_taken(tmp_path):
    load_blazepose(tflite(tmp_path / "right.tflite", [(1, 256, 256, 3)], RIGHT))
    load_blazepose(tflite(tmp_path / "more.tflite", [(1, 256, 256, 3)], RIGHT | {"Identity_3": (1, 64, 64, 39)}))


@pytest.mark.parametrize(
    ("inputs", "outputs", "kind"),
    [
        ([(1, 224, 224, 3)], RIGHT, 0),
        ([(1, 256, 256, 3), (1, 1)], RIGHT, 0),
        ([(1, 256, 256, 3)], RIGHT | {"Identity": (1, 63)}, 0),
        ([(1, 256, 256, 3)], {"Identity": (1, 195), "Identity_1": (1, 1)}, 0),
        ([(1, 256, 256, 3)], RIGHT, 2),
    ],
    ids=["size", "inputs", "landmarks", "no mask", "int32"],
)
def test_another_network_is_refused(tmp_path, inputs, outputs, kind):
    path = tflite(tmp_path / "other.tflite", inputs, outputs, kind)
    with pytest.raises(InputError, match="another network") as caught:
        load_blazepose(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"x" * 10_000, b"PK\x03\x04" + bytes(1000), b"<html></html>"])
def test_what_is_no_network_is_refused(tmp_path, content):
    path = tmp_path / "garbage.tflite"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a readable"):
        load_blazepose(path)
    with pytest.raises(InputError, match="not a readable"):
        resolve_second_look("auto", path)
    with pytest.raises(InputError, match="no such file"):
        load_blazepose(tmp_path)
