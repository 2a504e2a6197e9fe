"""The engine's API with TLS on a host: how it comes to listen, when it restarts for that, the way back."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from components.host_scripts import engine, engine_tls, own
from tests.unit.components.host_scripts.test_engine_script import CONFIG, Host, actions
from tests.unit.fake_host import Ran

pytestmark = pytest.mark.unit

DEBIAN = """\
# /lib/systemd/system/docker.service
[Service]
Type=notify
ExecStart=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS
ExecReload=/bin/kill -s HUP $MAINPID

# /etc/systemd/system/docker.service.d/10-disk.conf
[Unit]
RequiresMountsFor=/var/lib/docker
"""
FEDORA = r"""
# /usr/lib/systemd/system/docker.service
[Service]
ExecStart=/usr/bin/dockerd \
          --host=fd:// \
          --exec-opt native.cgroupdriver=systemd \
          $OPTIONS
"""
OF_AN_ADMIN = """\
# /etc/systemd/system/docker.service.d/override.conf
[Service]
ExecStart=
ExecStart=/opt/dockerd -H unix:///run/docker.sock
"""
AUTHORITY, CERTIFICATE, KEY = (
    f"-----BEGIN {what}-----\n{letter}\n-----END {what}-----\n"
    for what, letter in (("CERTIFICATE", "A"), ("CERTIFICATE", "B"), ("PRIVATE KEY", "K"))
)
TLS = "--tlsverify --tlscacert=FOLDER/ca.pem --tlscert=FOLDER/cert.pem --tlskey=FOLDER/key.pem"


class Listening(Host):
    """A host whose unit is Debian's, with 10.144.12.10 on its first interface."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.program(
            "systemctl",
            'case "$*" in *is-active*) [[ -e $host/active ]] ;; '
            '"cat docker.service") cat "$host/unit"; for f in "$host"/docker.service.d/20*.conf; do '
            '[[ ! -e $f ]] || { echo; echo "# $f"; cat "$f"; }; done ;; '
            '"start docker.service"|"restart docker.service") : >"$host/active" ;; esac',
        )
        self.program("ip", 'case "$*" in *address*) echo "2: eth0    inet 10.144.12.10/24 brd x" ;; esac')
        self.file("unit", DEBIAN)
        self.file("wants/docker.service", "")
        self.tls = engine_tls.Places(
            folder=str(folder / "docker/tls"), dropin=str(folder / "docker.service.d/20-tls.conf")
        )

    def listen(
        self, address: str = "10.144.12.10", certificate: str = CERTIFICATE, *, locks: bool = False
    ) -> Ran:
        text = engine_tls.listen("galera-1", self.places.state, self.tls)
        values = engine_tls.values(address, AUTHORITY, certificate, KEY)
        return self.run(engine.configure("galera-1", CONFIG, self.places, locks=locks, before=text), values)

    def end(self) -> Ran:
        text = engine_tls.gone("galera-1", self.places.state, self.tls)
        return self.run(engine.configure("galera-1", CONFIG, self.places, before=text))

    @property
    def dropin(self) -> str:
        return Path(self.tls.dropin).read_text()

    @property
    def starts(self) -> str:
        """How the drop-in starts the engine."""
        lines = [line for line in self.dropin.splitlines() if line.startswith("ExecStart=")]
        assert lines[0] == "ExecStart="
        return lines[1].removeprefix("ExecStart=").replace(self.tls.folder, "FOLDER")

    @property
    def noted(self) -> bool:
        return Path(self.places.state, "engine.restart").exists()


def test_a_fresh_engine_listens_from_its_first_start_on(tmp_path: Path) -> None:
    host = Listening(tmp_path / "host")
    ran = host.listen()
    assert ran.code == 0, ran.err
    assert ran.out == "20.10.24\n"
    assert host.starts == f"/usr/sbin/dockerd -H fd:// $DOCKER_OPTS --host=tcp://10.144.12.10:2376 {TLS}"
    assert [call for call in actions(ran) if "cat" not in call] == [
        "systemctl daemon-reload",
        "systemctl daemon-reload",
        "systemctl start docker.service",
    ]
    assert not host.noted


