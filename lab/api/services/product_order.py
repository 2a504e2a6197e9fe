"""SoftLayer_Product_Order: verifying and placing orders of guests and of upgrades, and quotes for them."""

from __future__ import annotations

from typing import Any

from lab.api.context import Call
from lab.api.ordering import checkout, quotes
from lab.api.service import Service, exposed


class ProductOrder(Service):
    """A container may come bare or within `orderContainers`; the answer has the same form."""

    name = "Product_Order"

    @exposed("verifyOrder")
    def verify_order(self, call: Call, order: dict[str, Any]) -> dict[str, Any]:
        return checkout.verify(self.lab, order)

    @exposed("placeOrder")
    def place_order(self, call: Call, order: dict[str, Any], save_as_quote: bool = False) -> dict[str, Any]:
        return quotes.place(self.lab, order) if save_as_quote else checkout.place(self.lab, order)

    @exposed("placeQuote")
    def place_quote(self, call: Call, order: dict[str, Any]) -> dict[str, Any]:
        return quotes.place(self.lab, order)
