"""Static transforms by frame names: what is needed of tf2, which PyPI does not have."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from cross_view_localizer.geo import RigidTransform


class MissingFrameError(LookupError):
    """No chain of static transforms; the message names the frame that is missing."""


class StaticTransforms:
    """The tree that /tf_static describes; of a frame that is sent again the latest entry counts.

    Any thread may call any method: a lookup sees a message's entries all or not at all.

    Attributes:
        version: grows with every change, so that users can keep what they looked up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parents: dict[str, tuple[str, RigidTransform]] = {}
        self._rejected: dict[str, str] = {}
        self.version = 0

    @property
    def rejected(self) -> str:
        """Why frames' latest entries can't be used; empty once they were corrected."""
        with self._lock:
            return "; ".join(self._rejected.values())

    def add_message(self, message: Any) -> None:
        """Take a tf2_msgs/TFMessage; unusable entries are left out and named in ``rejected``."""
        with self._lock:
            self._rejected.pop("", None)  # no later entry could correct one without a name
            for entry in message.transforms:
                parent, child = entry.header.frame_id, entry.child_frame_id
                t, q = entry.transform.translation, entry.transform.rotation
                self._rejected.pop(_plain(child), None)
                try:
                    pose = RigidTransform.from_quaternion((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
                    self._add(parent, child, pose)
                except ValueError as error:
                    self._rejected[_plain(child)] = f"/tf_static {parent} -> {child}: {error}"

    def add(self, parent: str, child: str, child_in_parent: RigidTransform) -> None:
        """Add one edge.

        Raises:
            ValueError: an empty name, or a frame that is its own parent.
        """
        with self._lock:
            self._add(parent, child, child_in_parent)

    def _add(self, parent: str, child: str, child_in_parent: RigidTransform) -> None:
        parent, child = _plain(parent), _plain(child)
        if not parent or not child or parent == child:
            raise ValueError("expected two different frame names")
        self._parents[child] = (parent, child_in_parent)
        self.version += 1

    def frames(self) -> list[str]:
        """Return the names of all frames, sorted."""
        with self._lock:
            return self._frames()

    def _frames(self) -> list[str]:
        parents = (parent for parent, _ in self._parents.values())
        return sorted({*self._parents, *parents})

    def lookup(self, target: str, source: str) -> RigidTransform:
        """Return ``source`` in ``target``: takes points of source to target, along any chain.

        Raises:
            MissingFrameError: where a frame is unknown or nothing connects the two.
        """
        target, source = _plain(target), _plain(source)
        if target == source:
            return RigidTransform.identity()
        with self._lock:
            return self._lookup(target, source)

    def _lookup(self, target: str, source: str) -> RigidTransform:
        known = self._frames()
        for frame in (source, target):
            if frame not in known:
                listing = ", ".join(known) or "nothing yet"
                raise MissingFrameError(f"frame {frame!r} is not on /tf_static (there: {listing})")
        reached = {target: RigidTransform.identity()}
        queue = deque([target])
        while queue:
            frame = queue.popleft()
            for neighbour, transform in self._neighbours(frame):
                if neighbour not in reached:
                    reached[neighbour] = reached[frame] @ transform
                    queue.append(neighbour)
        if source not in reached:
            raise MissingFrameError(f"/tf_static does not connect {source!r} to {target!r}")
        return reached[source]

    def _neighbours(self, frame: str) -> list[tuple[str, RigidTransform]]:
        """Return (neighbour, neighbour in frame) for all edges at ``frame``, either direction."""
        found = [(child, t) for child, (parent, t) in self._parents.items() if parent == frame]
        if frame in self._parents:
            parent, transform = self._parents[frame]
            found.append((parent, transform.inverse()))
        return found


def _plain(frame: str) -> str:
    """Old drivers still write the leading slash that tf2 dropped."""
    return frame.lstrip("/")
