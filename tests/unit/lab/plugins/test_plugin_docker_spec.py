"""The docker plugin's pure parts: inputs to the engine's terms and back, drift, settings, progress."""

from __future__ import annotations

from typing import Any

import docker.errors
import pytest

from lab.plugins.docker import convergence, durations, input_checks, schema, settings, states
from lab.plugins.docker.provider import wanted_inputs
from lab.plugins.docker.resource import failure
from lab.plugins.docker.spec.service import SERVICE, found, to_spec
from lab.plugins.values import UNKNOWN, Properties, Value, plain_map, wire

pytestmark = pytest.mark.unit

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "nanoseconds", "rendered"),
    [
        ("0s", 0, "0s"),
        ("0", 0, "0s"),
        ("250us", 250_000, "250µs"),
        ("500ms", SECOND // 2, "500ms"),
        ("1500ms", 3 * SECOND // 2, "1.5s"),
        ("10s", 10 * SECOND, "10s"),
        ("60s", 60 * SECOND, "1m"),
        ("90s", 90 * SECOND, "1m30s"),
        ("1h0m0s", 3600 * SECOND, "1h"),
        ("1500us", 1_500_000, "1.5ms"),
        ("1h30s", 3630 * SECOND, "1h0m30s"),
        (".5s", SECOND // 2, "500ms"),
    ],
)
def test_a_duration_is_read_and_written(text: str, nanoseconds: int, rendered: str) -> None:
    assert durations.parse(text) == nanoseconds
    assert durations.render(nanoseconds) == rendered
    assert durations.parse(rendered) == nanoseconds


@pytest.mark.parametrize("text", ["", "10", "s", "1 s", "-1s", "1x", "10s5", "1d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration; write it as"):
        durations.parse(text)


def inputs(**container: Any) -> Properties:
    """Checked inputs of a service `app` whose container has these."""
    given = {"name": "app", "taskSpec": {"containerSpec": {"image": "shell:1", **container}}}
    return schema.with_defaults(SERVICE, {key: wire(value) for key, value in given.items()})


def task_inputs(**task: Any) -> Properties:
    given = {"name": "app", "taskSpec": {"containerSpec": {"image": "shell:1"}, **task}}
    return schema.with_defaults(SERVICE, {key: wire(value) for key, value in given.items()})


def service_inputs(**service: Any) -> Properties:
    given = {"name": "app", "taskSpec": {"containerSpec": {"image": "shell:1"}}, **service}
    return schema.with_defaults(SERVICE, {key: wire(value) for key, value in given.items()})


def spec_of(given: Properties) -> dict[str, Any]:
    return to_spec(states.planned(SERVICE, plain_map(given), None))


CONTAINERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"commands": ["/bin/sh", "-c"], "args": ["x"]}, {"Command": ["/bin/sh", "-c"], "Args": ["x"]}),
    ({"env": {"B": "2", "A": "1=1", "C": ""}}, {"Env": ["A=1=1", "B=2", "C="]}),
    ({"hostname": "{{.Node.Hostname}}"}, {"Hostname": "{{.Node.Hostname}}"}),
    ({"stopGracePeriod": "1m"}, {"StopGracePeriod": 60 * SECOND}),
    (
        {"stopSignal": "SIGQUIT", "user": "mysql", "dir": "/x"},
        {"StopSignal": "SIGQUIT", "User": "mysql", "Dir": "/x"},
    ),
    ({"init": True, "readOnly": True}, {"Init": True, "ReadOnly": True}),
    ({"labels": [{"label": "a", "value": "b"}]}, {"Labels": {"a": "b"}}),
    ({"sysctl": {"net.core.somaxconn": "512"}}, {"Sysctls": {"net.core.somaxconn": "512"}}),
    (
        {"capAdds": ["CAP_NET_ADMIN"], "capDrops": ["ALL"]},
        {"CapabilityAdd": ["CAP_NET_ADMIN"], "CapabilityDrop": ["ALL"]},
    ),
    ({"hosts": [{"ip": "10.0.0.1", "host": "db"}]}, {"Hosts": ["10.0.0.1 db"]}),
    (
        {"dnsConfig": {"nameservers": ["10.0.0.53"], "searches": ["lab"], "options": ["ndots:1"]}},
        {"DNSConfig": {"Nameservers": ["10.0.0.53"], "Search": ["lab"], "Options": ["ndots:1"]}},
    ),
    (
        {
            "healthcheck": {
                "tests": ["CMD", "galera-node", "health"],
                "interval": "5s",
                "startPeriod": "10m",
                "retries": 3,
            }
        },
        {
            "Healthcheck": {
                "Test": ["CMD", "galera-node", "health"],
                "Interval": 5 * SECOND,
                "StartPeriod": 600 * SECOND,
                "Retries": 3,
            }
        },
    ),
    (
        {
            "secrets": [
                {"secretId": "id", "secretName": "n", "fileName": "f", "fileMode": 0o400, "fileUid": "999"}
            ]
        },
        {
            "Secrets": [
                {
                    "SecretID": "id",
                    "SecretName": "n",
                    "File": {"Name": "f", "UID": "999", "GID": "0", "Mode": 0o400},
                }
            ]
        },
    ),
    (
        {"configs": [{"configId": "id", "configName": "n", "fileName": "/etc/my.cnf"}]},
        {
            "Configs": [
                {
                    "ConfigID": "id",
                    "ConfigName": "n",
                    "File": {"Name": "/etc/my.cnf", "UID": "0", "GID": "0", "Mode": 0o444},
                }
            ]
        },
    ),
    (
        {
            "mounts": [
                {
                    "type": "bind",
                    "source": "/a",
                    "target": "/b",
                    "readOnly": True,
                    "bindOptions": {"propagation": "rslave"},
                }
            ]
        },
        {
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": "/a",
                    "Target": "/b",
                    "ReadOnly": True,
                    "BindOptions": {"Propagation": "rslave"},
                }
            ]
        },
    ),
    (
        {
            "mounts": [
                {
                    "type": "volume",
                    "source": "data",
                    "target": "/b",
                    "volumeOptions": {
                        "noCopy": True,
                        "labels": [{"label": "a", "value": "b"}],
                        "driverName": "local",
                        "driverOptions": {"o": "x"},
                    },
                }
            ]
        },
        {
            "Mounts": [
                {
                    "Type": "volume",
                    "Source": "data",
                    "Target": "/b",
                    "VolumeOptions": {
                        "NoCopy": True,
                        "Labels": {"a": "b"},
                        "DriverConfig": {"Name": "local", "Options": {"o": "x"}},
                    },
                }
            ]
        },
    ),
    (
        {"mounts": [{"type": "tmpfs", "target": "/b", "tmpfsOptions": {"sizeBytes": 1024, "mode": 0o1777}}]},
        {"Mounts": [{"Type": "tmpfs", "Target": "/b", "TmpfsOptions": {"SizeBytes": 1024, "Mode": 0o1777}}]},
    ),
    (
        {"privileges": {"seLinuxContext": {"disable": True}, "credentialSpec": {"file": "x"}}},
        {"Privileges": {"SELinuxContext": {"Disable": True}, "CredentialSpec": {"File": "x"}}},
    ),
]

