"""A service's inputs and the engine's service specification: one to the other and back.

Pure functions and the table of inputs. "Canonical" inputs are those of `schema.canonical`: defaults filled,
nothing empty, durations in nanoseconds. Names of inputs are those of pulumi-docker 5.2.0, names
in the specification those of the engine's API 1.41.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lab.plugins.docker import durations
from lab.plugins.docker.schema import (
    Field,
    Schema,
    block,
    boolean,
    duration,
    integer,
    labels,
    listed,
    string,
    strings,
    unordered,
)

_READABLE = 0o444  # mode of a secret's or config's file when nothing is said


def _file(kind: str) -> Field:
    return unordered(
        block(
            {
                f"{kind}Id": string(required=True),
                f"{kind}Name": string(),
                "fileName": string(required=True),
                "fileUid": string(default="0"),
                "fileGid": string(default="0"),
                "fileMode": integer(default=_READABLE),
            }
        )
    )


def _rollout(*actions: str) -> Field:
    return block(
        {
            "parallelism": integer(default=1),
            "delay": duration(default="0s"),
            "failureAction": string(default="pause", one_of=actions),
            "monitor": duration(default="5s"),
            "maxFailureRatio": Field("ratio", default="0.0"),
            "order": string(default="stop-first", one_of=("stop-first", "start-first")),
        }
    )


_MOUNT = block(
    {
        "target": string(required=True),
        "source": string(),
        "type": string(required=True, one_of=("bind", "volume", "tmpfs")),
        "readOnly": boolean(),
        "bindOptions": block(
            {"propagation": string(one_of=("private", "rprivate", "shared", "rshared", "slave", "rslave"))}
        ),
        "volumeOptions": block(
            {
                "noCopy": boolean(),
                "labels": labels(),
                "driverName": string(),
                "driverOptions": strings(),
            }
        ),
        "tmpfsOptions": block({"sizeBytes": integer(), "mode": integer()}),
    }
)

_CONTAINER = block(
    {
        "image": string(required=True),
        "labels": labels(),
        "commands": listed(string()),
        "args": listed(string()),
        "hostname": string(),
        "env": strings(),
        "dir": string(),
        "user": string(),
        "groups": listed(string()),
        "init": boolean(),
        "readOnly": boolean(),
        "mounts": unordered(_MOUNT),
        "stopSignal": string(),
        "stopGracePeriod": duration(),
        "healthcheck": block(
            {
                "tests": listed(string(), required=True),
                "interval": duration(default="0s"),
                "timeout": duration(default="0s"),
                "startPeriod": duration(default="0s"),
                "retries": integer(default=0),
            }
        ),
        "hosts": unordered(
            block({"ip": string(required=True), "host": string(required=True)}), replaces=True
        ),
        "dnsConfig": block(
            {
                "nameservers": listed(string(), required=True),
                "searches": listed(string()),
                "options": listed(string()),
            }
        ),
        "secrets": _file("secret"),
        "configs": _file("config"),
        "isolation": string(default="default", one_of=("default", "process", "hyperv")),
        "sysctl": strings(),
        "capAdds": listed(string()),
        "capDrops": listed(string()),
        "privileges": block(
            {
                "credentialSpec": block({"file": string(), "registry": string()}),
                "seLinuxContext": block(
                    {
                        "disable": boolean(),
                        "user": string(),
                        "role": string(),
                        "type": string(),
                        "level": string(),
                    }
                ),
            }
        ),
    },
    required=True,
)

_RESOURCES = block(
    {
        "limits": block({"nanoCpus": integer(), "memoryBytes": integer()}),
        "reservation": block(
            {
                "nanoCpus": integer(),
                "memoryBytes": integer(),
                "genericResources": block(
                    {
                        "namedResourcesSpecs": unordered(string()),
                        "discreteResourcesSpecs": unordered(string()),
                    }
                ),
            }
        ),
    }
)

_TASK = block(
    {
        "containerSpec": _CONTAINER,
        "resources": _RESOURCES,
        "restartPolicy": block(
            {
                "condition": string(one_of=("none", "on-failure", "any")),
                "delay": duration(),
                "maxAttempts": integer(),
                "window": duration(),
            }
        ),
        "placement": block(
            {
                "constraints": unordered(string()),
                "prefs": unordered(string()),
                "maxReplicas": integer(),
                "platforms": unordered(
                    block({"architecture": string(required=True), "os": string(required=True)})
                ),
            }
        ),
        "forceUpdate": integer(),
        "runtime": string(one_of=("container", "plugin")),
        "networksAdvanceds": unordered(
            block(
                {
                    "name": string(),
                    "id": string(),
                    "aliases": unordered(string()),
                    "driverOpts": unordered(string()),
                }
            )
        ),
        "logDriver": block({"name": string(required=True), "options": strings()}),
    },
    required=True,
)

_PORT = block(
    {
        "name": string(),
        "protocol": string(default="tcp", one_of=("tcp", "udp", "sctp")),
        "targetPort": integer(required=True),
        "publishedPort": integer(),
        "publishMode": string(default="ingress", one_of=("ingress", "host")),
    }
)

SERVICE: Schema = {
    "name": string(replaces=True),
    "labels": labels(),
    "taskSpec": _TASK,
    "mode": block(
        {"replicated": block({"replicas": integer(default=1)}), "global": boolean()}, replaces=True
    ),
    "updateConfig": _rollout("pause", "continue", "rollback"),
    "rollbackConfig": _rollout("pause", "continue"),
    "endpointSpec": block({"mode": string(one_of=("vip", "dnsrr")), "ports": listed(_PORT)}),
    "convergeConfig": block({"delay": duration(default="7s"), "timeout": duration(default="3m")}),
}


def to_spec(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's specification for canonical `inputs`."""
    task = inputs["taskSpec"]
    spec: dict[str, Any] = {
        "Name": inputs["name"],
        "Labels": _labels(inputs.get("labels")),
        "TaskTemplate": _task(task),
        "Mode": _mode(inputs.get("mode", {})),
        "EndpointSpec": _endpoint(inputs.get("endpointSpec", {})),
    }
    for key, name in (("updateConfig", "UpdateConfig"), ("rollbackConfig", "RollbackConfig")):
        if key in inputs:
            spec[name] = _rollout_spec(inputs[key])
    return spec


