"""Which files were found whole before, so that not every start of a training opens every file."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER = Path("cache/files")

Stamp = list[int]


class FileStamps:
    """Size and times of the files that were whole when they were looked at, by folder.

    A file that has changed since, or was broken, is looked at again.

    Args:
        folder: where they are kept, a file for each of the dataset's folders.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, dict[str, Stamp]] = {}
        self._changed: set[str] = set()

    def is_known(self, file: Path) -> bool:
        """Whether a file was whole, and is what it was."""
        stamp = _stamp(file)
        return stamp is not None and self._of(str(file.parent)).get(file.name) == stamp

    def keep(self, file: Path) -> None:
        """Remember a file that was found whole."""
        stamp = _stamp(file)
        if stamp is not None:
            self._of(str(file.parent))[file.name] = stamp
            self._changed.add(str(file.parent))

    def write(self) -> None:
        """Write what was added; each file appears whole or not at all."""
        for folder in self._changed:
            handle, part = tempfile.mkstemp(dir=self._folder)
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(self._known[folder], stream)
            os.replace(part, self._path(folder))
        self._changed.clear()

    def _of(self, folder: str) -> dict[str, Stamp]:
        if folder not in self._known:
            self._known[folder] = {}
            with suppress(OSError, ValueError):  # not there yet, or from a killed program
                self._known[folder] = json.loads(self._path(folder).read_text("utf-8"))
        return self._known[folder]

    def _path(self, folder: str) -> Path:
        name = hashlib.sha256(os.path.realpath(folder).encode()).hexdigest()[:24]
        return self._folder / f"{name}.json"


def _stamp(file: Path) -> Stamp | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


@contextmanager
def file_stamps(folder: Path | None = None) -> Iterator[FileStamps | None]:
    """Give the stamps to one process at a time, and write them at the end.

    Of the processes of a training, which all start with the same scan, the first looks at the files
    and the others wait for what it found. None where nothing can be written.
    """
    place = folder or FOLDER
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = (place / "lock").open("w")
    except OSError:
        yield None
        return
    with lock:
        with suppress(OSError):  # a file system without locks: each process looks for itself
            fcntl.flock(lock, fcntl.LOCK_EX)
        stamps = FileStamps(place)
        yield stamps
        stamps.write()
