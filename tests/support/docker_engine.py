"""A real Docker engine with a swarm of one, for the docker plugin's tests; beside any the machine has.

Owns: getting Debian's packages (unpacked into the cache, not installed), running dockerd in namespaces of
its own, an image of a few files of this machine, an image registry beside the engine. Needs root, and the
package registry once. There is no bridge and no iptables: tasks have a network of their own with nothing on
it.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions

IMAGE = "shell:1"  # /bin/sh, /bin/sleep, which it runs, and /bin/true
REGISTRY = "127.0.0.1:5000"  # an engine trusts registries on its own loopback without TLS

# Process 1 must say what a signal does, or it does nothing.
_CHANGES = ['CMD ["/bin/sh", "-c", "trap exit TERM; sleep 1000 & wait"]']
_PACKAGES = ("docker.io", "containerd", "runc", "tini")
_LEAVE = 60  # seconds for a network's containers to end
_START = 120  # seconds for dockerd to answer; a busy machine is slow
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "swarm-galera" / "test-engine"

# unshare keeps the machine's view of cgroups, which `ip netns exec` would hide behind a new /sys.
UNSHARE = ("--mount-proc", "--pid", "--fork", "--kill-child")
# A shell's lines that run an engine in the folder $1. It is started again, as systemd does on a host: dockerd
# gives up when its containerd is not there within 15 seconds, which on a busy machine happens.
RUN_ENGINE = r"""
echo "{}" > "$1/daemon.json"
until dockerd --config-file "$1/daemon.json" --iptables=false --ip-forward=false --bridge=none \
  --storage-driver=vfs --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/dockerd.pid" \
  --host "unix://$1/engine.sock"
do sleep 0.2; done
"""


@dataclass(frozen=True)
class TestEngine:
    """A running engine: its socket, a client to look behind the plugin's back, its programs."""

    __test__ = False  # not a test, whatever pytest thinks of its name

    socket: Path
    client: Any  # docker.APIClient; its stubs leave out types of the swarm's half
    programs: Path
    process: int  # whose network is the engine's

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def environment(self) -> dict[str, str]:
        """In which `docker` is the engine's own command line and asks this engine."""
        return {**os.environ, "DOCKER_HOST": self.url, "PATH": f"{self.programs}:{os.environ['PATH']}"}

    @contextlib.contextmanager
    def registry(self) -> Iterator[TestRegistry]:
        """An image registry that this engine reaches as `REGISTRY`, while the block runs."""
        with tempfile.TemporaryDirectory(prefix="swarm-galera-registry-") as folder:
            registry = TestRegistry(self, Path(folder))
            registry.start()
            try:
                yield registry
            finally:
                registry.stop()

    def empty(self) -> None:
        """Remove all services, secrets, configs and networks, whoever made them."""
        for service in self.client.services():
            self.client.remove_service(service["ID"])
        for secret in self.client.secrets():
            self.client.remove_secret(secret["ID"])
        for config in self.client.configs():
            self.client.remove_config(config["ID"])
        deadline = time.monotonic() + _LEAVE
        while own := [each for each in self.client.networks(filters={"type": "custom"}) if _own(each)]:
            for network in own:
                with contextlib.suppress(docker.errors.APIError):  # the last container is about to leave it
                    self.client.remove_network(network["Id"])
            if time.monotonic() > deadline:
                raise RuntimeError(f"networks that do not go: {[each['Name'] for each in own]}")
            time.sleep(0.2)


