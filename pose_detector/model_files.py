"""Model files that are not in the repository: where they come from, where they are kept, whether they are whole."""

from __future__ import annotations

import itertools
import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pose_detector.errors import InputError
from pose_detector.untrusted import try_network

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

FOLDER = Path(__file__).resolve().parent / "weights"  # of this repository
PERSON = FOLDER / "person.pth"  # the bundled network of the second look

CACHE_VARIABLE = "POSE_TRANSFER_CACHE"  # environment variable that names another cache folder

log = logging.getLogger(__name__)

_CHUNK = 1024  # bytes; small, as the first chunk is what the first byte is waited for with


@dataclass(frozen=True)
class ModelFile:
    """A published file, pinned: the address names a version, and the checksum its content.

    Attributes:
        name: File name under which it is kept.
        url: Its address.
        size: Bytes.
        sha256: Checksum, hexadecimal.
    """

    name: str
    url: str
    size: int
    sha256: str


_MEDIAPIPE = "0.5.1675469404"  # version of the npm package @mediapipe/pose (Apache-2.0), which a mirror serves singly


def _mediapipe(name: str, size: int, sha256: str) -> ModelFile:
    return ModelFile(name, f"https://cdn.jsdelivr.net/npm/@mediapipe/pose@{_MEDIAPIPE}/{name}", size, sha256)


BLAZEPOSE = {
    "blazepose": _mediapipe(
        "pose_landmark_heavy.tflite", 27_709_200, "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe"
    ),
    "blazepose_full": _mediapipe(
        "pose_landmark_full.tflite", 6_440_512, "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f"
    ),
}

_BLAZEPOSE_INPUT = [1, 256, 256, 3]
_BLAZEPOSE_OUTPUTS = {"Identity": [1, 195], "Identity_1": [1, 1], "Identity_2": [1, 256, 256, 1]}


class SecondLook(NamedTuple):
    """Which network takes the second look.

    Attributes:
        kind: "blazepose", "bundled" or "none".
        path: The network's file; None for "none".
        reason: In words, why it was chosen.
    """

    kind: str
    path: Path | None
    reason: str


def cache_folder() -> Path:
    """The folder for fetched files, shared by all workspaces: the user's cache, or what POSE_TRANSFER_CACHE names."""
    import platformdirs

    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_cache_path("everybody-dance-now", appauthor=False)


def resolve_second_look(
    name: str = "auto",
    model: Path | str | None = None,
    cache: Path | None = None,
    offline: bool = False,
    *,
    published: Mapping[str, ModelFile] = BLAZEPOSE,
    bundled: Path = PERSON,
    auto_timeout: float = 3.0,
    timeout: float = 15.0,
    announce: Callable[[str], None] = print,
) -> SecondLook:
    """Choose the network of the second look, and fetch its file where that is necessary.

    Args:
        name: "blazepose": MediaPipe's pose_landmark_heavy; "blazepose_full": its faster sibling; "bundled": the
            network of this repository; "none": no second look; "auto": blazepose where its file is there or can be
            fetched, else bundled.
        model: A .tflite file to take instead of the published BlazePose files; it must have their inputs and outputs.
        cache: Where fetched files are kept; None: `cache_folder()`.
        offline: Never use the network.
        published: What can be fetched, by name.
        bundled: The repository's network.
        auto_timeout: Seconds until the first byte after which "auto" gives up.
        timeout: The same for a file that was asked for by name; and how long a transfer may stall.
        announce: Called with one line that says what is about to be fetched.

    Raises:
        InputError: The file cannot be had, or `model` is another network.
    """
    if name not in ("auto", "bundled", "none", *published):
        raise InputError(f"second_look: {name} is not known; give auto, {', '.join(published)}, bundled or none")
    if model and name in ("bundled", "none"):
        raise InputError(f"second_look_model names a BlazePose file, but second_look is {name}; leave one of them out")
    if name == "none":
        return SecondLook("none", None, "second_look is none")
    if name == "bundled":
        return SecondLook("bundled", _present(bundled), "the bundled network")
    if model:
        path = Path(model).expanduser()
        load_blazepose(path, tried=False)
        return SecondLook("blazepose", path, "named by second_look_model")

    # A folder for each version, so that two versions of this project can share a cache.
    folder = (cache or cache_folder()) / f"mediapipe-pose-{_MEDIAPIPE}"
    reason, told = f"kept in {folder}", {"stall": timeout, "announce": announce}
    if name != "auto":
        _import_litert()
        otherwise = "take the bundled network (second_look bundled)"
        path = download(published[name], folder, offline, otherwise, first_byte=timeout, **told)
        return SecondLook("blazepose", path, reason)
    try:
        _import_litert()
        path = download(published["blazepose"], folder, offline, first_byte=auto_timeout, **told)
        return SecondLook("blazepose", path, reason)
    except InputError as error:
        return SecondLook("bundled", _present(bundled), f"the bundled network, as blazepose is not at hand: {error}")


