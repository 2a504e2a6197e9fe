"""Hosts below their highest layer: nothing while Pulumi has yet to delete, then out of the swarm for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.host_scripts import data_path, taken_down
from components.host_scripts.taken_down import leave, look, remove_volumes, without_lost
from tests.unit.fake_host import FakeHost, Ran

pytestmark = pytest.mark.unit

OWN = "swarm-galera.stack=swarm-galera/dev"
DOCKER = r"""
cd "$host"
listed() { cat "$1" 2>/dev/null || :; }
case "$1 $2" in
  "info --format") if [[ $* == *ControlAvailable* ]]; then cat state; else sed 's/|.*//' state; fi ;;
  "service ls")
    [[ ! -e silent ]] || { echo "The swarm does not have a leader." >&2; exit 1; }
    if [[ $* == *--filter* ]]; then grep -v ^foreign services || :; else listed services; fi ;;
  "node ls") if [[ $* == *--filter* ]]; then grep -v ^stranger nodes || :; else listed nodes; fi ;;
  "node inspect") echo "host-of-${!#}" ;;
  "network ls"|"secret ls"|"config ls")
    if [[ $* == *--filter* ]]; then listed "$1s" | sed /^foreign/d; else listed "$1s"; fi ;;
  "swarm leave")
    if [[ -e stays ]]; then cat stays >&2; exit 1; fi
    echo "inactive|false" >state ;;
  "ps --filter") listed running; if [[ -e ends ]]; then rm -f running; fi ;;
  "ps --all") listed "users-${4#volume=}"; if [[ -e ends ]]; then rm -f "users-${4#volume=}"; fi ;;
  "volume ls") listed volumes ;;
  "rm "*) sed -i "/^$2|/d" users-* ;;
  "volume rm") [[ ! -e kept ]] || { echo "volume is in use" >&2; exit 1; } ;;
