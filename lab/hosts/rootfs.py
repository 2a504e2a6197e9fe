"""The root file system that the lab's hosts are installed with.

Owned here: what is in it (`image/`: packages, overlay, masked units), building it once for each content, and
images of it in the sizes that are ordered. Left to others: one host's own data (`seed.py`), the repository
that is made of the packages fetched beside it (`lab/apt.py`).

It is Debian 12, and Debian 13 as well where that is wanted (`wanted`); others cannot be ordered.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import network
from lab.errors import LabError
from lab.hosts.kernel import Kernel, load
from lab.toolchain import locks, places
from lab.toolchain.stages import Step

HERE = Path(__file__).parent / "image"
SYSTEMS = {"debian-12": "bookworm", "debian-13": "trixie"}
"""By the name of the API's catalog, Debian's name of the release."""
USUAL = "debian-12"
ALSO = "SWARM_GALERA_LAB_SYSTEMS"
"""Environment: `debian-13` has the lab install that, too, although no stack's file here names it."""
_NAMED = r"""^[^#\n]*\bos["']?:\s*["']?{code}(_64)?\b"""
"""A line of a stack's file with a setting `os`, of all servers or of a pool's."""
RECIPE = 2  # raise it when the code below changes what is built
SIZE = 25  # GB of the image that every build makes; others are made from it when they are first ordered
GB = 1024**3  # SoftLayer's disks count in these
JOURNAL = 32  # MB; sudden deaths are part of the job, so there is one
INODE_RATIO = 32768  # bytes a inode: 800,000 of them are plenty, and fewer tables are to be read
KEPT_OUT = (
    "usr/share/man/*",
    "usr/share/doc/*",
    "usr/share/info/*",
    "usr/share/locale/*",
    "usr/share/lintian/*",
)


@dataclass(frozen=True)
class RootFs:
    """A finished build. `packages` are the .debs of the engine and all it needs beyond what is installed."""

    folder: Path

    @property
    def kernel(self) -> Kernel:
        """The kernel that it was made for, with whose modules hosts boot."""
        return load(self.folder / "kernel.json")

    @property
    def packages(self) -> Path:
        return self.folder / "packages"

    def image(self, size: int) -> Path:
        """The image of a system disk of `size` GB, made if this size was never asked for before."""
        path = self.folder / f"{size}G.img"
        if path.is_file():
            return path
        if size < 2:
            raise LabError(
                f"A system disk of {size} GB does not hold the hosts' root file system: order 2 GB or more."
            )
        with locks.waited_for(self.folder / "image.lock", f"image of {size} GB", lambda _holder: None):
            if not path.is_file():
                fresh = path.with_suffix(".new")
                _run(["cp", "--sparse=always", str(self.folder / f"{SIZE}G.img"), str(fresh)])
                if size > SIZE:
                    os.truncate(fresh, size * GB)
                _run(["e2fsck", "-f", "-p", str(fresh)], accept=(0, 1))
                _run(["resize2fs", str(fresh), f"{size}G"])
                os.truncate(fresh, size * GB)
                fresh.replace(path)
        return path


def wanted(checkout: Path = places.CHECKOUT) -> tuple[str, ...]:
    """The systems that a lab of this checkout installs: the usual one, and what a stack's file names.

    LabError for one that there is not.
    """
    also = os.environ.get(ALSO, "").split()
    if strange := [name for name in also if name not in SYSTEMS]:
        raise LabError(f"{ALSO} must be of {', '.join(SYSTEMS)}, not {', '.join(strange)}.")
    texts = [path.read_text(encoding="utf-8") for path in checkout.glob("Pulumi.*.yaml")]
    codes = {name: name.upper().replace("-", "_") for name in SYSTEMS}
    named = [
        name
        for name, code in codes.items()
        if any(re.search(_NAMED.format(code=code), text, re.MULTILINE) for text in texts)
    ]
    return tuple(name for name in SYSTEMS if name in (USUAL, *also, *named))


def listed(name: str, system: str = USUAL) -> list[str]:
    """The first words of a list in `image/`, and of the one that another system has behind it."""
    files = [HERE / name, HERE / name.replace(".", f"-{system}.")]
    lines = [line for file in files if file.is_file() for line in file.read_text("utf-8").splitlines()]
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def key(authority: Path, kernel: Kernel, system: str = USUAL) -> str:
    """The build's name in the cache: a digest of all it is made from but Debian's own packages."""
    suite = SYSTEMS[system]
    digest = hashlib.sha256(f"{RECIPE} {suite} {SIZE} {JOURNAL} {INODE_RATIO} {KEPT_OUT} {kernel}".encode())
    digest.update(authority.read_bytes())
    others = tuple(f"-{name}" for name in SYSTEMS if name != system)
    for path in sorted(HERE.rglob("*")):
        if path.is_file() and not path.stem.endswith(others):
            digest.update(
                f"{path.relative_to(HERE)} {path.stat().st_mode & 0o111}\n".encode() + path.read_bytes()
            )
    return digest.hexdigest()[:16]


