"""The rows of the day, one file each. A new row is a new file and one line here."""

from __future__ import annotations

from .backorder import Backorder
from .changed_shape import ChangedShape
from .damaged_return import DamagedReturn
from .day_reconciled import DayReconciled
from .duplicate_confirmation import DuplicateConfirmation
from .fault import Fault
from .inventory_drift import InventoryDrift
from .late_advice import LateAdvice
from .order_at_risk import OrderAtRisk
from .partner_outage import PartnerOutage
from .proof_of_delivery import ProofOfDelivery
from .silent_carrier import SilentCarrier
from .split_order import SplitOrder
from .surge import Surge
from .unknown_site_code import UnknownSiteCode


def all_faults() -> tuple[Fault, ...]:
    """Return fresh rows of one day, in the order of their times."""
    return (
        SplitOrder(),
        UnknownSiteCode(),
        OrderAtRisk(),
        PartnerOutage(),
        DuplicateConfirmation(),
        InventoryDrift(),
        LateAdvice(),
        Backorder(),
        SilentCarrier(),
        ProofOfDelivery(),
        DamagedReturn(),
        ChangedShape(),
        Surge(),
        DayReconciled(),
    )


__all__ = ["Fault", "all_faults"]
