"""Plays a rosbag2 over ROS 2: raw CDR as recorded, original stamps, ``/clock``, recorded QoS.

Example: python -m training.bags.play drive --rate 2 --loop --wait-for /camera/image_raw
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosgraph_msgs.msg import Clock

from training.bags.pace import POLL, Pace
from training.bags.qos import offered_again
from training.bags.session import message_class, ros_node
from training.bags.store import BagError, open_bag


@dataclass(frozen=True)
class PlayOptions:
    """How to play.

    Attributes:
        rate: bag seconds per second.
        loop: start again at the end; stamps and clock then jump back.
        topics: the ones to play, None for all; exclude: the ones to leave out.
        remap: recorded name -> played name.
        clock_rate: ``/clock`` messages per second; 0 for no clock.
        wait_for: topics, as played, that need a subscriber before anything is sent.
        wait_timeout: seconds to wait for those.
        linger: seconds that latched topics stay available after the last message.
    """

    rate: float = 1.0
    loop: bool = False
    topics: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    remap: Mapping[str, str] = field(default_factory=dict)
    clock_rate: float = 40.0
    wait_for: tuple[str, ...] = ()
    wait_timeout: float = 10.0
    linger: float = 0.0

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise BagError(f"rate {self.rate}: expected a positive number")
        if self.clock_rate < 0:
            raise BagError(f"clock rate {self.clock_rate}: expected 0 (no clock) or more")


@dataclass
class PlayReport:
    """Messages sent by topic, passes over the bag, how late the latest was and time held, s."""

    sent: Counter[str] = field(default_factory=Counter)
    passes: int = 0
    worst_lag: float = 0.0
    held: float = 0.0


class Player:
    """Publishes a bag's messages through ``node``.

    Raises:
        BagError: where a topic is not in the bag, or its type is not installed.
    """

    def __init__(self, node: Node, bag: Reader, options: PlayOptions | None = None) -> None:
        self.options = options or PlayOptions()
        self._node, self._bag = node, bag
        self._stop = threading.Event()
        self._connections = self._chosen()
        self._publishers = {c.id: self._publisher(c) for c in self._connections}
        clock = self.options.clock_rate > 0
        self._clock: Publisher | None = (
            node.create_publisher(Clock, "/clock", 10) if clock else None
        )

    def _chosen(self) -> list[Connection]:
        there = {c.topic for c in self._bag.connections}
        named = set(self.options.topics or ()) | set(self.options.exclude) | set(self.options.remap)
        if missing := sorted(named - there):
            raise BagError(f"no topic {missing[0]} in the bag: it has {', '.join(sorted(there))}")
        wanted = (set(self.options.topics) if self.options.topics else there) - set(
            self.options.exclude
        )
        if self.options.clock_rate > 0:
            wanted.discard("/clock")  # two clocks would fight
        chosen = [c for c in self._bag.connections if c.topic in wanted]
        if not any(c.msgcount for c in chosen):
            raise BagError("nothing to play: the chosen topics hold no message")
        return chosen

    def _publisher(self, connection: Connection) -> Publisher:
        recorded = getattr(connection.ext, "offered_qos_profiles", [])
        name = self.options.remap.get(connection.topic, connection.topic)
        kind = message_class(connection.msgtype)
        return self._node.create_publisher(kind, name, offered_again(recorded, connection.msgcount))

    def stop(self) -> None:
        """End ``run`` soon; from any thread or signal handler."""
        self._stop.set()

    def wait_for_subscribers(self) -> None:
        """Wait until every topic of ``wait_for`` has a subscriber.

        Raises:
            BagError: where one has none when ``wait_timeout`` is over.
        """
        by_name: dict[str, list[Publisher]] = {}
        for connection in self._connections:
            name = self.options.remap.get(connection.topic, connection.topic)
            by_name.setdefault(name, []).append(self._publishers[connection.id])
        deadline = time.monotonic() + self.options.wait_timeout
        for name in self.options.wait_for:
            if name not in by_name:
                raise BagError(f"can't wait for {name}: it is not among the played topics")
            while not all(p.get_subscription_count() for p in by_name[name]):
                if time.monotonic() > deadline:
                    raise BagError(
                        f"no subscriber on {name} after {self.options.wait_timeout:g} s: start "
                        "it first, or check its ROS_DOMAIN_ID and topic name"
                    )
                if self._stop.wait(POLL):
                    return

    def run(
        self,
        on_message: Callable[[str, bytes], None] | None = None,
        hold: Callable[[str], bool] | None = None,
    ) -> PlayReport:
        """Play to the end, or until ``stop``.

        Args:
            on_message: called with (recorded topic, raw CDR) after each message.
            hold: called with the topic of the next message; while it returns True, the bag's time
                stands still: for a slow consumer.
        """
        report = PlayReport()
        self.wait_for_subscribers()
        while not self._stop.is_set():
            self._one_pass(report, on_message, hold or (lambda topic: False))
            report.passes += 1
            if not self.options.loop:
                break
        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=2.0))
        self._stop.wait(self.options.linger)
        return report

    def _one_pass(
        self,
        report: PlayReport,
        on_message: Callable[[str, bytes], None] | None,
        hold: Callable[[str], bool],
    ) -> None:
        pace: Pace | None = None
        for connection, stamp, data in self._messages():
            pace = pace or self._pace(stamp)
            if not pace.until(stamp):
                break
            pace.hold_while(partial(hold, connection.topic))
            raw = bytes(data)
            self._publishers[connection.id].publish(raw)
            report.sent[connection.topic] += 1
            report.worst_lag = max(report.worst_lag, pace.lag(stamp))
            if on_message is not None:
                on_message(connection.topic, raw)
        report.held += pace.held if pace else 0.0

    def _pace(self, start: int) -> Pace:
        if self._clock is None:
            return Pace(start, self.options.rate, self._stop)
        period = 1.0 / self.options.clock_rate
        return Pace(start, self.options.rate, self._stop, self._publish_clock, period)

    def _publish_clock(self, stamp: int) -> None:
        assert self._clock is not None
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(stamp, 10**9)
        self._clock.publish(message)

    def _messages(self) -> Iterator[tuple[Connection, int, bytes]]:
        try:
            yield from self._bag.messages(self._connections)
        except (OSError, ValueError, EOFError, AssertionError) as error:
            reason = " ".join(str(error).split())
            raise BagError(f"the bag breaks off ({reason}): record it again") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.bags.play", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("bag", type=Path, help="rosbag2 directory, .mcap or .db3 file")
    parser.add_argument("--rate", type=float, default=1.0, help="bag seconds per second")
    parser.add_argument("--loop", action="store_true", help="start again at the end")
    parser.add_argument("--topics", nargs="+", metavar="TOPIC", help="play only these")
    parser.add_argument("--exclude", nargs="+", default=[], metavar="TOPIC", help="leave these out")
    parser.add_argument("--remap", nargs="+", default=[], metavar="FROM:=TO", help="rename topics")
    parser.add_argument(
        "--clock-rate", type=float, default=40.0, help="/clock per second, 0 for none"
    )
    parser.add_argument(
        "--wait-for", nargs="+", default=[], metavar="TOPIC", help="need a subscriber"
    )
    parser.add_argument(
        "--wait-timeout", type=float, default=10.0, help="seconds to wait for those"
    )
    parser.add_argument("--linger", type=float, default=0.0, help="seconds to stay after the end")
    return parser


def options_from(arguments: argparse.Namespace) -> PlayOptions:
    """Return the options that the command line asks for.

    Raises:
        BagError: where one makes no sense.
    """
    pairs = [r.split(":=") for r in arguments.remap]
    if wrong := [pair for pair in pairs if len(pair) != 2 or not all(pair)]:
        raise BagError(f"remap {':='.join(wrong[0])!r}: expected FROM:=TO")
    return PlayOptions(
        rate=arguments.rate,
        loop=arguments.loop,
        topics=tuple(arguments.topics) if arguments.topics else None,
        exclude=tuple(arguments.exclude),
        remap={a: b for a, b in pairs},
        clock_rate=arguments.clock_rate,
        wait_for=tuple(arguments.wait_for),
        wait_timeout=arguments.wait_timeout,
        linger=arguments.linger,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Play a bag from the command line."""
    arguments = _parser().parse_args(argv)
    try:
        options = options_from(arguments)
        with open_bag(arguments.bag) as bag, ros_node("bag_player") as node:
            player = Player(node, bag, options)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: player.stop())
            report = player.run()
    except BagError as error:
        print(f"play: {error}", file=sys.stderr)
        return 1
    sent = ", ".join(f"{topic} {count}" for topic, count in sorted(report.sent.items()))
    print(f"played {report.passes} x: {sent}; at most {report.worst_lag * 1e3:.0f} ms late")
    return 0


if __name__ == "__main__":
    sys.exit(main())
