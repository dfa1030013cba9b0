"""856 Ship notice: the structure, the names its parts have in a document, and the codes we interpret.

Levels (HL) become a tree by their parent ids: `levels` holds the roots, each level its own under `children`.
"""

from crossdock.edi.sets.parties import TRADE_FOB

GRAMMAR = f"""
856 SH  ST BSN=bsn DTM*x10=dates[qualifier]
        (HL! x200000 =levels:
            HL LIN?=lin SN1?=sn1 SLN*x1000=components PRF?=prf PO4?=po4 PID*x200=descriptions MEA*x40=measures
            TD1*x20=packages TD5*x12=carriers TD3*x12=equipment TD4*x5=hazards REF*=references[qualifier]
            PER*x3=contacts MAN*=marks DTM*x10=dates[qualifier] FOB?=fob PAL?=pal {TRADE_FOB.format(max=200)}
            SDQ*x50=distribution CUR?=cur SAC*=charges)
        CTT?=ctt SE
"""

CODES = """
856 BSN.01 00 original; 01 cancellation; 04 change; 05 replacement
856 BSN.05 0001 shipment, order, package, item; 0002 shipment, order, item, package; \
0003 shipment, package, order, item; 0004 shipment, order, item
856 HL.03 S shipment; E equipment; O order; T tare (pallet); P package; I item
856 MAN.01 GM SSCC-18; AA SSCC-18 of a shipping container; CP carrier's package number; SM shipper's mark; \
UC case code; CA shipper's carton number
856 DTM.01 011 shipped; 017 delivery estimated; 067 delivery scheduled; 068 ship scheduled
"""
