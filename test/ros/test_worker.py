from __future__ import annotations

import threading

from cross_view_localizer.ros.outgoing.status import WINDOW, Status
from cross_view_localizer.ros.worker import Worker


def test_only_the_newest_item_is_kept_and_errors_do_not_end_it() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()
    processed: list[int] = []
    failed: list[tuple[str, int | None]] = []

    def process(item: int) -> None:
        begun.set()
        assert go_on.wait(10)
        processed.append(item)
        if item == 1:
            raise RuntimeError("one")
        done.set()

    def chore() -> None:
        raise ValueError("chore")

    worker: Worker[int] = Worker(process, chore, lambda e, item: failed.append((str(e), item)))
    worker.start()
    assert not worker.offer(1)
    assert begun.wait(10)
    assert not worker.offer(2)
    assert worker.offer(3)  # replaces 2
    worker.poke()
    go_on.set()
    assert done.wait(10)
    assert worker.stop(10)
    assert processed == [1, 3]
    assert failed == [("one", 1), ("chore", None)]


def test_discarded_items_are_not_processed() -> None:
    processed: list[int] = []
    worker: Worker[int] = Worker(processed.append, lambda: None, lambda e, item: None)
    worker.offer(1)
    worker.discard()
    worker.start()
    assert worker.stop(10) and processed == []


def test_rates_and_ages() -> None:
    now = [100.0]
    status = Status(clock=lambda: now[0])
    assert status.silence("image") == 0.0
    for k in range(60):
        now[0] = 100.0 + k / 10
        status.arrived("image", stamp=k, offset=0.25)
    figures = status.topic("image")
    assert (figures.messages, figures.stamp, figures.offset) == (60, 59, 0.25)
    assert abs(figures.rate - 10.0) < 0.3
    now[0] += 2 * WINDOW
    figures = status.topic("image")
    assert figures.rate == 0.0 and figures.age == 2 * WINDOW == status.silence("image")
