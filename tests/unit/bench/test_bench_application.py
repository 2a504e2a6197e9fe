"""What `bench.application` makes of what it measures."""

from __future__ import annotations

import pytest
import yaml

from bench import application, own_lab, report
from bench.application import WITH, WITHOUT, Came

pytestmark = pytest.mark.unit


def test_both_stacks_are_the_same_but_for_the_application() -> None:
    sections = own_lab.BALANCER + application.APPLICATION + own_lab.GALERA_SECTION
    settings = own_lab.SETTINGS.read_text(encoding="utf-8").replace(own_lab.GALERA_SECTION, sections)
    found = {name: yaml.safe_load(text)["config"] for name, text in application.stacks(settings).items()}
    assert found[WITH].pop("swarm-galera:application")["database"] == {"name": "wordpress"}
    assert found[WITH]["swarm-galera:servers"].pop("publishedPorts") == [80]
    assert found[WITH] == found[WITHOUT]
    assert "swarm-galera:loadBalancer" in found[WITHOUT]


def test_settings_that_do_not_fit_are_no_measurement() -> None:
    with pytest.raises(own_lab.BenchFailed, match="has changed"):
        application.stacks("config: {}")


def test_each_round_begins_with_the_other_stack() -> None:
    assert application.turns(2) == [WITHOUT, WITH, WITH, WITHOUT]


def test_medians_are_compared_and_the_longest_further_run_counts() -> None:
    measured = {WITHOUT: [Came(100, 4), Came(120, 4)], WITH: [Came(130, 5), Came(134, 11)]}
    assert application.table(measured) == [
        [WITHOUT, "110", "1.00", "4.0", "2"],
        [WITH, "132", "1.20", "8.0", "2"],
    ]
    assert "without it, met; at most 10 s for each further run, missed." in application.verdict(measured)


def test_the_document_has_a_place_for_it() -> None:
    assert "| stack |" in report.replaced(
        report.DOCUMENT.read_text(encoding="utf-8"),
        "application",
        report.markdown(application.HEADINGS, []),
    )
