"""The images' root file systems, unpacked from the builds that the lab uses, and kept in the cache.

Owns: one unpacked root for each content, beside other processes that use it. Leaves building to `lab.images`,
running to `image_containers`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from lab import images, paths
from lab.toolchain import locks
from lab.toolchain.stages import Step, Terminal

KEEP = 24 * 3600  # seconds that the root of an older content is kept: other tests may be running in it
PRESENT, *FORMER = images.SUITES
ASKED = [PRESENT]
"""Debian's release that is tested unless a test names one; `--debian` puts another one here."""


def image_root(name: str, suite: str | None = None) -> Path:
    """The root file system of `images/name`, built and unpacked when its files have changed.

    `suite`: Debian's release that it is built on; by default the one that is asked for.
    """
    of = suite or ASKED[0]
    (image,) = [found for found in images.discover(suite=of) if found.name == name]
    return root_of(image)


def root_of(image: images.Image) -> Path:
    """The root file system of any folder's image."""
    cache = paths.cache("image-roots")
    root = cache / f"{image.name}-{images.key(image)}"
    with locks.waited_for(cache / "lock", f"root of image {image.name}", lambda _holder: None):
        if not root.is_dir():
            for old in cache.glob(f"{image.name}-*"):
                if time.time() - old.stat().st_mtime > KEEP:
                    shutil.rmtree(old)
            builder = images.Builder(paths.cache("images"))
            builder.build(Step(f"image {image.name}", cache / "build.log", Terminal(sys.stderr)), [image])
            _unpack(builder, image, root)
    return root


def _unpack(builder: images.Builder, image: images.Image, root: Path) -> None:
    """Copies the image's root out of the build's storage; half a copy never gets the name."""

    def buildah(*words: str) -> str:
        done = subprocess.run(
            builder.buildah(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(
                f"buildah {words[0]} for {image.name} ended with {done.returncode}: {done.stderr}"
            )
        return done.stdout.strip()

    fresh = root.with_name(f".{root.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    container = buildah("from", "--pull=never", builder.local(image))
    try:
        subprocess.run(["cp", "-a", buildah("mount", container), str(fresh)], check=True)
    finally:
        buildah("rm", container)
    # As an engine does, before it mounts over them.
    (fresh / "etc").mkdir(exist_ok=True)
    (fresh / "etc/hosts").touch()
    (fresh / "mnt").mkdir(exist_ok=True)
    fresh.touch()
    fresh.rename(root)
