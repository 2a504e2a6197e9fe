"""The container images of `images/*`, built without an engine and brought to the lab's registry.

Owned here: which folder makes which image, building each once for each content, pushing what the registry
lacks. Only those that a stack of this checkout names: some take minutes, and most stacks need two of them.
Left to others: what is in them (`images/`), the registry (`registry.py`). A folder with a Dockerfile
and a file TAG is an image: `images/etcd` with TAG `3.5-1` is `registry.lab:5000/swarm-galera/etcd:3.5-1`,
built on Debian 13. With a file TAG-bookworm it is that image on Debian 12 as well, under the tag in there.
Those that ask for RUNTIME stand on `images/runtime`, which is built first and not pushed by itself: its layer
comes with theirs. Those that ask for PROGRAM hold what `images/NAME-program` compiles, with the machine's own
Go: no image of the Go toolchain is to be had here, and its build cache serves all.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import network, registry
from lab.errors import LabError
from lab.hosts.rootfs import proxy as apt_proxy
from lab.paths import LabPaths
from lab.toolchain import build, locks, places
from lab.toolchain.stages import Step

FOLDER = places.CHECKOUT / "images"
PREFIX = "swarm-galera"
RUNTIME = "runtime"
PROGRAM = "-program"  # the end of the names of folders that compile what another's image holds
RECIPE = 2  # raise it when the code below changes what is built
SUITES = ("trixie", "bookworm")
"""Debian's releases that images are built on; the first is what TAG is about, another one's is TAG-SUITE."""
# As Pulumi is compiled (toolchain/build.py): a third less to do, and the standard library is there already.
GO_FLAGS = ("-v", "-gcflags=all=-l -dwarf=false")
LEVEL = "6"  # of gzip; see docs: unpacking costs the hosts the same at every level, fetching does not


@dataclass(frozen=True)
class Image:
    """One image: its folder, Debian's release below it, its repository and tag in the registry."""

    folder: Path
    repository: str
    tag: str
    suite: str = SUITES[0]

    @property
    def name(self) -> str:
        """The folder's name, e.g. `etcd`."""
        return self.folder.name

    @property
    def runtime(self) -> Image | None:
        """The image that this one stands on, if its Dockerfile asks for one."""
        return read(self.folder.with_name(RUNTIME), self.suite) if self._asks("RUNTIME") else None

    @property
    def program(self) -> Image | None:
        """The image whose content goes into this one, if its Dockerfile asks for one."""
        return read(self.folder.with_name(self.name + PROGRAM)) if self._asks("PROGRAM") else None

    @property
    def compiled(self) -> bool:
        """Whether it is such an image."""
        return self.name.endswith(PROGRAM)

    @property
    def below(self) -> tuple[Image, ...]:
        """The images that must be there first."""
        return tuple(image for image in (self.runtime, self.program) if image is not None)

    def _asks(self, argument: str) -> bool:
        return f"ARG {argument}=" in (self.folder / "Dockerfile").read_text(encoding="utf-8")


def read(folder: Path, suite: str = SUITES[0]) -> Image:
    """The image of a folder on one of Debian's releases. LabError without a usable TAG."""
    path = _tag_file(folder, suite)
    tag = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    if not tag or any(character.isspace() or character in "/:@" for character in tag):
        raise LabError(f"{path} must hold the image's tag and nothing else, e.g. 3.4-1.")
    return Image(folder, f"{PREFIX}/{folder.name}", tag, suite)


def _tag_file(folder: Path, suite: str) -> Path:
    return folder / ("TAG" if suite == SUITES[0] else f"TAG-{suite}")


def discover(folder: Path = FOLDER, suite: str = SUITES[0]) -> list[Image]:
    """The images in `folder` that services run, by name, as they are on one of Debian's releases.

    LabError for a Dockerfile without a usable TAG; one that has none for an older release is not built on it.
    """
    folders = [dockerfile.parent for dockerfile in sorted(folder.glob("*/Dockerfile"))]
    return [
        read(found, suite)
        for found in folders
        if found.name != RUNTIME
        and not found.name.endswith(PROGRAM)
        and (suite == SUITES[0] or _tag_file(found, suite).is_file())
    ]


def named(checkout: Path = places.CHECKOUT) -> list[Image]:
    """The images that a stack's file in `checkout` (Pulumi.STACK.yaml) has from the lab's registry.

    By tag, since a stack may be on its way from one of Debian's releases to the next. A tag that no file TAG
    has is for the registry to refuse; the image as it is now is there, so that one sees which it would be.
    """
    prefix = re.escape(f"{registry.HOST}:{registry.PORT}/{PREFIX}/")
    texts = (path.read_text(encoding="utf-8") for path in checkout.glob("Pulumi.*.yaml"))
    tags: dict[str, set[str]] = {}
    for text in texts:
        for name, tag in re.findall(rf"{prefix}([\w.-]+):([\w.-]*)", text):
            tags.setdefault(name, set()).add(tag)
    found = []
    for image in discover(checkout / FOLDER.name):
        if wanted := tags.get(image.name):
            older = [suite for suite in SUITES[1:] if _tag_file(image.folder, suite).is_file()]
            each = [image, *(read(image.folder, suite) for suite in older)]
            found += [one for one in each if one.tag in wanted] or [image]
    return found


def base(suite: str) -> str:
    """The name of the image that those of a release are built on, in the builder's storage."""
    return f"localhost/debian:{suite}"


