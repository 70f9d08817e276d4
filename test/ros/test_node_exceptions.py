"""Exceptions that nobody foresaw: where they came from stands in the log, once."""

from __future__ import annotations

from pathlib import Path

import pytest
from in_process import node_here
from rclpy.lifecycle import TransitionCallbackReturn

from cross_view_localizer.localizer import Localizer


def test_configure_logs_an_unforeseen_exceptions_traceback_once(
    map_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def old_attrs(*arguments: object) -> None:
        raise TypeError("No '__dict__' attribute on 'Affine' instance")

    monkeypatch.setattr(Localizer, "from_files", old_attrs)
    with node_here(map=str(map_file)) as node:
        for _ in range(2):
            assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert node.problem == "TypeError: No '__dict__' attribute on 'Affine' instance"
    log = capfd.readouterr().err
    assert log.count("configure failed: TypeError") == 2
    assert log.count("Traceback (most recent call last)") == 1
    assert "in old_attrs" in log


def test_a_mistake_of_the_users_needs_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    with node_here(map="/nowhere/map.tif") as node:
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    log = capfd.readouterr().err
    assert "/nowhere/map.tif" in log and "Traceback" not in log


def test_a_frames_exception_is_traced_once_and_refuses_the_frame(
    capfd: pytest.CaptureFixture[str],
) -> None:
    import rclpy.logging

    from cross_view_localizer.ros.outgoing.reporter import INTERNAL_ERRORS, Reporter
    from cross_view_localizer.ros.outgoing.status import Status

    reporter = Reporter(rclpy.logging.get_logger("traced"), Status())

    def broken_here() -> None:
        raise KeyError("k")

    for _ in range(3):
        try:
            broken_here()
        except KeyError as error:
            reporter.internal_error("frame", error)
    log = capfd.readouterr().err
    assert log.count("Traceback (most recent call last)") == 1 and "in broken_here" in log
    assert reporter.status.counts()[INTERNAL_ERRORS] == 3
