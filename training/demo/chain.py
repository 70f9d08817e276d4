"""The chain itself: a bag is played over DDS, the node answers, its topics are recorded."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from training.bags.play import Player, PlayOptions, PlayReport
from training.bags.record import RecordThread
from training.bags.session import ros_node
from training.bags.store import open_bag
from training.demo.node_process import NODE, NodeError, NodeProcess

ESTIMATE, POSE, HEATMAP = f"{NODE}/estimate", f"{NODE}/pose", f"{NODE}/heatmap"
# all but ~/overlay: 1 MB a frame, and the pictures are drawn from the heatmaps
TOPICS = (ESTIMATE, POSE, HEATMAP, f"{NODE}/aerial", f"{NODE}/map_anchor")
START_TIMEOUT = 180.0  # s for the node to load torch, map and weights on a busy machine
ANSWER_TIMEOUT = 15.0  # s for the answer to an image


def header_stamp(raw: bytes) -> int:
    """Return the stamp, ns, of a serialized message that begins with a header."""
    seconds, nanoseconds = struct.unpack_from("<iI", raw, 4)
    return int(seconds) * 10**9 + int(nanoseconds)


class Backlog:
    """Images that were sent and have no answer yet.

    The node keeps only the newest image, so an answer settles all images up to its stamp.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[int] = []
        self._since = time.monotonic()
        self.sent = 0
        self.answers = 0
        self.given_up = 0

    def image(self, stamp: int) -> None:
        """Note an image that went out."""
        with self._lock:
            self.sent += 1
            self._open.append(stamp)
            self._since = time.monotonic()

    def answer(self, stamp: int) -> None:
        """Note an answer that came."""
        with self._lock:
            self.answers += 1
            self._open = [s for s in self._open if s > stamp]

    def busy(self) -> bool:
        """Return whether an answer is still to come; what takes too long is given up."""
        with self._lock:
            if self._open and time.monotonic() - self._since > ANSWER_TIMEOUT:
                self.given_up += len(self._open)
                self._open = []
            return bool(self._open)

    def drain(self) -> None:
        """Wait for the last answers."""
        while self.busy():
            time.sleep(0.02)


@dataclass(frozen=True)
class ChainReport:
    """What went through: the player's report, images sent, answers received, wall seconds."""

    play: PlayReport
    sent: int
    answers: int
    seconds: float


def run_chain(
    bag: Path,
    recorded: Path,
    node: NodeProcess,
    image_topic: str,
    progress: Callable[[str, float | None, str], None],
    wait_for: tuple[str, ...] = (),
    rate: float = 1.0,
) -> ChainReport:
    """Start ``node``, play ``bag`` to it, record its topics into the new bag ``recorded``.

    An image is sent when the one before it is answered: where that is later than its time, the
    bag's time stands still, so that a slow machine loses no frames; the report says for how long.

    Raises:
        NodeError: where the node does not start, or ends.
        BagError: where a bag can't be read or written.
    """
    backlog = Backlog()
    recorder = RecordThread(
        recorded,
        topics=TOPICS,
        use_sim_time=True,
        on_message=lambda topic, raw: (
            backlog.answer(header_stamp(raw)) if topic == ESTIMATE else None
        ),
    )
    with open_bag(bag) as source, node, _recording(recorder):
        progress("starting the node", None, "")
        _wait_for_node(node, recorder)
        options = PlayOptions(rate, wait_for=(image_topic, *wait_for), wait_timeout=20.0)
        total = next(c.msgcount for c in source.connections if c.topic == image_topic)

        def on_message(topic: str, raw: bytes) -> None:
            if topic == image_topic:
                backlog.image(header_stamp(raw))
                note = f"{backlog.answers} answers to {backlog.sent} images"
                progress("driving, the node localizes", backlog.sent / total, note)
                node.check()

        with ros_node("bag_player") as player_node:
            began = time.monotonic()
            report = Player(player_node, source, options).run(
                on_message, lambda topic: topic == image_topic and backlog.busy()
            )
            backlog.drain()
            node.check()
            return ChainReport(report, backlog.sent, backlog.answers, time.monotonic() - began)


@contextmanager
def _recording(recorder: RecordThread) -> Iterator[None]:
    """Record while the block lasts; nothing is kept where it fails."""
    recorder.start()
    try:
        yield
    except BaseException:
        recorder.close(keep=False)
        raise
    recorder.close()


def _wait_for_node(node: NodeProcess, recorder: RecordThread) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not recorder.is_recording(ESTIMATE):
        node.check()
        if time.monotonic() > deadline:
            late = f"the node was not up after {START_TIMEOUT:g} s"
            raise NodeError(f"{late}; it said last: {node.last_line()}")
        time.sleep(0.05)
