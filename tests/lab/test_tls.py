"""The database's TLS on real hosts: what is on the lab's bridge, a stack of before that comes to it while a
client writes, another authority, and a run that is killed in the middle.

Owned here: the program's part, over the swarm. Left to others: nodes among one another, which files are good
(tests/images/test_galera_tls.py).

The overlay network is not encrypted here: what Galera does not hide is seen. The tests tell one story, in the
order they are written.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import network, paths
from tests.images.wiretap import TAP
from tests.lab.whole_cluster import (
    CHECKOUT,
    GALERA_NODE,
    HOSTS,
    LAB,
    LONG,
    add_balancer,
    config,
    empty_lab,
    holds,
    in_lab,
    make,
    nothing_changes,
    on_host,
    one_cluster,
    operations,
    outputs,
    sql,
    tasks,
    wait_for,
)

SECRET = "nobody-is-to-read-this-0815"
PLAIN = "  swarm-galera:network: {subnet: 10.20.0.0/24, encrypted: false}\n"
FILES = ("galera-ca.crt", "galera-server.crt", "galera-server.key")
ETCDCTL = 'docker exec "$(docker ps -q --filter name=etcd)" etcdctl {}'
WRITER = """
docker rm -f writer >/dev/null 2>&1
docker run -d --name writer --network galera -e MYSQL_PWD={password} --entrypoint bash \
  "$(docker service inspect --format '{{{{.Spec.TaskTemplate.ContainerSpec.Image}}}}' galera)" -c '
  n=0
  while :; do
    n=$((n + 1))
    if mariadb --host=haproxy --port=6446 --user=app --connect-timeout=3 {tls} app \
      -e "INSERT INTO kept VALUES ($n)" 2>/dev/null; then echo "taken $n $SECONDS"; fi
    sleep 0.3
  done'
"""
"""A client that tries again, on the overlay network, and says which rows were taken, and when."""


@pytest.fixture(scope="module", autouse=True)
def stack() -> Iterator[None]:
    """A stack of the tests' own: up, with TLS."""
    with empty_lab():
        add_balancer()
        settings = CHECKOUT / f"Pulumi.{LAB}.yaml"
        text = settings.read_text()
        before = "  swarm-galera:network:\n    subnet: 10.20.0.0/24\n"
        assert before in text
        settings.write_text(text.replace(before, PLAIN))
        make("up")
        wait_for("three Synced nodes", one_cluster)
        sql("galera-1", "CREATE TABLE app.kept (n INT PRIMARY KEY)")
        yield
        operations("destroy", "--yes")


pytestmark = [pytest.mark.lab, LONG]


@contextlib.contextmanager
def listening(folder: Path) -> Iterator[Path]:
    """All frames on the lab's bridges from now on, in a file."""
    file = folder / "heard"
    argv = [*network.enter(paths.lab(LAB).namespace), sys.executable, "-c", TAP, str(file)]
    with subprocess.Popen(argv) as tap:
        wait_for("a tap on the bridge", file.exists, 30)
        yield file
        tap.kill()


def hidden() -> dict[str, bytes]:
    """Passwords, and a line of the nodes' private key where they have one: what a task gets from its manager
    when it comes to a host, and what nobody else is to hear.
    """
    shown = in_lab("pulumi", "stack", "output", "passwords", "--show-secrets", "--json", "--stack", LAB)
    container = '"$(docker ps -q --filter label=com.docker.swarm.service.name=galera)"'
    key = on_host("galera-1", f"docker exec -u 0 {container} cat /run/secrets/{FILES[2]} 2>/dev/null || :")
    found = {name: text.encode() for name, text in json.loads(shown.stdout).items()}
    if key:
        found["the nodes' key"] = key.splitlines()[1].encode()
    return found


def heard(folder: Path, word: str) -> bool:
    """Whether a row crosses the bridge in plain, when it is replicated and in a full copy. Passwords and keys
    never do.
    """
    secret = hidden()
    with listening(folder) as file:
        sql("galera-1", f"CREATE TABLE app.{word} (text VARCHAR(60))")
        values = ",".join(f"('{SECRET} {word}')" for _ in range(400))
        sql("galera-1", f"INSERT INTO app.{word} VALUES {values}")
        # A full copy.
        on_host("galera-1", "docker node update --label-add galera=false galera-3")
        there = "docker ps -q --filter label=com.docker.swarm.service.name=galera"
        wait_for("galera-3 is away", lambda: not on_host("galera-3", there).strip(), 180)
        on_host("galera-3", "find /var/lib/docker/volumes/galera-data/_data -mindepth 1 -delete")
        on_host("galera-1", "docker node update --label-add galera=true galera-3")
        wait_for("three Synced nodes", one_cluster)
        assert sql("galera-3", f"SELECT COUNT(*) FROM app.{word}") == "400"
        assert file.stat().st_size > 400 * len(SECRET)
        frames = file.read_bytes()
        assert not [name for name, text in secret.items() if text in frames]
        return SECRET.encode() in frames


