"""Docker secrets and configs whose names carry their content's fingerprint.

Owns: names that let content rotate: the engine never changes a secret or config in place, so new content is a
new one beside the old, the service moves over, and then the old one is deleted.
Leaves to others: which service gets which file.
"""

from __future__ import annotations

import base64
import hashlib

import pulumi
import pulumi_docker as docker


def secret(
    name: str, file: str, content: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> docker.ServiceTaskSpecContainerSpecSecretArgs:
    """A Docker secret, and its place in a container: `/run/secrets/FILE`, readable there.

    The fingerprint is of name and content together and 48 bits short: it tells nothing about a password of
    full strength, and the resource's name stays readable in previews.
    """
    value = pulumi.Output.secret(content)
    made = docker.Secret(
        f"{name}-{file}",
        name=pulumi.Output.unsecret(value.apply(lambda text: f"{file}-{fingerprint(file, text)}")),
        data=value.apply(_encoded),
        opts=opts,
    )
    return docker.ServiceTaskSpecContainerSpecSecretArgs(
        secret_id=made.id, secret_name=made.name, file_name=file, file_uid="0", file_gid="0", file_mode=0o444
    )


def config(
    name: str, stem: str, path: str, content: str, opts: pulumi.ResourceOptions
) -> docker.ServiceTaskSpecContainerSpecConfigArgs:
    """A Docker config, and its place in a container: `path`.

    Args:
        stem: begins the config's name in the swarm.
    """
    made = docker.ServiceConfig(
        f"{name}-{stem}", name=f"{stem[:48]}-{fingerprint(stem, content)}", data=_encoded(content), opts=opts
    )
    return docker.ServiceTaskSpecContainerSpecConfigArgs(
        config_id=made.id, config_name=made.name, file_name=path, file_uid="0", file_gid="0", file_mode=0o444
    )


def fingerprint(name: str, content: str) -> str:
    """Twelve hexadecimal digits that change with the content."""
    return hashlib.sha256(f"{name}\0{content}".encode()).hexdigest()[:12]


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