TASKS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {
            "resources": {
                "limits": {"memoryBytes": 1024},
                "reservation": {
                    "nanoCpus": 5,
                    "genericResources": {
                        "namedResourcesSpecs": ["GPU=1"],
                        "discreteResourcesSpecs": ["SSD=3"],
                    },
                },
            }
        },
        {
            "Resources": {
                "Limits": {"MemoryBytes": 1024},
                "Reservations": {
                    "NanoCPUs": 5,
                    "GenericResources": [
                        {"NamedResourceSpec": {"Kind": "GPU", "Value": "1"}},
                        {"DiscreteResourceSpec": {"Kind": "SSD", "Value": 3}},
                    ],
                },
            }
        },
    ),
    (
        {"restartPolicy": {"condition": "on-failure", "delay": "1s", "maxAttempts": 3, "window": "2m"}},
        {
            "RestartPolicy": {
                "Condition": "on-failure",
                "Delay": SECOND,
                "MaxAttempts": 3,
                "Window": 120 * SECOND,
            }
        },
    ),
    (
        {
            "placement": {
                "constraints": ["node.labels.galera==true"],
                "prefs": ["node.labels.rack"],
                "maxReplicas": 1,
                "platforms": [{"architecture": "amd64", "os": "linux"}],
            }
        },
        {
            "Placement": {
                "Constraints": ["node.labels.galera==true"],
                "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.rack"}}],
                "MaxReplicas": 1,
                "Platforms": [{"Architecture": "amd64", "OS": "linux"}],
            }
        },
    ),
    (
        {"networksAdvanceds": [{"id": "net", "aliases": ["b", "a"], "driverOpts": ["k=v=w"]}]},
        {"Networks": [{"Target": "net", "Aliases": ["b", "a"], "DriverOpts": {"k": "v=w"}}]},
    ),
    (
        {"logDriver": {"name": "json-file", "options": {"max-size": "10m"}}},
        {"LogDriver": {"Name": "json-file", "Options": {"max-size": "10m"}}},
    ),
    ({"forceUpdate": 2, "runtime": "container"}, {"ForceUpdate": 2, "Runtime": "container"}),
]

