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
from lab.plugins.docker.translation import label_inputs, pairs, present, rendered

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
        "init": boolean(),
        "readOnly": boolean(),
        "mounts": unordered(files.MOUNT),
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
        "secrets": files.references("secret"),
        "configs": files.references("config"),
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


def to_spec(container: Mapping[str, Any]) -> dict[str, Any]:
    """A ContainerSpec for canonical inputs."""
    health, dns = container.get("healthcheck"), container.get("dnsConfig")
    return present(
        Image=container["image"],
        Labels=pairs(container.get("labels")),
        Command=container.get("commands"),
        Args=container.get("args"),
        Hostname=container.get("hostname"),
        Env=[f"{key}={value}" for key, value in sorted(container.get("env", {}).items())],
        Dir=container.get("dir"),
        User=container.get("user"),
        Groups=container.get("groups"),
        Init=container.get("init"),
        ReadOnly=container.get("readOnly"),
        Mounts=[files.mount_spec(mount) for mount in container.get("mounts", [])],
        StopSignal=container.get("stopSignal"),
        StopGracePeriod=container.get("stopGracePeriod"),
        Healthcheck=present(
            Test=health["tests"],
            Interval=health.get("interval"),
            Timeout=health.get("timeout"),
            StartPeriod=health.get("startPeriod"),
            Retries=health.get("retries"),
        )
        if health
        else None,
        Hosts=[f"{host['ip']} {host['host']}" for host in container.get("hosts", [])],
        DNSConfig=present(
            Nameservers=dns.get("nameservers"), Search=dns.get("searches"), Options=dns.get("options")
        )
        if dns
        else None,
        Secrets=[files.reference_spec("Secret", secret) for secret in container.get("secrets", [])],
        Configs=[files.reference_spec("Config", config) for config in container.get("configs", [])],
        Isolation=container.get("isolation"),
        Sysctls=container.get("sysctl"),
        CapabilityAdd=container.get("capAdds"),
        CapabilityDrop=container.get("capDrops"),
        Privileges=_privileges(container.get("privileges", {})),
    )


def _privileges(privileges: Mapping[str, Any]) -> dict[str, Any]:
    credentials, selinux = privileges.get("credentialSpec"), privileges.get("seLinuxContext")
    return present(
        CredentialSpec=present(File=credentials.get("file"), Registry=credentials.get("registry"))
        if credentials
        else None,
        SELinuxContext=present(
            Disable=selinux.get("disable"),
            User=selinux.get("user"),
            Role=selinux.get("role"),
            Type=selinux.get("type"),
            Level=selinux.get("level"),
        )
        if selinux
        else None,
    )


def to_inputs(container: Mapping[str, Any]) -> dict[str, Any]:
    """Plain inputs that describe an inspected ContainerSpec."""
    health, dns = container.get("Healthcheck"), container.get("DNSConfig")
    env = (entry.partition("=") for entry in container.get("Env") or [])
    privileges = container.get("Privileges") or {}
    return present(
        image=container.get("Image"),
        labels=label_inputs(container.get("Labels")),
        commands=container.get("Command"),
        args=container.get("Args"),
        hostname=container.get("Hostname"),
        env={key: value for key, _, value in env},
        dir=container.get("Dir"),
        user=container.get("User"),
        groups=container.get("Groups"),
        init=container.get("Init"),
        readOnly=container.get("ReadOnly"),
        mounts=[files.mount_inputs(mount) for mount in container.get("Mounts") or []],
        stopSignal=container.get("StopSignal"),
        stopGracePeriod=rendered(container.get("StopGracePeriod")),
        healthcheck=present(
            tests=health.get("Test"),
            interval=rendered(health.get("Interval")),
            timeout=rendered(health.get("Timeout")),
            startPeriod=rendered(health.get("StartPeriod")),
            retries=health.get("Retries"),
        )
        if health
        else None,
        hosts=[
            dict(zip(("ip", "host"), host.split(" ", 1), strict=False))
            for host in container.get("Hosts") or []
        ],
        dnsConfig=present(
            nameservers=dns.get("Nameservers"), searches=dns.get("Search"), options=dns.get("Options")
        )
        if dns
        else None,
        secrets=[files.reference_inputs("secret", secret) for secret in container.get("Secrets") or []],
        configs=[files.reference_inputs("config", config) for config in container.get("Configs") or []],
        isolation=container.get("Isolation"),
        sysctl=container.get("Sysctls"),
        capAdds=container.get("CapabilityAdd"),
        capDrops=container.get("CapabilityDrop"),
        privileges=_privileges_inputs(privileges),
    )


def _privileges_inputs(privileges: Mapping[str, Any]) -> dict[str, Any]:
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
