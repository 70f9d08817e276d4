"""Static transforms by frame names: what is needed of tf2, which PyPI does not have."""

from __future__ import annotations

from collections import deque
from typing import Any

from cross_view_localizer.geo import RigidTransform


class MissingFrameError(LookupError):
    """No chain of static transforms; the message names the frame that is missing."""


class StaticTransforms:
    """The tree that /tf_static describes; a frame that is sent again replaces its old transform."""

    def __init__(self) -> None:
        self._parents: dict[str, tuple[str, RigidTransform]] = {}
        self.rejected: str | None = None  # why the last unusable transform was left out
        self.version = 0  # grows with every change, so that users can keep what they looked up

    def add_message(self, message: Any) -> None:
        """Take a tf2_msgs/TFMessage; unusable entries are left out and named in ``rejected``."""
        for entry in message.transforms:
            parent, child = entry.header.frame_id, entry.child_frame_id
            t, q = entry.transform.translation, entry.transform.rotation
            try:
                transform = RigidTransform.from_quaternion((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
                self.add(parent, child, transform)
            except ValueError as error:
                self.rejected = f"/tf_static {parent} -> {child}: {error}"

    def add(self, parent: str, child: str, child_in_parent: RigidTransform) -> None:
        """Add one edge.

        Raises:
            ValueError: an empty name, or a frame that is its own parent.
        """
        parent, child = _plain(parent), _plain(child)
        if not parent or not child or parent == child:
            raise ValueError("expected two different frame names")
        self._parents[child] = (parent, child_in_parent)
        self.version += 1

    def frames(self) -> list[str]:
        """Return the names of all frames, sorted."""
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
        known = self.frames()
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