@contextlib.contextmanager
def writing(*tls: str) -> Iterator[None]:
    """A client writes all the while: what was taken is there afterwards, and it waited for no full minute."""
    sql("galera-1", "TRUNCATE app.kept")
    shown = in_lab("pulumi", "stack", "output", "passwords", "--show-secrets", "--json", "--stack", LAB)
    on_host("galera-1", WRITER.format(password=json.loads(shown.stdout)["app"], tls=" ".join(tls)))
    yield
    on_host("galera-1", "docker stop -t 2 writer")
    taken = [line.split()[1:] for line in on_host("galera-1", "docker logs writer").splitlines()]
    assert len(taken) > 50
    for host in HOSTS:
        assert int(sql(host, "SELECT COUNT(*) FROM app.kept")) >= len(taken)
    numbers = {int(number) for number, _ in taken}
    there = set(map(int, sql("galera-2", "SELECT n FROM app.kept").split()))
    assert not numbers - there
    moments = [int(moment) for _, moment in taken]
    assert max(later - sooner for sooner, later in itertools.pairwise(moments)) < 60


def to_before() -> None:
    """The nodes as an older release leaves them: without the files, without a record."""
    on_host("galera-1", ETCDCTL.format("del swarm-galera/galera/tls"))
    removed = " ".join(
        f"--secret-rm {name}"
        for name in on_host("galera-1", "docker secret ls --format '{{.Name}}'").split()
        if any(name.startswith(f"galera-{file}-") for file in FILES)
    )
    assert removed.count("--secret-rm") == len(FILES)
    on_host("galera-1", f"docker service update --detach --update-parallelism 0 {removed} galera")
    wait_for("a full stop", lambda: not one_cluster(), 120)
    wait_for("three Synced nodes", one_cluster)
    for host in HOSTS:
        on_host(host, "rm -f /var/lib/docker/volumes/galera-data/_data/galera-node.tls")
    on_host("galera-1", ETCDCTL.format("del swarm-galera/galera/tls"))
    assert ways() == [None] * 3


def ways() -> list[str | None]:
    """How the nodes speak TLS."""
    told = json.loads(on_host("galera-1", GALERA_NODE.format("status --json")))
    return [told["members"][host]["tls"] for host in HOSTS]


def test_a_new_stack_speaks_tls_alone(tmp_path: Path) -> None:
    assert ways() == ["only"] * 3
    assert not heard(tmp_path, "covered")
    holds()
    nothing_changes()


def test_a_stack_of_before_comes_over_by_one_up_while_a_client_writes(tmp_path: Path) -> None:
    to_before()
    assert heard(tmp_path, "open")  # what is listened with hears
    assert operations("verify", check=False).returncode != 0
    operations("refresh", "--yes")
    with writing("--skip-ssl"):
        operations("up", "--yes")
    assert ways() == ["only"] * 3
    assert not heard(tmp_path, "covered_again")
    holds()
    nothing_changes()


def test_another_authority_follows_also_after_a_run_that_was_killed() -> None:
    former = outputs()["galera"]["tls"]["caCertificate"]
    config("set", "--path", "swarm-galera:galera.tls.generation", "2")
    before = tasks("galera")
    with writing("--ssl"):
        argv = [sys.executable, "-m", "lab", "exec", "--name", LAB, "--", sys.executable, "-m", "operations"]
        run = subprocess.Popen([*argv, "up", "--yes", "--stack", LAB], cwd=CHECKOUT, start_new_session=True)
        wait_for("the first node that is changed", lambda: tasks("galera") != before)
        time.sleep(10)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        wait_for("a node that answers", lambda: bool(sql("galera-1", "SELECT 1", check=False)), 300)
        operations("up", "--yes")
    after = outputs()["galera"]["tls"]
    assert after["generation"] == 2
    assert after["caCertificate"] != former
    holds()
    nothing_changes()
    # A step that leaves one out is refused, and nothing is touched.
    config("set", "--path", "swarm-galera:galera.tls.generation", "4")
    said = operations("up", "--yes", check=False)
    assert said.returncode != 0
    assert "Remedy: set it to 3" in said.stdout + said.stderr
    config("set", "--path", "swarm-galera:galera.tls.generation", "2")


def test_where_it_is_required_no_client_comes_without() -> None:
    config("set", "--path", "swarm-galera:galera.tls.required", "true")
    with writing("--ssl"):
        operations("up", "--yes")
    holds()
    with pytest.raises(AssertionError), writing("--skip-ssl"):
        time.sleep(20)
    on_host("galera-1", "docker rm -f writer")
    config("rm", "--path", "swarm-galera:galera.tls.required")
    operations("up", "--yes")
