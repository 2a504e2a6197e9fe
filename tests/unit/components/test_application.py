"""The application as the whole program declares it, on recording mocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import application, etcd, galera, swarm_ports
from components.host_scripts import account
from images.galera.galera_node import accounts
from operations import outputs
from settings import parse
from tests.unit import program
from tests.unit.program import Recorded, run
from tests.unit.settings.test_settings import config

pytestmark = pytest.mark.unit

IMAGE = "registry.lab:5000/swarm-galera/wordpress:6.1-2"
SECTION: dict[str, Any] = {
    "image": IMAGE,
    "env": {"SITE_URL": "https://blog.example.com", "WORKERS": 8, "DEBUG": True},
    "health": ["wordpress-node", "health"],
    "database": {"name": "word_press"},
}
BALANCER = {"image": "registry.lab:5000/haproxy:2.6-1", "writerPort": 3306}
SERVICE = "application-service"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.delenv("SWARM_GALERA_SSH", raising=False)
        patch.setenv("SL_USERNAME", "nobody")
        patch.setenv("SL_API_KEY", "marked-key")
        yield tmp_path_factory.getbasetemp()


@pytest.fixture(scope="module")
def made(home: Path) -> Recorded:
    return run({"application": SECTION, "loadBalancer": BALANCER, "servers": {"workers": 1}})


def of(section: dict[str, Any], **others: Any) -> Recorded:
    return run({"application": {**SECTION, **section}, **others}, secrets=["application"])


def container(recorded: Recorded) -> dict[str, Any]:
    found: dict[str, Any] = recorded.resources[SERVICE].inputs["taskSpec"]["containerSpec"]
    return found


def test_it_has_replicas_on_any_node_behind_one_port_of_all_hosts(made: Recorded) -> None:
    service = made.resources[SERVICE].inputs
    assert service["mode"] == {"replicated": {"replicas": 2}}
    assert "placement" not in service["taskSpec"]
    assert service["endpointSpec"] == {
        "mode": "vip",
        "ports": [{"publishedPort": 80, "targetPort": 8080, "protocol": "tcp", "publishMode": "ingress"}],
    }
    # One of them may run on a host that has none of the others; the wait counts containers, not hosts.
    assert "\nwanted=2\n" in made.resources["application-running"].inputs["stdin"]


def test_verify_knows_that_a_host_may_have_several_of_its_containers() -> None:
    settings = parse(config(application={"image": IMAGE}))
    services = [etcd.spec(settings), galera.spec(settings), *application.specs(settings)]
    assert tuple(spec.name for spec in services if spec.replicas is not None) == outputs.REPLICATED


def test_a_new_container_serves_before_an_old_one_ends(made: Recorded) -> None:
    update = made.resources[SERVICE].inputs["updateConfig"]
    assert (update["parallelism"], update["order"], update["failureAction"]) == (1, "start-first", "pause")
    assert container(made)["stopGracePeriod"] == "30s"


def test_it_is_told_the_writers_endpoint_by_name_and_its_own_variables_as_text(made: Recorded) -> None:
    assert container(made)["env"] == {
        "SITE_URL": "https://blog.example.com",
        "WORKERS": "8",
        "DEBUG": "true",
        "DATABASE_HOST": "haproxy",
        "DATABASE_PORT": "3306",
        "DATABASE_NAME": "word_press",
        "DATABASE_USER": "word_press",
        "DATABASE_CA": "/run/secrets/application-database-ca.crt",
    }


def test_without_a_load_balancer_the_database_is_the_clusters_own_service(home: Path) -> None:
    env = container(of({}))["env"]
    assert (env["DATABASE_HOST"], env["DATABASE_PORT"]) == ("galera", "3306")


def test_without_a_database_it_is_told_of_none_and_none_is_made(home: Path) -> None:
    made = of({"database": None, "env": {"DATABASE_HOST": "elsewhere"}})
    assert container(made)["env"] == {"DATABASE_HOST": "elsewhere"}
    assert [file["fileName"] for file in container(made)["secrets"]] == ["application-salt"]
    assert "application-database" not in made.resources
    assert "database" not in made.outputs["application"]
    assert set(made.outputs["passwords"]) == {"root", "app"}


def test_the_account_is_made_by_the_hash_of_its_password_after_the_cluster_has_formed(made: Recorded) -> None:
    step = made.resources["application-database"].inputs
    assert "database=word_press\nuser=word_press\n" in step["stdin"]
    drawn = "value-of-application-database-password"
    assert account.stored(drawn) in step["stdin"]
    assert drawn not in str(step)
    assert "stdin" in made.secret_inputs["application-database"]
    # A cluster that was made anew has no such account.
    assert step["triggers"] == ["id-of-galera-formed"]
    assert "galera-formed" in made.depends_on["application-database"]
    assert "application-database" in made.depends_on[SERVICE]


def test_the_stored_form_of_a_password_is_the_one_that_the_nodes_have() -> None:
    assert account.stored("Pass$word-1") == accounts.native_hash("Pass$word-1")


def test_a_given_password_stands_for_the_drawn_one(home: Path) -> None:
    made = of({"database": {"name": "blog", "user": "writer", "password": "marked-Pass$word-1"}})
    assert "application-database-password" not in made.resources
    assert account.stored("marked-Pass$word-1") in made.resources["application-database"].inputs["stdin"]
    assert made.outputs["passwords"]["application"] == "marked-Pass$word-1"
    assert container(made)["env"]["DATABASE_USER"] == "writer"


def test_salt_password_and_further_secrets_are_files_and_secret_in_the_state(home: Path) -> None:
    made = of({"secrets": {"mail-key": "marked-secret"}})
    assert [file["fileName"] for file in container(made)["secrets"]] == [
        "application-salt",
        "application-database-password",
        "application-database-ca.crt",
        "mail-key",
    ]
    assert made.resources["application-salt"].inputs["length"] == 64
    for name in ("application-salt", "application-database-password", "mail-key"):
        assert made.secret_inputs[f"application-{name}"] == {"data"}
    assert "marked-secret" not in str(made.resources[SERVICE].inputs)
    assert "value-of" not in str(made.resources[SERVICE].inputs)


def test_uploads_are_in_a_volume_or_in_none(made: Recorded, home: Path) -> None:
    assert container(made)["mounts"] == [
        {"type": "volume", "source": "application-uploads", "target": "/srv/uploads"}
    ]
    assert "mounts" not in container(of({"uploads": None}))


def test_the_images_own_health_check_counts_where_none_is_set(made: Recorded, home: Path) -> None:
    assert container(made)["healthcheck"]["tests"] == ["CMD", "wordpress-node", "health"]
    assert container(made)["healthcheck"]["startPeriod"] == "2m"
    assert "healthcheck" not in container(of({"health": []}))


def test_it_is_touched_after_the_database_and_the_load_balancer(made: Recorded) -> None:
    before = made.depends_on[SERVICE]
    assert {"galera-tls", "haproxy-running", "galera-4-engine-images"} <= before
    assert "own=(etcd galera haproxy application)" in made.resources["network-free"].inputs["stdin"]
    on_worker = made.resources["galera-4-engine-images"].inputs["stdin"]
    assert f"\n{IMAGE}@{program.DIGEST}\n" in on_worker
    assert f"\n{BALANCER['image']}@{program.DIGEST}\n" in on_worker
    assert "registry.lab:5000/galera" not in on_worker
    assert f"\n{IMAGE}@{program.DIGEST}\n" in made.resources["galera-1-engine-images"].inputs["stdin"]


def test_an_engine_that_restarts_does_not_wait_for_containers_that_may_be_elsewhere(
    made: Recorded, home: Path
) -> None:
    for host in ("galera-1", "galera-4"):
        text = made.resources[f"{host}-engine-current"].inputs["stdin"]
        assert "replicated=(application)" in text
        assert "docker ps -q | stays)" in text
    without = run({"loadBalancer": BALANCER}).resources["galera-1-engine-current"].inputs["stdin"]
    assert "docker ps -q)" in without
    assert "stays" not in without


def test_outputs_say_where_it_is_and_its_password_is_secret(made: Recorded, home: Path) -> None:
    assert made.outputs["application"] == {
        "service": "application",
        "vip": "stdout-of-application-running",
        "port": 80,
        "targetPort": 8080,
        "replicas": 2,
        "database": {"host": "haproxy", "port": 3306, "name": "word_press", "user": "word_press"},
    }
    assert made.outputs["passwords"]["application"] == "value-of-application-database-password"
    assert made.secret_outputs == {"joinTokens", "ssh", "passwords", "discoveryAccess"}
    without = run()
    assert "application" not in without.outputs
    assert not [name for name in without.resources if "application" in name]


def test_hosts_open_no_port_of_it_to_one_another_and_to_others_only_what_is_published(home: Path) -> None:
    settings = parse(config(application={"image": IMAGE}))
    services = [etcd.spec(settings), galera.spec(settings), *application.specs(settings)]
    # From host to host the ingress network is VXLAN, which the swarm has opened.
    assert set(swarm_ports.opened(services)) - set(swarm_ports.SWARM) == {("tcp", 2380)}
    made = of({}, servers={"publishedPorts": [80]})
    public = made.resources["firewall-public"].inputs["rules"]
    opened = [rule for rule in public if rule["direction"] == "ingress" and "source" not in rule]
    assert [(rule["first_port"], rule["last_port"]) for rule in opened] == [(80, 80)]


@pytest.mark.parametrize(
    "section",
    [
        {"secrets": {"mail-key": "marked-secret"}},
        {"database": {"name": "blog", "password": "marked-Pass$word-1"}},
    ],
)
def test_a_secret_in_plain_text_is_refused_without_showing_it(home: Path, section: dict[str, Any]) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        run({"application": {**SECTION, **section}})
    said = str(refused.value)
    assert "marked" not in said
    assert "swarm-galera:application." in said
    assert "pulumi config set --secret --path 'swarm-galera:application." in said
