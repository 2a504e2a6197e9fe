"""What stands in a container's file system beside its image: mounts, and the files of secrets and configs.

Leaves making volumes, secrets and configs to the resources of these names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.plugins.docker.schema import Field, block, boolean, integer, labels, string, strings, unordered
from lab.plugins.docker.translation import label_inputs, pairs, present

_READABLE = 0o444  # mode of a secret's or config's file when nothing is said

MOUNT = block(
    {
        "target": string(required=True),
        "source": string(),
        "type": string(required=True, one_of=("bind", "volume", "tmpfs")),
        "readOnly": boolean(),
        "bindOptions": block(
            {
                "propagation": string(
                    default="rprivate",
                    one_of=("private", "rprivate", "shared", "rshared", "slave", "rslave"),
                )
            }
        ),
        "volumeOptions": block(
            {
                "noCopy": boolean(),
                "labels": labels(),
                "driverName": string(),
                "driverOptions": strings(),
            }
        ),
        "tmpfsOptions": block({"sizeBytes": integer(), "mode": integer()}),
    }
)


def references(kind: str) -> Field:
    """What a container takes of secrets or configs (`kind`), and the file that each appears as."""
    return unordered(
        block(
            {
                f"{kind}Id": string(required=True),
                f"{kind}Name": string(),
                "fileName": string(required=True),
                "fileUid": string(default="0"),
                "fileGid": string(default="0"),
                "fileMode": integer(default=_READABLE),
            }
        )
    )


def mount_spec(mount: Mapping[str, Any]) -> dict[str, Any]:
    """A mount for its planned inputs."""
    bind, volume, tmpfs = mount.get("bindOptions"), mount.get("volumeOptions"), mount.get("tmpfsOptions")
    return present(
        Type=mount["type"],
        Target=mount["target"],
        Source=mount.get("source"),
        ReadOnly=mount.get("readOnly"),
        BindOptions=present(Propagation=bind.get("propagation")) if bind else None,
        VolumeOptions=present(
            NoCopy=volume.get("noCopy"),
            Labels=pairs(volume.get("labels")),
            DriverConfig=present(Name=volume.get("driverName"), Options=volume.get("driverOptions")),
        )
        if volume
        else None,
        TmpfsOptions=present(SizeBytes=tmpfs.get("sizeBytes"), Mode=tmpfs.get("mode")) if tmpfs else None,
    )


def reference_spec(kind: str, file: Mapping[str, Any]) -> dict[str, Any]:
    """A SecretReference or ConfigReference (`kind`) for its planned inputs."""
    key = kind.lower()
    return present(
        **{
            f"{kind}ID": file[f"{key}Id"],
            f"{kind}Name": file.get(f"{key}Name"),
            "File": {
                "Name": file["fileName"],
                "UID": file.get("fileUid", "0"),  # an empty text counts as none
                "GID": file.get("fileGid", "0"),
                "Mode": file["fileMode"],
            },
        }
    )


def mount_found(mount: Mapping[str, Any]) -> dict[str, Any]:
    """What an inspected mount says, in the inputs' words."""
    bind, volume, tmpfs = mount.get("BindOptions"), mount.get("VolumeOptions"), mount.get("TmpfsOptions")
    driver = (volume or {}).get("DriverConfig") or {}
    return present(
        type=mount["Type"],
        target=mount["Target"],
        source=mount.get("Source"),
        readOnly=mount.get("ReadOnly"),
        bindOptions=present(propagation=bind.get("Propagation")) if bind else None,
        volumeOptions=present(
            noCopy=volume.get("NoCopy"),
            labels=label_inputs(volume.get("Labels")),
            driverName=driver.get("Name"),
            driverOptions=driver.get("Options"),
        )
        if volume
        else None,
        tmpfsOptions=present(sizeBytes=tmpfs.get("SizeBytes"), mode=tmpfs.get("Mode")) if tmpfs else None,
    )


def reference_found(kind: str, reference: Mapping[str, Any]) -> dict[str, Any]:
    """What an inspected reference to a secret or config (`kind`) says, in the inputs' words."""
    name, file = kind.capitalize(), reference.get("File") or {}
    return present(
        **{
            f"{kind}Id": reference[f"{name}ID"],
            f"{kind}Name": reference.get(f"{name}Name"),
            "fileName": file.get("Name"),
            "fileUid": file.get("UID") or "0",
            "fileGid": file.get("GID") or "0",
            "fileMode": file.get("Mode", _READABLE),
        }
    )