def test_keys_are_for_root_alone_and_on_no_command_line(tmp_path: Path) -> None:
    host = Listening(tmp_path / "host")
    ran = host.listen()
    folder = Path(host.tls.folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "ca.pem": AUTHORITY,
        "cert.pem": CERTIFICATE,
        "key.pem": KEY,
    }
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(Path(host.tls.dropin).stat().st_mode) == 0o644
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o755
    assert not [call for call in ran.calls if "PRIVATE" in call]
    assert "PRIVATE" not in ran.err


@pytest.mark.parametrize(
    ("unit", "starts"),
    [
        (FEDORA, "/usr/bin/dockerd --host=fd:// --exec-opt native.cgroupdriver=systemd $OPTIONS"),
        (DEBIAN + OF_AN_ADMIN, "/opt/dockerd -H unix:///run/docker.sock"),
        # The engine's own choice, which any --host takes the place of.
        (
            "# /x\n[Service]\nExecStart=/usr/bin/dockerd\n",
            "/usr/bin/dockerd --host=unix:///var/run/docker.sock",
        ),
    ],
)
def test_the_engine_starts_as_its_unit_has_it_and_listens_besides(
    tmp_path: Path, unit: str, starts: str
) -> None:
    host = Listening(tmp_path / "host")
    host.file("unit", unit)
    for _ in range(2):  # what is added is not taken for the unit's
        assert host.listen().code == 0
        assert " ".join(host.starts.split()) == f"{starts} --host=tcp://10.144.12.10:2376 {TLS}"


def test_a_second_run_leaves_a_running_engine_alone(tmp_path: Path) -> None:
    host = Listening(tmp_path / "host")
    host.listen()
    before = host.dropin
    ran = host.listen()
    assert ran.code == 0, ran.err
    assert [call for call in actions(ran) if "cat" not in call] == []
    assert host.dropin == before


@pytest.mark.parametrize("certificate", [CERTIFICATE, CERTIFICATE.replace("B", "C")])
def test_an_engine_with_containers_waits_for_its_turn(tmp_path: Path, certificate: str) -> None:
    host = Listening(tmp_path / "host")
    host.configure()
    if certificate != CERTIFICATE:
        host.listen()
    host.file("containers", "c1\n")
    host.file("status", "galera|Up 3 seconds (healthy)\n")
    ran = host.listen(certificate=certificate)
    assert ran.code == 0, ran.err
    assert "once its turn to restart its engine has come" in ran.err
    assert host.noted
    assert "systemctl restart docker.service" not in actions(ran)
    assert "systemctl restart docker.service" in actions(host.settle())
    assert not host.noted


def test_an_engine_without_containers_is_restarted_at_once(tmp_path: Path) -> None:
    host = Listening(tmp_path / "host")
    host.configure()
    ran = host.listen()
    assert "systemctl restart docker.service" in actions(ran)
    assert "listens on 10.144.12.10:2376 with TLS; its engine was restarted" in ran.err
    assert not host.noted


def test_a_locked_manager_that_restarts_for_its_listener_is_unlocked_by_the_key_that_it_held(
    tmp_path: Path,
) -> None:
    host = Listening(tmp_path / "host")
    host.configure()
    host.program(
        "docker",
        'case "$*" in *LocalNodeState*) cat "$host/swarm" ;; *unlock-key*) echo SWMKEY-1-held ;; '
        '"swarm unlock") cat >"$host/given"; echo active >"$host/swarm" ;; '
        "*Driver*) echo btrfs 20.10.24 ;; esac",
    )
    host.program("timeout", 'shift; exec "$@"')
    host.file("swarm", "locked\n")
    ran = host.listen(locks=True)
    assert ran.code == 0, ran.err
    assert "galera-1 is unlocked" in ran.err
    # It reads no certificate for a key: those on standard input have been taken before.
    assert (host.folder / "given").read_text() == "SWMKEY-1-held\n"
    assert Path(host.tls.folder, "key.pem").read_text().strip() == KEY.strip()


