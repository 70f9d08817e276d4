"""What the node refuses at configure beside broken files."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cross_view_localizer.ros.session import check_frames
from cross_view_localizer.views import View


def test_a_model_of_several_frames_is_refused_until_the_node_gathers_them() -> None:
    closed = []
    several = View("pinhole", 8, 8, 8, 1.0, 8, 1.0, frames=3)
    satellite_map = SimpleNamespace(close=lambda: closed.append(True))
    localizer: Any = SimpleNamespace(view=several, model_id="many-1", satellite_map=satellite_map)
    with pytest.raises(ValueError, match="many-1: 1 frame: the model needs 3") as error:
        check_frames(localizer)
    assert "\n" not in str(error.value) and closed
    localizer.view = View("pinhole", 8, 8, 8, 1.0, 8, 1.0, frames=3, fewest_frames=1)
    check_frames(localizer)
