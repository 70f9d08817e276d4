"""A folder of results that is there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARK = "results.json"


class FolderError(ValueError):
    """A folder that results can't go into; its text is one line for the user."""


@contextmanager
def result_folder(path: Path) -> Iterator[Path]:
    """Yield a folder to fill; it replaces the results at ``path`` when the block ends well.

    Raises:
        FolderError: where ``path`` holds something that is not such results.
    """
    path = path.absolute()
    if path.exists() and not (path / MARK).is_file() and (path.is_file() or any(path.iterdir())):
        raise FolderError(f"{path} holds something else: remove it or choose another --out")
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        if path.exists():
            old = path.with_name(f".{path.name}.old-{os.getpid()}")
            os.rename(path, old)
            os.rename(part, path)
            shutil.rmtree(old)
        else:
            os.rename(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
