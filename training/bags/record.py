"""Records topics into a new MCAP bag: raw CDR, with the QoS that their publishers offer.

Example: python -m training.bags.record out --topics /camera/image_raw /gps/fix
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Writer

from training.bags.qos import to_record, wanted
from training.bags.session import message_class, ros_node
from training.bags.store import BagError, ensure_type, message_store, new_bag

LOOK_EVERY = 0.1  # s between looks for topics that appeared
NEVER = ("/rosout", "/parameter_events")  # chatter, unless asked for by name


class Recorder:
    """Subscribes to topics as they appear and writes what comes into ``writer``.

    Everything runs in the thread that spins ``node``.

    Args:
        topics: full names; None takes all but hidden ones and ``NEVER``.
        exclude: never these.
        on_message: called with (topic, raw CDR) after it was written.
    """

    def __init__(
        self,
        node: Node,
        writer: Writer,
        topics: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        on_message: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self._node, self._writer, self._on_message = node, writer, on_message
        self._topics, self._exclude = topics, set(exclude)
        self._store = message_store()
        self._known: set[str] = set()
        self._early: list[tuple[Connection, bytes]] = []
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # the bag's clock may stand still
        self._timer = node.create_timer(LOOK_EVERY, self.look, clock=steady)
        self.look()

    @property
    def subscribed(self) -> frozenset[str]:
        """The topics that are being recorded."""
        return frozenset(self._known)

    def look(self) -> None:
        """Subscribe to what is wanted and there."""
        for topic, types in self._node.get_topic_names_and_types():
            if topic in self._known or not self._wants(topic):
                continue
            offers = self._node.get_publishers_info_by_topic(topic)
            if not offers:
                continue  # only subscribers so far: its QoS is not known yet
            self._known.add(topic)
            try:
                self._subscribe(topic, types[0], [o.qos_profile for o in offers])
            except BagError as error:
                self.problems.append(f"{topic} is not recorded: {error}")
                self._node.get_logger().warning(self.problems[-1])

    def _wants(self, topic: str) -> bool:
        if topic in self._exclude:
            return False
        if self._topics is not None:
            return topic in self._topics
        return topic not in NEVER and not any(part.startswith("_") for part in topic.split("/"))

    def _subscribe(self, topic: str, msgtype: str, offers: list) -> None:
        kind = message_class(msgtype)
        ensure_type(self._store, msgtype)
        connection = self._writer.add_connection(
            topic,
            msgtype,
            typestore=self._store,
            offered_qos_profiles=list(dict.fromkeys(to_record(o) for o in offers)),
        )

        def write(data: bytes) -> None:
            self._write(connection, data)

        self._node.create_subscription(kind, topic, write, wanted(offers), raw=True)

    def _write(self, connection: Connection, data: bytes) -> None:
        self.counts[connection.topic] += 1
        self._early.append((connection, data))
        now = self._node.get_clock().now().nanoseconds
        if now:  # without /clock it is not known yet when they came
            self.finish(now)
        if self._on_message is not None:
            self._on_message(connection.topic, data)

    def finish(self, now: int = 0) -> None:
        """Write what waits for a time, as of ``now``, ns."""
        for connection, data in self._early:
            self._writer.write(connection, now, data)
        self._early.clear()


class RecordThread(threading.Thread):
    """Records into a new bag beside whatever the process does; ``close`` finishes the bag.

    Raises:
        BagError: from ``close``, where the recording failed.
    """

    def __init__(
        self,
        path: str | Path,
        topics: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        on_message: Callable[[str, bytes], None] | None = None,
        use_sim_time: bool = False,
    ) -> None:
        super().__init__(name="bag_recorder", daemon=True)
        self._arguments = (topics, exclude, on_message)
        self._path, self._sim = path, use_sim_time
        self._end = threading.Event()
        self._error: BaseException | None = None
        self._keep = True
        self.recorder: Recorder | None = None

    def run(self) -> None:
        """Record until asked to end."""
        try:
            with ros_node("bag_recorder", use_sim_time=self._sim) as node, self._bag() as writer:
                self.recorder = Recorder(node, writer, *self._arguments)
                with spinning(node) as spin_once:
                    while not self._end.is_set():
                        spin_once()
                self.recorder.finish()
        except BaseException as error:  # handed to whoever closes
            self._error = error

    @contextlib.contextmanager
    def _bag(self) -> Iterator[Writer]:
        with contextlib.suppress(_Discarded), new_bag(self._path) as writer:
            yield writer
            if not self._keep:
                raise _Discarded

    def is_recording(self, topic: str) -> bool:
        """Return whether ``topic`` was found and is being recorded.

        Raises:
            BagError: where the recording failed.
        """
        if self._error is not None:
            self.close()
        return self.recorder is not None and topic in self.recorder.subscribed

    def close(self, *, keep: bool = True) -> Counter[str]:
        """End the recording and return the message counts; without ``keep`` nothing is written."""
        self._keep = keep
        self._end.set()
        self.join()
        error, self._error = self._error, None
        if error is not None and keep:
            raise error
        return self.recorder.counts if self.recorder else Counter()


class _Discarded(Exception):
    """Ends the writing of a bag that nobody wants."""


@contextlib.contextmanager
def spinning(node: Node) -> Iterator[Callable[[], None]]:
    """Yield a function that handles what came for ``node``, waiting 0.1 s at most."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)

    def spin_once() -> None:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin_once(timeout_sec=0.1)

    try:
        yield spin_once
    finally:
        executor.shutdown()


def main(argv: Sequence[str] | None = None) -> int:
    """Record a bag from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.bags.record", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("bag", type=Path, help="the new bag's directory")
    parser.add_argument("--topics", nargs="+", metavar="TOPIC", help="record only these")
    parser.add_argument("--exclude", nargs="+", default=[], metavar="TOPIC", help="leave these out")
    parser.add_argument("--duration", type=float, help="seconds; otherwise until Ctrl-C")
    parser.add_argument("--use-sim-time", action="store_true", help="receive times from /clock")
    arguments = parser.parse_args(argv)
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
    try:
        with ros_node("bag_recorder", use_sim_time=arguments.use_sim_time) as node:
            with new_bag(arguments.bag) as writer, spinning(node) as spin_once:
                recorder = Recorder(node, writer, arguments.topics, arguments.exclude)
                until = time.monotonic() + arguments.duration if arguments.duration else None
                print(f"recording into {arguments.bag}", flush=True)
                while not end.is_set() and (until is None or time.monotonic() < until):
                    spin_once()
                recorder.finish()
                if not recorder.counts:
                    raise BagError("nothing came: no bag written; are the publishers up?")
    except BagError as error:
        print(f"record: {error}", file=sys.stderr)
        return 1
    counts = ", ".join(f"{topic} {count}" for topic, count in sorted(recorder.counts.items()))
    print(f"recorded {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
