"""The section `application`: one service for users, any image, beside the database.

Owns: its settings, which of them fit together, and what of the stack's others they must keep clear of.
Leaves to others: what the service is (components/application.py), what is in an image (images/wordpress).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from settings import values
from settings.database import names
from settings.ports import IngressPort
from settings.rotation import AccountPasswords
from settings.section import Section

OWN_ENV = ("DATABASE_HOST", "DATABASE_PORT", "DATABASE_NAME", "DATABASE_USER", "DATABASE_CA")
"""What the program tells an application with a database."""
OWN_SECRETS = "application-"
"""Begins the names of the files that the program gives."""
VOLUME = "application-uploads"
"""The volume of each host that has what users upload."""
CONFIDENTIAL = re.compile(
    r"(PASSW(OR)?D|PASSPHRASE|_PWD|APIKEY|(^|_)(PASS|SECRET|TOKEN|CREDENTIALS?|SALT|(?<!PUBLIC_)KEY))$",
    re.IGNORECASE,
)
"""How the names of variables end that hold what nobody is to read."""
LARGEST_SECRET = 500_000
"""Bytes: the engine takes no larger one."""
MOST_REPLICAS = 100


def env_name(value: str) -> str:
    """A variable that is not confidential: those are files."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise values.Refused(
            f"{value!r} can't name a variable of the environment", "use letters, digits and _, no digit first"
        )
    if CONFIDENTIAL.search(value):
        raise values.Refused(
            f"{value} by its name is confidential, and what is in `env` is in plain in the stack's file, in "
            "its state and in what `docker service inspect` shows",
            "put it into application.secrets, and have the image read the file /run/secrets/NAME (many take "
            f"its path as {value}_FILE)",
        )
    return value


def env_value(value: object) -> object:
    """YAML turns `yes` and 100 into other types than the text that a variable is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def secret_name(value: str) -> str:
    """A file in /run/secrets, and none of the program's own."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", value):
        raise values.Refused(
            f"{value!r} can't name a file in /run/secrets", "use up to 63 letters, digits and . _ -"
        )
    if value.startswith(OWN_SECRETS):
        raise values.Refused(
            f"{value!r} begins as the files do that the program gives itself", "choose another name"
        )
    return value


def confidential(value: Any) -> Any:
    """What is wrong with it is said without it."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        raise values.Refused(
            "it is no text", "put it into quotes, or set it anew (`pulumi config set --secret`)"
        )
    return value


def named(value: Any) -> Any:
    """Secrets by their names; what else it is is not said."""
    if not isinstance(value, dict):
        raise values.Refused("these must be keys with a value each", "indent the secrets' names below it")
    return value


def secret_value(value: SecretStr) -> SecretStr:
    """As large as the engine takes it; it is not empty."""
    size = len(value.get_secret_value().encode())
    if not 1 <= size <= LARGEST_SECRET:
        raise values.Refused(
            f"it has {size} bytes, and the engine takes secrets of 1 to {LARGEST_SECRET}",
            "correct it, or remove it",
        )
    return value


def folder(value: str) -> str:
    """A folder in a container that a volume may stand in for."""
    if not re.fullmatch(r"(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+", value):
        raise values.Refused(
            f"{value!r} is no folder in a container", "write it like /srv/uploads, or null for no volume"
        )
    if value.split("/")[1] in {"dev", "proc", "run", "sys"}:
        raise values.Refused(
            f"{value} is the engine's or the kernel's own", "choose another, like /srv/uploads"
        )
    return value


EnvName = Annotated[str, AfterValidator(env_name)]
EnvValue = Annotated[str, BeforeValidator(env_value)]
SecretName = Annotated[str, AfterValidator(secret_name)]
SecretValue = Annotated[SecretStr, BeforeValidator(confidential), AfterValidator(secret_value)]
Password = Annotated[SecretStr, BeforeValidator(confidential), AfterValidator(names.password)]


class Database(Section):
    """A database of the application's own, and the account that it has there; made where they are missing.

    Attributes:
        name: of the database. Under another name a new, empty one is made; the former stays.
        user: of the account; unset, it is called like the database.
        password: a secret; unset, one is drawn.
        passwords: a section: new ones, of those that are drawn.
    """

    title: ClassVar[str] = "application.database"
    name: Annotated[str, AfterValidator(names.database)] = "application"
    user: Annotated[str, AfterValidator(names.database)] | None = None
    password: Password | None = None
    passwords: AccountPasswords = AccountPasswords.model_validate({})

    @model_validator(mode="after")
    def _drawn(self) -> Database:
        if self.password is not None and self.passwords.rotated:
            raise values.Refused(
                "passwords has generations, and password is given: nothing is drawn",
                "set another password, which counts at once, or remove it",
            )
        return self

    @property
    def account(self) -> str:
        """The user's name."""
        return self.user or self.name


class Application(Section):
    """A service for users: WordPress or any other image, on any host. Without this section there is none.

    Attributes:
        image: container image, which the hosts fetch without a login.
        replicas: number of containers; the swarm spreads them over the hosts, and moves those of a host that
            fails.
        port: of every host of the swarm, whichever hosts have a container; from 1 to 29999. For everybody
            only if `servers.publishedPorts` has it, too.
        target_port: the one that the container listens on.
        health: words of a command in the container that ends with 0 while it serves; without, the image's own
            health check counts, where it has one.
        env: variables of the container's environment; nothing confidential.
        secrets: contents of files in `/run/secrets`, by their names, each encrypted (`pulumi config set
            --secret --path 'swarm-galera:application.secrets.NAME'`).
        uploads: folder of the container that is the local volume `application-uploads`: each host has its
            own, which stays there when a container moves. null for none.
        database: a section: what it has in the cluster's database; none without.
    """

    title: ClassVar[str] = "application"
    image: values.Image
    replicas: int = Field(2, ge=1, le=MOST_REPLICAS)
    port: IngressPort = 80
    target_port: int = Field(8080, ge=1, le=65535)
    health: list[Annotated[str, Field(min_length=1)]] = []
    env: dict[EnvName, EnvValue] = {}
    secrets: Annotated[dict[SecretName, SecretValue], BeforeValidator(named)] = {}
    uploads: Annotated[str, AfterValidator(folder)] | None = "/srv/uploads"
    database: Database | None = None

    @property
    def confidential(self) -> list[str]:
        """The keys whose values must be encrypted in the stack's file."""
        password = self.database is not None and self.database.password is not None
        return [*(f"secrets.{name}" for name in self.secrets), *(["database.password"] if password else [])]

    @property
    def addresses(self) -> int:
        """How many it needs on the overlay network: in an update, a new container starts before one ends."""
        return self.replicas + 1

    @model_validator(mode="after")
    def _env_is_free(self) -> Application:
        taken = [name for name in OWN_ENV if self.database is not None and name in self.env]
        if taken:
            raise values.Refused(
                f"env has {', '.join(taken)}, and of its database an application is told by the program",
                "remove it, or the section database",
            )
        return self

    def clashes(self, ports: Mapping[int, str], account: str) -> Iterable[str]:
        """What does not fit to the stack's other settings, each with its remedy.

        Args:
            ports: that others take on the hosts, and who.
            account: of the application that the cluster was made with.
        """
        if self.port in ports:
            yield (
                f"application.port: {self.port} is taken on every host by {ports[self.port]}. "
                "Remedy: give one of the two another port"
            )
        if self.database is not None and self.database.account == account:
            yield (
                f"application.database.user: {account} is the account that the cluster is made with "
                "(galera.database), whose password the nodes set back to their own. Remedy: choose another "
                "name, like wordpress"
            )
