"""810 Invoice: the structure, the names its parts have in a document, and the codes we interpret.

Amounts of type N2 (TDS, SAC05) carry two implied decimals: `"14400"` is 144.00; maps divide by 100.
"""

from crossdock.edi.sets.parties import TRADE

GRAMMAR = f"""
810 IN  ST BIG=big NTE*x100=notes CUR?=cur REF*x12=references[qualifier] PER*x3=contacts {TRADE.format(max=200)}
        ITD*=terms DTM*x10=dates[qualifier] FOB?=fob PID*x200=descriptions MEA*x40=measures
        (IT1 x200000 =lines:
            IT1 CUR?=cur QTY*x5=quantities TXI*x10=tax_amounts CTP*x25=prices MEA*x40=measures
            (PID x1000 =descriptions: PID MEA*x10=measures) PO4*x100=packs ITD*x2=terms REF*=references[qualifier]
            PER*x5=contacts SDQ*x500=distribution DTM*x10=dates[qualifier] CAD*=carriers
            (SAC x25 =charges: SAC TXI*x10=tax_amounts)
            (SLN x1000 =components: SLN DTM*=dates[qualifier] REF*=references[qualifier] PID*x1000=descriptions
                SAC*x25=charges)
            {TRADE.format(max=200)})
        TDS=tds TXI*x10=tax_amounts CAD?=cad AMT*=amounts[qualifier]
        (SAC x25 =charges: SAC TXI*x10=tax_amounts)
        ISS*=shipped CTT?=ctt SE
"""

CODES = """
810 BIG.07 CN credit; CR credit; DI debit; DR debit; PR product invoice; FB final; CI consolidated
810 BIG.08 00 original; 01 cancellation; 05 replacement; 07 duplicate
810 SAC.01 A allowance; C charge; N no allowance or charge; P promotion; Q charge request; R allowance request; \
S service
810 TXI.01 ST state sales tax; LS state and local sales tax; GS goods and services tax; VA value added tax; TX all taxes
"""