SERVICES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"Mode": {"Replicated": {"Replicas": 1}}}),
    ({"mode": {"replicated": {"replicas": 0}}}, {"Mode": {"Replicated": {"Replicas": 0}}}),
    ({"mode": {"global": True}}, {"Mode": {"Global": {}}}),
    ({"mode": {"global": False}}, {"Mode": {"Replicated": {"Replicas": 1}}}),
    ({"labels": [{"label": "a", "value": "b"}]}, {"Labels": {"a": "b"}}),
    (
        {
            "updateConfig": {
                "parallelism": 0,
                "delay": "2s",
                "failureAction": "rollback",
                "maxFailureRatio": "0.25",
                "order": "start-first",
            }
        },
        {
            "UpdateConfig": {
                "Parallelism": 0,
                "Delay": 2 * SECOND,
                "FailureAction": "rollback",
                "Monitor": 5 * SECOND,
                "MaxFailureRatio": 0.25,
                "Order": "start-first",
            }
        },
    ),
    (
        {"rollbackConfig": {}},
        {
            "RollbackConfig": {
                "Parallelism": 1,
                "Delay": 0,
                "FailureAction": "pause",
                "Monitor": 5 * SECOND,
                "MaxFailureRatio": 0.0,
                "Order": "stop-first",
            }
        },
    ),
    (
        {
            "endpointSpec": {
                "mode": "vip",
                "ports": [{"targetPort": 2380, "publishedPort": 2380, "publishMode": "host"}],
            }
        },
        {
            "EndpointSpec": {
                "Mode": "vip",
                "Ports": [
                    {"Protocol": "tcp", "TargetPort": 2380, "PublishedPort": 2380, "PublishMode": "host"}
                ],
            }
        },
    ),
]


@pytest.mark.parametrize(("given", "expected"), CONTAINERS)
def test_inputs_of_a_container_become_the_engines(given: dict[str, Any], expected: dict[str, Any]) -> None:
    made = spec_of(inputs(**given))["TaskTemplate"]["ContainerSpec"]
    nothing = {"Init": False, "StopGracePeriod": 0, "Healthcheck": {}, "DNSConfig": {}}
    assert made == {"Image": "shell:1", "Isolation": "default", **nothing, **expected}


@pytest.mark.parametrize(("given", "expected"), TASKS)
def test_inputs_of_a_task_become_the_engines(given: dict[str, Any], expected: dict[str, Any]) -> None:
    made = spec_of(task_inputs(**given))["TaskTemplate"]
    assert {key: made[key] for key in expected} == expected


@pytest.mark.parametrize(("given", "expected"), SERVICES)
def test_inputs_of_a_service_become_the_engines(given: dict[str, Any], expected: dict[str, Any]) -> None:
    made = spec_of(service_inputs(**given))
    assert {key: made[key] for key in expected} == expected


ALL = (
    [inputs(**given) for given, _ in CONTAINERS]
    + [task_inputs(**given) for given, _ in TASKS]
    + [service_inputs(**given) for given, _ in SERVICES]
)


