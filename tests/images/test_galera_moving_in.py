"""What a database that moves in meets, with real processes: accounts, characters, zones, engines, dumps,
locks.

Each sentence of docs/how-to/moving-in.md about the server has its test here.
"""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Mapping

import pytest

from harness.image_containers import Container, wait_for
from tests.images.galera_site import (
    PASSWORDS,
    SIZE,
    GaleraSite,
    formed,
    healthy,
    says,
    server_pid,
    sql,
    start,
    status,
    synced,
    until,
)
from tests.images.test_galera_processes import client

pytestmark = pytest.mark.images

SCRIPTS = {
    # As people write them for the official images: the application's account exists, and is given more.
    "01-databases.sql": "CREATE USER IF NOT EXISTS 'my_app'@'%';\nCREATE DATABASE reports;\n"
    "GRANT ALL ON reports.* TO 'my_app'@'%';\nCREATE TABLE reports.r (id INT PRIMARY KEY);\n",
    # Without SET NAMES, in UTF-8.
    "02-words.sql": "CREATE TABLE word (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(40));\n"
    "INSERT INTO word (text) VALUES ('é漢😀');\n",
    # As dumps of the official images have it.
    "03-views.sql": "CREATE DEFINER=`root`@`%` SQL SECURITY DEFINER VIEW words AS SELECT text FROM word;\n",
}


def as_app(node: Container, statement: str, user: str = "my_app") -> str:
    """What the application is told, over the network."""
    words = ("-N", f"-u{user}", f"-p{PASSWORDS['galera-app-password']}", "-h", node.address, "my_app")
    done = node.run("/usr/bin/mariadb", *words, "-e", statement)
    return done.stderr.strip() or done.stdout.strip()


def add_my_app(site: GaleraSite, number: int, scripts: Mapping[str, str]) -> Container:
    """A node whose application has a _ in its name."""
    node = site.add_galera(number, scripts)
    node.env = {**node.env, "DATABASE": "my_app"}
    return node


def test_an_application_finds_what_it_is_used_to(site: GaleraSite) -> None:
    site.start_store(without=(2, 3))
    node = add_my_app(site, 1, SCRIPTS)
    packed = node.here / "initdb" / "04-more.sql.gz"
    packed.write_bytes(gzip.compress(b"CREATE TABLE more (id INT PRIMARY KEY);\n"))
    node.start()
    formed([node], 1)

    # Grants that a script made for the application's account, and no further ones.
    assert as_app(node, "INSERT INTO reports.r VALUES (1); SELECT COUNT(*) FROM reports.r") == "1"
    sql(node, "CREATE DATABASE myXapp; CREATE TABLE myXapp.t (id INT PRIMARY KEY)")
    assert "denied" in as_app(node, "INSERT INTO myXapp.t VALUES (1)")
    assert "denied" in as_app(node, "CREATE DATABASE my1app")
    assert as_app(node, "SELECT COUNT(*) FROM more") == "0"
    # Characters as they were written.
    assert as_app(node, "SELECT HEX(text), CHAR_LENGTH(text) FROM word") == "C3A9E6BCA2F09F9880\t3"
    # A definer that dumps name; nobody can come in as it.
    assert as_app(node, "SELECT COUNT(*) FROM words") == "1"
    assert (
        sql(
            node,
            "SELECT JSON_VALUE(Priv, '$.account_locked') FROM mysql.global_priv WHERE Host = '%' "
            "AND User = 'root'",
        )
        == "1"
    )
    # Triggers and functions without SUPER.
    trigger = "CREATE TRIGGER t BEFORE INSERT ON word FOR EACH ROW SET NEW.text = UPPER(NEW.text)"
    assert (
        as_app(node, f"{trigger}; INSERT INTO word (text) VALUES ('up'); SELECT text FROM word WHERE id > 1")
        == "UP"
    )
    assert as_app(node, "CREATE FUNCTION f() RETURNS INT RETURN 7; SELECT f()") == "7"
    # Time zones by name, in summer and winter.
    zone = "SELECT CONVERT_TZ('2026-07-01 12:00:00', 'UTC', 'Europe/Berlin')"
    assert as_app(node, zone) == "2026-07-01 14:00:00"
    assert as_app(node, zone.replace("07", "01")) == "2026-01-01 13:00:00"
    assert as_app(node, "SET time_zone = 'America/Toronto'; SELECT @@time_zone") == "America/Toronto"
    # What is typed in a container first.
    for tool in (
        "mariadb",
        "mysql",
        "mariadb-dump",
        "mysqldump",
        "mariadb-admin",
        "mysqladmin",
        "tar",
        "gzip",
        "ps",
    ):
        assert node.run(f"/usr/bin/{tool}", "--version").returncode == 0, tool
    assert "alive" in node.run("/usr/bin/mysqladmin", "ping").stdout
    assert "galera-node" in node.run("/usr/bin/ps", "ax").stdout


