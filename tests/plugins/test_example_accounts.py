"""Projects with a database of their own, the example and one that has only the component plugin: real
`pulumi`, real SSH, a cluster of real nodes.

Only the engine is a few lines of shell: it knows one container, a node's processes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.host_scripts.account import stored
from harness.image_containers import Container
from harness.image_roots import image_root
from lab.toolchain import build, places, plugins
from tests.images.galera_site import GaleraSite, formed, sql, start
from tests.plugins.stacks import Stack
from tests.support import language_host
from tests.support.ssh_server import SshServer
from tools.package import mapping

pytestmark = [pytest.mark.plugins, pytest.mark.first]

DOCKER = """#!/bin/sh
case $1 in
  ps) echo c0ffee ;;
  exec) shift 3
    exec nsenter --target PID --mount --pid --net chroot --userspec=USER ROOT \\
      /usr/bin/env -i PATH=/usr/bin:/bin "$@" ;;
esac
"""
CLUSTER = """
import json
import pulumi

with open("outputs.json") as file:
    outputs = json.load(file)
pulumi.export("ssh", pulumi.Output.secret(outputs.pop("ssh")))
for name, value in outputs.items():
    pulumi.export(name, value)
"""

# What `pulumi package add` writes of each component is in `Part`.
WIKI = """
import pulumi

class Part(pulumi.ComponentResource):
    def __init__(self, kind, name, given, told):
        props = {**dict.fromkeys(told), **given}
        super().__init__(f"swarm-galera:index:{kind}", name, props, None, remote=True)