def inspected(given: Properties) -> dict[str, Any]:
    """What the engine shows of a service made from these inputs, with all that it fills in."""
    spec = spec_of(given)
    task = {"Runtime": "container", "ForceUpdate": 0, **spec["TaskTemplate"]}
    if not task["RestartPolicy"]:
        task["RestartPolicy"] = {"Condition": "any", "Delay": 5 * SECOND, "MaxAttempts": 0}
    mode = spec["EndpointSpec"].get("Mode", "vip")
    return {
        "ID": "id",
        "Spec": {**spec, "TaskTemplate": task, "EndpointSpec": {"Mode": mode, **spec["EndpointSpec"]}},
        "Endpoint": {"Ports": spec["EndpointSpec"].get("Ports"), "Spec": {"Mode": mode}},
    }


def state_of(given: Properties) -> dict[str, Any]:
    return states.complete(SERVICE, found(inspected(given)), plain_map(given))


def differences(state: dict[str, Any], given: Properties, *ignored: str) -> dict[str, Any]:
    """Of a service's parts those in which the state is not what is wanted."""
    there = {key: wire(value) for key, value in state.items()}
    wanted = wanted_inputs(SERVICE, given, there, ignored)
    before, after = states.said(SERVICE, state), states.said(SERVICE, wanted)
    return {key: (before.get(key), after.get(key)) for key in after if before.get(key) != after.get(key)}


@pytest.mark.parametrize("given", ALL)
def test_what_is_made_is_no_difference_to_what_is_wanted_if_it_is_said_as_it_is_found(
    given: Properties,
) -> None:
    state = state_of(given)
    again = states.refreshed(given, state)
    assert set(differences(state, again)) <= {"convergeConfig"}
    # A refresh that finds what is there already finds nothing.
    assert states.refreshed(again, state) == again


@pytest.mark.parametrize("given", ALL)
def test_an_imported_service_has_inputs_that_would_make_it(given: Properties) -> None:
    imported = states.imported(SERVICE, state_of(given))
    assert not input_checks.failures(SERVICE, imported)
    made, again = spec_of(given), spec_of(imported)
    for key in made["TaskTemplate"]["ContainerSpec"]:
        assert again["TaskTemplate"]["ContainerSpec"][key] == made["TaskTemplate"]["ContainerSpec"][key]
    assert again["Mode"] == made["Mode"]


@pytest.mark.parametrize(
    ("given", "different"),
    [
        (inputs(stopGracePeriod="1m0s"), {"taskSpec"}),
        (inputs(stopGracePeriod="1m"), set()),
        (inputs(), set()),  # the engine may decide
        (inputs(healthcheck={"tests": ["NONE"], "startPeriod": "1h0m0s"}), {"taskSpec"}),
        (inputs(healthcheck={"tests": ["NONE"], "startPeriod": "1h"}), set()),
        (task_inputs(restartPolicy={"condition": "any", "delay": "5s"}), {"taskSpec"}),
        (task_inputs(restartPolicy={"condition": "any", "delay": "5s", "window": "0s"}), set()),
        (task_inputs(), set()),
        (service_inputs(updateConfig={"delay": "60s"}), {"updateConfig"}),
        (
            service_inputs(updateConfig={"maxFailureRatio": "0"}),
            {"updateConfig"},
        ),  # by text; a ratio is equal
    ],
)
def test_what_is_written_otherwise_than_it_is_found_differs_for_ever(
    given: Properties, different: set[str]
) -> None:
    assert set(differences(state_of(given), given)) == different


def test_ratios_and_sets_are_the_same_however_they_are_written() -> None:
    ratio = ("updateConfig", "maxFailureRatio")
    assert schema.same(SERVICE, ratio, wire("0.0"), wire("0"))
    assert not schema.same(SERVICE, ratio, wire("0.2"), wire("0.25"))
    constraints = ("taskSpec", "placement", "constraints")
    assert schema.same(SERVICE, constraints, wire(["a", "b"]), wire(["b", "a"]))
    assert not schema.same(SERVICE, constraints, wire(["a"]), wire(["b", "a"]))


