"""Prices of an order: which categories they are for, what they come to, and how an order shows them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from lab.api import catalog, errors, price_list
from lab.api.masks import Entity
from lab.api.records import PricePick
from lab.api.views_product import category_view, item_view, price_view


def pick_prices(prices: Any, package: price_list.Package, hourly: bool) -> list[PricePick]:
    """Find the prices of an order and the category each is for. Raises Fault.

    A price may say its category (by code or id); otherwise it takes the first of its categories that is free.
    """
    if not isinstance(prices, list) or not prices:
        raise errors.order_data("prices", "At least one price must be given.")
    picks: list[PricePick] = []
    taken: set[str] = set()
    for entry in prices:
        number = entry.get("id") if isinstance(entry, dict) else None
        price = price_list.price(int(str(number))) if str(number or "").isdigit() else None
        if price is None or package.id not in price.packages:
            raise errors.order_price(price.item.description if price else "", number, package.id)
        if (price.hourly if hourly else price.monthly) is None:
            term = "hourly" if hourly else "monthly"
            raise errors.order_data(
                "prices", f"{price.item.description} ({price.id}) cannot be billed {term}."
            )
        category = _category(entry, price, taken)
        if category in taken:
            raise errors.order_data("prices", f"There is more than one price for category {category}.")
        taken.add(category)
        picks.append(PricePick(price_id=price.id, category=category))
    return picks


def _category(entry: dict[str, Any], price: price_list.Price, taken: set[str]) -> str:
    for named in entry.get("categories") or []:
        for code in price.item.categories:
            if len(entry["categories"]) > 1:
                break  # the client echoes all categories of the price, which says nothing
            category = catalog.CATEGORIES[code]
            if named.get("categoryCode") == code or str(named.get("id")) == str(category.id):
                # The SDK names the item's first category whatever the slot: take it only while it is free.
                if code in taken and "id" not in named:
                    break
                return code
    return next((code for code in price.item.categories if code not in taken), price.item.categories[0])


def totals(picks: list[PricePick]) -> tuple[Decimal, Decimal]:
    """Hourly and monthly sum of the prices."""
    prices = [price for price in (price_list.price(pick.price_id) for pick in picks) if price]
    hourly = sum((Decimal(price.hourly or "0") for price in prices), Decimal(0))
    monthly = sum((Decimal(price.monthly or "0") for price in prices), Decimal(0))
    return hourly, monthly


def price_struct(pick: PricePick) -> dict[str, Any]:
    """A price as orders show it: in full, with its item and the one category that it is for."""
    price = price_list.price(pick.price_id)
    assert price is not None
    view: Entity = price_view(price, pick.category)
    return {
        **view.local,
        "item": item_view(price.item).local,
        "categories": [category_view(catalog.CATEGORIES[pick.category]).local],
    }


def pick(price: price_list.Price, category: str) -> PricePick:
    """What an order keeps of a price: its id, and for which category, as a price may be for several."""
    return PricePick(price_id=price.id, category=category)


def item_of(pick: PricePick) -> price_list.Item:
    """What a price is for. The pick must be a checked one: its price exists."""
    price = price_list.price(pick.price_id)
    assert price is not None
    return price.item
