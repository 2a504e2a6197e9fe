"""SoftLayer_Billing_Item (cancelling by billing item) and SoftLayer_Billing_Order (looking an order up)."""

from __future__ import annotations

from lab.api import errors
from lab.api.context import Call
from lab.api.masks import Entity
from lab.api.records import Guest, Order
from lab.api.service import Service, exposed
from lab.api.services.virtual_guest import cancel
from lab.api.views_billing import billing_view, order_view


class BillingItem(Service):
    """The top billing item of a guest."""

    name = "Billing_Item"

    def _guest(self, call: Call) -> Guest:
        number = call.number()
        for guest in self.lab.store.all(Guest):
            if guest.billing_item == number:
                return guest
        raise errors.not_found(number)

    def entity(self, call: Call) -> Entity:
        return billing_view(self.lab, self._guest(call))

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)

    @exposed("cancelService")
    def cancel_service(self, call: Call) -> bool:
        return cancel(self.lab, self._guest(call))

    @exposed("cancelItem")
    def cancel_item(
        self,
        call: Call,
        cancel_immediately: bool = True,
        cancel_associated: bool = True,
        reason: str | None = None,
        note: str | None = None,
    ) -> bool:
        return cancel(self.lab, self._guest(call))


class BillingOrder(Service):
    """Orders as they were placed."""

    name = "Billing_Order"

    def entity(self, call: Call) -> Entity:
        order = self.lab.store.get(Order, call.number())
        if order is None:
            raise errors.not_found(call.identifier)
        return order_view(self.lab, order)

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)

    @exposed("getAllObjects")
    def get_all_objects(self, call: Call) -> list[Entity]:
        return [order_view(self.lab, order) for order in self.lab.store.all(Order)]
