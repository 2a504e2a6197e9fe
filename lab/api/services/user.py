"""SoftLayer_User_Customer: the lab's one user, as far as slcli asks for it."""

from __future__ import annotations

from lab.api.context import Call
from lab.api.masks import Entity
from lab.api.service import Service, exposed
from lab.api.views_billing import user_view


class UserCustomer(Service):
    """Whoever calls."""

    name = "User_Customer"

    def entity(self, call: Call) -> Entity:
        return user_view(self.lab)

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)