esac
"""
MANAGER, WORKER, NONE = "active|true", "active|false", "inactive|false"


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taken_down, "PATIENCE", 1)
    monkeypatch.setattr(taken_down, "LEAVES_WITHIN", 1)


def host(folder: Path, state: str = MANAGER, **files: str) -> FakeHost:
    """A host whose swarm is in that state; `files` are what docker lists, with `__` for a dash."""
    made = FakeHost(folder)
    made.program("docker", DOCKER)
    made.file("services", "")
    made.file("nodes", "")
    made.file("state", f"{state}\n")
    for name, text in files.items():
        made.file(name.replace("__", "-"), text)
    return made


def changes(ran: Ran) -> list[str]:
    looks = ("info", "service ls", "node ls", "node inspect", "network ls", "secret ls", "config ls", "ps")
    called = [call.removeprefix("docker ") for call in ran.called("docker")]
    return [call for call in called if not call.startswith((*looks, "volume ls"))]


LOOKS = [
    # what docker lists, what the first manager says where the swarm goes, and where it stays
    ({}, "clear", "clear"),
    ({"services": "etcd\ngalera\n"}, "pending etcd galera", "pending etcd galera"),
    ({"nodes": "n1\n"}, "clear", "clear"),
    ({"nodes": "n1\nn2\nn3\n"}, "pending 3 nodes", "clear"),
    ({"networks": "galera\n"}, "pending galera", "clear"),
    ({"secrets": "s-1\ns-2\n", "configs": "c-1\n"}, "pending s-1 s-2 c-1", "clear"),
    ({"services": "etcd\n", "nodes": "n1\nn2\n"}, "pending etcd 2 nodes", "pending etcd"),
]


@pytest.mark.parametrize(("there", "goes", "stays"), LOOKS, ids=lambda value: str(value)[:40])
def test_the_first_manager_says_what_pulumi_has_yet_to_delete(
    tmp_path: Path, there: dict[str, str], goes: str, stays: str
) -> None:
    for number, (swarm_stays, said) in enumerate(((False, goes), (True, stays))):
        ran = host(tmp_path / str(number), **there).run(look(OWN, swarm_stays=swarm_stays))
        assert (ran.code, ran.out, changes(ran)) == (0, f"{said}\n", []), ran.err


def test_a_host_that_is_in_no_swarm_has_nothing_left(tmp_path: Path) -> None:
    ran = host(tmp_path / "host", NONE, silent="").run(look(OWN, swarm_stays=False))
    assert (ran.code, ran.out) == (0, "clear\n")


def test_a_swarm_that_others_use_is_not_taken_down(tmp_path: Path) -> None:
    for number, (there, said) in enumerate(
        (
            ({"services": "etcd\nforeign-web\n"}, "runs what is not this stack's: foreign-web."),
            ({"nodes": "n1\nstranger\n"}, "that are not this stack's are in the swarm: host-of-stranger."),
            # Nobody could make them again.
            (
                {"secrets": "s-1\nforeign-key\n"},
                "has what is not this stack's, and would take it along: secret foreign-key.",
            ),
            ({"configs": "foreign-conf\n", "secrets": "s-1\n"}, "would take it along: config foreign-conf."),
        )
    ):
        made = host(tmp_path / str(number), **there)
        ran = made.run(look(OWN, swarm_stays=False))
        assert ran.code == 1
        assert said in ran.err
        assert "Nothing was removed. Remedy: " in ran.err
        # They may stay where only the data goes.
        assert made.run(look(OWN, swarm_stays=True)).code == 0


def test_a_swarm_that_does_not_say_is_no_empty_one(tmp_path: Path) -> None:
    ran = host(tmp_path / "host", silent="").run(look(OWN, swarm_stays=False))
    assert ran.code == 1
    assert "does not say which services it has" in ran.err
    ran = host(tmp_path / "worker", WORKER).run(look(OWN, swarm_stays=False))
    assert ran.code == 1
    assert "is no manager of its swarm" in ran.err


PENDING = "pending etcd galera 3 nodes\n"


def test_nothing_is_done_while_pulumi_has_yet_to_delete(tmp_path: Path) -> None:
    for text in (leave("galera-2"), remove_volumes("galera-2", ["galera-data"])):
        made = host(tmp_path / str(len(text)), volumes="galera-data\n", users__galera__data="")
        ran = made.run(text, PENDING)
        assert (ran.code, ran.out, changes(ran)) == (0, PENDING, []), ran.err


def test_a_host_leaves_the_swarm_by_force_and_that_is_verified(tmp_path: Path) -> None:
    for state in (MANAGER, WORKER, "error|false"):
        made = host(tmp_path / state.replace("|", "-"), state)
        ran = made.run(leave("galera-2"), "clear\n")
        assert (ran.code, ran.out) == (0, "clear\n"), ran.err
        assert changes(ran) == ["swarm leave --force", "network rm docker_gwbridge"]
        assert "galera-2 has left the swarm" in ran.err
        # Once more is no harm.
        again = made.run(leave("galera-2"), "clear\n")
        assert (again.code, again.out) == (0, "clear\n")
        assert "swarm leave --force" not in changes(again)


def test_a_host_that_does_not_get_out_is_named(tmp_path: Path) -> None:
    ran = host(tmp_path / "host", stays="the engine's own words").run(leave("galera-2"), "clear\n")
    assert ran.code == 1
    assert "galera-2 has not left the swarm" in ran.err
    assert "the engine's own words" in ran.err
    assert ran.out == ""


def test_a_host_that_was_down_ends_what_has_come_back_with_it_and_leaves(tmp_path: Path) -> None:
    made = host(tmp_path / "host", running="c1\nc2\n", ends="")
    ran = made.run(leave("galera-3", alone=True), "clear\n")
    assert (ran.code, ran.out) == (0, "clear\n"), ran.err
    assert changes(ran)[:2] == ["stop --time 1 c1 c2", "swarm leave --force"]
    assert "galera-3 was down while its swarm was taken down" in ran.err
    again = made.run(leave("galera-3", alone=True), "clear\n")
    assert (again.code, changes(again)) == (0, ["network rm docker_gwbridge"])
    # Of one that was never down, that is for the swarm to do.
    ran = host(tmp_path / "other", running="c1\n").run(leave("galera-2"), "clear\n")
    assert not [call for call in changes(ran) if call.startswith("stop")]


SWARM = r"""
cd "$host"
case "$1 $2" in
  "info --format") if [[ $* == *ControlAvailable* ]]; then sed 's/$/|true/' state; else cat state; fi ;;
  "service ls")
    [[ ! -e silent ]] || { echo "no leader" >&2; exit 1; }
    if [[ $* == *--filter* ]]; then grep -v ^foreign services || :; else cat services; fi ;;
  "node ls") if [[ $* == *--quiet* ]]; then sed 's/|.*//' nodes; else cat nodes; fi ;;
  "node inspect")
    grep -q "^${!#}|" nodes || { echo "Error: No such node: ${!#}" >&2; exit 1; }
    grep -q "^${!#}|" demoted 2>/dev/null && echo "down|worker|" || echo "down|manager|unreachable" ;;
  "node demote") echo "$3|" >>demoted ;;
  "node rm") sed -i "/^$4|/d" nodes ;;
