"""Files that a run leaves behind: each is whole or not there, belongs to one run at a time, and its JSON is JSON."""

from __future__ import annotations

import glob
import json
import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # not on Windows: nothing keeps two runs apart there, but each file is still whole
    fcntl = None  # type: ignore[assignment]

# JSON has no numbers for these, so they are written as text, and read back as what they were.
NO_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def write_whole(path: str | os.PathLike, content: bytes) -> None:
    """Write the file so that ``path`` always holds a whole one, whatever kills the process or the machine.

    The bytes go to a temporary file beside it and to the disk (fsync); only then does the file take the name ``path``,
    which the file system does at one stroke. The temporary name is different each time, so that two runs that write
    one file don't write into each other's. OSError that names the file where it can't be written; nothing is left.
    """
    path = Path(os.path.realpath(path))  # of a link, the file that it names is written
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(unfinished, "xb") as file:
            _lock(file)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(unfinished, path)
    except BaseException as error:
        with suppress(OSError):
            unfinished.unlink()
        if isinstance(error, OSError):
            raise _with_the_name(path, error) from error
        raise


@contextmanager
def claimed(path: str | os.PathLike) -> Iterator[None]:
    """Inside, the file ``path`` is this run's: OSError where another run has claimed it, or where it can't be written.

    So both are known before the work whose result the file is to hold. The claim is a lock on a file beside it, which
    the system lifts when the process ends, however it ends.
    """
    path = Path(os.path.realpath(path))
    made = not path.parent.exists()
    if path.exists() and not path.is_file():  # os.replace would put a file in the place of a device
        kind = IsADirectoryError if path.is_dir() else OSError
        raise kind(f"{path} is a folder or a device; the name of a file is wanted")
    name = path.with_name(f".{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _open_and_lock(name)
    except OSError as error:
        raise _with_the_name(path, error) from error
    if lock is None:
        raise BlockingIOError(f"{path} is being written by another run; wait for its end, or name another file")
    with lock:
        _remove_leftovers(path)
        try:
            yield
        finally:
            with suppress(OSError):
                name.unlink()
                if made:
                    path.parent.rmdir()  # which fails, as it should, where anything was written


def _open_and_lock(name: Path) -> IO[bytes] | None:
    """The file of this name, locked; None where another run has locked it."""
    while True:
        file = open(name, "ab")  # noqa: SIM115 (it stays open as long as the claim)
        if not _lock(file):
            file.close()
            return None
        if _is_still_there(file, name):
            return file
        file.close()  # the run before removed it as it ended, between our two calls


def to_json(value: Any, indent: int | None = None) -> str:
    """The value as JSON; NaN and infinity as the names in NO_NUMBERS."""
    return json.dumps(_without_nan(value), indent=indent, allow_nan=False)


def write_json(content: Any, path: str | os.PathLike) -> None:
    """Write the value as a JSON file (see ``to_json`` and ``write_whole``)."""
    write_whole(path, f"{to_json(content, indent=1)}\n".encode())


def from_json(text: str | bytes) -> Any:
    """What ``to_json`` wrote; ValueError where the text is no JSON."""
    try:
        return _with_nan(json.loads(text, object_pairs_hook=_each_once, parse_constant=_refuse))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _with_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_nan(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_nan(part) for part in value]
    return NO_NUMBERS.get(value, value) if isinstance(value, str) else value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object's pairs as a dict."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands in it twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _lock(file: IO[bytes]) -> bool:
    """Lock an open file until it is closed; False where another one holds it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks
    return True


def _is_still_there(file: IO[bytes], name: Path) -> bool:
    """Whether an open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), name.stat())
    except FileNotFoundError:
        return False


def _remove_leftovers(path: Path) -> None:
    """Remove what killed runs left half written: such a file is locked by nobody."""
    if fcntl is None:
        return
    for name in glob.glob(f"{glob.escape(str(path.with_name('.' + path.name)))}.*.unfinished"):
        with suppress(OSError), open(name, "rb+") as file:
            if _lock(file):
                os.unlink(name)


def _with_the_name(path: Path, error: OSError) -> OSError:
    """The same error in a sentence that names the file."""
    why = error.strerror or error
    if isinstance(error, FileExistsError | NotADirectoryError):
        why = f"{path.parent} is no folder"
    named = type(error)(f"{path} can't be written: {why}")
    named.errno = error.errno
    return named
