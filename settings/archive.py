"""Where an archive is: a bucket of an S3-compatible store, and the keys that let one in.

Owns: the settings that every section has which names an archive. Leaves to others: the sections (backup.py,
bootstrap_from.py), what is in the archive (images/galera, `archive`).
"""

from __future__ import annotations

import re
import ssl
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from settings import values
from settings.application import confidential
from settings.section import Section


def endpoint(value: str) -> str:
    """The store's address: https, and nothing but the host and a port."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or parts.scheme != "https" or not parts.hostname or re.search(r"\s", value):
        raise values.Refused(f"{value!r} is no https address", "give one like https://s3.example.com")
    if parts.username or parts.password:
        raise values.Refused("the address holds a user or password", "use accessKey and secretKey")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise values.Refused(
            f"{value!r} has more than a host", "leave the bucket out: it is a setting of its own"
        )
    return value.rstrip("/")


def bucket(value: str) -> str:
    """A bucket's name, as all S3-compatible stores take it."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value):
        raise values.Refused(
            f"{value!r} is no bucket's name", "use 3 to 63 small letters, digits, dots and hyphens"
        )
    return value


def prefix(value: str) -> str:
    """Folders in the bucket; none is fine."""
    if value and not re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", value):
        raise values.Refused(
            f"{value!r} is no prefix", "write it like prod or backups/prod, without slashes at its ends"
        )
    if any(set(part) == {"."} for part in value.split("/")):
        raise values.Refused(
            f"{value!r} leads out of the bucket or nowhere", "name folders without '.' and '..'"
        )
    return value


def authority(value: str) -> str:
    """A certificate in PEM, which the nodes can read."""
    if "PRIVATE KEY" in value:
        raise values.Refused(
            "this holds a private key, which would lie on every host in plain text",
            "paste the certificate alone, and hold the key for disclosed",
        )
    if "-----BEGIN CERTIFICATE-----" not in value or "-----END CERTIFICATE-----" not in value:
        raise values.Refused(
            "this is no certificate in PEM", "paste the authority's certificate, or leave it out"
        )
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=value)
    except (ssl.SSLError, ValueError) as error:
        raise values.Refused(
            f"this certificate can't be read ({error})", "paste it whole, with its lines as they are"
        ) from None
    return value.strip() + "\n"


def whole(value: SecretStr) -> SecretStr:
    """One line that is not empty."""
    text = value.get_secret_value()
    if not text or re.search(r"\s", text):
        raise values.Refused("it is empty or has blanks", "set it anew (`pulumi config set --secret --path`)")
    return value


Endpoint = Annotated[str, AfterValidator(endpoint)]
Bucket = Annotated[str, AfterValidator(bucket)]
Prefix = Annotated[str, AfterValidator(prefix)]
Authority = Annotated[str, AfterValidator(authority)]
Key = Annotated[SecretStr, BeforeValidator(confidential), AfterValidator(whole)]


class Archive(Section):
    """A section that names an archive.

    Attributes:
        endpoint: the store's address, like https://s3.us-east.cloud-object-storage.appdomain.cloud.
        bucket: which must be there.
        prefix: folders in it, for a bucket that others use, too.
        region: as the store calls its own.
        access_key, secret_key: secrets.
        authority: certificate of whoever has signed the store's, PEM, where that is no public authority.
    """

    endpoint: Endpoint
    bucket: Bucket
    prefix: Prefix = ""
    region: str = Field(pattern=r"^[A-Za-z0-9-]{1,63}$")
    access_key: Key
    secret_key: Key
    authority: Authority | None = None