class TestRegistry:
    """Debian's registry in the engine's network."""

    __test__ = False

    def __init__(self, engine: TestEngine, folder: Path) -> None:
        self._engine, self._folder = engine, folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve; what was pushed before is still there."""
        config = self._folder / "config.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
            f"storage: {{filesystem: {{rootdirectory: {self._folder}/data}}, delete: {{enabled: true}}}}\n"
            f"http: {{addr: '{REGISTRY}'}}\n"
        )
        words = ["nsenter", f"--net=/proc/{self._engine.process}/ns/net", "docker-registry", "serve"]
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [*words, str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "log").read_text()
                raise RuntimeError(f"the test's registry does not start; its log: {said}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Be away."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def push(self, reference: str, content: str) -> str:
        """Have an image under `REGISTRY/NAME:TAG` that differs by its content; returns its digest."""
        repository, tag = reference.rsplit(":", 1)
        changes = [f"LABEL content={content}", *_CHANGES]
        client = self._engine.client
        client.import_image_from_data(_image(), repository=repository, tag=tag, changes=changes)
        for line in client.push(repository, tag=tag, stream=True, decode=True):
            if "error" in line:
                raise RuntimeError(f"{reference} cannot be pushed: {line['error']}")
            if digest := (line.get("aux") or {}).get("Digest"):
                found = str(digest)
        # The engine is to ask for it.
        for name in client.inspect_image(reference)["RepoDigests"] + [reference]:
            client.remove_image(name, force=True)
        return found

    def _answers(self) -> bool:
        try:
            self._engine.client.inspect_distribution(f"{REGISTRY}/nothing:1")
        except docker.errors.NotFound:
            return True
        except docker.errors.APIError as error:
            return "connection refused" not in str(error)
        return True


def _own(network: dict[str, Any]) -> bool:
    return network["Name"] not in ("ingress", "docker_gwbridge")


@contextlib.contextmanager
def engine() -> Iterator[TestEngine]:
    """Start an engine, make it a manager, give it `IMAGE`; take all of it away at the end."""
    if os.geteuid() != 0:
        raise RuntimeError(
            "the docker plugin's tests start a Docker engine, which needs root: run them as root"
        )
    programs = programs_folder()
    folder = Path(tempfile.mkdtemp(prefix="swarm-galera-engine-"))
    path = f"{programs}/usr/bin:{programs}/usr/sbin:{os.environ['PATH']}"
    with open(folder / "dockerd.log", "wb") as log:
        process = subprocess.Popen(
            [
                "unshare",
                "--net",
                *UNSHARE,
                "sh",
                "-c",
                f"set -e; ip link set lo up{RUN_ENGINE}",
                "sh",
                str(folder),
            ],
            env={"PATH": path, "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        client = _client(process, folder)
        with contextlib.closing(client):
            client.init_swarm(advertise_addr="127.0.0.1", listen_addr="127.0.0.1:2377")
            client.import_image_from_data(_image(), repository="shell", tag="1", changes=_CHANGES)
            yield TestEngine(folder / "engine.sock", client, programs / "usr" / "bin", process.pid)
    finally:
        _stop(process, folder)


def _client(process: subprocess.Popen[bytes], folder: Path) -> docker.APIClient:
    client = docker.APIClient(base_url=f"unix://{folder}/engine.sock", version="1.41", timeout=60)
    deadline = time.monotonic() + _START
    while True:
        with contextlib.suppress(docker.errors.DockerException, requests.exceptions.RequestException):
            # The SDK leaves a socket open that it cannot connect.
            if _listens(folder / "engine.sock"):
                client.ping()
                return client
        if process.poll() is not None or time.monotonic() > deadline:
            log = (folder / "dockerd.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the test's Docker engine does not start; its log ends with:\n{log}")
        time.sleep(0.2)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(str(path))
        except OSError:
            return False
    return True


def _stop(process: subprocess.Popen[bytes], folder: Path) -> None:
    # The PID namespace ends with its first process, so nothing of the engine or its containers outlives it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for mount in sorted(mounts_below(folder), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


def mounts_below(folder: Path) -> list[str]:
    """Mount points of this machine below a folder."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line.split()[1] for line in lines if line.split()[1].startswith(f"{folder}/")]


def programs_folder() -> Path:
    """Debian's packages, unpacked; downloaded once."""
    unpacked = _CACHE / "root"
    if unpacked.exists():
        return unpacked
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
        command = ["apt-get", "-o", "APT::Sandbox::User=root", "download", *_PACKAGES]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(
                f"the docker plugin's tests need Debian's {', '.join(_PACKAGES)}: {done.stderr.strip()}. "
                "Run `apt-get update` and see that the package registry is reachable."
            )
        for package in Path(scratch).glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", str(package), f"{scratch}/root"], check=True)
        with contextlib.suppress(OSError):  # another test run was faster
            (Path(scratch) / "root").rename(unpacked)
    return unpacked


def _image() -> bytes:
    """A tar of a shell, `sleep` and `true` with the libraries that they need."""
    files = [Path(f"/bin/{name}").resolve() for name in ("sh", "sleep", "true")]
    listed = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, check=True).stdout
    libraries = {word for word in listed.split() if word.startswith("/") and not word.endswith(":")}
    own = dict(zip(("/bin/sh", "/bin/sleep", "/bin/true"), files, strict=True))
    names = {**own, **{library: Path(library) for library in libraries}}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, file in names.items():
            data = file.read_bytes()
            entry = tarfile.TarInfo(name.lstrip("/"))
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
