"""SoftLayer_Virtual_Guest_Block_Device_Template_Group: the ready-made images of the catalog."""

from __future__ import annotations

from lab.api import catalog, errors
from lab.api.context import Call
from lab.api.masks import Entity
from lab.api.service import Service, exposed
from lab.api.views_product import image_view


class ImageTemplateGroup(Service):
    """Images that may be ordered by their global identifier."""

    name = "Virtual_Guest_Block_Device_Template_Group"

    def entity(self, call: Call) -> Entity:
        for image in catalog.IMAGE_TEMPLATES:
            if str(call.identifier) in {str(image.id), image.guid}:
                return image_view(image)
        raise errors.not_found(call.identifier)

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)

    @exposed("getPublicImages")
    def get_public_images(self, call: Call) -> list[Entity]:
        return [image_view(image) for image in catalog.IMAGE_TEMPLATES]