def test_the_registrys_platforms_differ_unless_they_are_ignored() -> None:
    given = task_inputs(placement={"constraints": ["node.role==manager"]})
    state = state_of(given)
    state["taskSpec"]["placement"]["platforms"] = [{"architecture": "amd64", "os": "linux"}]
    assert set(differences(state, given)) == {"taskSpec"}
    assert not differences(state, given, "taskSpec.placement.platforms")
    there = {key: wire(value) for key, value in state.items()}
    kept = to_spec(wanted_inputs(SERVICE, given, there, ["taskSpec.placement.platforms"]))
    assert kept["TaskTemplate"]["Placement"]["Platforms"] == [{"Architecture": "amd64", "OS": "linux"}]


@pytest.mark.parametrize("path", ["nowhere", "taskSpec.nowhere.x", "endpointSpec.ports[3].name"])
def test_a_path_that_leads_nowhere_ignores_nothing(path: str) -> None:
    given = service_inputs(endpointSpec={"ports": [{"targetPort": 1}]})
    assert not differences(state_of(given), given, path)


def test_what_the_program_no_longer_says_is_taken_away_unless_the_engine_may_decide() -> None:
    before = inputs(env={"A": "1"}, user="mysql", stopGracePeriod="1m")
    assert set(differences(state_of(before), inputs(env={"A": "1"}, stopGracePeriod="1m"))) == {"taskSpec"}
    assert not differences(state_of(before), inputs(env={"A": "1"}, user="mysql"))
    labelled = service_inputs(labels=[{"label": "a", "value": "b"}])
    assert not differences(state_of(labelled), service_inputs())


def drifted(change: Any) -> dict[str, Any]:
    real = inspected(inputs(env={"A": "1"}, stopGracePeriod="60s"))
    change(real["Spec"])
    return real


@pytest.mark.parametrize(
    ("change", "path", "value"),
    [
        (
            lambda s: s["TaskTemplate"]["ContainerSpec"].update(Image="other"),
            ("containerSpec", "image"),
            "other",
        ),
        (
            lambda s: s["TaskTemplate"]["ContainerSpec"].update(Env=["A=2"]),
            ("containerSpec", "env"),
            {"A": "2"},
        ),
        (
            lambda s: s["TaskTemplate"]["ContainerSpec"].update(StopGracePeriod=SECOND),
            ("containerSpec", "stopGracePeriod"),
            "1s",
        ),
    ],
)
def test_what_somebody_changed_is_in_the_inputs_after_a_refresh(
    change: Any, path: tuple[str, ...], value: Any
) -> None:
    given = inputs(env={"A": "1"}, stopGracePeriod="60s")
    state = states.complete(SERVICE, found(drifted(change)), plain_map(given))
    now: Any = plain_map(states.refreshed(given, state))["taskSpec"]
    for name in path[:-1]:
        now = now[name]
    assert now.get(path[-1]) == value
    assert differences(state, given)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["TaskTemplate"]["ContainerSpec"].update(User="x"),
        lambda s: s["TaskTemplate"]["ContainerSpec"].update(Args=["x"]),
    ],
)
def test_what_somebody_added_is_not_in_the_inputs_but_differs(change: Any) -> None:
    given = inputs(env={"A": "1"}, stopGracePeriod="1m")
    state = states.complete(SERVICE, found(drifted(change)), plain_map(given))
    assert states.refreshed(given, state) == given
    assert set(differences(state, given)) == {"taskSpec"}