def download(
    file: ModelFile,
    folder: Path,
    offline: bool = False,
    otherwise: str = "",
    *,
    first_byte: float = 30.0,
    stall: float = 30.0,
    announce: Callable[[str], None] = print,
) -> Path:
    """Fetch a file with a progress bar, unless it is there and whole. Nothing but a complete file is left behind.

    Args:
        file: What to fetch.
        folder: Where to put it, made where necessary.
        offline: Do not fetch it.
        otherwise: What the user can do without it; an error then names this, and where to put the file by hand.
        first_byte: Seconds after which a server that has sent nothing is given up, looking up its name included.
        stall: Seconds without a byte after which a transfer that has begun is given up.
        announce: Called with one line that says what is about to be fetched.

    Returns:
        Its path.

    Raises:
        InputError: It is not there, and cannot be fetched.
    """
    import pooch  # it and requests are rarely needed

    pooch.get_logger().setLevel(logging.WARNING)
    path = folder / file.name
    damaged = False
    try:
        if path.exists():
            damaged = pooch.file_hash(path) != file.sha256
            if not damaged:
                return path
        if offline:
            raise InputError("offline is set")
        announce(f"fetching {file.name} ({file.size / 1e6:.0f} MB, once) from {file.url} into {folder}")
        pooch.retrieve(file.url, f"sha256:{file.sha256}", file.name, folder, downloader=_Downloader(first_byte, stall))
        path.chmod(0o644)  # a temporary file's mode would keep other users of a shared cache out
        return path
    except InputError as error:
        reason = str(error)
    except ValueError:  # pooch's word for a wrong checksum
        reason = "what came has a wrong checksum"
    except OSError as error:
        reason = f"{folder} cannot be used ({error.strerror or 'permission denied'})"
    what = f"{path} is damaged and could not be fetched again" if damaged else f"could not fetch {file.name}"
    advice = f"; save {file.url} as {path} by hand, or {otherwise}" if otherwise else ""
    raise InputError(f"{what}: {reason}{advice}")


