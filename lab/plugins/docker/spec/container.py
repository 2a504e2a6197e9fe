"""The container of a task: image, command, environment, health check, name resolution, privileges.

Leaves what stands in its file system to `files`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.plugins.docker.schema import (
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
from lab.plugins.docker.spec import files
from lab.plugins.docker.translation import label_inputs, nanoseconds, pairs, present, rendered

CONTAINER = block(
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
        "init": boolean(computed=True),
        "readOnly": boolean(),
        "mounts": unordered(files.MOUNT),
        "stopSignal": string(),
        "stopGracePeriod": duration(computed=True),
        "healthcheck": block(
            {
                "tests": listed(string()),
                "interval": duration(default="0s"),
                "timeout": duration(default="0s"),
                "startPeriod": duration(default="0s"),
                "retries": integer(default=0),
            },
            computed=True,
        ),
        "hosts": unordered(
            block({"ip": string(required=True), "host": string(required=True)}), replaces=True
        ),
        "dnsConfig": block(
            {
                "nameservers": listed(string(), required=True),
                "searches": listed(string()),
                "options": listed(string()),
            },
            computed=True,
        ),
        "secrets": files.references("secret"),
        "configs": files.references("config"),
        "isolation": string(default="default", one_of=("default", "process", "hyperv")),
        "sysctl": strings(replaces=True),
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


def to_spec(container: Mapping[str, Any]) -> dict[str, Any]:
    """A ContainerSpec for planned inputs; what is not said is said to be nothing, as officially."""
    health, dns = container["healthcheck"] or {}, container["dnsConfig"] or {}
    spec = present(
        Image=container["image"],
        Labels=pairs(container["labels"]),
        Command=container["commands"],
        Args=container["args"],
        Hostname=container["hostname"],
        Env=[f"{key}={value}" for key, value in sorted(container["env"].items())],
        Dir=container["dir"],
        User=container["user"],
        Groups=container["groups"],
        ReadOnly=container["readOnly"],
        Mounts=[files.mount_spec(mount) for mount in container["mounts"]],
        StopSignal=container["stopSignal"],
        Hosts=[f"{host['ip']} {host['host']}" for host in container["hosts"]],
        Secrets=[files.reference_spec("Secret", secret) for secret in container["secrets"]],
        Configs=[files.reference_spec("Config", config) for config in container["configs"]],
        Isolation=container["isolation"],
        Sysctls=container["sysctl"],
        CapabilityAdd=container["capAdds"],
        CapabilityDrop=container["capDrops"],
        Privileges=_privileges(container["privileges"]) if container["privileges"] else None,
    )
    return {
        **spec,
        "Init": container["init"],
        "StopGracePeriod": nanoseconds(container["stopGracePeriod"]),
        "Healthcheck": present(
            Test=health.get("tests"),
            Interval=nanoseconds(health.get("interval")),
            Timeout=nanoseconds(health.get("timeout")),
            StartPeriod=nanoseconds(health.get("startPeriod")),
            Retries=health.get("retries"),
        ),
        "DNSConfig": present(
            Nameservers=dns.get("nameservers"), Search=dns.get("searches"), Options=dns.get("options")
        ),
    }


def _privileges(privileges: Mapping[str, Any]) -> dict[str, Any]:
    credentials, selinux = privileges["credentialSpec"], privileges["seLinuxContext"]
    return present(
        CredentialSpec=present(File=credentials["file"], Registry=credentials["registry"])
        if credentials
        else None,
        SELinuxContext=present(
            Disable=selinux["disable"],
            User=selinux["user"],
            Role=selinux["role"],
            Type=selinux["type"],
            Level=selinux["level"],
        )
        if selinux
        else None,
    )


def found(container: Mapping[str, Any]) -> dict[str, Any]:
    """What an inspected ContainerSpec says, in the inputs' words."""
    env = (entry.partition("=") for entry in container.get("Env") or [])
    health, dns = container.get("Healthcheck"), container.get("DNSConfig")
    return {
        "image": container.get("Image"),
        "labels": label_inputs(container.get("Labels")),
        "commands": container.get("Command"),
        "args": container.get("Args"),
        "hostname": container.get("Hostname"),
        "env": {key: value for key, _, value in env},
        "dir": container.get("Dir"),
        "user": container.get("User"),
        "groups": container.get("Groups"),
        "init": container.get("Init"),
        "readOnly": container.get("ReadOnly"),
        "mounts": [files.mount_found(mount) for mount in container.get("Mounts") or []],
        "stopSignal": container.get("StopSignal"),
        "stopGracePeriod": rendered(container.get("StopGracePeriod")),
        "healthcheck": None
        if health is None
        else {
            "tests": health.get("Test"),
            "interval": rendered(health.get("Interval", 0)),
            "timeout": rendered(health.get("Timeout", 0)),
            "startPeriod": rendered(health.get("StartPeriod", 0)),
            "retries": health.get("Retries", 0),
        },
        "hosts": [
            dict(zip(("ip", "host"), host.split(" ", 1), strict=False))
            for host in container.get("Hosts") or []
        ],
        "dnsConfig": None
        if dns is None
        else {
            "nameservers": dns.get("Nameservers"),
            "searches": dns.get("Search"),
            "options": dns.get("Options"),
        },
        "secrets": [files.reference_found("secret", secret) for secret in container.get("Secrets") or []],
        "configs": [files.reference_found("config", config) for config in container.get("Configs") or []],
        "isolation": container.get("Isolation"),
        "sysctl": container.get("Sysctls"),
        "capAdds": container.get("CapabilityAdd"),
        "capDrops": container.get("CapabilityDrop"),
        "privileges": _privileges_found(container["Privileges"]) if container.get("Privileges") else None,
    }


def _privileges_found(privileges: Mapping[str, Any]) -> dict[str, Any]:
    credentials, selinux = privileges.get("CredentialSpec"), privileges.get("SELinuxContext")
    return present(
        credentialSpec=present(file=credentials.get("File"), registry=credentials.get("Registry"))
        if credentials
        else None,
        seLinuxContext=present(
            disable=selinux.get("Disable"),
            user=selinux.get("User"),
            role=selinux.get("Role"),
            type=selinux.get("Type"),
            level=selinux.get("Level"),
        )
        if selinux
        else None,
    )
