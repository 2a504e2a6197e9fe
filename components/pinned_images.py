"""Images pinned to their content: what a tag stands for is asked once and remembered in the state.

Owns: when a tag is resolved, and that the answer stays. Leaves to others: asking the engine
(host_scripts/images.py), having the content on every host (docker_engine.py), running it.

A tag is a name that a registry may give to other content tomorrow. A service that names a tag runs what each
host's engine happened to find; one that names a digest runs the same content everywhere and after every
restart, with or without a registry. So a manager's engine fetches the image and says which digest it
has got, and that is what services name, the state holds and previews show.

It is resolved again only when the setting changes, or on demand: `pulumi up --replace '**-image-resolved'`.
A step that runs again for another reason is not listened to: a stack must not change since its program did.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from components import remote
from components.host_scripts import images

DECIDES = ("image", "resolver")
"""Inputs that decide whether the answer is taken; what was found is not among them."""


class PinnedImageProvider(ResourceProvider):
    """Keeps a reference; touches nothing outside the state."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Take what was found."""
        return CreateResult("image", _with_reference(props))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Another setting, or a resolving on purpose."""
        return DiffResult(changes=any(olds.get(key) != news.get(key) for key in DECIDES))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Take what was found."""
        return UpdateResult(_with_reference(news))


def _with_reference(props: Mapping[str, Any]) -> dict[str, Any]:
    found = str(props["found"])
    if re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", found) is None:
        raise ValueError(f"{props['image']} was resolved to {found!r}, which is no reference with a digest")
    return {**props, "reference": found}


class PinnedImage(Resource, module="swarm-galera", name="PinnedImage"):
    """One image.

    Attributes:
        reference: with the digest: `registry.example.com/galera:11.8-1@sha256:…`.
    """

    reference: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        image: str,
        found: pulumi.Input[str],
        resolver: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Takes `found` when the resource is created, then only with another `image` or `resolver`.

        Args:
            image: the setting.
            found: what the engine has made of it.
            resolver: id of the step that asked; a new one is another resolving.
        """
        inputs = {"image": image, "found": found, "resolver": resolver, "reference": None}
        super().__init__(PinnedImageProvider(), name, inputs, opts)


@dataclass(frozen=True)
class PinnedImagesArgs:
    """The images.

    Attributes:
        images: settings by the service that runs the image, in the order in which they are needed.
        manager: whose engine is asked, whichever it is.
        after: what must be there before.
    """

    images: Mapping[str, str]
    manager: remote.Where
    after: Sequence[pulumi.Resource]


class PinnedImages(pulumi.ComponentResource):
    """Images that mean the same content everywhere.

    Attributes:
        references: with digests, by service.
    """

    references: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: PinnedImagesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("swarm-galera:pinned_images:PinnedImages", name, None, opts)
        self.references = {}
        before: list[pulumi.Resource] = list(args.after)
        for service, image in args.images.items():
            step = remote.run(
                f"{service}-image-resolved",
                args.manager,
                images.resolved(image),
                # One after the other: the first service may start while the second image is unpacked.
                pulumi.ResourceOptions(parent=self, depends_on=before),
                triggers=[image],
            )
            pinned = PinnedImage(
                f"{service}-image", image, step.stdout, step.id, pulumi.ResourceOptions(parent=self)
            )
            self.references[service] = pinned.reference
            before = [step]
        self.register_outputs({"references": self.references})