config = pulumi.Config()
cluster = pulumi.StackReference("organization/swarm-galera/dev").outputs
wiki = Part("Database", "wiki", {"cluster": cluster, "name": "wiki", "allowDrop": True}, ["name"])
rights = [{"database": wiki.name, "privileges": ["OWN", "LOCK TABLES"]}]
given = {"cluster": cluster, "user": "wiki_web", "rights": rights, "generation": config.get_int("generation")}
web = Part("Account", "web", given, ["user", "password"])
pulumi.export("user", web.user)
pulumi.export("password", web.password)
"""


class Shop:
    """A cluster of three nodes, and the example's stack on it."""

    def __init__(self, site: GaleraSite, folder: Path) -> None:
        site.start_store()
        self.nodes = start(site, 1, 2, 3)
        formed(self.nodes)
        self.sshd = [self._host(folder / node.name, node) for node in self.nodes]
        toolchain = build.bin_folder()
        assert toolchain is not None, "there is no pulumi for the tests: run `make toolchain` first"
        self.backend = folder / "backend"
        self.backend.mkdir()
        self.environment = {
            "PATH": f"{toolchain}:{places.VENV / 'bin'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.backend}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        (folder / "cluster").mkdir()
        (folder / "cluster" / "__main__.py").write_text(CLUSTER)
        (folder / "cluster" / "outputs.json").write_text(json.dumps(self._outputs()))
        (folder / "cluster" / "Pulumi.yaml").write_text("name: swarm-galera\n")
        self._stack(folder / "cluster", self.environment).run("up", "--yes", "--skip-preview")
        shutil.copytree(places.CHECKOUT / "examples" / "accounts", folder / "accounts")
        self.folder, self.stack = folder, self._stack(folder / "accounts", self.environment)

    def _host(self, folder: Path, node: Container) -> SshServer:
        """SSH to a host whose engine has this node."""
        folder.mkdir()
        program = folder / "docker"
        text = DOCKER.replace("PID", str(node.init_pid())).replace("USER", node.user)
        program.write_text(text.replace("ROOT", str(node.root)))
        program.chmod(0o755)
        return SshServer("/bin/sh", {"PATH": f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin"})

    def _outputs(self) -> dict[str, Any]:
        """Of the cluster's stack; all hosts take the same key."""
        for sshd in self.sshd:
            sshd.key = self.sshd[0].key
        names = [node.name for node in self.nodes]
        hosts = dict(zip(names, self.sshd, strict=True))
        return {
            "contractVersion": 2,
            "galera": {"service": "galera", "port": 3306, "members": names, "database": "app"},
            "ssh": {
                "user": "root",
                "privateKey": self.sshd[0].private_key,
                "addresses": {name: f"127.0.0.1:{sshd.port}" for name, sshd in hosts.items()},
                "hostKeys": {name: sshd.host_key for name, sshd in hosts.items()},
            },
        }

    def through_the_plugin(self) -> Stack:
        """Another project, which knows the component plugin and no module of the cluster's."""
        folder, programs = self.folder / "wiki", self.folder / "bin"
        for each in (folder, programs):
            each.mkdir()
        toolchain = build.bin_folder()
        assert toolchain is not None
        if toolchain == build.built():
            host = programs / "pulumi-language-python"
            host.write_text(language_host.launcher(toolchain / host.name))
            host.chmod(0o755)
        shutil.copytree(places.CHECKOUT / "plugin", folder / "plugin")
        (folder / "__main__.py").write_text(WIKI)
        (folder / "Pulumi.yaml").write_text("name: wiki\npackages: {swarm-galera: ./plugin}\n")
        plugins.ensure(self.folder / "home")
        environment = {
            **self.environment,
            "PATH": f"{programs}:{self.environment['PATH']}",
            # What `pip install` of the checkout would have put beside the other packages.
            "PYTHONPATH": str(mapping.write(self.folder / "packages").parent),
        }
        return self._stack(folder, environment)

    def _stack(self, folder: Path, environment: dict[str, str]) -> Stack:
        """The stack of a program, whose Python is the tests'."""
        settings = yaml.safe_load((folder / "Pulumi.yaml").read_text())
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump({**settings, "runtime": "python"}))
        stack = Stack(folder, self.sshd[0], environment)
        stack.run("stack", "init", "dev")
        return stack

    def up(self) -> None:
        self.stack.run("up", "--yes", "--skip-preview")

    def setting(self, key: str, value: str) -> None:
        self.stack.run("config", "set", "--path", key, value)

    def password(self, user: str) -> str:
        return str(self.stack.outputs()[user]["password"])

    def says(self, node: Container, user: str, password: str, statement: str) -> str:
        """What a client of one node is told, over the network."""
        words = ("-N", f"-ushop_{user}", f"-p{password}", "-h", node.address, "-e", statement)
        done = node.run("/usr/bin/mariadb", *words)
        return done.stderr.strip() or done.stdout.strip()

    def rights(self) -> set[str]:
        """Of all three users, as every node has them."""
        found = {
            "\n".join(
                sql(node, f"SHOW CREATE USER {user}; SHOW GRANTS FOR {user}")
                for user in ("shop_migrate", "shop_web", "shop_reports")
            )
            for node in self.nodes
        }
        assert len(found) == 1
        return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Not up yet."""
    with GaleraSite({name: image_root(name) for name in ("etcd", "galera")}) as site:
        made = Shop(site, tmp_path_factory.mktemp("shop"))
        yield made
        for sshd in made.sshd:
            sshd.stop()


def test_a_project_has_database_users_rights_and_passwords_in_a_cluster(shop: Shop) -> None:
    first, second, third = shop.nodes
    # Its first host has lost its power: any other will do.
    shop.sshd[0].stop()
    shop.up()
    shop.stack.run("preview", "--expect-no-changes")
    shop.stack.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")

    # Each may do what it is for, on every node, and no more.
    migrate, web, reports = (shop.password(user) for user in ("migrate", "web", "reports"))
    assert shop.says(second, "migrate", migrate, "CREATE TABLE shop.item (id INT PRIMARY KEY)") == ""
    assert shop.says(third, "web", web, "SET wsrep_sync_wait = 15; INSERT INTO shop.item VALUES (7)") == ""
    assert shop.says(first, "reports", reports, "SET wsrep_sync_wait = 1; SELECT id FROM shop.item") == "7"
    assert "command denied" in shop.says(first, "reports", reports, "DELETE FROM shop.item")
    assert "command denied" in shop.says(first, "web", web, "DROP TABLE shop.item")
    assert "command denied" in shop.says(first, "migrate", migrate, "SELECT * FROM app.word")
    assert "command denied" in shop.says(first, "migrate", migrate, "SELECT * FROM mysql.global_priv")

    # A new password beside the old one, on every node; then without.
    shop.setting("generation.web", "2")
    shop.up()
    newer = shop.password("web")
    assert newer != web
    for node in shop.nodes:
        assert [shop.says(node, "web", each, "SELECT 'in'") for each in (web, newer)] == ["in", "in"]
    assert "the password of generation 2 is the one" in _refused(shop, "generation.web", "1")
    shop.setting("generation.web", "2")
    shop.setting("ended.web", "1")
    shop.up()
    for node in shop.nodes:
        assert "Access denied" in shop.says(node, "web", web, "SELECT 'in'")
        assert shop.says(node, "web", newer, "SELECT 'in'") == "in"

    # What somebody changes by hand is seen, and set right.
    before = shop.rights()
    for statement in (
        "DROP USER shop_web",
        "GRANT SELECT ON mysql.* TO shop_reports WITH GRANT OPTION",
        "CREATE ROLE boss",
        "GRANT boss TO shop_reports",
        "GRANT ALL PRIVILEGES ON *.* TO shop_reports WITH GRANT OPTION",
        "ALTER USER shop_migrate IDENTIFIED BY 'known to somebody'",
        "REVOKE DROP ON shop.* FROM shop_migrate",
    ):
        sql(third, statement)
    assert _seen(shop) == {"web-user", "web-grants", "reports-grants", "migrate-user", "migrate-grants"}
    shop.stack.run("refresh", "--yes", "--skip-preview")
    shop.up()
    assert shop.rights() == before
    assert shop.says(second, "web", newer, "SELECT id FROM shop.item") == "7"

    _nothing_is_in_plain(shop, [migrate, web, newer, reports])

    # Rows go only after somebody has said so.
    assert "protected" in shop.stack.run("destroy", "--yes", "--skip-preview", fails=True)
    assert sql(first, "SELECT id FROM shop.item") == "7"
    shop.setting("allowDrop", "true")
    shop.up()
    shop.stack.run("destroy", "--yes", "--skip-preview")
    for node in shop.nodes:
        assert "shop" not in sql(node, "SHOW DATABASES").split()
        assert "shop_web" not in sql(node, "SELECT User FROM mysql.global_priv").split()


def test_a_project_in_whatever_language_has_the_same_by_the_component_plugin(shop: Shop) -> None:
    wiki, node = shop.through_the_plugin(), shop.nodes[1]
    said = wiki.run("package", "get-schema", "./plugin")
    schema = json.loads(said[said.index("{") : said.rindex("}") + 1])
    assert schema["resources"].keys() == {"swarm-galera:index:Account", "swarm-galera:index:Database"}
    # There is nothing yet of which anything could be known.
    assert "8 to create" in wiki.run("preview")
    wiki.run("up", "--yes", "--skip-preview")
    wiki.run("preview", "--expect-no-changes")
    wiki.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    first = wiki.outputs()
    assert first["user"] == "wiki_web"
    assert json.loads(wiki.run("stack", "output", "--json"))["password"] == "[secret]"

    def says(password: str, statement: str) -> str:
        words = ("-N", "-uwiki_web", f"-p{password}", "-h", node.address, "-e", statement)
        done = node.run("/usr/bin/mariadb", *words)
        return done.stderr.strip() or done.stdout.strip()

    assert (
        says(first["password"], "CREATE TABLE wiki.page (id INT PRIMARY KEY); LOCK TABLE wiki.page READ")
        == ""
    )
    assert "command denied" in says(first["password"], "SELECT * FROM app.word")
    # Numbers of other languages are all of one kind.
    wiki.run("config", "set", "generation", "2")
    wiki.run("up", "--yes", "--skip-preview")
    second = wiki.outputs()["password"]
    assert [says(each, "SELECT 'in'") for each in (first["password"], second)] == ["in", "in"]
    _nothing_is_in_plain(shop, [first["password"], second])
    wiki.run("destroy", "--yes", "--skip-preview")
    assert "wiki" not in sql(node, "SHOW DATABASES").split()
    assert "wiki_web" not in sql(node, "SELECT User FROM mysql.global_priv").split()


def _refused(shop: Shop, key: str, value: str) -> str:
    """What a preview says to a setting."""
    shop.setting(key, value)
    return shop.stack.run("preview", fails=True)


def _seen(shop: Shop) -> set[str]:
    """The resources in which a refresh sees a difference."""
    found = json.loads(shop.stack.run("preview", "--refresh", "--json"))
    return {
        step["urn"].rpartition("::")[2]
        for step in found["steps"]
        if step["op"] not in ("same", "read", "refresh") and "dynamic" in step["urn"]
    }


def _nothing_is_in_plain(shop: Shop, passwords: list[str]) -> None:
    """No password in any state, in what is replicated, or in a node's log; no stored form in a state."""
    key = shop.sshd[0].private_key.splitlines()[1]
    for file in shop.backend.rglob("*.json*"):
        text = file.read_text()
        assert not any(word in text for word in (*passwords, *map(stored, passwords), key)), file
    for node in shop.nodes:
        replicated = (node.volume / "galera.cache").read_bytes()
        assert stored(passwords[0]).encode() in replicated
        for password in passwords:
            assert password.encode() not in replicated
            assert password not in node.log
