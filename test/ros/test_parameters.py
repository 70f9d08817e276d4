from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.prior.config import PriorConfig
from cross_view_localizer.ros.configurations import localizer_config, prior_config
from cross_view_localizer.ros.parameter_files import check_yaml
from cross_view_localizer.ros.parameters import (
    ParameterError,
    Parameters,
    checked,
    from_mapping,
    markdown,
    table,
)


def test_defaults_fit_their_own_table() -> None:
    for row in table():
        assert checked(row.name, row.default) == row.default
        assert row.metadata["description"]


def test_whole_numbers_become_floats_and_lists_tuples() -> None:
    values = from_mapping({"max_std": 5, "datum": [51, -1.25]})
    assert values.max_std == 5.0 and isinstance(values.max_std, float)
    assert values.datum == (51.0, -1.25)
    assert values.device == Parameters().device


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("heatmp_rate", 1.0, "did you mean heatmap_rate"),
        ("max_std", "wide", "expected a number"),
        ("max_std", float("nan"), "expected a number"),
        ("max_std", True, "expected a number"),
        ("max_std", 0.0, "expected 0.1 to 1000"),
        ("autostart", 1, "expected bool"),
        ("map", 3, "expected a text"),
        ("datum", [1.0], "expected 0 or 2"),
        ("datum", "51, -1", "list of numbers"),
        ("heading_source", "north", "one of imu_enu"),
    ],
)
def test_mistakes_are_named(name: str, value: object, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        checked(name, value)


def test_yaml_files_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(
        "/**:\n  ros__parameters:\n    use_sim_time: true\n    max_std: 5\n"
        "cross_view_localizer:\n  ros__parameters:\n    datum: []\n    maps: x\n    map: a.tif\n"
    )
    problems = check_yaml(file)
    assert len(problems) == 3
    assert "decimal point" in problems[0] and "leave it out" in problems[1]
    assert "did you mean map" in problems[2]
    file.write_text("other_node:\n  ros__parameters: {}\n")
    assert "no section" in check_yaml(file)[0]
    file.write_text(
        "/**/cross_view_localizer:\n  ros__parameters:\n    max_std: 5.0\n"
        "    qos_overrides:\n      /fix:\n        subscription:\n          depth: 3\n"
    )
    assert check_yaml(file) == []


def test_readme_table_has_a_row_for_each() -> None:
    lines = markdown().splitlines()
    assert len(lines) == len(table()) + 2
    assert any(line.startswith("| `heatmap_rate` | 2.0 | 0 … 100 |") for line in lines)


def test_gates_reach_the_configurations_of_the_same_names() -> None:
    given = {
        "align_max_std": 0.05,
        "max_yaw_std": 0.2,
        "max_prior_distance": 7.0,
        "min_std": 0.4,
        "covariance_scale": 3.0,
    }
    parameters = from_mapping(given)
    prior, front = prior_config(parameters), localizer_config(parameters)
    assert given == {
        name: getattr(prior if hasattr(prior, name) else front, name) for name in given
    }


def test_defaults_are_those_of_the_configurations() -> None:
    parameters = Parameters()
    for own in (PriorConfig(), LocalizerConfig()):
        for name in {field.name for field in fields(own)} & {row.name for row in table()}:
            if name in ("weights", "max_future", "searchable_half", "datum"):
                continue  # a node has a model, its clock, and no None
            assert getattr(parameters, name) == getattr(own, name), name
