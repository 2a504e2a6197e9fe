"""What the benches make of what they measured: spans, stages, lines, tables, the document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import SoftLayer

from bench import by_hand, deploy, failover, kernels, own_lab, report, scale, timeline
from bench.chain import Chain
from images.galera.galera_node import config
from settings import parse
from settings.database import provider_options

pytestmark = pytest.mark.unit

PREFIX = "urn:pulumi:bench::swarm-galera::"
HOSTS = "swarm-galera:cluster_hosts:ClusterHosts"
DISK = f"{PREFIX}{HOSTS}$swarm-galera:docker_disk:DockerDisk$command:remote:Command::galera-1-disk-prepared"
IMAGES = (
    f"{PREFIX}{HOSTS}$swarm-galera:docker_engine:DockerEngine$command:remote:Command::galera-1-engine-images"
)
GUEST = (
    f"{PREFIX}{HOSTS}$swarm-galera:virtual_server:VirtualServer$"
    "pulumi-python:dynamic/softlayer:VirtualGuest::galera-1-guest"
)
SERVICE = f"{PREFIX}swarm-galera:etcd:Etcd$docker:index/service:Service::etcd-service"
PASSWORD = (
    f"{PREFIX}swarm-galera:galera:Galera$pulumi-python:dynamic/swarm-galera:Password::galera-root-password"
)


def _event(kind: str, urn: str, op: str = "create") -> dict[str, Any]:
    return {kind: {"metadata": {"urn": urn, "op": op}}}


def test_a_span_lasts_from_the_resource_s_first_event_to_its_outputs() -> None:
    events = [
        (1.0, _event("resourcePreEvent", DISK)),
        (2.0, {"diagnosticEvent": {"message": "…"}}),
        (4.5, _event("resOutputsEvent", DISK)),
    ]
    assert timeline.spans(events) == {DISK: timeline.Span(DISK, 1.0, 4.5)}


def test_a_resource_that_was_there_already_has_no_span() -> None:
    events = [
        (1.0, _event("resourcePreEvent", DISK, "same")),
        (1.1, _event("resOutputsEvent", DISK, "same")),
    ]
    assert timeline.spans(events) == {}


def test_a_resource_that_was_never_finished_has_no_span() -> None:
    assert timeline.spans([(1.0, _event("resourcePreEvent", DISK))]) == {}


@pytest.mark.parametrize(
    ("urn", "stage"),
    [(DISK, "hosts"), (IMAGES, "galera"), (GUEST, "servers"), (SERVICE, "etcd"), (PASSWORD, None)],
)
def test_a_resource_belongs_to_the_stage_of_its_component(urn: str, stage: str | None) -> None:
    assert timeline.stage_of(urn) == stage


def test_a_stage_s_window_is_from_its_first_beginning_to_its_last_end() -> None:
    other = DISK.replace("galera-1", "galera-2")
    made = [timeline.Span(DISK, 5.0, 9.0), timeline.Span(other, 3.0, 7.0), timeline.Span(PASSWORD, 0.0, 0.1)]
    assert timeline.windows(made) == {"hosts": (3.0, 9.0)}


def test_a_resource_waits_for_what_it_names_and_for_its_provider() -> None:
    provider = f"{PREFIX}pulumi:providers:docker::docker-provider"
    resources = [{"urn": SERVICE, "dependencies": [DISK], "provider": f"{provider}::0a1b"}, {"urn": DISK}]
    state = {"deployment": {"resources": resources}}
    assert timeline.dependencies(state) == {SERVICE: {DISK, provider}, DISK: set()}


def test_the_log_is_followed_while_it_is_written(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    with timeline.Follower(log) as follower, log.open("w", encoding="utf-8") as file:
        line = json.dumps(_event("resourcePreEvent", DISK))
        file.write(line[:20])
        file.flush()
        file.write(f"{line[20:]}\n\n{json.dumps(_event('resOutputsEvent', DISK))}\n")
    kinds = [next(iter(event)) for _when, event in follower.events]
    assert kinds == ["resourcePreEvent", "resOutputsEvent"]


def test_a_section_of_the_document_is_replaced_and_the_rest_stays() -> None:
    document = "before\n<!-- measured: x -->\nold\n<!-- end: x -->\nafter\n"
    new = report.replaced(document, "x", "first")
    assert report.replaced(new, "x", "new") == report.replaced(document, "x", "new")
    assert new.startswith("before\n")
    assert new.endswith("after\n")
    assert "old" not in new


@pytest.mark.parametrize("document", ["", "<!-- end: x --><!-- measured: x -->", "<!-- measured: x -->"])
def test_a_document_without_the_section_s_markers_is_refused(document: str) -> None:
    with pytest.raises(report.ReportError, match="once each"):
        report.replaced(document, "x", "new")


def test_the_document_has_room_for_every_bench() -> None:
    document = report.DOCUMENT.read_text(encoding="utf-8")
    for section in ("deploy", "scale"):
        assert "fresh" in report.replaced(document, section, "fresh")


def test_the_line_through_measured_points_gives_seconds_a_host() -> None:
    line = scale.fit({3: 2.3, 9: 2.9, 33: 5.3, 99: 11.9})
    assert line.a_host == pytest.approx(0.1)
    assert line.fixed == pytest.approx(2.0)


def test_what_a_host_adds_is_counted_on_top_of_pulumi_s_start_up() -> None:
    took = {
        hosts: [scale.Took(clock, 1.0) for clock in clocks]
        for hosts, clocks in {0: [1.0, 1.2, 1.1], 10: [2.0, 2.1, 9.0]}.items()
    }
    rows = scale.table(took)
    assert [row[1] for row in rows] == ["1.10", "2.10"]
    assert rows[1][-1] == "0.100"


@pytest.mark.parametrize("hosts", [3, 9, 33, 99])
def test_a_stack_of_any_size_is_one_that_the_program_takes(hosts: int) -> None:
    template = scale.template()
    made = scale.settings(hosts, "http://127.0.0.1:1/xmlrpc/v3.1", template)
    settings = parse(
        {key.removeprefix("swarm-galera:"): value for key, value in _own(made["config"]).items()}
    )
    assert len(settings.servers.hostnames) == hosts


def _own(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key.startswith("swarm-galera:")}


def test_every_step_by_hand_waits_only_for_steps_that_come_before_it(tmp_path: Path) -> None:
    seen: set[str] = set()
    for step in _steps(tmp_path):
        assert set(step.after) <= seen
        assert step.name not in seen
        assert step.stage in timeline.STAGES
        seen.add(step.name)


def test_steps_by_hand_are_timed_in_the_order_in_which_they_are_given() -> None:
    done: list[str] = []

    def step(name: str) -> by_hand.Step:
        return by_hand.Step(name, "hosts", "", (), lambda: done.append(name))

    timed = by_hand.carry_out([step("b"), step("a")], lambda _text: None)
    assert done == ["b", "a"]
    assert [row["name"] for row in timed] == done
    assert all(row["seconds"] >= 0 for row in timed)


def _steps(folder: Path) -> list[by_hand.Step]:
    client = SoftLayer.BaseClient(config_file="/dev/null")
    return by_hand.Job(by_hand.load_settings(own_lab.SETTINGS), client, folder).steps()


def test_stages_by_hand_are_sums_and_the_chain_follows_what_really_waits() -> None:
    steps = [
        {"name": "a", "stage": "hosts", "after": [], "seconds": 3.0},
        {"name": "b", "stage": "hosts", "after": [], "seconds": 4.0},
        {"name": "c", "stage": "swarm", "after": ["a"], "seconds": 2.0},
    ]
    read = deploy.read_by_hand({"seconds": 9.5, "steps": steps, "services": {}})
    assert read.stages["hosts"] == 7.0
    assert read.chain == Chain(5.0, ("a", "c"))


def test_goals_that_are_missed_are_said_to_be() -> None:
    hand = deploy.ByHand(100.0, {}, Chain(40.0, ("a",)), {})
    assert "missed) and" in deploy.verdict(hand, deploy.ByPulumi(51.0, {}, Chain(30.0, ("x",)), {}))[0]
    assert "missed)." in deploy.verdict(hand, deploy.ByPulumi(53.0, {}, Chain(30.0, ("x",)), {}))[0]
    assert "missed" not in deploy.verdict(hand, deploy.ByPulumi(50.0, {}, Chain(30.0, ("x",)), {}))[0]


def _spec(**container: Any) -> dict[str, Any]:
    secret = {"SecretID": "x", "SecretName": "a-0123", "File": {"Name": "a", "Mode": 292}}
    own = {
        "Image": "etcd:1",
        "Secrets": [secret],
        "Env": ["A=1=https://10.0.0.1:2380", "CLUSTER_TOKEN=x"],
        **container,
    }
    return {"Name": "etcd", "Mode": {"Global": {}}, "TaskTemplate": {"ContainerSpec": own}}


def test_services_that_differ_only_in_ids_tokens_addresses_and_digests_are_the_same() -> None:
    other = _spec(Env=["CLUSTER_TOKEN=y", "A=1=https://10.0.0.2:2380"], Image="etcd:1@sha256:" + 64 * "0")
    other["TaskTemplate"]["ContainerSpec"]["Secrets"][0]["SecretID"] = "y"
    assert deploy.differences(deploy.comparable(_spec()), deploy.comparable(other)) == []


def test_a_service_with_another_option_is_told_by_its_path() -> None:
    found = deploy.differences(deploy.comparable(_spec()), deploy.comparable(_spec(Image="etcd:2")))
    assert found == ["ContainerSpec.Image: 'etcd:1' by hand, 'etcd:2' by pulumi"]


def test_the_kernels_are_compared_step_by_step_and_in_all() -> None:
    old, new = dict.fromkeys(kernels.STEPS, 10.0), dict.fromkeys(kernels.STEPS, 4.0)
    assert kernels.table(old, new)[0] == ["lab up", "10.0", "4.0", "0.40"]
    assert kernels.table(old, new)[-1] == ["together", "40.0", "16.0", "0.40"]


def test_a_failover_is_told_by_its_median_and_its_longest_beside_the_goal() -> None:
    pauses = {(failover.DIES, failover.OURS, failover.ENDPOINT): [3.0, 3.6, 9.0]}
    pauses[failover.DIES, failover.GALERAS, failover.VIP] = [7.0]
    assert failover.table(pauses) == [
        ["its host dies", "ours", "writer endpoint", "3.6", "9.0", "3", "4"],
        ["its host dies", "Galera's", "virtual IP", "7.0", "7.0", "1", ""],
    ]


def test_a_client_comes_by_the_port_of_its_host_or_over_the_overlay_network() -> None:
    endpoint, vip = failover.ways("overlay")
    assert "--network host " in endpoint.command("secret", "galera-2")
    assert not any("galera" in way.container for way in failover.ways("galera"))
    assert endpoint.command("secret", "galera-2").endswith(" 127.0.0.1 6446")
    assert "--network overlay " in vip.command("it's", "galera-2")
    assert "-e NODE=galera-2" in vip.command("it's", "galera-2")
    assert vip.command("it's", "galera-2").endswith(" galera 3306")


def test_galeras_own_timeouts_are_those_that_ours_are_shorter_than() -> None:
    # With the last one, the nodes' programs leave dead hosts to Galera.
    assert set(failover.SHORTER) == {*config.GROUP, config.LEAVES_IT_TO_GALERA}
    assert config.GROUP == provider_options.OF_THE_IMAGE  # else settings refuse, or let by, the wrong ones
    assert all(config.GROUP[name] < provider_options.DEFAULTS[name] for name in config.GROUP)


def test_what_happens_to_a_writer_has_a_goal_each() -> None:
    assert failover.HAPPENS.keys() == failover.GOALS.keys()


@pytest.mark.parametrize(
    ("verdict", "written"),
    [("", "here.\n\n| what |\n| --- |\n| this |"), ("met", "here.\n\n| what |\n| --- |\n| this |\n\nmet")],
)
def test_what_was_measured_is_written_unless_that_is_not_wanted(
    monkeypatch: pytest.MonkeyPatch, verdict: str, written: str
) -> None:
    kept: list[tuple[str, str]] = []
    monkeypatch.setattr(report, "write", lambda *words: kept.append(words))
    own_lab.tell("busy", (["what"], [["this"]]), "here", verdict, document=False)
    assert kept == []
    own_lab.tell("busy", (["what"], [["this"]]), "here", verdict)
    assert kept == [("busy", written)]
