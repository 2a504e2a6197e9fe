"""SoftLayer_Billing_Order_Quote: looking at quotes, saving, ordering and deleting them."""

from __future__ import annotations

import time
from typing import Any

from lab.api import errors
from lab.api.context import Call
from lab.api.masks import Entity
from lab.api.ordering import checkout, quotes
from lab.api.records import Quote
from lab.api.service import Service, exposed
from lab.api.views_billing import quote_view


class BillingOrderQuote(Service):
    """Quotes as they were placed; see `lab/api/ordering/quotes.py`."""

    name = "Billing_Order_Quote"

    def _quote(self, call: Call) -> Quote:
        quote = self.lab.store.get(Quote, call.number())
        if quote is None:
            raise errors.not_found(call.identifier)
        return quote

    def entity(self, call: Call) -> Entity:
        return quote_view(self._quote(call))

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)

    @exposed("saveQuote")
    def save_quote(self, call: Call) -> Entity:
        quote = self._quote(call)
        quote.status, quote.modified = "SAVED", time.time()
        self.lab.store.put(quote)
        return quote_view(quote)

    @exposed("deleteQuote")
    def delete_quote(self, call: Call) -> Entity:
        quote = self._quote(call)
        self.lab.store.delete(quote)
        return quote_view(quote)

    @exposed("getRecalculatedOrderContainer")
    def get_recalculated_order_container(self, call: Call) -> dict[str, Any]:
        return quotes.recalculated(self.lab, self._quote(call))

    @exposed("verifyOrder")
    def verify_order(self, call: Call, container: dict[str, Any]) -> dict[str, Any]:
        self._quote(call)
        return checkout.verify(self.lab, quotes.ordered(container))

    @exposed("placeOrder")
    def place_order(self, call: Call, container: dict[str, Any]) -> dict[str, Any]:
        self._quote(call)
        return checkout.place(self.lab, quotes.ordered(container))
