"""204 load tender, 990 its answer, 214 carrier status, 210 freight invoice: structures, names, interpreted codes."""

from crossdock.edi.sets.parties import FREIGHT

_TENDER_PARTY = FREIGHT.format(max=5, rest="L11?=l11 G61*x3=contacts")
_STOP_PARTY = FREIGHT.format(max=1, rest="G61*x3=contacts")
_STATUS_PARTY = FREIGHT.format(max=10, rest="G61?=g61 G62?=g62 L11*x10=references[qualifier]")
_INVOICE_PARTY = FREIGHT.format(max=10, rest="N9*x5=references[qualifier]")
_EQUIPMENT = "(N7 x10 =equipment: N7 MEA?=mea M7*x2=seals)"
_GOODS = "(L5 x99 =goods: L5 AT8?=at8 G61*x99=contacts)"

GRAMMAR = f"""
204 SM  ST B2=b2 B2A=b2a L11*x50=references[qualifier] G62?=g62 MS3?=ms3 AT5*x6=handling PLD?=pld
        NTE*x10=notes {_TENDER_PARTY} {_EQUIPMENT}
        (S5! x999 =stops:
            S5 L11*x50=references[qualifier] G62*x2=dates[qualifier] AT8?=at8 LAD*x999=lading AT5*x6=handling
            PLD?=pld NTE*x20=notes {_STOP_PARTY} {_GOODS}
            (OID x999 =orders: OID G62*x2=dates[qualifier] LAD*x999=lading {_GOODS})
            {_EQUIPMENT})
        L3?=l3 SE
990 GF  ST B1=b1 N9?=n9 G62*x6=dates[qualifier] N7?=n7 K1*x10=remarks
        (S5 x999 =stops: S5 N9*x10=references[qualifier] G62*x10=dates[qualifier] K1*x10=remarks)
        SE
214 QM  ST B10=b10 L11*x300=references[qualifier] MAN*x9999=marks K1*x10=remarks {_STATUS_PARTY} MS3*x12=routes
        (LX x999999 =stops:
            LX (AT7 x10 =statuses: AT7 MS1?=ms1 MS2?=ms2)
            L11*x10=references[qualifier] MAN*x9999=marks Q7*x10=exceptions K1*x10=remarks AT5*x10=handling
            AT8*x10=weights
            PRF*=orders)
        SE
210 IM  ST B3=b3 C3?=c3 ITD?=itd N9*x300=references[qualifier] G62*x6=dates[qualifier] R3*x12=routes H3*x6=handling
        K1*x10=remarks {_INVOICE_PARTY} {_EQUIPMENT}
        (S5 x999 =stops:
            S5 N9*x10=references[qualifier] G62*x10=dates[qualifier] {_INVOICE_PARTY.replace("x10 =p", "x2 =p")})
        (LX x9999 =lines:
            LX N9*x5=references[qualifier] POD?=pod L5*x30=descriptions L0*x10=quantities L1*x10=charges L7*x10=tariffs
            K1*x10=remarks {_INVOICE_PARTY.replace("x10 =p", "x999999 =p")})
        L3?=l3 SE
"""

_STATUSES = """
    A3 returned; A7 refused; A9 damaged; AF departed pickup; AG delivery estimated; AH delivery attempted; AI
    reconsigned; AJ out for delivery; AM loaded on truck; AP not delivered; AV available; BC held; CA
    cancelled; CB delivered by consignee; CD departed delivery; CP loaded; D1 delivered; J1 to connecting
    line; K1 arrived at customs; L1 loading; P1 departed terminal; PA delivered in part; PR customs hold; R1
    from connecting line; S1 spotted; SD delayed; X1 arrived delivery; X2 arrival estimated; X3 arrived
    pickup; X4 arrived terminal; X5 at delivery dock; X6 in transit; X8 at pickup dock; XB booked
"""

CODES = f"""
204 B2A.01 00 original; 01 cancellation; 04 change; 05 replacement
204 S5.02 CL complete load; LD load; PL part load; CU complete unload; UL unload; PU part unload; DT drop trailer; \
RT retrieve trailer
204 G62.01 10 ship requested; 02 deliver requested; 37 ship not before; 38 ship not later; 53 deliver not before; \
54 deliver not later; 64 respond by; 68 deliver requested; 69 pickup scheduled; 70 delivery scheduled; 86 pickup
990 B1.04 A accepted; D declined
214 AT7.01 {_STATUSES}
214 AT7.02 A1 missed delivery; A2 address wrong; AG consignee; AI mechanical; AM shipper; AO weather; \
AY missed pickup; B1 consignee closed; BB held by shipper; BC documents missing; BD border; BG other; BS refused; \
C2 credit hold; NA normal appointment; NS normal
214 AT7.03 AA pickup appointment; AB delivery appointment
210 B3.04 PP prepaid by seller; CC collect; TP third party; PC prepaid, charged on
210 B3.08 BD balance due; CO corrected
210 L1.08 400 freight; 405 fuel surcharge; FUE fuel surcharge; LFT lift gate
"""
