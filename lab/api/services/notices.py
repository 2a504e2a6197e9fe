"""What an account is told.

SoftLayer_Notification_Occurrence_Event (maintenance, incidents), of which a lab has none, and
SoftLayer_User_Customer_Notification_Virtual_Guest (whom to tell when a server is down).
"""

from __future__ import annotations

from typing import Any

from lab.api import errors
from lab.api.context import ACCOUNT_ID, Call
from lab.api.masks import Entity
from lab.api.records import Guest, Notification
from lab.api.service import Service, exposed
from lab.api.views_billing import user_view
from lab.api.views_reference import guest_reference

USER_ID = ACCOUNT_ID + 1


class NotificationOccurrenceEvent(Service):
    """Nobody maintains a lab, and nobody announces anything."""

    name = "Notification_Occurrence_Event"

    def entity(self, call: Call) -> Entity:
        raise errors.not_found(call.identifier)

    @exposed("getAllObjects")
    def get_all_objects(self, call: Call) -> list[Entity]:
        return []

    @exposed("getObject")
    def get_object(self, call: Call) -> Entity:
        return self.entity(call)

    @exposed("acknowledgeNotification")
    def acknowledge(self, call: Call) -> bool:
        self.entity(call)
        return True


class UserCustomerNotificationVirtualGuest(Service):
    """Who is told about which server. The lab keeps the list, and sends nothing."""

    name = "User_Customer_Notification_Virtual_Guest"

    @exposed("findByGuestId")
    def find_by_guest_id(self, call: Call, guest: int) -> list[Entity]:
        found = self._guest(guest)
        entries = [entry for entry in self.lab.store.all(Notification) if entry.guest_id == found.id]
        views = [self._view(entry, found) for entry in entries]
        for view in views:  # a list brings the users along
            view.local["user"] = view.get("user")
        return views

    @exposed("createObject")
    def create_object(self, call: Call, template: dict[str, Any]) -> Entity:
        guest = self._guest(template.get("guestId"))
        if str(template.get("userId")) != str(USER_ID):
            raise errors.not_found(template.get("userId"))
        if any(entry.guest_id == guest.id for entry in self.lab.store.all(Notification)):
            raise errors.Fault(errors.PUBLIC, "A notification for this user and server exists already.")
        entry = Notification(id=self.lab.store.next_id(), guest_id=guest.id, user_id=USER_ID)
        self.lab.store.put(entry)
        return self._view(entry, guest)

    @exposed("deleteObjects")
    def delete_objects(self, call: Call, templates: list[dict[str, Any]]) -> bool:
        for template in templates:
            number = str(template.get("id"))
            entry = self.lab.store.get(Notification, int(number)) if number.isdigit() else None
            if entry is None:
                raise errors.not_found(template.get("id"))
            self.lab.store.delete(entry)
        return True

    def _guest(self, number: Any) -> Guest:
        guest = self.lab.store.get(Guest, int(number)) if str(number).isdigit() else None
        if guest is None:
            raise errors.not_found(number)
        return guest

    def _view(self, entry: Notification, guest: Guest) -> Entity:
        """With its server, which SoftLayer sends without being asked."""
        return Entity(
            "User_Customer_Notification_Virtual_Guest",
            {
                "id": entry.id,
                "guestId": guest.id,
                "userId": entry.user_id,
                "guest": guest_reference(self.lab, guest),
            },
            {"user": lambda: user_view(self.lab)},
        )