def test_the_sizes_that_follow_from_the_machine_count_and_are_in_the_log(site: GaleraSite) -> None:
    site.start_store(without=(2, 3))
    node = site.add_galera(1)
    # Nothing is set but the maximum that hosts with few addresses need.
    (node.here / "90-stack.cnf").write_text("[mysqld]\ninnodb_buffer_pool_size_max = 256M\n")
    node.start()
    formed([node], 1)
    assert sql(node, "SELECT @@innodb_buffer_pool_size") == str(256 << 20)
    threads = sql(node, "SELECT @@wsrep_slave_threads")
    assert 4 <= int(threads) <= 32
    assert (
        f"innodb_buffer_pool_size 256M, gcache.size 128M (as set), wsrep_slave_threads {threads}" in node.log
    )
    assert "gcache.size = 128M;" in sql(node, "SELECT @@wsrep_provider_options")


def test_tables_that_are_not_replicated_are_refused_or_named(site: GaleraSite) -> None:
    site.start_store()
    nodes = [site.add_galera(number) for number in (1, 2, 3)]
    # One of the nodes is relaxed, as in a rolling change of the setting.
    (nodes[2].here / "90-stack.cnf").write_text(
        (nodes[2].here / "90-stack.cnf").read_text() + "wsrep_mode =\n"
    )
    for node in nodes:
        node.start()
    formed(nodes)

    for engine in ("MyISAM", "Aria", "MEMORY", "CSV"):
        with pytest.raises(OSError, match="ERROR 4165"):
            sql(nodes[0], f"CREATE TABLE app.t_{engine} (id INT NOT NULL) ENGINE={engine}")
    sql(nodes[0], "CREATE TABLE app.t (id INT PRIMARY KEY)")
    with pytest.raises(OSError, match="ERROR 4165"):
        sql(nodes[0], "ALTER TABLE app.t ENGINE=MyISAM")
    # Temporary tables are a connection's own, and may be of any kind. Rows without a primary key get across.
    assert (
        sql(
            nodes[0],
            "CREATE TEMPORARY TABLE app.x (id INT) ENGINE=MEMORY; INSERT INTO app.x VALUES (1); "
            "CREATE TABLE app.k (id INT); INSERT INTO app.k VALUES (1); SELECT COUNT(*) FROM app.x",
        )
        == "1"
    )
    assert [sql(node, "SET SESSION wsrep_sync_wait=1; SELECT COUNT(*) FROM app.k") for node in nodes] == [
        "1"
    ] * SIZE

    # A relaxed node makes such a table on all, and the others stay in the cluster; the rows stay on one.
    sql(nodes[2], "CREATE TABLE app.m (id INT PRIMARY KEY) ENGINE=MyISAM; INSERT INTO app.m VALUES (1), (2)")
    wait_for(lambda: all(synced(node) for node in nodes), "three nodes")
    assert [sql(node, "SELECT COUNT(*) FROM app.m") for node in nodes] == ["0", "0", "2"]
    # A strict server says nothing to a client that writes into one, and makes one of a query: so the
    # node names it, at the latest when it starts.
    sql(nodes[0], "INSERT INTO app.m VALUES (3); CREATE TABLE app.q ENGINE=MyISAM AS SELECT 1")
    assert nodes[0].stop() == 0
    nodes[0].start()
    formed(nodes)
    until(
        nodes[0],
        "not replicated, the rows stay on this node and are lost with the next full copy: app.m (MyISAM), "
        "app.q (MyISAM)",
    )
    # The way out that is documented. The server does not even drop such a table.
    with pytest.raises(OSError, match="ERROR 4165"):
        sql(nodes[0], "DROP TABLE app.q")
    sql(nodes[0], "CREATE TABLE app.new LIKE app.m; ALTER TABLE app.new ENGINE=InnoDB")
    for node in nodes:
        sql(node, "SET SESSION wsrep_sync_wait=15; INSERT IGNORE INTO app.new SELECT * FROM app.m")
    for node in nodes:
        sql(node, "SET SESSION wsrep_on=OFF; DROP TABLE app.m; DROP TABLE IF EXISTS app.q")
    sql(nodes[1], "SET SESSION wsrep_sync_wait=15; RENAME TABLE app.new TO app.m")
    ids = "SET SESSION wsrep_sync_wait=1; SELECT GROUP_CONCAT(id ORDER BY id) FROM app.m"
    assert [sql(node, ids) for node in nodes] == ["1,2,3"] * SIZE
    assert all(synced(node) for node in nodes)