def _mode(mode: Mapping[str, Any]) -> dict[str, Any]:
    if mode.get("global"):
        return {"Global": {}}
    return {"Replicated": {"Replicas": mode.get("replicated", {}).get("replicas", 1)}}


def _rollout_spec(rollout: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Parallelism": rollout.get("parallelism", 0),
        "Delay": rollout.get("delay", 0),
        "FailureAction": rollout["failureAction"],
        "Monitor": rollout.get("monitor", 0),
        "MaxFailureRatio": rollout.get("maxFailureRatio", 0.0),
        "Order": rollout["order"],
    }


def _endpoint(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    return _present(
        Mode=endpoint.get("mode"),
        Ports=[
            _present(
                Name=port.get("name"),
                Protocol=port["protocol"],
                TargetPort=port["targetPort"],
                PublishedPort=port.get("publishedPort"),
                PublishMode=port["publishMode"],
            )
            for port in endpoint.get("ports", [])
        ],
    )


def _task(task: Mapping[str, Any]) -> dict[str, Any]:
    policy, log = task.get("restartPolicy", {}), task.get("logDriver")
    return _present(
        ContainerSpec=_container(task["containerSpec"]),
        Resources=_resources(task.get("resources", {})),
        RestartPolicy=_present(
            Condition=policy.get("condition"),
            Delay=policy.get("delay"),
            MaxAttempts=policy.get("maxAttempts"),
            Window=policy.get("window"),
        ),
        Placement=_placement(task.get("placement", {})),
        ForceUpdate=task.get("forceUpdate", 0),
        Runtime=task.get("runtime"),
        Networks=[
            _present(
                Target=network.get("id") or network.get("name"),
                Aliases=network.get("aliases"),
                DriverOpts=dict(option.split("=", 1) for option in network.get("driverOpts", [])),
            )
            for network in task.get("networksAdvanceds", [])
        ],
        LogDriver=_present(Name=log["name"], Options=log.get("options")) if log else None,
    )


def _container(container: Mapping[str, Any]) -> dict[str, Any]:
    health, dns = container.get("healthcheck"), container.get("dnsConfig")
    return _present(
        Image=container["image"],
        Labels=_labels(container.get("labels")),
        Command=container.get("commands"),
        Args=container.get("args"),
        Hostname=container.get("hostname"),
        Env=[f"{key}={value}" for key, value in sorted(container.get("env", {}).items())],
        Dir=container.get("dir"),
        User=container.get("user"),
        Groups=container.get("groups"),
        Init=container.get("init"),
        ReadOnly=container.get("readOnly"),
        Mounts=[_mount(mount) for mount in container.get("mounts", [])],
        StopSignal=container.get("stopSignal"),
        StopGracePeriod=container.get("stopGracePeriod"),
        Healthcheck=_present(
            Test=health["tests"],
            Interval=health.get("interval"),
            Timeout=health.get("timeout"),
            StartPeriod=health.get("startPeriod"),
            Retries=health.get("retries"),
        )
        if health
        else None,
        Hosts=[f"{host['ip']} {host['host']}" for host in container.get("hosts", [])],
        DNSConfig=_present(
            Nameservers=dns.get("nameservers"), Search=dns.get("searches"), Options=dns.get("options")
        )
        if dns
        else None,
        Secrets=[_file_spec("Secret", secret) for secret in container.get("secrets", [])],
        Configs=[_file_spec("Config", config) for config in container.get("configs", [])],
        Isolation=container.get("isolation"),
        Sysctls=container.get("sysctl"),
        CapabilityAdd=container.get("capAdds"),
        CapabilityDrop=container.get("capDrops"),
        Privileges=_privileges(container.get("privileges", {})),
    )


def _file_spec(kind: str, file: Mapping[str, Any]) -> dict[str, Any]:
    key = kind.lower()
    return _present(
        **{
            f"{kind}ID": file[f"{key}Id"],
            f"{kind}Name": file.get(f"{key}Name"),
            "File": {
                "Name": file["fileName"],
                "UID": file["fileUid"],
                "GID": file["fileGid"],
                "Mode": file["fileMode"],
            },
        }
    )


def _mount(mount: Mapping[str, Any]) -> dict[str, Any]:
    bind, volume, tmpfs = mount.get("bindOptions"), mount.get("volumeOptions"), mount.get("tmpfsOptions")
    return _present(
        Type=mount["type"],
        Target=mount["target"],
        Source=mount.get("source"),
        ReadOnly=mount.get("readOnly"),
        BindOptions=_present(Propagation=bind.get("propagation")) if bind else None,
        VolumeOptions=_present(
            NoCopy=volume.get("noCopy"),
            Labels=_labels(volume.get("labels")),
            DriverConfig=_present(Name=volume.get("driverName"), Options=volume.get("driverOptions")),
        )
        if volume
        else None,
        TmpfsOptions=_present(SizeBytes=tmpfs.get("sizeBytes"), Mode=tmpfs.get("mode")) if tmpfs else None,
    )


def _privileges(privileges: Mapping[str, Any]) -> dict[str, Any]:
    credentials, selinux = privileges.get("credentialSpec"), privileges.get("seLinuxContext")
    return _present(
        CredentialSpec=_present(File=credentials.get("file"), Registry=credentials.get("registry"))
        if credentials
        else None,
        SELinuxContext=_present(
            Disable=selinux.get("disable"),
            User=selinux.get("user"),
            Role=selinux.get("role"),
            Type=selinux.get("type"),
            Level=selinux.get("level"),
        )
        if selinux
        else None,
    )


def _resources(resources: Mapping[str, Any]) -> dict[str, Any]:
    limits, reservation = resources.get("limits"), resources.get("reservation")
    generic = (reservation or {}).get("genericResources", {})
    named = (entry.split("=", 1) for entry in generic.get("namedResourcesSpecs", []))
    discrete = (entry.split("=", 1) for entry in generic.get("discreteResourcesSpecs", []))
    return _present(
        Limits=_present(NanoCPUs=limits.get("nanoCpus"), MemoryBytes=limits.get("memoryBytes"))
        if limits
        else None,
        Reservations=_present(
            NanoCPUs=reservation.get("nanoCpus"),
            MemoryBytes=reservation.get("memoryBytes"),
            GenericResources=[{"NamedResourceSpec": {"Kind": k, "Value": v}} for k, v in named]
            + [{"DiscreteResourceSpec": {"Kind": k, "Value": int(v)}} for k, v in discrete],
        )
        if reservation
        else None,
    )


def _placement(placement: Mapping[str, Any]) -> dict[str, Any]:
    return _present(
        Constraints=placement.get("constraints"),
        Preferences=[{"Spread": {"SpreadDescriptor": pref}} for pref in placement.get("prefs", [])],
        MaxReplicas=placement.get("maxReplicas"),
        Platforms=[
            {"Architecture": platform["architecture"], "OS": platform["os"]}
            for platform in placement.get("platforms", [])
        ],
    )


def _labels(entries: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    return {entry["label"]: entry["value"] for entry in entries or []}


def _present(**fields: Any) -> dict[str, Any]:
    """The fields that say something; the engine's own default stands for the others."""
    return {name: value for name, value in fields.items() if value is not None and value not in ({}, [], "")}


# -- back: what the engine says of a service, as inputs


def to_inputs(service: Mapping[str, Any]) -> dict[str, Any]:
    """Plain inputs (not canonical: durations as text) that describe an inspected service."""
    spec = service["Spec"]
    mode = spec.get("Mode", {})
    replicas = mode.get("Replicated", {}).get("Replicas", 1)
    return _present(
        name=spec["Name"],
        labels=_label_list(spec.get("Labels")),
        taskSpec=_task_inputs(spec["TaskTemplate"]),
        mode={"global": True} if "Global" in mode else {"replicated": {"replicas": replicas}},
        updateConfig=_rollout_inputs(spec.get("UpdateConfig")),
        rollbackConfig=_rollout_inputs(spec.get("RollbackConfig")),
        endpointSpec=_endpoint_inputs(spec.get("EndpointSpec", {}), service.get("Endpoint", {})),
    )


def _rollout_inputs(rollout: Mapping[str, Any] | None) -> dict[str, Any]:
    if not rollout:
        return {}
    return {
        "parallelism": rollout.get("Parallelism", 0),
        "delay": durations.render(rollout.get("Delay", 0)),
        "failureAction": rollout.get("FailureAction") or "pause",
        "monitor": durations.render(rollout.get("Monitor", 0)),
        "maxFailureRatio": f"{round(rollout.get('MaxFailureRatio', 0.0), 6)}",
        "order": rollout.get("Order") or "stop-first",
    }


def _endpoint_inputs(spec: Mapping[str, Any], endpoint: Mapping[str, Any]) -> dict[str, Any]:
    # Published ports that the engine chose are only in the endpoint, not in the specification.
    ports = endpoint.get("Ports") or spec.get("Ports") or []
    return _present(
        mode=spec.get("Mode") or endpoint.get("Spec", {}).get("Mode"),
        ports=[
            _present(
                name=port.get("Name"),
                protocol=port.get("Protocol", "tcp"),
                targetPort=port["TargetPort"],
                publishedPort=port.get("PublishedPort"),
                publishMode=port.get("PublishMode", "ingress"),
            )
            for port in ports
        ],
    )


def _task_inputs(task: Mapping[str, Any]) -> dict[str, Any]:
    policy, log = task.get("RestartPolicy", {}), task.get("LogDriver")
    placement = task.get("Placement", {})
    return _present(
        containerSpec=_container_inputs(task.get("ContainerSpec", {})),
        resources=_resources_inputs(task.get("Resources", {})),
        restartPolicy=_present(
            condition=policy.get("Condition"),
            delay=_duration(policy.get("Delay")),
            maxAttempts=policy.get("MaxAttempts"),
            window=_duration(policy.get("Window")),
        ),
        placement=_present(
            constraints=placement.get("Constraints"),
            prefs=[pref["Spread"]["SpreadDescriptor"] for pref in placement.get("Preferences") or []],
            maxReplicas=placement.get("MaxReplicas"),
            platforms=[
                {"architecture": p.get("Architecture", ""), "os": p.get("OS", "")}
                for p in placement.get("Platforms") or []
            ],
        ),
        forceUpdate=task.get("ForceUpdate"),
        runtime=task.get("Runtime"),
        networksAdvanceds=[
            _present(
                id=network["Target"],
                aliases=network.get("Aliases"),
                driverOpts=[f"{k}={v}" for k, v in sorted((network.get("DriverOpts") or {}).items())],
            )
            for network in task.get("Networks") or []
        ],
        logDriver=_present(name=log.get("Name"), options=log.get("Options")) if log else None,
    )


def _container_inputs(container: Mapping[str, Any]) -> dict[str, Any]:
    health, dns = container.get("Healthcheck"), container.get("DNSConfig")
    env = (entry.partition("=") for entry in container.get("Env") or [])
    privileges = container.get("Privileges") or {}
    return _present(
        image=container.get("Image"),
        labels=_label_list(container.get("Labels")),
        commands=container.get("Command"),
        args=container.get("Args"),
        hostname=container.get("Hostname"),
        env={key: value for key, _, value in env},
        dir=container.get("Dir"),
        user=container.get("User"),
        groups=container.get("Groups"),
        init=container.get("Init"),
        readOnly=container.get("ReadOnly"),
        mounts=[_mount_inputs(mount) for mount in container.get("Mounts") or []],
        stopSignal=container.get("StopSignal"),
        stopGracePeriod=_duration(container.get("StopGracePeriod")),
        healthcheck=_present(
            tests=health.get("Test"),
            interval=_duration(health.get("Interval")),
            timeout=_duration(health.get("Timeout")),
            startPeriod=_duration(health.get("StartPeriod")),
            retries=health.get("Retries"),
        )
        if health
        else None,
        hosts=[
            dict(zip(("ip", "host"), host.split(" ", 1), strict=False))
            for host in container.get("Hosts") or []
        ],
        dnsConfig=_present(
            nameservers=dns.get("Nameservers"), searches=dns.get("Search"), options=dns.get("Options")
        )
        if dns
        else None,
        secrets=[_file_inputs("secret", secret) for secret in container.get("Secrets") or []],
        configs=[_file_inputs("config", config) for config in container.get("Configs") or []],
        isolation=container.get("Isolation"),
        sysctl=container.get("Sysctls"),
        capAdds=container.get("CapabilityAdd"),
        capDrops=container.get("CapabilityDrop"),
        privileges=_privileges_inputs(privileges),
    )


def _privileges_inputs(privileges: Mapping[str, Any]) -> dict[str, Any]:
    credentials, selinux = privileges.get("CredentialSpec"), privileges.get("SELinuxContext")
    return _present(
        credentialSpec=_present(file=credentials.get("File"), registry=credentials.get("Registry"))
        if credentials
        else None,
        seLinuxContext=_present(
            disable=selinux.get("Disable"),
            user=selinux.get("User"),
            role=selinux.get("Role"),
            type=selinux.get("Type"),
            level=selinux.get("Level"),
        )
        if selinux
        else None,
    )


def _mount_inputs(mount: Mapping[str, Any]) -> dict[str, Any]:
    bind, volume, tmpfs = mount.get("BindOptions"), mount.get("VolumeOptions"), mount.get("TmpfsOptions")
    driver = (volume or {}).get("DriverConfig") or {}
    return _present(
        type=mount["Type"],
        target=mount["Target"],
        source=mount.get("Source"),
        readOnly=mount.get("ReadOnly"),
        bindOptions=_present(propagation=bind.get("Propagation")) if bind else None,
        volumeOptions=_present(
            noCopy=volume.get("NoCopy"),
            labels=_label_list(volume.get("Labels")),
            driverName=driver.get("Name"),
            driverOptions=driver.get("Options"),
        )
        if volume
        else None,
        tmpfsOptions=_present(sizeBytes=tmpfs.get("SizeBytes"), mode=tmpfs.get("Mode")) if tmpfs else None,
    )


def _file_inputs(kind: str, reference: Mapping[str, Any]) -> dict[str, Any]:
    name, file = kind.capitalize(), reference.get("File") or {}
    return _present(
        **{
            f"{kind}Id": reference[f"{name}ID"],
            f"{kind}Name": reference.get(f"{name}Name"),
            "fileName": file.get("Name"),
            "fileUid": file.get("UID") or "0",
            "fileGid": file.get("GID") or "0",
            "fileMode": file.get("Mode", _READABLE),
        }
    )


def _resources_inputs(resources: Mapping[str, Any]) -> dict[str, Any]:
    limits, reservation = resources.get("Limits") or {}, resources.get("Reservations") or {}
    generic = reservation.get("GenericResources") or []
    named = [g["NamedResourceSpec"] for g in generic if "NamedResourceSpec" in g]
    discrete = [g["DiscreteResourceSpec"] for g in generic if "DiscreteResourceSpec" in g]
    return _present(
        limits=_present(nanoCpus=limits.get("NanoCPUs"), memoryBytes=limits.get("MemoryBytes")),
        reservation=_present(
            nanoCpus=reservation.get("NanoCPUs"),
            memoryBytes=reservation.get("MemoryBytes"),
            genericResources=_present(
                namedResourcesSpecs=[f"{n['Kind']}={n['Value']}" for n in named],
                discreteResourcesSpecs=[f"{d['Kind']}={d['Value']}" for d in discrete],
            ),
        ),
    )


def _duration(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else durations.render(nanoseconds)


def _label_list(found: Mapping[str, str] | None) -> list[dict[str, str]]:
    return [{"label": key, "value": value} for key, value in sorted((found or {}).items())]