esac
"""
NODES = "n1|galera-1|Ready\nn2|galera-2|Down\nn3|galera-3|Unknown\n"


def test_before_the_others_leave_those_that_are_down_are_nodes_no_more(tmp_path: Path) -> None:
    made = host(tmp_path / "host", "active", nodes=NODES)
    made.program("docker", SWARM)
    ran = made.run(without_lost(["galera-2", "galera-3"], OWN))
    assert ran.code == 0, ran.err
    called = [call for call in ran.called("docker") if " demote " in call or " rm " in call]
    assert called == [
        "docker node demote n2",
        "docker node rm --force n2",
        "docker node demote n3",
        "docker node rm --force n3",
    ]
    assert (made.folder / "nodes").read_text() == "n1|galera-1|Ready\n"
    again = made.run(without_lost(["galera-2", "galera-3"], OWN))
    assert (again.code, [call for call in again.called("docker") if " rm " in call]) == (0, [])


def test_no_lost_host_goes_from_a_swarm_that_others_use(tmp_path: Path) -> None:
    """The run is refused then, and the host, once it is back, is a node as before."""
    made = host(tmp_path / "host", "active", nodes=NODES)
    made.file("services", "etcd\nforeign-web\n")
    made.program("docker", SWARM)
    ran = made.run(without_lost(["galera-2"], OWN))
    assert (ran.code, ran.out) == (1, "")
    assert "runs what is not this stack's: foreign-web. Nothing was removed." in ran.err
    assert (made.folder / "nodes").read_text() == NODES
    assert not [call for call in ran.called("docker") if " demote " in call or " rm " in call]


def test_a_host_that_the_swarm_hears_is_no_lost_one(tmp_path: Path) -> None:
    """Only the way to it is cut off: it leaves as the others do, with its containers drained."""
    made = host(tmp_path / "host", "active", nodes=NODES)
    made.program("docker", SWARM)
    ran = made.run(without_lost(["galera-1"], OWN))
    assert ran.code == 0, ran.err
    assert "galera-1 does not answer here, but the swarm hears it" in ran.err
    assert (made.folder / "nodes").read_text() == NODES


def test_lost_hosts_of_no_swarm_and_of_one_that_does_not_say(tmp_path: Path) -> None:
    made = host(tmp_path / "none", "inactive", silent="")
    made.program("docker", SWARM)
    assert made.run(without_lost(["galera-2"], OWN)).code == 0
    made = host(tmp_path / "silent", "active", silent="")
    made.program("docker", SWARM)
    ran = made.run(without_lost(["galera-2"], OWN))
    assert ran.code == 1
    assert "bring a majority of the managers back" in ran.err


def test_no_host_leaves_with_a_database_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = host(tmp_path / "host", running="galera\n").run(leave("galera-2"), "clear\n")
    assert ran.code == 1
    assert "containers of services still run on galera-2: galera" in ran.err
    assert changes(ran) == []
    # One that is about to end is waited for.
    monkeypatch.setattr(taken_down, "PATIENCE", 30)
    ran = host(tmp_path / "ends", running="galera\n", ends="").run(leave("galera-2"), "clear\n")
    assert ran.code == 0, ran.err
    assert changes(ran)[0] == "swarm leave --force"


def test_volumes_are_removed_and_no_others(tmp_path: Path) -> None:
    made = host(tmp_path / "host", NONE, volumes="galera-data\ngalera-data-old\n")
    ran = made.run(remove_volumes("galera-2", ["etcd-data", "galera-data"]), "clear\n")
    assert (ran.code, ran.out) == (0, "clear\n"), ran.err
    assert changes(ran) == ["volume rm galera-data"]
    assert "galera-2: removed the volume galera-data" in ran.err


def test_what_a_service_has_left_behind_is_removed_with_its_volume(tmp_path: Path) -> None:
    ended = "galera.n2.x7|Exited (0) 5 seconds ago|galera\n"
    made = host(tmp_path / "host", volumes="galera-data\n", **{"users-galera-data": ended})
    ran = made.run(remove_volumes("galera-2", ["galera-data"]), "clear\n")
    assert ran.code == 0, ran.err
    assert changes(ran) == ["rm galera.n2.x7", "volume rm galera-data"]


def test_a_container_that_still_runs_is_waited_for_and_then_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = {"volumes": "galera-data\n", "users-galera-data": "galera.n2.x7|Up 5 hours (healthy)|galera\n"}
    ran = host(tmp_path / "host", **running).run(remove_volumes("galera-2", ["galera-data"]), "clear\n")
    assert ran.code == 1
    assert "a service that is gone still have it: galera.n2.x7" in ran.err
    assert changes(ran) == []
    monkeypatch.setattr(taken_down, "PATIENCE", 30)
    made = host(tmp_path / "ends", ends="", **running)
    ran = made.run(remove_volumes("galera-2", ["galera-data"]), "clear\n")
    assert ran.code == 0, ran.err
    assert changes(ran) == ["volume rm galera-data"]


def test_a_container_of_somebody_else_keeps_its_volume(tmp_path: Path) -> None:
    holds = {"volumes": "galera-data\n", "users-galera-data": "hold-volumes|Up 5 hours|\n"}
    ran = host(tmp_path / "host", **holds).run(remove_volumes("galera-2", ["galera-data"]), "clear\n")
    assert ran.code == 1
    assert "other containers have it: hold-volumes. Remedy: remove these" in ran.err
    assert changes(ran) == []


def test_a_volume_that_the_engine_keeps_is_an_error(tmp_path: Path) -> None:
    made = host(tmp_path / "host", volumes="galera-data\n", kept="")
    ran = made.run(remove_volumes("galera-2", ["galera-data"]), "clear\n")
    assert ran.code == 1
    assert "the volume galera-data of galera-2 was not removed" in ran.err
    assert ran.out == ""


def test_a_path_goes_after_the_volume_in_it_and_not_while_pulumi_has_yet_to_delete(tmp_path: Path) -> None:
    (tmp_path / "docker/galera-data").mkdir(parents=True)
    made = host(tmp_path / "host", volumes="galera-data\n")
    fstab = made.file("fstab", "UUID=root / ext4 defaults 0 1\n")
    made.program("findmnt", f"[[ $5 != {tmp_path}/docker ]] || echo /dev/dm-0 btrfs uuid /")
    made.program("btrfs")
    places = data_path.Places(str(tmp_path / "docker"), str(fstab))
    text = "\n".join(
        (
            remove_volumes("galera-2", ["galera-data"]),
            data_path.remove("galera-2", str(tmp_path / "srv"), places),
        )
    )
    ran = made.run(text, PENDING)
    assert (ran.code, ran.out, changes(ran), ran.called("btrfs")) == (0, PENDING, [], []), ran.err
    ran = made.run(text, "clear\n")
    assert (ran.code, ran.out) == (0, "clear\n"), ran.err
    removed = f"btrfs subvolume delete --commit-after {tmp_path}/docker/galera-data"
    assert [call for call in ran.calls if "volume rm" in call or "delete" in call] == [
        "docker volume rm galera-data",
        removed,
    ]
