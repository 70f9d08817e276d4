"""Reading and writing rosbag2 directories without ROS: errors in one line, nothing half-written.

A bag is written into a hidden sibling and renamed when it is whole: a bag that is there is
complete.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.rosbag2.errors import ReaderError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

PACKAGE = "cross_view_localizer"
OWN_MESSAGES = Path(__file__).resolve().parents[2] / "msg"
_FOREVER = QosTime(9223372036, 854775807)


class BagError(ValueError):
    """A bag that can't be read, written or played; its text is one line for the user."""


def recorded_qos(*, depth: int = 10, latched: bool = False, reliable: bool = True) -> Qos:
    """Return the QoS that a publisher would have offered, for a connection of a new bag."""
    return Qos(
        QosHistory.KEEP_LAST,
        depth,
        QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        _FOREVER,
        _FOREVER,
        QosLiveliness.AUTOMATIC,
        _FOREVER,
        False,
    )


def message_store() -> Typestore:
    """Return the types of ROS 2 Jazzy and this package's own."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for file in sorted(OWN_MESSAGES.glob("*.msg")):
        store.register(get_types_from_msg(file.read_text(), f"{PACKAGE}/msg/{file.stem}"))
    return store


def _installed_definition(msgtype: str) -> Path | None:
    """Find the .msg file of a type in the environment's share folders."""
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
    except ImportError:
        return None
    package, _, name = msgtype.split("/")
    try:
        file = Path(get_package_share_directory(package)) / "msg" / f"{name}.msg"
    except PackageNotFoundError:
        return None
    return file if file.is_file() else None


def ensure_type(store: Typestore, msgtype: str) -> None:
    """Make ``store`` know ``msgtype``, reading the definitions that ROS installed.

    Raises:
        BagError: where the definition, or one it needs, is nowhere.
    """
    todo, found = [msgtype], {}
    while todo:
        wanted = todo.pop()
        if wanted in store.fielddefs or wanted in found:
            continue
        file = _installed_definition(wanted)
        if file is None:
            raise BagError(f"type {wanted}: no .msg file found; install its package")
        fields = get_types_from_msg(file.read_text(), wanted)
        found.update(fields)
        todo += [name for _, parts in fields.values() for _, part in parts for name in _names(part)]
    store.register({k: v for k, v in found.items() if k not in store.fielddefs})


def _names(part: object) -> list[str]:
    """Collect the message names in one of rosbags' nested field descriptions."""
    if isinstance(part, str):
        return [part] if part.count("/") == 2 else []
    return [n for p in part for n in _names(p)] if isinstance(part, (tuple, list)) else []


@contextmanager
def open_bag(path: str | Path) -> Iterator[Reader]:
    """Open a rosbag2 directory or storage file (MCAP or SQLite) for reading.

    Raises:
        BagError: where there is no bag, or it can't be read.
    """
    path = Path(path)
    if not path.exists():
        raise BagError(f"no bag at {path}: expected a rosbag2 directory, an .mcap or a .db3 file")
    try:
        reader = Reader(path)
        reader.open()
    except (ReaderError, OSError, AssertionError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BagError(f"{path} is not a readable bag ({reason}): record it again") from None
    try:
        yield reader
    finally:
        reader.close()


def check_vacant(path: str | Path) -> Path:
    """Return ``path`` where a bag may be written.

    Raises:
        BagError: where something lies there already.
    """
    path = Path(path)
    if path.exists():
        raise BagError(f"{path} exists already: remove it or choose another name")
    return path


@contextmanager
def new_bag(
    path: str | Path, *, version: int = 9, storage: StoragePlugin = StoragePlugin.MCAP
) -> Iterator[Writer]:
    """Write a new bag; it appears at ``path`` only when the block ended without an exception.

    Args:
        version: 9 for Jazzy and later, 8 for Humble.

    Raises:
        BagError: where ``path`` exists already or can't be made.
    """
    path = check_vacant(path)
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = Writer(part, version=9 if version == 9 else 8, storage_plugin=storage)
        with writer:
            yield writer
        for file in part.glob(f"{part.name}.*"):  # the storage file is named after its folder
            _rename_storage(part, file, path.name + file.suffix)
        os.rename(part, check_vacant(path))
    except OSError as error:
        raise BagError(f"can't write the bag {path}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _rename_storage(folder: Path, file: Path, name: str) -> None:
    """Give the storage file the bag's own name, in the folder and in its metadata."""
    metadata = folder / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace(file.name, name))
    file.rename(folder / name)
