"""Map and network are gone with cleanup, not when the garbage collector happens to run."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, NODE
from in_process import node_here, peer_here
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_messages import SECOND

STAMP = 1_680_000_000 * SECOND


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def held(node: Any) -> dict[str, weakref.ref[Any]]:
    """Weak references to what is large."""
    localizer = node.session.localizer
    return {
        "localizer": weakref.ref(localizer),
        "model": weakref.ref(localizer._network.model),
        "map": weakref.ref(localizer.satellite_map),
    }


def alive(references: dict[str, weakref.ref[Any]]) -> list[str]:
    return [name for name, reference in references.items() if reference() is not None]


def test_cleanup_after_work_frees_the_network(map_file: Path) -> None:
    with node_here(spinning=True, map=str(map_file)) as node, peer_here() as peer:
        peer.listen_to_results()
        peer.listen_to_pictures()
        assert peer.change(CONFIGURE)
        references = held(node)
        for life in range(2):  # the second time it was deactivated before
            assert peer.change(ACTIVATE)
            peer.send_vehicle()
            peer.connect()
            stamp = STAMP + life * 100 * SECOND
            peer.send_scene(stamp, (0.0, 0.0, 1.0))
            assert peer.with_stamp(f"{NODE}/estimate", stamp).reason == ""
            peer.with_stamp(f"{NODE}/heatmap", stamp)
            assert peer.change(DEACTIVATE)
        assert peer.change(CLEANUP)
        assert alive(references) == []


def test_the_old_network_is_gone_before_the_next_is_loaded(
    map_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cross_view_localizer.localizer import Localizer

    load, found = Localizer.from_files, []
    references: dict[str, weakref.ref[Any]] = {}

    def watched(*arguments: Any) -> Localizer:
        found.append(alive(references))
        return load(*arguments)

    monkeypatch.setattr(Localizer, "from_files", watched)
    with node_here(map=str(map_file), weights="front", model="bev") as node:
        node.trigger_configure()
        references |= held(node)
        node.trigger_activate()
        node.trigger_deactivate()
        node.trigger_cleanup()
        node.trigger_configure()
        assert found == [[], []]


def test_an_activation_that_fails_leaves_nothing_behind(
    map_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cross_view_localizer.ros import activity

    def broken(*arguments: object) -> None:
        raise ValueError("no such camera")

    with node_here(map=str(map_file)) as node:
        node.trigger_configure()
        references = held(node)
        before = len(list(node.publishers)), len(list(node.subscriptions))
        with monkeypatch.context() as patch:
            patch.setattr(activity, "ImageInput", broken)
            assert node.trigger_activate() == TransitionCallbackReturn.FAILURE
        assert node.problem == "no such camera" and node.state == "inactive"
        assert (len(list(node.publishers)), len(list(node.subscriptions))) == before
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        node.trigger_deactivate()
        node.trigger_cleanup()
        assert alive(references) == []