def load_blazepose(path: Path, threads: int = 1, tried: bool = True) -> Interpreter:
    """Open a BlazePose landmark network and check its inputs and outputs.

    Args:
        path: A .tflite file.
        threads: CPU threads that it runs on.
        tried: Whether the file is a published one, by its checksum, or has passed `untrusted.try_network`; else it is
            tried here.

    Returns:
        LiteRT's interpreter, its tensors allocated. Input float32 (1, 256, 256, 3), RGB in [0, 1]; outputs by name:
        "Identity" (1, 195) landmarks, "Identity_1" (1, 1) presence, "Identity_2" (1, 256, 256, 1) mask.

    Raises:
        InputError: The file is absent, damaged or another network's, or LiteRT is not installed.
    """
    interpreter = _import_litert()
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; give a BlazePose landmark network (.tflite)")
    try:
        if not tried and not _is_published(path):
            try_network(path)
        network = interpreter(str(path), num_threads=threads)
        network.allocate_tensors()
    except (ValueError, RuntimeError, OSError) as error:
        log.debug("reading %s", path, exc_info=error)
        raise InputError(f"{path}: not a readable .tflite network, perhaps cut short; fetch it again") from None
    # What it holds: shapes of the inputs, and of the outputs by name; of another type than float32 counts as absent.
    inputs = [d["shape"].tolist() for d in network.get_input_details() if d["dtype"].__name__ == "float32"]
    outputs = {d["name"]: d["shape"].tolist() for d in network.get_output_details() if d["dtype"].__name__ == "float32"}
    found = {name: outputs.get(name) for name in _BLAZEPOSE_OUTPUTS}
    if inputs != [_BLAZEPOSE_INPUT] or found != _BLAZEPOSE_OUTPUTS:
        raise InputError(
            f"{path}: another network than BlazePose's landmarks (input {inputs}, not [{_BLAZEPOSE_INPUT}]; outputs "
            f"{found}, not {_BLAZEPOSE_OUTPUTS}); give pose_landmark_full.tflite or pose_landmark_heavy.tflite"
        )
    return network


class _Downloader:
    """Fetches for `pooch.retrieve`. Pooch's own does not distinguish a server that never answers from a slow
    transfer."""

    def __init__(self, first_byte: float, stall: float) -> None:
        self.first_byte = first_byte
        self.stall = stall

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        import requests
        from tqdm import tqdm

        total, chunks = self._open(url)
        try:
            with (
                open(output_file, "wb") as out,
                tqdm(total=total, unit="B", unit_scale=True, desc=url.rpartition("/")[2]) as bar,
            ):
                for chunk in chunks:
                    out.write(chunk)
                    bar.update(len(chunk))
        except requests.RequestException:
            raise InputError("the transfer broke off or stalled") from None

    def _open(self, url: str) -> tuple[int | None, Iterator[bytes]]:
        """Size of the content, if known, and its chunks, of which the first has come."""
        import requests

        answers: queue.SimpleQueue[tuple[int | None, Iterator[bytes]] | Exception] = queue.SimpleQueue()

        def ask() -> None:
            try:
                whole = {"Accept-Encoding": "identity"}  # so that the size in the header is that of the file
                response = requests.get(url, stream=True, timeout=(self.first_byte, self.stall), headers=whole)
                response.raise_for_status()
                chunks = response.iter_content(_CHUNK)
                size = int(response.headers.get("Content-Length", 0)) or None
                answers.put((size, itertools.chain([next(chunks, b"")], chunks)))
            except Exception as error:
                answers.put(error)

        # In a thread, as the timeouts of requests leave out looking up the name, begin anew with every address and
        # every redirection, and with every byte of the answer's head. It holds no file, and dies with the process.
        threading.Thread(target=ask, daemon=True).start()
        try:
            answer = answers.get(timeout=self.first_byte)
        except queue.Empty:
            answer = requests.Timeout()
        if not isinstance(answer, Exception):
            return answer
        if isinstance(answer, requests.HTTPError) and answer.response is not None:
            raise InputError(f"the server answered {answer.response.status_code}")
        if isinstance(answer, requests.Timeout):
            raise InputError(f"the server did not answer within {self.first_byte:g} s")
        if isinstance(answer, requests.exceptions.SSLError):
            raise InputError("no secure connection to the server (its certificate is not trusted)")
        raise InputError("the server cannot be reached")


def _import_litert() -> type[Interpreter]:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except (ImportError, OSError):  # not installed, or made for another system
        raise InputError("blazepose needs ai-edge-litert: pip install -r requirements.txt") from None
    return Interpreter


def _is_published(path: Path) -> bool:
    import pooch

    return pooch.file_hash(str(path)) in {file.sha256 for file in BLAZEPOSE.values()}


def _present(bundled: Path) -> Path:
    if not bundled.is_file():
        raise InputError(f"the bundled network {bundled} is missing: restore the file, or set second_look blazepose")
    return bundled