def test_a_secret_input_that_drifted_stays_secret() -> None:
    given = inputs(env={"A": Value("1", is_secret=True)}, stopGracePeriod="60s")
    real = inspected(given)
    real["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] = ["A=2"]
    state = states.complete(SERVICE, found(real), plain_map(given))
    container = states.refreshed(given, state)["taskSpec"].value["containerSpec"].value
    assert container["env"].value["A"] == Value("2", is_secret=True)


def test_defaults_are_filled_in_also_inside_of_lists() -> None:
    given = plain_map(service_inputs(endpointSpec={"ports": [{"targetPort": 1}]}, convergeConfig={}))
    (port,) = given["endpointSpec"]["ports"]
    assert port == {
        "targetPort": 1,
        "protocol": "tcp",
        "publishMode": "ingress",
        "__defaults": ["protocol", "publishMode"],
    }
    assert given["convergeConfig"] == {"delay": "7s", "timeout": "3m", "__defaults": ["delay", "timeout"]}


def test_an_unknown_input_is_never_the_same() -> None:
    path = ("taskSpec", "placement", "constraints")
    assert not schema.same(SERVICE, path, Value(UNKNOWN), Value(UNKNOWN))


# -- settings


def test_ssh_options_are_read_as_ssh_would() -> None:
    options = [
        "-i",
        "/k",
        "-o",
        "UserKnownHostsFile=/known",
        "-oStrictHostKeyChecking=yes",
        "-p2222",
        "-l",
        "ops",
        "-q",
    ]
    address = settings.parse({"host": "ssh://10.0.0.1", "sshOpts": options}, {})
    assert address.endpoint is not None
    endpoint = address.endpoint
    assert (endpoint.host, endpoint.port, endpoint.user) == ("10.0.0.1", 2222, "ops")
    assert (endpoint.private_key_file, endpoint.known_hosts_file) == ("/k", "/known")


def test_options_that_only_tune_are_let_through() -> None:
    tuning = ("GlobalKnownHostsFile=/dev/null", "BatchMode=yes", "ConnectTimeout=30", "IdentitiesOnly=yes")
    options = [part for each in tuning for part in ("-o", each)]
    endpoint = settings.parse({"host": "ssh://10.0.0.1", "sshOpts": options}, {}).endpoint
    assert endpoint is not None
    assert endpoint.per_dial_timeout == 30


def test_a_port_in_the_address_counts_before_the_options() -> None:
    address = settings.parse({"host": "ssh://root@10.0.0.1:2200", "sshOpts": '["-p", "22"]'}, {})
    assert address.endpoint is not None
    assert address.endpoint.port == 2200
    assert str(address) == "root@10.0.0.1:2200"


def test_with_a_configuration_file_the_ssh_program_is_asked() -> None:
    address = settings.parse({"host": "ssh://root@any-manager:2200", "sshOpts": ["-F", "/x"]}, {})
    assert address.endpoint is None
    assert address.arguments == ("-F", "/x", "-l", "root", "-p", "2200", "--", "any-manager")
    assert settings.parse({"host": "ssh://h", "sshOpts": ["-F", "none"]}, {}).endpoint is not None


def test_without_options_the_users_known_hosts_are_asked() -> None:
    endpoint = settings.parse({"host": "ssh://10.0.0.1"}, {}).endpoint
    assert endpoint is not None
    assert str(endpoint.known_hosts_file).endswith(".ssh/known_hosts")


def test_only_an_explicit_no_turns_the_host_key_off() -> None:
    options = ["-o", "StrictHostKeyChecking no"]
    endpoint = settings.parse({"host": "ssh://10.0.0.1", "sshOpts": options}, {}).endpoint
    assert endpoint is not None
    assert endpoint.known_hosts_file is None


@pytest.mark.parametrize(
    ("given", "environment", "url"),
    [
        ({}, {}, "unix:///var/run/docker.sock"),
        ({}, {"DOCKER_HOST": "tcp://10.0.0.1:2375"}, "tcp://10.0.0.1:2375"),
        (
            {"host": "unix:///x.sock", "version": "5.2.0"},
            {"DOCKER_HOST": "tcp://10.0.0.1:2375"},
            "unix:///x.sock",
        ),
    ],
)
def test_without_ssh_the_address_is_taken_as_it_is(
    given: dict[str, Any], environment: dict[str, str], url: str
) -> None:
    address = settings.parse(given, environment)
    assert (address.url, address.endpoint) == (url, None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"host": "10.0.0.1"}, "must begin with ssh://"),
        ({"host": "ssh://"}, "names no host"),
        ({"host": "ssh://root:pw@h"}, "may only have a user, a host and a port"),
        ({"host": "ssh://h:x"}, "has a wrong port"),
        ({"host": "ssh://h", "sshOpts": "-i key"}, "is no list"),
        ({"host": "ssh://h", "sshOpts": [1]}, "must be a list of strings"),
        ({"host": "ssh://h", "sshOpts": ["-i"]}, "lacks its value"),
        ({"host": "ssh://h", "sshOpts": ["-p", "x"]}, "must be a number"),
        ({"host": "ssh://h", "sshOpts": ["-J", "bastion"]}, "'-J', which is not known"),
        ({"host": "ssh://h", "sshOpts": ["-o", "ProxyCommand=nc"]}, "'proxycommand', which is not known"),
        ({"host": "ssh://h", "sshOpts": ["-o", "StrictHostKeyChecking=accept-new"]}, "accept-new"),
        ({"host": "ssh://h", "sshOpts": ["-o", "BatchMode"]}, "must be NAME=VALUE"),
        ({"registryAuth": '[{"address": "x"}]'}, "has no 'registryAuth'"),
        ({"hosts": "x"}, "no setting 'hosts'"),
    ],
)
def test_a_setting_that_cant_work_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(settings.SettingsError, match=message):
        settings.parse(given, {})


