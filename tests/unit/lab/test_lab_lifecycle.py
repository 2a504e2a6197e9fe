"""The lab around its hosts, so far as no network is needed: names, environment, authority, images."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509

from lab import apt, ca, daemons, environment, images, lifecycle, network, object_store, paths, services
from lab.errors import LabError
from lab.services import Service
from lab.toolchain import locks
from lab.toolchain.errors import ToolchainError
from lab.toolchain.stages import Step

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """State and cache of this test only."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", ["dev", "a", "ci-17", "x" * 32])
def test_a_name_that_a_namespace_can_have_is_taken(name: str) -> None:
    assert paths.lab(name).namespace == f"swarm-galera-{name}"


@pytest.mark.parametrize("name", ["", "Dev", "a b", "../dev", "-a", "a-", "x" * 33, "a/b", "dev\n"])
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="cannot be a lab's name"):
        paths.lab(name)


def test_a_lab_is_the_same_by_name_and_by_folder() -> None:
    lab = paths.lab("dev")
    assert paths.at(lab.root) == lab


def test_the_lock_outlives_the_labs_folder() -> None:
    lab = paths.lab("dev")
    assert lab.root not in lab.lock.parents


def test_a_lab_that_make_up_is_at_work_on_is_not_taken_down(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = paths.lab("dev")
    (lab.hosts / "1").mkdir(parents=True)
    touched: list[str] = []
    monkeypatch.setattr(services, "stop", lambda service: touched.append(service.name))
    with (
        locks.for_job("dev", "make up"),
        pytest.raises(ToolchainError, match=r"make up, process \d+ is at work"),
    ):
        lifecycle.down(lab)
    assert touched == []
    assert (lab.hosts / "1").is_dir()


def test_while_a_lab_is_taken_down_no_job_starts_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = paths.lab("dev")
    lab.root.mkdir(parents=True)
    refused: list[str] = []

    def make_up(_service: Service) -> None:
        with (
            pytest.raises(ToolchainError, match="lab down, process") as caught,
            locks.for_job("dev", "make up"),
        ):
            pass
        refused.append(str(caught.value))
        raise KeyboardInterrupt

    monkeypatch.setattr(services, "stop", make_up)
    with pytest.raises(KeyboardInterrupt):
        lifecycle.down(lab)
    assert refused


@dataclass
class Said:
    """A step that keeps what it is told."""

    results: list[str] = field(default_factory=list)

    def result(self, text: str) -> None:
        self.results.append(text)


def test_a_daemon_is_started_anew_when_its_configuration_or_its_namespace_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, step, started = paths.lab("dev"), Said(), dict[str, dict[str, Any]]()

    def start(service: Service, argv: list[str], **options: Any) -> bool:
        fresh: bool = options["key"] != started.get(service.name, {}).get("key")
        started[service.name] = {"argv": argv, **options}
        return fresh

    monkeypatch.setattr(services, "start", start)
    monkeypatch.setattr(network, "path", lambda name: tmp_path / name)
    (tmp_path / lab.namespace).touch()
    authority = ca.ensure(tmp_path / "ca")
    made = [
        daemons.api(lab, ["debian-12"]),
        daemons.image_registry(lab, authority),
        daemons.apt_repository(lab, tmp_path / "packages"),
        daemons.name_servers(lab),
    ]
    assert tuple(daemon.name for daemon in made) == daemons.NAMES
    for daemon in (*made, *made):
        daemons.ensure(cast(Step, step), lab, daemon)
    assert step.results == [*["started"] * 4, "runs", "runs", "runs", "run"]
    assert {name: options["port"] for name, options in started.items()} == {
        "api": 8080,
        "registry": 5000,
        "apt": 8081,
        "resolver": 53,
    }
    assert started["api"]["argv"][-2:] == ["--backend", "uml"]
    assert started["registry"]["env"]["OTEL_TRACES_EXPORTER"] == "none"
    step.results.clear()
    daemons.ensure(cast(Step, step), lab, daemons.apt_repository(lab, tmp_path / "others"))
    (tmp_path / "second").touch()
    (tmp_path / "second").rename(tmp_path / lab.namespace)
    daemons.ensure(cast(Step, step), lab, made[0])
    daemons.ensure(cast(Step, step), lab, daemons.api(lab, ["debian-12", "debian-13"]))
    assert step.results == ["started"] * 3


def test_each_system_finds_its_own_packages(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Packages").write_text(name)
    for _again in range(2):
        site = apt.site(tmp_path / "site", tmp_path / "old", {"debian-13": tmp_path / "new"})
        assert (site / "Packages").read_text() == "old"
        assert (site / "debian-13" / "Packages").read_text() == "new"
    assert not (tmp_path / "site.new").exists()


def test_a_stacks_private_key_goes_with_the_lab() -> None:
    lab = paths.lab("dev")
    assert Path(_compose({})["SWARM_GALERA_SSH"]).is_relative_to(lab.root)
    assert _compose({"SWARM_GALERA_SSH": "/elsewhere"})["SWARM_GALERA_SSH"] == str(lab.stack_ssh)


def _compose(machine: dict[str, str]) -> dict[str, str]:
    return environment.compose(machine, paths.lab("dev"), "lab", "key", [Path("/lab/bin"), Path("/venv/bin")])


def test_no_proxy_leads_out_of_the_lab() -> None:
    inside = _compose({"https_proxy": "http://p", "HTTP_PROXY": "http://p", "no_proxy": "x", "HOME": "/root"})
    assert not [name for name in inside if name.lower().endswith("_proxy")]
    assert inside["HOME"] == "/root"


def test_the_labs_programs_come_first_and_the_machines_follow() -> None:
    assert _compose({"PATH": "/usr/bin"})["PATH"] == "/lab/bin:/venv/bin:/usr/bin"


def test_the_labs_credentials_replace_those_of_a_real_account() -> None:
    inside = _compose(
        {"SL_USERNAME": "me", "SL_API_KEY": "mine", "PULUMI_BACKEND_URL": "https://example.com"}
    )
    assert (inside["SL_USERNAME"], inside["SL_API_KEY"]) == ("lab", "key")
    assert inside["PULUMI_BACKEND_URL"].startswith("file://")


def test_a_passphrase_of_the_user_is_kept() -> None:
    assert _compose({})["PULUMI_CONFIG_PASSPHRASE"] == environment.PASSPHRASE
    assert _compose({"PULUMI_CONFIG_PASSPHRASE": "mine"})["PULUMI_CONFIG_PASSPHRASE"] == "mine"


def test_services_get_no_secret_of_whoever_starts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SL_API_KEY", "s3cr3t")
    monkeypatch.setenv("https_proxy", "http://user:s3cr3t@p")
    assert "s3cr3t" not in " ".join(environment.service().values())


def test_slcli_is_pointed_to_the_lab_and_its_configuration_is_for_the_owner_only() -> None:
    lab = paths.lab("dev")
    lab.root.mkdir(parents=True)
    environment.write(lab)
    key = json.loads(lab.credentials.read_text())["api_key"]
    assert lab.softlayer_conf.stat().st_mode & 0o777 == 0o600
    assert environment.ENDPOINT in lab.softlayer_conf.read_text()
    assert key in lab.softlayer_conf.read_text()
    assert str(lab.softlayer_conf) in (lab.bin / "slcli").read_text()
    assert key not in (lab.bin / "slcli").read_text()
    environment.write(lab)
    assert json.loads(lab.credentials.read_text())["api_key"] == key


def test_the_authority_stays_and_signs_for_the_lab_only(tmp_path: Path) -> None:
    authority = ca.ensure(tmp_path / "ca")
    before = authority.certificate.read_bytes()
    assert ca.ensure(tmp_path / "ca").certificate.read_bytes() == before
    assert authority.key.stat().st_mode & 0o777 == 0o600
    certificate = x509.load_pem_x509_certificate(before)
    names = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert names.critical
    assert x509.DNSName("lab") in (names.value.permitted_subtrees or [])


def test_a_certificate_stays_until_its_authority_changes(tmp_path: Path) -> None:
    certificate, key = tmp_path / "r.crt", tmp_path / "r.key"

    def issue(authority: str) -> bytes:
        ca.issue(ca.ensure(tmp_path / authority), "registry.lab", "10.144.12.1", certificate, key)
        return certificate.read_bytes()

    first = issue("one")
    assert issue("one") == first
    second = issue("two")
    assert second != first
    x509.load_pem_x509_certificate(second).verify_directly_issued_by(
        x509.load_pem_x509_certificate((tmp_path / "two/ca.crt").read_bytes())
    )


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that is ended after the test."""
    made = Service("test", tmp_path / "test.json", tmp_path / "test.log")
    yield made
    services.stop(made)


@pytest.fixture
def port() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def _start(service: Service, program: str, port: int, key: str = "k", patience: float = 20.0) -> bool:
    return services.start(
        service,
        [sys.executable, "-c", program],
        cwd=Path("/"),
        env=dict(os.environ),
        port=port,
        key=key,
        ready=lambda: _answers(port),
        patience=patience,
    )


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


def _server(port: int) -> str:
    return f"import socket, time; one = socket.create_server(('127.0.0.1', {port})); time.sleep(600)"


def test_a_service_that_runs_is_left_alone_until_its_configuration_changes(
    service: Service, port: int
) -> None:
    assert _start(service, _server(port), port)
    first = services.pid(service)
    assert first is not None
    assert not _start(service, _server(port), port)
    assert services.pid(service) == first
    assert _start(service, _server(port), port, key="other")
    assert services.pid(service) not in (first, None)


def test_a_stranger_on_the_services_port_is_not_taken_for_it(service: Service, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        assert _answers(port)
        with pytest.raises(LabError, match=f"(?s)Address already in use.*sport = :{port}"):
            _start(service, _server(port), port)
        # Nor is it while the service itself has not come to its port yet.
        with pytest.raises(LabError, match="does not answer"):
            _start(service, "import time; time.sleep(600)", port, patience=0.3)


def test_a_service_that_ends_at_once_shows_its_last_words(service: Service, port: int) -> None:
    with pytest.raises(LabError, match="no such folder"):
        _start(service, "import sys; sys.exit('no such folder')", port)


def test_a_service_that_never_answers_is_an_error(service: Service, port: int) -> None:
    with pytest.raises(LabError, match="does not answer"):
        _start(service, "import time; time.sleep(600)", port, patience=0.3)


def test_a_stranger_with_the_services_process_number_is_left_alone(service: Service) -> None:
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        service.record.write_text(json.dumps({"pid": stranger.pid, "started": 1, "key": "k"}))
        assert services.pid(service) is None
        services.stop(service)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_service_that_ignores_being_asked_is_ended(
    service: Service, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "PATIENCE", 0.5)
    ignore = f"import signal; signal.signal({int(signal.SIGTERM)}, signal.SIG_IGN); {_server(port)}"
    _start(service, ignore, port)
    services.stop(service)
    assert services.pid(service) is None
    assert not service.record.exists()


def _image(folder: Path, name: str, tag: str | None) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "Dockerfile").write_text("FROM scratch\n")
    if tag is not None:
        (folder / name / "TAG").write_text(tag)
    return folder


def test_a_folder_with_a_dockerfile_and_a_tag_is_an_image(tmp_path: Path) -> None:
    _image(tmp_path, "etcd", "3.4-1\n")
    (tmp_path / "notes").mkdir()
    assert [(image.repository, image.tag) for image in images.discover(tmp_path)] == [
        ("swarm-galera/etcd", "3.4-1")
    ]


@pytest.mark.parametrize("tag", [None, "", "a b", "x:y", "a/b"])
def test_an_image_without_a_usable_tag_is_refused(tmp_path: Path, tag: str | None) -> None:
    with pytest.raises(LabError, match="must hold the image's tag"):
        images.discover(_image(tmp_path, "etcd", tag))


def test_an_images_key_follows_its_content_and_nothing_else(tmp_path: Path) -> None:
    [image] = images.discover(_image(tmp_path, "etcd", "1"))
    before = images.key(image)
    (image.folder / "__pycache__").mkdir()
    (image.folder / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert images.key(image) == before
    program = image.folder / "program"
    program.write_text("#!/bin/sh\n")
    with_program = images.key(image)
    assert with_program != before
    program.chmod(0o755)
    assert images.key(image) != with_program


def test_an_images_key_follows_the_image_that_it_stands_on(tmp_path: Path) -> None:
    _image(_image(tmp_path, "runtime", "1"), "etcd", "1")
    (tmp_path / "etcd" / "Dockerfile").write_text("ARG RUNTIME=swarm-galera/runtime:1\nFROM ${RUNTIME}\n")
    [image] = images.discover(tmp_path)
    assert image.runtime is not None
    before = images.key(image)
    (tmp_path / "runtime" / "packages.txt").write_text("bash\n")
    assert images.key(image) != before


def test_a_program_of_an_image_is_compiled_by_its_own_script_and_no_image_by_itself(tmp_path: Path) -> None:
    _image(_image(_image(tmp_path, "runtime", "1"), "consul-program", "1"), "consul", "1")
    (tmp_path / "consul" / "Dockerfile").write_text("ARG RUNTIME=x\nARG PROGRAM=y\nFROM ${RUNTIME}\n")
    [image] = images.discover(tmp_path)
    assert [each.name for each in image.below] == ["runtime", "consul-program"]
    assert [each.compiled for each in (image, *image.below)] == [False, False, True]
    before = images.key(image)
    (tmp_path / "consul-program" / "main.go").write_text("package main\n")
    assert images.key(image) != before


def test_only_images_that_a_stack_names_are_built(tmp_path: Path) -> None:
    for name in ("etcd", "galera", "wordpress"):
        _image(tmp_path / "images", name, "1")
    (tmp_path / "Pulumi.dev.yaml").write_text("image: registry.lab:5000/swarm-galera/etcd:3.4-7\n")
    (tmp_path / "Pulumi.tor01.yaml").write_text("image: registry.example.com/swarm-galera/galera:10.11-12\n")
    assert [image.name for image in images.named(tmp_path)] == ["etcd"]
    (tmp_path / "Pulumi.site.yaml").write_text('image: "registry.lab:5000/swarm-galera/wordpress:6.1-1"\n')
    assert [image.name for image in images.named(tmp_path)] == ["etcd", "wordpress"]


def test_a_lab_has_an_object_store_only_if_a_stack_keeps_its_backups_there(tmp_path: Path) -> None:
    stack = tmp_path / "Pulumi.dev.yaml"
    stack.write_text("image: registry.lab:5000/swarm-galera/etcd:3.4-7\n")
    assert not object_store.named(tmp_path)
    assert not object_store.named()  # what this checkout brings up by itself needs none
    stack.write_text("backup:\n  endpoint: https://s3.lab:7070\n")
    assert object_store.named(tmp_path)
    lab = paths.lab("dev")
    assert daemons.present(lab) == daemons.NAMES
    services_file = daemons.service(lab, "object-store").record
    services_file.parent.mkdir(parents=True)
    services_file.write_text("{}")
    assert daemons.present(lab) == (*daemons.NAMES, "object-store")


def test_the_object_store_s_keys_are_in_no_command_line(tmp_path: Path) -> None:
    lab = paths.lab("dev")
    made = daemons.objects(lab, ca.ensure(tmp_path / "ca"), tmp_path / "versitygw")
    assert object_store.SECRET_KEY not in " ".join(made.argv)
    assert made.environment["ROOT_SECRET_KEY"] == object_store.SECRET_KEY
    assert (made.port, object_store.bucket(lab).is_dir()) == (7070, True)
    assert "10.144.12.1:7070" in made.argv


def test_a_tag_says_on_which_of_debians_releases_an_image_is_built(tmp_path: Path) -> None:
    for name in ("etcd", "galera", "runtime"):
        _image(tmp_path / "images", name, "13-1")
    for name in ("galera", "runtime"):
        (tmp_path / "images" / name / "TAG-bookworm").write_text("12-1\n")
    (tmp_path / "images/galera/Dockerfile").write_text("ARG RUNTIME=x\nFROM ${RUNTIME}\n")
    names = "registry.lab:5000/swarm-galera"
    (tmp_path / "Pulumi.dev.yaml").write_text(f"a: {names}/etcd:13-1\nb: {names}/galera:13-1\n")
    assert [(image.name, image.suite) for image in images.named(tmp_path)] == [
        ("etcd", "trixie"),
        ("galera", "trixie"),
    ]
    # A stack on its way from one to the other.
    (tmp_path / "Pulumi.old.yaml").write_text(f"b: {names}/galera:12-1@sha256:0\n")
    newer, older = (image for image in images.named(tmp_path) if image.name == "galera")
    assert (newer.tag, newer.suite, older.tag, older.suite) == ("13-1", "trixie", "12-1", "bookworm")
    assert older.runtime is not None
    assert (older.runtime.tag, older.runtime.suite) == ("12-1", "bookworm")
    assert images.key(newer) != images.key(older)
    assert [image.name for image in images.discover(tmp_path / "images", "bookworm")] == ["galera"]
    # One that no file has: what is there now.
    (tmp_path / "Pulumi.old.yaml").unlink()
    (tmp_path / "Pulumi.dev.yaml").write_text(f"b: {names}/galera:13-0\n")
    assert [(image.name, image.tag) for image in images.named(tmp_path)] == [("galera", "13-1")]


def test_the_dev_stack_names_two_images() -> None:
    assert {image.name for image in images.named()} >= {"etcd", "galera"}


def test_every_image_of_the_project_has_its_tag() -> None:
    assert {image.name for image in images.discover()} >= {"etcd", "galera"}
    assert {image.name for image in images.discover(suite="bookworm")} >= {"etcd", "galera", "haproxy"}
