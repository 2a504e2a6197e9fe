"""What a host is told on its first boot: its name, addresses, keys, and what the order brought along.

Owned here: the files, laid out as they will lie on the host, under a folder that the host's kernel may mount
(hostfs). `image/overlay/usr/lib/lab/init` copies them. Left to others: everything that all hosts have
(`rootfs.py`).

The host's SSH keys are made here and not on the host, where that would take seconds of the boot; like keys
made on a first boot they are the host's own, stay over reboots, and are new after a reload.
"""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lab import network
from lab.errors import LabError
from lab.hosts.backend import HostSpec, Interface

SECRET = ("ssh_host_", "user-data", "authorized_keys")  # parts of the names of files only root may read
PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def batch(private: Interface, public: Interface | None) -> str:
    """The lines of `ip -batch` that give a host its addresses and routes: eth0 private, eth1 public.

    The way out is by the public network, as in a SoftLayer data center; by the private one where that is all.
    """
    lines = _card("eth0", "vec0", private)
    if public is None:
        return "\n".join([*lines, f"route replace default via {private.gateway} dev eth0"]) + "\n"
    lines += [
        *_card("eth1", "vec1", public),
        f"route replace 10.0.0.0/8 via {private.gateway} dev eth0",
        f"route replace default via {public.gateway} dev eth1",
    ]
    return "\n".join(lines) + "\n"


def _card(name: str, kernels: str, interface: Interface) -> list[str]:
    return [
        f"link set {kernels} name {name}",
        f"addr replace {interface.address}/{interface.prefix} dev {name}",
        f"link set {name} up",
    ]


def hosts_file(spec: HostSpec) -> str:
    """/etc/hosts of the host: the lab's names, and its own at its private address."""
    return f"{network.hosts_file()}{spec.private.address} {spec.hostname}.{spec.domain} {spec.hostname}\n"


def texts(spec: HostSpec, console_key: str | None = None) -> dict[str, str]:
    """Path below / and content of every file that follows from the order.

    `console_key` is the public half of the lab's own key; it goes beside the ordered ones, not among them.
    """
    for line in spec.ssh_keys:
        if "\n" in line.strip() or not line.strip():
            raise LabError(f"An SSH key ordered for {spec.hostname} is not one line of text: {line[:40]!r}.")
    files = {
        "etc/hostname": f"{spec.hostname}\n",
        "etc/hosts": hosts_file(spec),
        "etc/resolv.conf": network.resolver_file(),
        "etc/network/lab.batch": batch(spec.private, spec.public),
        "root/.ssh/authorized_keys": "".join(f"{line.strip()}\n" for line in spec.ssh_keys),
    }
    if console_key is not None:
        files["etc/lab/console_keys"] = console_key.strip() + "\n"
    if spec.user_data is not None:
        files["etc/lab/user-data"] = spec.user_data
    if spec.post_install_uri:
        files["etc/lab/post-install-uri"] = spec.post_install_uri + "\n"
    return files


def host_keys() -> dict[str, PrivateKey]:
    """New SSH host keys, by the kind in their files' names. The same kinds as Debian makes."""
    return {
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "ecdsa": ec.generate_private_key(ec.SECP256R1()),
        "rsa": rsa.generate_private_key(public_exponent=65537, key_size=3072),
    }


def write(folder: Path, spec: HostSpec, console_key: str | None = None) -> None:
    """Lay out a new seed in `folder`, with new host keys and machine id; an old one is replaced."""
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    for name, text in texts(spec, console_key).items():
        _put(fresh / name, text.encode())
    _put(fresh / "etc/machine-id", f"{uuid.uuid4().hex}\n".encode())
    for kind, key in host_keys().items():
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        path = fresh / "etc/ssh" / f"ssh_host_{kind}_key"
        _put(path, private)
        _put(path.with_name(path.name + ".pub"), public + f" root@{spec.hostname}\n".encode(), 0o644)
    _modes(fresh)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.replace(folder)


def known_host(folder: Path) -> str | None:
    """The host's ed25519 key as in a known-hosts file, without the host's name; None if there is no seed."""
    path = folder / "etc/ssh/ssh_host_ed25519_key.pub"
    return " ".join(path.read_text(encoding="ascii").split()[:2]) if path.is_file() else None


def _put(path: Path, content: bytes, mode: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    secret = any(part in path.name for part in SECRET)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as out:
        out.write(content)
    path.chmod(mode if mode is not None else 0o600 if secret else 0o644)


def _modes(folder: Path) -> None:
    """Folders' modes count: the host takes them over with the files, its own / included."""
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o700 if path.name in ("root", ".ssh") else 0o755)