# -- convergence


NODES = [
    {"ID": "n1", "Description": {"Hostname": "galera-1"}, "Status": {"State": "ready"}},
    {"ID": "n2", "Description": {"Hostname": "galera-2"}, "Status": {"State": "down"}},
]


def task(
    state: str, node: str = "n1", desired: str = "running", error: str = "", at: str = "1"
) -> dict[str, Any]:
    return {
        "ID": f"{node}-{at}",
        "NodeID": node,
        "DesiredState": desired,
        "Spec": {"ForceUpdate": 0},
        "Status": {"State": state, "Err": error, "Timestamp": at},
    }


def replicated(replicas: int) -> dict[str, Any]:
    return {"Spec": {"Mode": {"Replicated": {"Replicas": replicas}}, "TaskTemplate": {"ForceUpdate": 0}}}


@pytest.mark.parametrize(
    ("replicas", "tasks", "done", "words"),
    [
        (0, [], True, "0/0 running"),
        (1, [], False, "0/1 running"),
        (1, [task("running")], True, "1/1 running"),
        (1, [task("running", node="n2")], False, "0/1 running"),
        (2, [task("running"), task("starting")], False, "1/2 running (1 starting)"),
        (1, [task("running", desired="shutdown")], False, "0/1 running"),
        (1, [task("failed", desired="shutdown"), task("running")], True, "1/1 running"),
    ],
)
def test_a_service_is_there_when_its_tasks_run_on_living_nodes(
    replicas: int, tasks: list[dict[str, Any]], done: bool, words: str
) -> None:
    current = convergence.progress(replicated(replicas), tasks, NODES)
    assert (current.done, current.words) == (done, words)


def test_why_tasks_fail_is_told_once_each_newest_first() -> None:
    tasks = [
        task("rejected", desired="shutdown", error="No such image: x", at="1"),
        task("rejected", desired="shutdown", error="No such image: x", at="2"),
        task("failed", desired="shutdown", error="task: non-zero exit (1)", at="3"),
        task("pending", node="", error="no suitable node (1 node not available)", at="0"),
    ]
    current = convergence.progress(replicated(1), tasks, NODES)
    assert current.failures == (
        "galera-1: task: non-zero exit (1)",
        "galera-1: No such image: x",
        "no suitable node (1 node not available)",
    )
    assert "non-zero exit" in convergence.explained("service 'app'", current)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, (False, "")),
        ({"State": "updating"}, (False, "")),
        ({"State": "completed"}, (True, "")),
        ({"State": "paused", "Message": "why"}, (True, "update paused: why")),
        ({"State": "rollback_started"}, (False, "")),
        ({"State": "rollback_completed", "Message": ""}, (True, "rolled back")),
    ],
)
def test_an_update_ends_well_or_with_a_reason(status: Any, expected: tuple[bool, str]) -> None:
    assert convergence.outcome({"UpdateStatus": status}) == expected


def test_a_network_that_something_is_attached_to_says_what_to_do() -> None:
    refused = docker.errors.APIError("x", explanation="network n1 is in use by service s1")
    assert "take that off first" in str(failure("network", "galera", refused))


def test_a_published_port_that_another_service_has_is_told_with_a_remedy() -> None:
    said = (
        "rpc error: code = InvalidArgument desc = port '3306' is already in use by service 'web' (x1) as an "
    )
    refused = docker.errors.APIError("400 Client Error", explanation=f"{said}ingress port")
    assert str(failure("service", "galera", refused)) == (
        f"service 'galera': the engine says: {said}ingress port. A port of the hosts leads to one service: "
        "publish one of the two on another. Nothing was changed."
    )
