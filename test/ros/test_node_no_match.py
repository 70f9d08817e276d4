"""A picture that does not show this part of the map: told, gated at once, and no pose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from harness import ACTIVATE, CONFIGURE, NODE
from in_process import node_here, peer_here
from sensor_messages import SECOND

from cross_view_localizer.models.contract import Scores
from cross_view_localizer.models.correlation import Correlation

STAMP = 1_685_000_000 * SECOND
HERE = (10.0, 15.0, 0.7)


def test_no_match_is_published_as_the_reason_and_no_pose_with_it(
    map_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    match, told = Correlation.match, [0.9]

    def telling(model: Correlation, aerial: Any, ground: Any) -> Scores:
        return match(model, aerial, ground)._replace(no_match=torch.tensor(told))

    monkeypatch.setattr(Correlation, "match", telling)
    with node_here(spinning=True, map=str(map_file)), peer_here() as peer:
        peer.listen_to_results()
        assert peer.change(CONFIGURE) and peer.change(ACTIVATE)
        peer.send_vehicle()
        peer.connect()

        def answer(step: int) -> Any:
            peer.send_scene(STAMP + step * SECOND, HERE)
            return peer.with_stamp(f"{NODE}/estimate", STAMP + step * SECOND)

        refusal = peer.next_diagnostic("localization", lambda s: "(no_match)" in s.message)
        wrong = answer(1)
        assert (wrong.status, wrong.reason) == (wrong.STATUS_REFUSED, "no_match")
        assert wrong.no_match == pytest.approx(0.9) and "probability 0.9:" in wrong.detail
        assert wrong.has_pose and wrong.confidence <= 0.1
        values = {pair.key: pair.value for pair in refusal().values}
        assert (values["refused.no_match"], values["last no_match"]) == ("1", "0.9")
        assert peer.set(max_no_match=0.95) == []
        assert answer(2).reason == ""
        peer.with_stamp(f"{NODE}/pose", STAMP + 2 * SECOND)
        assert len(peer.heard[f"{NODE}/pose"]) == 1, "the first frame had a pose"