def test_locks_of_one_node_are_not_locks_of_the_cluster(site: GaleraSite) -> None:
    """As docs/how-to/moving-in.md says: through the virtual address two clients may hold the same lock."""
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    granted = [
        subprocess.Popen(
            [
                "sh",
                "-c",
                'exec "$@"',
                "sh",
                *inside(node, f"SELECT GET_LOCK('migrations', 5), {what}, SLEEP(3)"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for node in nodes[:2]
        for what in ("(SELECT MAX(id) FROM app.word FOR UPDATE)",)
    ]
    assert [holder.communicate()[0].split("\t")[0] for holder in granted] == ["1", "1"]
    assert [holder.returncode for holder in granted] == [0, 0]


def inside(node: Container, statement: str, *options: str) -> list[str]:
    """The command line of a client in the container that runs `statement`."""
    return [
        *("nsenter", "--target", str(node.init_pid()), "--mount", "--pid", "--net"),
        *(
            "chroot",
            f"--userspec={node.user}",
            str(node.root),
            "/usr/bin/mariadb",
            "-N",
            *options,
            "-e",
            statement,
        ),
    ]


def test_a_locked_table_of_one_node_holds_up_the_writes_of_all(site: GaleraSite) -> None:
    """As docs/how-to/moving-in.md says of LOCK TABLES, and what ends it."""
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    lock = subprocess.Popen(inside(nodes[1], "LOCK TABLES app.word READ; SELECT SLEEP(600)"))
    holder = "SELECT MAX(id) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'"
    wait_for(lambda: sql(nodes[1], holder) != "NULL", "the lock")
    insert = "INSERT INTO app.word (text) VALUES (CONCAT('w', i))"
    loop = f"BEGIN NOT ATOMIC FOR i IN 1..2000 DO {insert}; END FOR; END//"
    writer = subprocess.Popen(inside(nodes[0], loop, "--delimiter=//"))
    # The node with the lock applies nothing; when its queue is full, nobody writes any more, on any node.
    wait_for(lambda: int(status(nodes[1], "wsrep_local_recv_queue")) > 16, "a queue")
    wait_for(lambda: status(nodes[0], "wsrep_flow_control_active") == "true", "flow control")
    assert healthy(nodes[1])
    assert writer.poll() is None
    sql(nodes[1], f"KILL {sql(nodes[1], holder)}")
    lock.wait()
    assert writer.wait(120) == 0
    count = "SET SESSION wsrep_sync_wait=1; SELECT COUNT(*) FROM app.word"
    assert [sql(node, count) for node in nodes] == ["2001"] * SIZE


def test_a_dump_with_the_documented_options_disturbs_nobody_and_brings_everything_back(
    site: GaleraSite,
) -> None:
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    sql(nodes[0], "CREATE EVENT app.e ON SCHEDULE EVERY 1 DAY DO DELETE FROM app.word WHERE id < 0")
    insert = "INSERT INTO app.word (text) VALUES (CONCAT('w', i))"
    loop = f"BEGIN NOT ATOMIC FOR i IN 1..400 DO {insert}; END FOR; END//"
    writer = subprocess.Popen(inside(nodes[1], loop, "--delimiter=//"), stderr=subprocess.PIPE)
    options = (
        "--single-transaction",
        "--skip-lock-tables",
        "--skip-add-locks",
        "--routines",
        "--triggers",
        "--events",
    )
    dump = nodes[2].run("/usr/bin/mariadb-dump", *options, "--hex-blob", "--databases", "app")
    assert dump.returncode == 0, dump.stderr
    _, said = writer.communicate()
    assert writer.returncode == 0, said
    assert "LOCK TABLES" not in dump.stdout
    assert "wsrep_flow_control_paused\t0" in sql(
        nodes[1], "SHOW GLOBAL STATUS LIKE 'wsrep_flow_control_paused'"
    )
    # Loaded through another node, it is everywhere: tables, routine and event.
    (nodes[0].volume / "dump.sql").write_text(dump.stdout)
    sql(nodes[0], "DROP DATABASE app")
    assert nodes[0].run("/bin/sh", "-c", "mariadb < /var/lib/mysql/dump.sql").returncode == 0
    counts = [sql(node, "SET SESSION wsrep_sync_wait=1; SELECT COUNT(*) FROM app.word") for node in nodes]
    assert counts[0] == counts[1] == counts[2]
    assert int(counts[0]) >= 1
    assert [sql(node, "CALL app.one()") for node in nodes] == ["1"] * SIZE


@pytest.mark.parametrize(
    "taken", ["FLUSH TABLES WITH READ LOCK", "BACKUP STAGE START; BACKUP STAGE BLOCK_DDL"]
)
def test_a_node_whose_tables_are_all_locked_gets_no_clients(site: GaleraSite, taken: str) -> None:
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    # The session is idle meanwhile, as that of a person who has typed the statement.
    held = inside(nodes[1], "")[:-2]
    lock = subprocess.Popen(held, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert lock.stdin is not None
    lock.stdin.write(f"{taken};\n")
    lock.stdin.flush()
    wait_for(lambda: not healthy(nodes[1]) and "all tables are locked" in says(nodes[1]), "the lock noticed")
    assert status(nodes[1], "wsrep_local_state_comment") == "Donor/Desynced"
    assert healthy(nodes[0])
    server = server_pid(nodes[1])
    lock.communicate()
    formed(nodes)
    assert server_pid(nodes[1]) == server  # nobody takes it for a donor that Galera has lost count of
    # One that somebody has taken out of flow control serves as before.
    sql(nodes[1], "SET GLOBAL wsrep_desync = ON")
    wait_for(lambda: status(nodes[1], "wsrep_local_state_comment") == "Donor/Desynced", "desynced")
    sql(nodes[0], "INSERT INTO app.word (text) VALUES ('later')")
    wait_for(lambda: sql(nodes[1], "SELECT COUNT(*) FROM app.word") == "2", "the row")
    assert "all tables are locked" not in nodes[1].log.rpartition("healthy: Synced")[2]
    sql(nodes[1], "SET GLOBAL wsrep_desync = OFF")


def test_another_subnet_leaves_root_where_the_network_is(site: GaleraSite) -> None:
    site.start_store()
    nodes = start(site, 1, 2, 3)
    formed(nodes)
    assert client(nodes, "root", "SELECT 1") == "1"
    for node in nodes:
        assert node.stop() == 0
    for node in nodes:
        node.env = {**node.env, "SUBNET": "10.77.0.0/26"}
        node.start()
    formed(nodes)
    words = "root's account of 10.77.0.0/255.255.255.0 is now the one of 10.77.0.0/255.255.255.192"
    wait_for(lambda: any(words in node.log for node in nodes), "the account moved")
    hosts = "SELECT GROUP_CONCAT(Host) FROM mysql.global_priv WHERE User = 'root' AND Host LIKE '%/%'"
    assert [sql(node, hosts) for node in nodes] == ["10.77.0.0/255.255.255.192"] * SIZE
    assert client(nodes, "root", "SELECT CURRENT_USER()") == "root@10.77.0.0/255.255.255.192"
    assert client(nodes, "root", "SHOW GRANTS").startswith("GRANT ALL PRIVILEGES ON *.*")


def test_initial_sql_that_fails_says_where_and_a_corrected_file_forms_the_cluster(site: GaleraSite) -> None:
    site.start_store(without=(3,))
    wrong = {"01.sql": "CREATE TABLE a (id INT PRIMARY KEY);\nINSERT INTO b VALUES (1);\n"}
    nodes = [site.add_galera(number, wrong) for number in (1, 2)]
    for node in nodes:
        node.start()
    words = (
        "the initial SQL fails, and no client was served: 01.sql: ERROR 1146 (42S02) at line 2: Table 'app.b'"
    )
    wait_for(lambda: words in nodes[0].log or words in nodes[1].log, "file, line and error")
    (failed,) = [node for node in nodes if words in node.log][:1]
    wait_for(lambda: words in says(failed), "the error in the health check's words")
    # The way back: one node after the other gets the corrected file, while others still have the wrong one.
    failed.stop()
    (failed.here / "initdb" / "01.sql").write_text("CREATE TABLE a (id INT PRIMARY KEY);\n")
    failed.start()
    formed(nodes, 2)
    assert [sql(node, "SELECT COUNT(*) FROM app.a") for node in nodes] == ["0", "0"]


def test_a_cluster_that_was_made_without_time_zones_gets_them_on_every_node(site: GaleraSite) -> None:
    site.start_store(without=(3,))
    nodes = start(site, 1, 2)
    formed(nodes, 2)
    for node in nodes:
        sql(node, "SET SESSION wsrep_on = OFF; TRUNCATE mysql.time_zone_name; TRUNCATE mysql.time_zone")
    ask = "SELECT CONVERT_TZ('2026-07-01 12:00:00', 'UTC', 'Europe/Berlin')"
    # What it knew before is kept in memory until the server starts anew.
    load = "zcat /usr/local/lib/galera-node/time-zones.sql.gz | mariadb mysql"
    for node in nodes:
        done = node.run("/bin/sh", "-c", load)
        assert done.returncode == 0, done.stderr
    for node in nodes:
        assert node.stop() == 0
        (node.here / "90-stack.cnf").write_text(
            (node.here / "90-stack.cnf").read_text() + "default_time_zone = Europe/Berlin\n"
        )
        node.start()
        formed(nodes, 2)
    assert [sql(node, ask) for node in nodes] == ["2026-07-01 14:00:00"] * 2
    assert sql(nodes[0], "SELECT @@GLOBAL.time_zone") == "Europe/Berlin"


def test_accounts_know_the_old_plug_in_and_can_be_given_a_better_one(site: GaleraSite) -> None:
    """As docs/how-to/moving-in.md says of clients of MySQL 9."""
    site.start_store(without=(2, 3))
    node = site.add_galera(1)
    stack = (node.here / "90-stack.cnf").read_text()
    (node.here / "90-stack.cnf").write_text(f"{stack}plugin_load_add = auth_ed25519\n")
    node.start()
    formed([node], 1)
    plugin = "SELECT JSON_VALUE(Priv, '$.plugin') FROM mysql.global_priv WHERE User = 'app'"
    assert sql(node, plugin) == "mysql_native_password"
    sql(node, "CREATE USER better@'%' IDENTIFIED VIA ed25519 USING PASSWORD('b-1')")
    words = ("-N", "-ubetter", "-pb-1", "-h", node.address, "-e", "SELECT CURRENT_USER()")
    done = node.run("/usr/bin/mariadb", *words)
    assert done.stdout.strip() == "better@%", done.stderr
