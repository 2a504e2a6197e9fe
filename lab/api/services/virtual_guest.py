"""SoftLayer_Virtual_Guest: creating, looking at, changing, reloading, powering and cancelling virtual
servers.
"""

from __future__ import annotations

import time
from typing import Any

from lab.api import catalog, errors, locations, price_list, shapes
from lab.api.context import Call, Lab
from lab.api.masks import Entity
from lab.api.ordering import parts, placing, templates
from lab.api.records import Guest, Transaction
from lab.api.service import Service, exposed
from lab.api.services.tag import parse_tags
from lab.api.views_guest import guest_view
from lab.api.views_product import flavor_prices, item_view, price_view

_EDITABLE = {"hostname", "domain", "notes"}
_SPEEDS = (0, 10, 100, 1000)


def is_busy(lab: Lab, guest: Guest) -> bool:
    """Whether a transaction is outstanding, shown yet or not."""
    entry = lab.store.get(Transaction, guest.transaction) if guest.transaction else None
    return entry is not None and not entry.finished


def cancel(lab: Lab, guest: Guest) -> bool:
    """Begin to reclaim a guest. Raises Fault while a transaction is active."""
    if is_busy(lab, guest):
        raise errors.cancel_busy()
    lab.engine.begin(guest, "reclaim")
    return True


class VirtualGuest(Service):
    """Virtual servers."""

    name = "Virtual_Guest"

    def _guest(self, call: Call) -> Guest:
        identifier = str(call.identifier)
        if call.identifier is not None and "-" in identifier:
            for guest in self.lab.store.all(Guest):
                if guest.guid == identifier.lower():
                    return guest
            raise errors.not_found(identifier)
        found = self.lab.store.get(Guest, call.number())
        if found is None:
            raise errors.not_found(call.identifier)
        return found

    def _idle(self, call: Call) -> Guest:
        guest = self._guest(call)
        if is_busy(self.lab, guest):
            raise errors.busy()
        return guest

    def _save(self, guest: Guest) -> None:
        guest.modified = time.time()
        self.lab.store.put(guest)

    def entity(self, call: Call) -> Entity:
        return guest_view(self.lab, self._guest(call))

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)

    @exposed("createObject")
    def create_object(self, call: Call, template: dict[str, Any]) -> Entity:
        request = templates.from_template(self.lab, template)
        _, guests = placing.place(self.lab, [request], "createObject")
        return guest_view(self.lab, guests[0])

    @exposed("createObjects")
    def create_objects(self, call: Call, wanted: list[dict[str, Any]]) -> list[Entity]:
        requests = [templates.from_template(self.lab, template) for template in wanted]
        created = [placing.place(self.lab, [request], "createObject")[1][0] for request in requests]
        return [guest_view(self.lab, guest) for guest in created]

    @exposed("generateOrderTemplate")
    def generate_order_template(self, call: Call, template: dict[str, Any]) -> dict[str, Any]:
        return templates.container_of(templates.from_template(self.lab, template))

    @exposed("getCreateObjectOptions")
    def get_create_object_options(self, call: Call) -> dict[str, Any]:
        return create_options()

    @exposed("editObject")
    def edit_object(self, call: Call, template: dict[str, Any]) -> bool:
        guest = self._guest(call)
        for name in template:
            if name not in _EDITABLE:
                raise errors.invalid_value(name, "It cannot be changed by editing the server.")
        if "hostname" in template:
            guest.hostname = parts.check_hostname(template["hostname"])
        if "domain" in template:
            guest.domain = parts.check_domain(template["domain"])
        if "notes" in template:
            notes = str(template["notes"] or "")
            if len(notes) > 1000:
                raise errors.Fault(
                    errors.INVALID_LENGTH, "The value for 'notes' is too long: at most 1000 characters."
                )
            guest.notes = notes
        self._save(guest)
        if "hostname" in template or "domain" in template:
            self.lab.store.after_commit(lambda: self.lab.engine.renamed(guest))
        return True

    @exposed("setTags")
    def set_tags(self, call: Call, tags: str) -> bool:
        guest = self._guest(call)
        guest.tags = parse_tags(tags)
        self._save(guest)
        return True

    @exposed("setUserMetadata")
    def set_user_metadata(self, call: Call, values: list[str]) -> bool:
        guest = self._guest(call)
        guest.user_data = str(values[0]) if values else None
        self._save(guest)
        return True

    @exposed("setPublicNetworkInterfaceSpeed")
    def set_public_speed(self, call: Call, speed: int) -> bool:
        return self._set_speed(call, speed, public=True)

    @exposed("setPrivateNetworkInterfaceSpeed")
    def set_private_speed(self, call: Call, speed: int) -> bool:
        return self._set_speed(call, speed, public=False)

    def _set_speed(self, call: Call, speed: int, *, public: bool) -> bool:
        guest = self._idle(call)
        nic = guest.public if public else guest.private
        if nic is None:
            raise errors.invalid_value("newSpeed", "The server has no public interface.")
        if speed not in _SPEEDS or speed > nic.max_speed:
            raise errors.invalid_value(
                "newSpeed", f"It must be 0, 10, 100 or 1000 and at most {nic.max_speed}."
            )
        nic.speed = speed
        self._save(guest)
        return True

    @exposed("deleteObject")
    def delete_object(self, call: Call) -> bool:
        return cancel(self.lab, self._guest(call))

    @exposed("reloadOperatingSystem")
    def reload(self, call: Call, token: str = "", config: dict[str, Any] | None = None) -> str:
        guest = self._idle(call)
        if token != "FORCE":  # noqa: S105 - a word of the API's
            # Without the word, SoftLayer sends a token to confirm with; the lab has nobody to send it to.
            raise errors.invalid_value("token", "Pass FORCE to reload without a confirmation.")
        config = config or {}
        shapes.check(config, {"sshKeyIds": [], "customProvisionScriptUri": str})
        changes: dict[str, object] = {}
        if config.get("sshKeyIds"):
            numbers = parts.check_ssh_keys(self.lab, list(config["sshKeyIds"]))
            changes["ssh_key_ids"] = numbers
            changes["ssh_keys"] = parts.key_texts(self.lab, numbers)
        if config.get("customProvisionScriptUri"):
            changes["post_install_uri"] = str(config["customProvisionScriptUri"])
        if config.get("imageTemplateId"):
            wanted = str(config["imageTemplateId"])
            image = next(
                (entry for entry in catalog.IMAGE_TEMPLATES if wanted in {str(entry.id), entry.guid}), None
            )
            if image is None:
                raise errors.not_found(wanted)
            changes |= {"image_guid": image.guid, "os_code": None, "host_image": image.system.image}
        entry = self.lab.engine.begin(guest, "reload", changes)
        guest.last_reload = entry.id
        self.lab.store.put(guest)
        return "1"

    @exposed("getUpgradeItemPrices")
    def get_upgrade_item_prices(self, call: Call, include_downgrades: bool = True) -> list[Entity]:
        guest = self._guest(call)
        return [price_view(price) for price in upgrade_prices(guest, include_downgrades)]

    @exposed("isPingable")
    def is_pingable(self, call: Call) -> bool:
        return self.lab.power(self._guest(call).id).value == "RUNNING"

    @exposed("powerOn")
    def power_on(self, call: Call) -> bool:
        return self._power(call, "power_on")

    @exposed("powerOff")
    def power_off(self, call: Call) -> bool:
        return self._power(call, "power_off")

    @exposed("powerOffSoft")
    def power_off_soft(self, call: Call) -> bool:
        return self._power(call, "power_off_soft")

    @exposed("rebootDefault")
    def reboot_default(self, call: Call) -> bool:
        return self._power(call, "reboot_soft")

    @exposed("rebootSoft")
    def reboot_soft(self, call: Call) -> bool:
        return self._power(call, "reboot_soft")

    @exposed("rebootHard")
    def reboot_hard(self, call: Call) -> bool:
        return self._power(call, "reboot_hard")

    def _power(self, call: Call, kind: str) -> bool:
        self.lab.engine.begin(self._idle(call), kind)
        return True


