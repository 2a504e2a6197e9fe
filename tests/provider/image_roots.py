"""The images' root file systems, built from their Dockerfiles without an engine and kept in the cache.

Owns: building once for each content, beside other test processes. Leaves running them to `image_containers`.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab.toolchain import locks, places

IMAGES = places.CHECKOUT / "images"
MIRRORS = (
    "deb http://deb.debian.org/debian bookworm main",
    "deb http://deb.debian.org/debian bookworm-updates main",
    "deb http://deb.debian.org/debian-security bookworm-security main",
)
BASE_AGE = 7 * 24 * 3600  # seconds after which Debian's updates are fetched anew


def image_root(name: str) -> Path:
    """The root file system of `images/name`. Built when its files have changed or the base is a week old."""
    cache = places.cache() / "image-roots"
    cache.mkdir(parents=True, exist_ok=True)
    with locks.waited_for(cache / "lock", f"root of image {name}", lambda _holder: None):
        base, fresh = cache / "base.tar", cache / "base.new.tar"
        if not base.is_file() or time.time() - base.stat().st_mtime > BASE_AGE:
            _step("base of the images", "mmdebstrap", "--variant=minbase", "bookworm", str(fresh), *MIRRORS)
            fresh.replace(base)
        key = hashlib.sha256(str(base.stat().st_mtime_ns).encode())
        for path in sorted((IMAGES / name).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                key.update(
                    f"{path.relative_to(IMAGES)} {path.stat().st_mode & 0o111}\n".encode() + path.read_bytes()
                )
        root = cache / f"{name}-{key.hexdigest()[:16]}"
        if not root.is_dir():
            for old in cache.glob(f"{name}-*"):
                shutil.rmtree(old)
            _build(name, base, root)
        return root


def _build(name: str, base: Path, root: Path) -> None:
    """Builds the image in a store of its own, which is removed again, and moves its root to `root`."""
    with tempfile.TemporaryDirectory(prefix="sgimg-build-") as folder:
        store = ("buildah", "--root", f"{folder}/store", "--runroot", f"{folder}/run")

        def container(*words: str) -> str:
            return _step(f"image {name}", *store, *words).strip().splitlines()[-1]

        first = container("from", "scratch")
        _step(f"image {name}", *store, "add", first, str(base), "/")
        container("commit", "-q", first, "localhost/debian:bookworm")
        options = (
            "--isolation",
            "chroot",
            "--network",
            "host",
            "--build-arg",
            "BASE=localhost/debian:bookworm",
        )
        image = f"localhost/{name}:test"
        _step(f"image {name}", *store, "bud", *options, "-t", image, str(IMAGES / name))
        mounted = container("mount", container("from", image))
        _step(f"image {name}", "cp", "-a", mounted, f"{root}.new")
        _step(f"image {name}", *store, "rm", "--all")
        Path(f"{root}.new").rename(root)


def _step(what: str, *argv: str) -> str:
    """Runs one command of a build; its output. Shows that it works, raises with its last words."""
    print(f"{what}: {' '.join(argv[:1])} …", file=sys.stderr, flush=True)
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        words = f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        raise RuntimeError(f"{what}: {' '.join(argv)} ended with {done.returncode}:\n{words}")
    return done.stdout