def key(image: Image) -> str:
    """A digest of everything the image is made from but Debian's own packages."""
    below = " ".join(key(each) for each in image.below)
    digest = hashlib.sha256(f"{RECIPE} {image.suite} {LEVEL} {image.name} {below}".encode())
    for path in sorted(image.folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            mode = path.stat().st_mode & 0o111
            digest.update(f"{path.relative_to(image.folder)} {mode}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


class Builder:
    """buildah with a storage of its own under `home`, so that nothing of the machine's is touched."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def buildah(self, *words: str) -> list[str]:
        """A command line of buildah on this storage."""
        storage = ["--root", str(self.home / "storage"), "--runroot", str(self.home / "run")]
        return ["buildah", *storage, "--storage-driver", self._driver(), *words]

    def _driver(self) -> str:
        """overlay where the kernel lets us, else vfs, which is slower. Decided once for a storage."""
        path = self.home / "driver"
        if not path.is_file():
            self.home.mkdir(parents=True, exist_ok=True)
            trial = self.home / "trial"
            words = [
                "buildah",
                "--root",
                str(trial / "s"),
                "--runroot",
                str(trial / "r"),
                "--storage-driver",
                "overlay",
            ]
            works = (
                subprocess.run([*words, "from", "scratch"], capture_output=True, check=False).returncode == 0
            )
            if works:
                subprocess.run([*words, "rm", "--all"], capture_output=True, check=False)
            shutil.rmtree(trial, ignore_errors=True)
            path.write_text("overlay" if works else "vfs", encoding="ascii")
        return path.read_text(encoding="ascii")

    def local(self, image: Image) -> str:
        """The name of the built image in the storage."""
        return f"localhost/{image.repository}:{key(image)}"

    def has(self, name: str) -> bool:
        """Whether the storage has an image of that name."""
        words = self.buildah("inspect", "--type", "image", name)
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    def build(self, step: Step, images: list[Image]) -> None:
        """Build what is not built yet; a second builder waits for the first."""
        with locks.waited_for(
            self.home / "build.lock",
            "lab up",
            lambda holder: step.say(f"waiting for {holder}, which builds images"),
        ):
            missing = [image for image in images if not self.has(self.local(image))]
            below = {each: None for image in missing for each in image.below}
            missing = [*(image for image in below if not self.has(self.local(image))), *missing]
            for image in missing:
                self._base(step, image.suite)
                step.say(f"building {image.name} {image.tag}")
                if image.compiled:
                    self._compile(step, image)
                else:
                    step.run(self._build(image))
            step.result(f"built {', '.join(image.name for image in missing)}" if missing else "in the cache")

    def _build(self, image: Image) -> list[str]:
        arguments = {"BASE": base(image.suite)}
        arguments |= {"RUNTIME": self.local(image.runtime)} if image.runtime else {}
        arguments |= {"PROGRAM": self.local(image.program)} if image.program else {}
        return self.buildah(
            *("bud", "--isolation", "chroot", "--network", "host", "--pull=never"),
            *(word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")),
            *("--tag", self.local(image), str(image.folder)),
        )

    def _compile(self, step: Step, image: Image) -> None:
        """What the folder's script compiles, as an image of that alone."""
        out, container = self.home / image.name, image.name
        shutil.rmtree(out, ignore_errors=True)
        step.run(["sh", image.folder / "build", out, *GO_FLAGS], env=build.environment())
        step.run(self.buildah("from", "--name", container, "scratch"))
        step.run(self.buildah("add", container, str(out), "/"))
        step.run(self.buildah("commit", "--rm", container, self.local(image)))
        shutil.rmtree(out)

    def _base(self, step: Step, suite: str) -> None:
        if self.has(base(suite)):
            return
        step.say(f"the images' base {suite}, by mmdebstrap")
        archive = self.home / "base.tar"
        excluded = [
            f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("man", "doc", "info", "locale")
        ]
        words = ["--variant=minbase", "--format=tar", "--dpkgopt=force-unsafe-io", *excluded, *apt_proxy()]
        # The lists stay, so that the Dockerfiles' own `apt-get update` finds them fresh.
        step.run(["mmdebstrap", *words, "--include=ca-certificates", suite, str(archive)])
        step.run(self.buildah("from", "--name", "debian-base", "scratch"))
        step.run(self.buildah("add", "debian-base", str(archive), "/"))
        step.run(self.buildah("commit", "--rm", "debian-base", base(suite)))
        archive.unlink()

    def push(self, step: Step, lab: LabPaths, authority: Path, images: list[Image]) -> None:
        """Bring to the lab's registry what it lacks or has otherwise."""
        pushed = []
        for image in images:
            record = self.home / "pushed" / f"{key(image)}.json"
            known = json.loads(record.read_text(encoding="utf-8"))["digest"] if record.is_file() else None
            if known and registry.digest(lab, authority, image.repository, image.tag) == known:
                continue
            step.say(f"pushing {image.name}")
            record.parent.mkdir(parents=True, exist_ok=True)
            digest = record.with_suffix(".digest")
            target = f"docker://{registry.ADDRESS}:{registry.PORT}/{image.repository}:{image.tag}"
            options = ["--cert-dir", str(self._trust(authority)), "--digestfile", str(digest)]
            compression = ["--compression-format", "gzip", "--compression-level", LEVEL]
            words = self.buildah("push", *options, *compression, self.local(image), target)
            step.run([*network.enter(lab.namespace), *words])
            record.write_text(
                json.dumps({"digest": digest.read_text(encoding="ascii").strip()}), encoding="utf-8"
            )
            digest.unlink()
            pushed.append(image.name)
        step.result(f"pushed {', '.join(pushed)}" if pushed else "the registry has them")

    def _trust(self, authority: Path) -> Path:
        folder = self.home / "trust"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(authority, folder / "ca.crt")
        return folder
