"""850 purchase order, 855 its acknowledgment, 860 and 865 its changes: structure, names and the codes we interpret."""

from crossdock.edi.sets.parties import TRADE_FOB

_HEAD = f"""
        CUR?=cur REF*=references[qualifier] PER*x3=contacts TAX*=taxes FOB*=freight_terms CTP*=prices
        SAC*x25=charges CSH*x5=sales_requirements ITD*x5=terms DTM*x10=dates[qualifier] PID*x200=descriptions
        MEA*x40=measures TD1*x200=packages TD5*x12=carriers TD3*x12=equipment TD4*x5=hazards MAN*x10=marks
        TXI*=tax_amounts (N9 x1000 =remarks: N9 DTM*=dates[qualifier] MSG*x1000=texts) {TRADE_FOB.format(max=200)}
"""

_LINE_HEAD = """
            LIN*=ids CUR?=cur CTP*=prices MEA*x40=measures (PID x1000 =descriptions: PID MEA*x10=measures)
            PO4*=packs REF*=references[qualifier] PER*x3=contacts SAC*x25=charges IT8*x25=conditions ITD*x2=terms
            TAX*x3=taxes FOB?=fob SDQ*x500=distribution DTM*x10=dates[qualifier] TD1*=packages
            TD5*x12=carriers TD3*x12=equipment TD4*x5=hazards MAN*x10=marks MSG*=texts TXI*=tax_amounts
            QTY*=quantities
"""

_LINE_TAIL = f"""
            (N9 x1000 =remarks: N9 DTM*=dates[qualifier] MEA*x40=measures MSG*x1000=texts) {TRADE_FOB.format(max=200)}
            (SLN x1000 =components: SLN MSG*=texts PID*x1000=descriptions SAC*x10=charges DTM*x10=dates[qualifier]
                QTY*=quantities)
"""

_SCHEDULE = "(SCH x200 =schedule: SCH TD5*x12=carriers REF*x99=references[qualifier])"
_ACKNOWLEDGED = "(ACK x104 =acknowledged: ACK DTM?=dtm)"

GRAMMAR = f"""
850 PO  ST BEG=beg {_HEAD}
        (PO1! x100000 =lines: PO1 {_LINE_HEAD} {_SCHEDULE} {_LINE_TAIL})
        CTT?=ctt AMT*x2=amounts[qualifier] SE
855 PR  ST BAK=bak {_HEAD}
        (PO1 x100000 =lines: PO1 {_LINE_HEAD} {_ACKNOWLEDGED} {_SCHEDULE} {_LINE_TAIL})
        CTT?=ctt AMT*x2=amounts[qualifier] SE
860 PC  ST BCH=bch {_HEAD}
        (POC x100000 =lines: POC {_LINE_HEAD} {_SCHEDULE} {_LINE_TAIL})
        CTT?=ctt AMT*x2=amounts[qualifier] SE
865 CA  ST BCA=bca {_HEAD}
        (POC x100000 =lines: POC {_LINE_HEAD} {_ACKNOWLEDGED} {_SCHEDULE} {_LINE_TAIL})
        CTT?=ctt AMT*x2=amounts[qualifier] SE
"""

_PURPOSE = "00 original; 01 cancellation; 04 change; 05 replacement; 06 confirmation; 07 duplicate"
_ORDER_TYPE = "SA stand-alone; NE new; DS drop shipment; RL release; BK blanket; KN purchase; CP change; RO rush"
_LINE_STATUS = """
    IA accepted; IB backordered; IC accepted, changed; ID deleted; IE accepted, price pending; IF on hold;
    IH on hold; IP accepted, price changed; IQ accepted, quantity changed; IR rejected; IS accepted, substituted;
    IW on hold; AC accepted and shipped; AR accepted, released; BP accepted in part; DR accepted, date changed;
    R1 rejected, not a contract item; R2 rejected, invalid item; R3 rejected, invalid unit; R4 rejected, no stock
"""
_CHANGE = """
    AI line added; CA changed; CT date changed; DI line deleted; NC nothing; OA line added; PC price changed;
    PQ unit and price changed; PR unit and date changed; QD quantity lowered; QI quantity raised; RZ line replaced
"""

CODES = f"""
850 BEG.01 {_PURPOSE}
850 BEG.02 {_ORDER_TYPE}
850 DTM.01 001 cancel after; 002 deliver at; 010 ship at; 037 ship not before; 038 ship not later; \
063 deliver not later; 064 deliver not before
855 BAK.01 {_PURPOSE}
855 BAK.02 AC accepted with changes; AD accepted; AE accepted, changed; AK received; AT accepted; \
RD rejected with detail; RF rejected, no counter offer; RJ rejected
855 ACK.01 {_LINE_STATUS}
860 BCH.01 {_PURPOSE}
860 POC.02 {_CHANGE}
865 POC.02 {_CHANGE}
865 ACK.01 {_LINE_STATUS}
"""
