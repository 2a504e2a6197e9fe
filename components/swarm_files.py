"""Docker secrets and configs under names that are drawn anew each time one is made.

Owns: names that let content rotate and let a broken-off run be repeated. The engine never changes a secret
or config in place, so new content is a new one beside the old, the service moves over, and then the old one
is deleted. `name` is left out: then Pulumi draws one with a random suffix, in its official docker plugin as
in the lab's. So one that a run made which was killed before its state knew of it is in nobody's way, and the
name says nothing about the content.
Leaves to others: which service gets which file; removing what killed runs left
(operations/around_run/swarm_leftovers.py).
"""

from __future__ import annotations

import base64
import hashlib

import pulumi
import pulumi_docker as docker

LABEL = "swarm-galera.stack"
"""On every secret, config and service: PROJECT/STACK."""
LONGEST = 56
"""Characters of a resource's name: the engine takes 64, and Pulumi adds `-1a2b3c4`."""


def secret(
    name: str, file: str, content: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> docker.ServiceTaskSpecContainerSpecSecretArgs:
    """A Docker secret, and its place in a container: `/run/secrets/FILE`, readable there."""
    made = docker.Secret(
        resource_name(name, file),
        data=pulumi.Output.secret(content).apply(_encoded),
        labels=[docker.SecretLabelArgs(label=LABEL, value=stack())],
        opts=opts,
    )
    return docker.ServiceTaskSpecContainerSpecSecretArgs(
        secret_id=made.id, secret_name=made.name, file_name=file, file_uid="0", file_gid="0", file_mode=0o444
    )


def config(
    name: str, stem: str, path: str, content: str | bytes, opts: pulumi.ResourceOptions
) -> docker.ServiceTaskSpecContainerSpecConfigArgs:
    """A Docker config, and its place in a container: `path`.

    Args:
        stem: begins the config's name in the swarm, after `name`.
    """
    made = docker.ServiceConfig(
        resource_name(name, stem),
        data=_encoded(content),
        labels=[docker.ServiceConfigLabelArgs(label=LABEL, value=stack())],
        opts=opts,
    )
    return docker.ServiceTaskSpecContainerSpecConfigArgs(
        config_id=made.id, config_name=made.name, file_name=path, file_uid="0", file_gid="0", file_mode=0o444
    )


def resource_name(name: str, stem: str) -> str:
    """`NAME-STEM`; of a longer one the beginning and eight digits that tell it from others."""
    whole = f"{name}-{stem}"
    if len(whole) <= LONGEST:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{whole[: LONGEST - len(digest) - 1]}-{digest}"


def stack() -> str:
    """The label's value for this stack."""
    return f"{pulumi.get_project()}/{pulumi.get_stack()}"


def _encoded(content: str | bytes) -> str:
    return base64.b64encode(content.encode() if isinstance(content, str) else content).decode()