def test_a_run_that_is_broken_off_leaves_the_restart_to_the_next(tmp_path: Path) -> None:
    host = Listening(tmp_path / "host")
    host.configure()
    host.file("containers", "c1\n")
    # It ends between the certificates and the drop-in.
    Path(host.tls.dropin).parent.mkdir(exist_ok=True)
    Path(host.tls.dropin + ".new").mkdir()
    assert host.listen().code != 0
    assert host.noted
    Path(host.tls.dropin + ".new").rmdir()
    assert host.listen().code == 0
    assert host.noted


def test_an_address_that_is_not_the_hosts_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    host = Listening(tmp_path / "host")
    for address in ("203.0.113.9", "10.144.12.1", ""):
        ran = host.listen(address)
        assert ran.code == 1
        assert f"can't listen on {address}: that is none of its own addresses" in ran.err
        assert "Remedy: " in ran.err
    assert not Path(host.tls.folder).exists()
    assert not Path(host.tls.dropin).exists()


def test_a_unit_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    host = Listening(tmp_path / "host")
    host.file("unit", "")
    ran = host.listen()
    assert ran.code == 1
    assert "does not say how the engine is started" in ran.err
    assert not Path(host.tls.dropin).exists()


def test_a_certificate_that_has_not_come_through_is_an_error(tmp_path: Path) -> None:
    host = Listening(tmp_path / "host")
    text = engine_tls.listen("galera-1", host.places.state, host.tls)
    ran = host.run(engine.configure("galera-1", CONFIG, host.places, before=text), "10.144.12.10\n")
    assert ran.code == 1
    assert "certificate or key of the engine of galera-1 has not come through" in ran.err


def test_back_to_ssh_the_listener_goes_with_its_keys_in_the_hosts_turn(tmp_path: Path) -> None:
    host = Listening(tmp_path / "host")
    host.listen()
    host.file("containers", "c1\n")
    host.file("status", "galera|Up 3 seconds (healthy)\n")
    ran = host.end()
    assert ran.code == 0, ran.err
    assert not Path(host.tls.folder).exists()
    assert not Path(host.tls.dropin).exists()
    assert actions(ran) == ["systemctl daemon-reload"]
    assert "systemctl restart docker.service" in actions(host.settle())
    # Where there is none, nothing is done.
    assert actions(host.end()) == []


def test_an_engine_that_was_there_before_does_not_come_to_listen(tmp_path: Path) -> None:
    host = Listening(tmp_path / "host")
    host.file("notes/engine", "kept\n")
    places = own.Places(notes=str(host.folder / "notes"))
    refusal = own.refuse_kept("galera-1", places)
    text = f"{refusal}\n{engine_tls.listen('galera-1', host.places.state, host.tls)}"
    values = engine_tls.values("10.144.12.10", AUTHORITY, CERTIFICATE, KEY)
    ran = host.run(own.configure("galera-1", CONFIG, places, host.places, before=text), values)
    assert ran.code == 1
    assert "never reconfigures" in ran.err
    assert not Path(host.tls.dropin).exists()
    host.file("notes/engine", "brought\n")
    host.run(own.configure("galera-1", CONFIG, places, host.places, before=text), values)
    assert Path(host.tls.dropin).exists()


def test_what_is_said_of_other_engines_is_what_it_was() -> None:
    assert engine.configure("h", CONFIG, before="") == engine.configure("h", CONFIG)
    assert "tls" not in engine.configure("h", CONFIG)
    assert own.gone("h") == own.gone("h", listens=False)
    assert "tls_dropin" in own.gone("h", listens=True)
