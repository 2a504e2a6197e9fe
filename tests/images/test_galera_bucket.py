"""The bucket by Debian's rclone and a real S3 server: what deleting, times and broken-off uploads come to.

Whole clusters that archive: test_galera_backup.py; what is deleted when: unit/images.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.image_containers import Container, wait_for
from harness.image_roots import image_root
from images.galera.galera_node.archive.bucket import Bucket, BucketError
from images.galera.galera_node.archive.plan import Target
from lab import object_store
from tests.images.backup_site import ADDRESS, BackupSite
from tests.images.galera_site import processes

pytestmark = pytest.mark.images

UPLOADS = ".sgwtmp/multipart"
"""Where the server keeps the parts of uploads that are on their way; it takes a folder's time for theirs."""


class Inside(Bucket):
    """Runs rclone in a container of the image."""

    def __init__(self, container: Container, authority: str, bucket: str = object_store.BUCKET) -> None:
        self._container = container
        endpoint = f"https://{object_store.HOST}:{object_store.PORT}"
        super().__init__(
            Target(endpoint, bucket, object_store.REGION, authority=authority),
            object_store.ACCESS_KEY,
            object_store.SECRET_KEY,
            container.volume / bucket,
        )

    def command(self, *words: str) -> list[str]:
        volume = (str(self._container.volume), self._container.volume_at)
        found = self._container.inside(*(word.replace(*volume) for word in super().command(*words)))
        return [shutil.which(word) or word if word == "chroot" else word for word in found]


@pytest.fixture
def site() -> Iterator[BackupSite]:
    with BackupSite({name: image_root(name) for name in ("etcd", "galera")}) as made:
        yield made


@pytest.fixture
def container(site: BackupSite) -> Container:
    made = site.add(
        "asks",
        "galera",
        60,
        user="0:0",
        volume_at="/var/lib/mysql",
        command=("/usr/bin/python3", "-c", "import time; time.sleep(100000)"),
        env={},
        secrets={},
        hosts=f"{ADDRESS} {object_store.HOST}\n",
    )
    made.start()
    made.init_pid()
    return made


@pytest.fixture
def bucket(site: BackupSite, container: Container) -> Inside:
    return Inside(container, site.authority)


def names(bucket: Bucket, folder: str) -> list[str]:
    return sorted(entry.key for entry in bucket.listed(folder))


def test_many_are_deleted_at_once_and_nothing_else_is(bucket: Inside) -> None:
    told = ["00001-00002.json", "00003-00004.json"]
    data = ["00001-00002.b.zst.age", "00003-00004.b.zst.age", "00003-00004.odd name #1.zst.age"]
    for key in (*told, *data):
        bucket.put(f"p/galera/t.0/log/{key}", key)
    bucket.put("p/galera/t.0/log2/00001-00002.json", "a neighbour's")
    bucket.delete_all("p/galera/t.0/log", [told[0], data[0], data[2], "00009-00010.json"])
    assert names(bucket, "p/galera/t.0/log") == [data[1], told[1]]
    assert names(bucket, "p/galera/t.0/log2") == ["00001-00002.json"]
    bucket.delete("p/galera/t.0/log/00009-00010.json")
    bucket.delete_all("p/galera/t.0/nothing", ["00001-00002.json"])
    bucket.purge("p/galera/t.0/log")
    assert names(bucket, "p/galera/t.0/log") == []
    assert names(bucket, "p/galera/t.0/log2") == ["00001-00002.json"]
    assert bucket.read("p/galera/t.0/log2/00001-00002.json") == "a neighbour's"


def test_an_object_s_time_is_the_store_s_own(site: BackupSite, bucket: Inside) -> None:
    bucket.put("p/galera/t.0/log/reach.json", "{}")
    assert abs(bucket.written("p/galera/t.0/log/reach.json") - datetime.now(UTC)) < timedelta(minutes=2)
    former = time.time() - 90 * 86400
    os.utime(site.bucket / "p/galera/t.0/log/reach.json", (former, former))
    assert bucket.written("p/galera/t.0/log/reach.json") == datetime.fromtimestamp(int(former), UTC)
    for nothing in ("p/galera/t.0/log/none.json", "p/galera/t.0/log", "none"):
        with pytest.raises(BucketError):
            bucket.written(nothing)


def test_only_own_uploads_that_were_broken_off_long_ago_are_ended(
    site: BackupSite, container: Container, bucket: Inside
) -> None:
    def broken_off(key: str, days: int) -> Path:
        before = {*(site.bucket / UPLOADS).glob("*/*")}
        upload = subprocess.Popen(bucket.upload(key), stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert upload.stdin is not None
        upload.stdin.write(bytes(40 << 20))
        upload.stdin.flush()
        wait_for(lambda: {*(site.bucket / UPLOADS).glob("*/*")} - before, "an upload", 30)
        (pid,) = processes(container, "rclone")
        os.kill(pid, signal.SIGKILL)
        upload.stdin.close()
        upload.wait()
        (made,) = {*(site.bucket / UPLOADS).glob("*/*")} - before
        at = time.time() - days * 86400
        os.utime(made, (at, at))
        return made

    old, young = broken_off("p/galera/t.0/base/a/data", 2), broken_off("p/galera/t.0/base/b/data", 0)
    other = broken_off("p/other/t.0/base/a/data", 2)
    alike = broken_off("p/galera2/u.0/base/a/data", 2)
    bucket.clean("p/galera/t.0")
    assert [path.exists() for path in (old, young, other, alike)] == [False, True, True, True]
    # Why it is asked for each timeline, whose name nobody else has.
    bucket.clean("p/galera")
    assert not alike.exists()


def test_a_bucket_that_is_not_there_is_no_empty_one_for_whoever_writes(
    site: BackupSite, container: Container
) -> None:
    nowhere = Inside(container, site.authority, "no-such-bucket")
    with pytest.raises(BucketError, match="NoSuchBucket"):
        nowhere.put("p/galera/t.0/log/begun", "b\n")
