"""Another project that runs a service on the swarm: all it knows of it are the stack's outputs.

Two clients ask the database every few seconds which node answers, and log it: put your application there.

    cd examples/service
    pulumi stack init dev && pulumi config set image "$IMAGE" && pulumi up
    docker service logs client                  on a manager
    pulumi stack output join --show-secrets     what a further host types to become a worker of the swarm

IMAGE must have a digest. That of the database is told, on a manager, by
`docker service inspect --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}' galera`.

Owns: the service, its secret, the way to the swarm. Leaves to others: the cluster (the project above this
folder). Destroy this stack before the cluster's, and before a change of the cluster's network, which is
refused as long as services of others are on it.

It goes through the first of the cluster's managers that answers, for each connection anew: one that is down
keeps no `up`, `refresh` or `destroy` from anything. That is OpenSSH's own doing, and asks each time. The
package (docs/how-to/package.md) remembers whom it has chosen, and knows a manager that is ill from one that
is away.

Everything said of the service is written as the docker plugin finds it at the engine (durations without zero
parts, the image by digest, the network by its id). What is written otherwise differs in every run, and each
time all tasks would be replaced (docs/adr/0011-both-plugins-one-behaviour.md).
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
import pulumi_docker as docker

CONTRACT = 2
"""The version of the outputs that this program was written for."""
NAME = "client"
ANY = "any-manager"
"""What `ssh` here calls whichever manager answers."""
CLIENT = """
trap exit TERM
tls=
if [ -n "$DATABASE_CA" ]; then
  printf '%s\\n' "$DATABASE_CA" >/dev/shm/ca.crt
  # By an address, which no certificate bears.
  tls="--ssl-ca=/dev/shm/ca.crt --skip-ssl-verify-server-cert"
fi
while :; do
  IFS= read -r MYSQL_PWD </run/secrets/database-password
  export MYSQL_PWD
  if said=$(mariadb --host="$DATABASE_HOST" --port="$DATABASE_PORT" --user="$DATABASE_USER" $tls \\
      --database="$DATABASE_NAME" --connect-timeout=10 --skip-column-names \\
      --execute="SELECT @@wsrep_node_name" 2>&1); then
    echo "answered by $said"
    : >/dev/shm/answered
  else
    echo "no answer: $said"
    rm -f /dev/shm/answered
  fi
  sleep 10 & wait $!
done
"""


def agreed(version: object, name: str) -> None:
    """Raise RunError unless the outputs of stack `name` are what this program was written for."""
    if version is None:
        raise pulumi.RunError(
            f"Stack {name} has no output contractVersion: there is no such stack, its first `up` did not "
            "come to its end, or it was by a release older than this example. Remedy: correct the setting "
            "`cluster`, or run `up` there"
        )
    # Numbers of another stack's outputs arrive as 1.0.
    if version != CONTRACT:
        told = int(version) if isinstance(version, float) else version
        raise pulumi.RunError(
            f"Stack {name} has outputs of contract version {told}, and this program knows {CONTRACT}: what "
            "they mean may have changed. Remedy: read the changelog of swarm-galera, then change this program"
        )


def pinned(image: str) -> str:
    """The image, if it has a digest; raises RunError."""
    if not re.fullmatch(r".+@sha256:[0-9a-f]{64}", image):
        raise pulumi.RunError(
            f"The image {image} has no digest. The engine adds the one that a tag stands for, so that every "
            "further run would see a difference and replace all tasks. Remedy: give it as NAME:TAG@sha256:…"
        )
    return image


def endpoint(galera: Mapping[str, Any], balancer: Mapping[str, Any] | None) -> tuple[str, int]:
    """Where to connect: the load balancer's port for the one writer if there is one, else the virtual IP."""
    if balancer:
        return balancer["vip"], int(balancer["writerPort"])
    return galera["vip"], int(galera["port"])


