"""One file a SoftLayer service (or a few small ones that belong together); `ALL` is the dispatch table's
source.
"""

from lab.api.service import Service
from lab.api.services.account import Account, Search
from lab.api.services.billing import BillingItem, BillingOrder
from lab.api.services.image import ImageTemplateGroup
from lab.api.services.location import Location, NetworkPod
from lab.api.services.metric import MetricTrackingObject
from lab.api.services.notices import NotificationOccurrenceEvent, UserCustomerNotificationVirtualGuest
from lab.api.services.placement_group import PlacementGroupRule, PlacementGroupService
from lab.api.services.product_order import ProductOrder
from lab.api.services.product_package import ProductPackage, ProductPackagePreset
from lab.api.services.quote import BillingOrderQuote
from lab.api.services.security_group import SecurityGroupService
from lab.api.services.ssh_key import SshKeyService
from lab.api.services.tag import TagService
from lab.api.services.user import UserCustomer
from lab.api.services.virtual_guest import VirtualGuest
from lab.api.services.vlan import NetworkSubnet, NetworkVlan

ALL: tuple[type[Service], ...] = (
    Account,
    BillingItem,
    BillingOrder,
    BillingOrderQuote,
    ImageTemplateGroup,
    Location,
    MetricTrackingObject,
    NetworkPod,
    NetworkSubnet,
    NetworkVlan,
    NotificationOccurrenceEvent,
    PlacementGroupRule,
    PlacementGroupService,
    ProductOrder,
    ProductPackage,
    ProductPackagePreset,
    Search,
    SecurityGroupService,
    SshKeyService,
    TagService,
    UserCustomer,
    UserCustomerNotificationVirtualGuest,
    VirtualGuest,
)
