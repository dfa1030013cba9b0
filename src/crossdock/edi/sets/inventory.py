"""846 Inventory advice: the structure, the names its parts have in a document, and the codes we interpret."""

from crossdock.edi.sets.parties import TRADE

GRAMMAR = f"""
846 IB  ST BIA=bia CUR?=cur DTM*x10=dates[qualifier] REF*x12=references[qualifier] PER*x3=contacts MEA*x20=measures
        {TRADE.format(max=5)}
        (LIN! x10000 =lines:
            LIN PID*x200=descriptions MEA*x40=measures DTM*x10=dates[qualifier] CTP*x25=prices CUR?=cur
            SAC*x25=charges REF*=references[qualifier] PER*x3=contacts SDQ*x500=distribution MAN?=man UIT*x5=units
            (SLN x1000 =components: SLN PID*x200=descriptions MEA*x40=measures)
            (QTY x99 =quantities:
                QTY UIT*x12=units MEA*x25=measures DTM*x10=dates[qualifier]
                (SCH x25 =schedule: SCH MEA*x25=measures))
            {TRADE.format(max=200)})
        CTT?=ctt SE
"""

CODES = """
846 BIA.01 00 original; 04 change; 05 replacement
846 BIA.02 DD distributor's stock; SI seller's stock
846 QTY.01 17 on hand; 20 unusable; 33 available; 63 on order; IQ in transit; QH on hold
"""