def variables(where: tuple[str, int], galera: Mapping[str, Any]) -> dict[str, str]:
    """What the client is told; the authority behind the nodes' certificates only where they require TLS."""
    tls = galera.get("tls", {})
    return {
        "DATABASE_HOST": where[0],
        "DATABASE_PORT": str(where[1]),
        "DATABASE_NAME": galera["database"],
        "DATABASE_USER": galera["database"],
        **({"DATABASE_CA": tls["caCertificate"].strip()} if tls.get("required") else {}),
    }


def way(host: str, ssh: Mapping[str, Any]) -> tuple[str, str, int]:
    """User, address and port of a host; only hosts that were there before the cluster may differ in these."""
    user = (ssh.get("users") or {}).get(host, ssh["user"])
    return user, ssh["addresses"][host], int((ssh.get("ports") or {}).get(host, 22))


def ssh_options(folder: Path, managers: Sequence[str], ssh: Mapping[str, Any]) -> list[str]:
    """Write key and pinned host keys where only their owner reads them, and return the options that use them.

    The files stay: `refresh` and `destroy` do not run this program, and the provider needs them then.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = "".join(f"{host} {ssh['hostKeys'][host]}\n" for host in managers)
    write_private(folder / "known_hosts", known)
    private = ssh.get("privateKey")
    if private is not None:  # else the SSH agent holds it
        write_private(folder / "id", private.rstrip("\n") + "\n")
    write_private(folder / "config", ssh_config(folder, managers, ssh))
    return ["-F", str(folder / "config")]


def ssh_config(folder: Path, managers: Sequence[str], ssh: Mapping[str, Any]) -> str:
    """OpenSSH's configuration: ANY leads to the first manager that knows the swarm's nodes.

    The next one is asked only while none before it was taken: then `host` is an address, and no longer ANY.
    """
    here = str(folder).replace("%", "%%")
    lines = []
    for host in managers:
        user, address, port = way(host, ssh)
        asked = f"ssh -F '{here}/config' {host} timeout 10 docker node ls -q"
        there = [f"  HostName {address}", f"  Port {port}", f"  User {user}", f"  HostKeyAlias {host}"]
        lines += [f"Host {host}", *there]
        lines += [f'Match originalhost {ANY} host {ANY} exec "{asked}"', *there]
    told = f"none of the managers answers: {', '.join(managers)}"
    lines += [f"Match originalhost {ANY} host {ANY}", f"  ProxyCommand /bin/sh -c 'echo {told} >&2; exit 1'"]
    lines += [
        "Host *",
        f'  UserKnownHostsFile "{here}/known_hosts"',
        "  GlobalKnownHostsFile /dev/null",
        "  StrictHostKeyChecking yes",
        "  BatchMode yes",
        "  ConnectTimeout 10",
        "  ServerAliveInterval 5",
    ]
    if ssh.get("privateKey") is not None:
        lines += [f'  IdentityFile "{here}/id"', "  IdentitiesOnly yes"]
    return "\n".join(lines) + "\n"


def write_private(path: Path, text: str) -> None:
    """Readable by its owner only from its first moment on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def access(ssh: pulumi.Output[dict[str, Any]], managers: pulumi.Output[list[str]]) -> docker.Provider:
    """The swarm, through the engine of any of its managers."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    folder = base / pulumi.get_project() / pulumi.get_stack()
    known = pulumi.Output.all(ssh, managers)
    # Paths: nothing secret is left in them, and no manager is named.
    options = pulumi.Output.unsecret(known.apply(lambda both: ssh_options(folder, both[1], both[0])))
    return docker.Provider("swarm", host=f"ssh://{ANY}", ssh_opts=options)


def container(
    image: str, secret: docker.Secret, told: pulumi.Output[dict[str, str]]
) -> docker.ServiceTaskSpecContainerSpecArgs:
    """What each task runs: the client, told where the database is; healthy while it is answered."""
    return docker.ServiceTaskSpecContainerSpecArgs(
        image=image,
        commands=["sh", "-c", CLIENT],
        env=told,
        secrets=[
            docker.ServiceTaskSpecContainerSpecSecretArgs(
                secret_id=secret.id,
                secret_name=secret.name,
                file_name="database-password",
                file_uid="0",
                file_gid="0",
                file_mode=0o444,
            )
        ],
        healthcheck=docker.ServiceTaskSpecContainerSpecHealthcheckArgs(
            tests=["CMD-SHELL", "test -e /dev/shm/answered"],
            interval="10s",
            timeout="10s",
            retries=12,
            start_period="2m",
        ),
        stop_grace_period="10s",
    )


def client(
    image: str,
    replicas: int,
    network: pulumi.Output[str],
    told: pulumi.Output[dict[str, str]],
    password: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> docker.Service:
    """The service."""
    # Pulumi draws the name: a changed password is a new secret beside the old one until the tasks have moved.
    secret = docker.Secret(
        f"{NAME}-password",
        data=password.apply(lambda text: base64.b64encode(text.encode()).decode()),
        opts=opts,
    )
    own = pulumi.ResourceOptions(
        delete_before_replace=True,
        # When it makes a service, the plugin enters what the registry says of the image's platforms.
        ignore_changes=["taskSpec.placement.platforms"],
    )
    return docker.Service(
        NAME,
        name=NAME,
        mode=docker.ServiceModeArgs(replicated=docker.ServiceModeReplicatedArgs(replicas=replicas)),
        task_spec=docker.ServiceTaskSpecArgs(
            container_spec=container(image, secret, told),
            networks_advanceds=[docker.ServiceTaskSpecNetworksAdvancedArgs(id=network)],
            # The plugin reads the window back.
            restart_policy=docker.ServiceTaskSpecRestartPolicyArgs(condition="any", delay="5s", window="0s"),
        ),
        endpoint_spec=docker.ServiceEndpointSpecArgs(mode="vip"),
        update_config=docker.ServiceUpdateConfigArgs(
            parallelism=1,
            delay="10s",
            monitor="10s",
            order="start-first",
            failure_action="pause",
            max_failure_ratio="0.0",
        ),
        # Without it nobody waits until the tasks of a change are there.
        converge_config=docker.ServiceConvergeConfigArgs(delay="5s", timeout="5m"),
        opts=pulumi.ResourceOptions.merge(opts, own),
    )


def main() -> None:
    """Read the outputs, run the service, hand out what a further host needs."""
    config = pulumi.Config()
    name = config.require("cluster")
    cluster = pulumi.StackReference(name)
    # Nothing is read before the version is known to be the right one.
    checked = cluster.get_output("contractVersion").apply(lambda version: agreed(version, name))

    def output(key: str) -> pulumi.Output[Any]:
        return checked.apply(lambda _: cluster.require_output(key))

    galera, ssh, managers = output("galera"), output("ssh"), output("managers")
    balancer = checked.apply(lambda _: cluster.get_output("loadBalancer"))
    where = pulumi.Output.all(galera, balancer).apply(lambda both: endpoint(both[0], both[1]))
    service = client(
        pinned(config.require("image")),
        config.require_int("replicas"),
        output("network").apply(lambda network: network["id"]),
        pulumi.Output.all(where, galera).apply(lambda both: variables(both[0], both[1])),
        output("passwords").apply(lambda passwords: passwords["app"]),
        pulumi.ResourceOptions(provider=access(ssh, managers)),
    )
    pulumi.export("service", service.name)
    pulumi.export("database", where.apply(lambda at: f"{at[0]}:{at[1]}"))
    # Of a secret output, so it is secret here, too: whoever has it becomes part of the swarm.
    manager = output("hosts").apply(lambda hosts: hosts[0]["privateIp"])
    pulumi.export(
        "join",
        pulumi.Output.all(output("joinTokens"), manager).apply(
            lambda known: f"docker swarm join --token {known[0]['worker']} {known[1]}:2377"
        ),
    )


main()