def ensure(step: Step, home: Path, authority: Path, kernel: Kernel, system: str = USUAL) -> RootFs:
    """The build for the present recipe in `home`, made if it is not there.

    `authority` is the lab's CA certificate, `kernel` the one that hosts boot, `system` one of SYSTEMS.
    """
    built = RootFs(home / key(authority, kernel, system))
    if (built.folder / f"{SIZE}G.img").is_file():
        step.result("in the cache")
        return built

    def waiting(holder: str) -> None:
        step.say(f"waiting for {holder}, which builds the same")

    with locks.waited_for(home / f"{built.folder.name}.lock", "lab up", waiting):
        if (built.folder / f"{SIZE}G.img").is_file():
            step.result("in the cache")
            return built
        for leftover in home.glob(f"{built.folder.name}.new*"):
            shutil.rmtree(leftover)
        fresh = home / f"{built.folder.name}.new"
        (fresh / "packages").mkdir(parents=True)
        tree = fresh / "tree"
        step.say("Debian's packages, by mmdebstrap")
        step.run(_mmdebstrap(tree, fresh / "packages", system))
        step.say("the lab's own files")
        furnish(tree, authority, kernel, system)
        step.say("the image")
        step.run(_mke2fs(tree, fresh / f"{SIZE}G.img"))
        shutil.rmtree(tree)
        kernel.save(fresh / "kernel.json")
        fresh.replace(built.folder)
    return built


def _mmdebstrap(tree: Path, packages: Path, system: str) -> list[str]:
    options = [
        "--variant=minbase",
        "--format=directory",
        f"--include={','.join(listed('packages.txt'))}",
        '--aptopt=APT::Install-Recommends "false"',
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude=/{pattern}" for pattern in KEPT_OUT),
        # The engine's packages are only fetched, while apt's lists are there: the program installs them.
        '--customize-hook=chroot "$1" apt-get clean',
        '--customize-hook=chroot "$1" apt-get --yes --no-install-recommends --download-only install '
        + " ".join(listed("engine.txt", system)),
        f'--customize-hook=cp "$1"/var/cache/apt/archives/*.deb "{packages}"/',
    ]
    return ["mmdebstrap", *options, *proxy(), SYSTEMS[system], str(tree)]


def proxy() -> list[str]:
    """The machine's own way to Debian's archive, where apt is told of one."""
    said = subprocess.run(
        ["apt-config", "dump", "Acquire::http::Proxy"], capture_output=True, text=True, check=False
    )
    return [
        f"--aptopt={line}"
        for line in said.stdout.splitlines()
        if line.rstrip().endswith('";') and '""' not in line
    ]


def _mke2fs(tree: Path, image: Path) -> list[str]:
    extended = (
        "lazy_itable_init=0,lazy_journal_init=0"  # or every host zeroes its tables for minutes after the boot
    )
    words = ["mke2fs", "-q", "-t", "ext4", "-J", f"size={JOURNAL}", "-i", str(INODE_RATIO), "-E", extended]
    return [*words, "-L", "root", "-d", str(tree), str(image), f"{SIZE}G"]


def furnish(tree: Path, authority: Path, kernel: Kernel, system: str = USUAL) -> None:
    """Bring the lab's own part into a fresh Debian tree."""
    for path in sorted((HERE / "overlay").rglob("*")):
        target = tree / path.relative_to(HERE / "overlay")
        if path.is_dir():
            target.mkdir(exist_ok=True)
            target.chmod(0o755)
        else:
            target.write_bytes(path.read_bytes())
            target.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    off = [("etc/systemd/system", unit) for unit in listed("masked.txt", system)]
    off += [("etc/systemd/system-generators", name) for name in listed("generators.txt", system)]
    for folder, name in off:
        link = tree / folder / name
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    shutil.rmtree(
        tree / "etc/update-motd.d", ignore_errors=True
    )  # three processes at every login, for a greeting nobody reads
    # Off means off: Debian's own shutdown key reboots, a datacenter's power button does not.
    (tree / "etc/systemd/system/ctrl-alt-del.target").symlink_to("/lib/systemd/system/poweroff.target")
    (tree / "etc/systemd/system/default.target").symlink_to("/lib/systemd/system/multi-user.target")
    shutil.copytree(kernel.modules, tree / "usr/lib/modules" / kernel.release, dirs_exist_ok=True)
    certificates = tree / "usr/local/share/ca-certificates"
    certificates.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(authority, certificates / "lab.crt")
    _chroot(tree, "update-ca-certificates")
    _chroot(tree, "update-alternatives", "--set", "iptables", "/usr/sbin/iptables-legacy")
    _chroot(tree, "update-alternatives", "--set", "ip6tables", "/usr/sbin/ip6tables-legacy")
    _chroot(tree, "systemctl", "enable", "lab-post-install.service")
    for pattern in (
        "etc/ssh/ssh_host_*",
        "etc/apt/sources.list",
        "etc/apt/sources.list.d/*",
        "var/cache/apt/*.bin",
    ):
        for path in tree.glob(pattern):
            path.unlink()
    (tree / "etc/apt/sources.list").write_text(
        f"deb [trusted=yes] http://apt.lab:8081/{'' if system == USUAL else f'{system}/'} ./\n",
        encoding="utf-8",
    )
    (tree / "etc/machine-id").write_text("", encoding="utf-8")
    (tree / "etc/hosts").write_text(network.hosts_file(), encoding="utf-8")
    (tree / "etc/resolv.conf").write_text("", encoding="utf-8")
    (tree / "etc/fstab").write_text("# The kernel's command line mounts the system disk.\n", encoding="utf-8")


def _chroot(tree: Path, *words: str) -> None:
    _run(["chroot", str(tree), *words])


def _run(argv: list[str], accept: tuple[int, ...] = (0,)) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode not in accept:
        raise LabError(
            f"The hosts' root file system cannot be made: `{' '.join(argv)}` ended with code "
            f"{done.returncode}: {(done.stderr or done.stdout).strip()}"
        )