def upgrade_prices(guest: Guest, include_downgrades: bool) -> list[price_list.Price]:
    """What a guest can be upgraded to: cores of its kind, memory, uplinks and disks of its kind."""
    found = []
    for price in price_list.PRICES:
        item = price.item
        if price_list.CLOUD_SERVER not in price.packages:
            continue
        capacity = int(item.capacity)
        match item.categories[0]:
            case "guest_core":
                fits = (item.units == "PRIVATE_CORE") is guest.dedicated
                fits = fits and (include_downgrades or capacity >= guest.cores)
            case "ram":
                fits = include_downgrades or capacity * 1024 >= guest.memory
            case "port_speed":
                fits = ("Public" in item.description) is not guest.private_only
                fits = fits and (include_downgrades or capacity >= guest.private.max_speed)
            case _:
                fits = item.local_disk is guest.local_disk
        if fits:
            found.append(price)
    return found


def create_options() -> dict[str, Any]:
    """SoftLayer_Container_Virtual_Guest_Configuration: every choice with its price."""

    def option(template: dict[str, Any], price: price_list.Price) -> dict[str, Any]:
        view = price_view(price)
        return {"template": template, "itemPrice": {**view.local, "item": item_view(price.item).local}}

    processors, memory, devices, systems, networks = [], [], [], [], []
    for price in price_list.PRICES:
        item, capacity = price.item, int(price.item.capacity)
        if price_list.CLOUD_SERVER not in price.packages:
            continue
        category = item.categories[0]
        if category == "guest_core":
            template: dict[str, Any] = {"startCpus": capacity}
            if item.units == "PRIVATE_CORE":
                template["dedicatedAccountHostOnlyFlag"] = True
            processors.append(option(template, price))
        elif category == "ram":
            memory.append(option({"maxMemory": capacity * 1024}, price))
        elif category == "port_speed":
            networks.append(option({"networkComponents": [{"maxSpeed": capacity}]}, price))
        elif category == "os" and item.system:
            systems += [
                option({"operatingSystemReferenceCode": code}, price)
                for code in (item.system.code, *item.system.latest)
            ]
        elif item.local_disk is not None:
            for slot in item.categories:
                number = int(slot[-1])
                device = str(number if number == 0 else number + 1)
                template = {
                    "blockDevices": [{"device": device, "diskImage": {"capacity": capacity}}],
                    "localDiskFlag": item.local_disk,
                }
                devices.append(option(template, price))
    flavors = []
    for flavor in catalog.FLAVORS:
        preset = {
            "supplementalCreateObjectOptions": {"flavorKeyName": flavor.key},
            "startCpus": flavor.cores,
            "maxMemory": flavor.memory * 1024,
        }
        prices = [price_view(price).local for price, _ in flavor_prices(flavor)]
        flavors.append({"flavor": {"keyName": flavor.key, "prices": prices}, "template": preset})
    return {
        "flavors": flavors,
        "processors": processors,
        "memory": memory,
        "blockDevices": devices,
        "operatingSystems": systems,
        "networkComponents": networks,
        "datacenters": [
            {"template": {"datacenter": {"name": place.name}}} for place in locations.DATACENTERS
        ],
    }
