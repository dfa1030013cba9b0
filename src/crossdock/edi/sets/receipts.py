"""944 Stock receipt and 861 receiving advice: the structures, the names of their parts, and the codes we interpret."""

from crossdock.edi.sets.parties import TRADE_FOB, WAREHOUSE

GRAMMAR = f"""
944 RE  ST W17=w17 {WAREHOUSE.format(max=10).replace("(N1 ", "(N1! ")}
        N9*x10=references[qualifier] G61*x3=contacts G62*x5=dates[qualifier] NTE*x20=notes W08?=w08
        (W07! x9999 =lines:
            W07 G69*x5=descriptions N9*x200=references[qualifier] W20*x2=packs
            (W13 x50 =exceptions: W13 N9*x200=references[qualifier]))
        W14=w14 SE
861 RC  ST BRA=bra CUR?=cur REF*=references[qualifier] PER*x3=contacts DTM+x10=dates[qualifier] PRF*x25=orders
        TD1*x2=packages TD5*x12=carriers TD3*x12=equipment TD4*x5=hazards MEA*x40=measures {TRADE_FOB.format(max=200)}
        (RCD x200000 =lines:
            RCD SN1?=sn1 CUR?=cur LIN*x100=ids PID*x1000=descriptions PO4*x100=packs REF*x12=references[qualifier]
            PER*x3=contacts DTM*x10=dates[qualifier] PRF*x25=orders MEA*=measures TD1*x20=packages TD5*x12=carriers
            TD3*x12=equipment TD4*x5=hazards SAC*x10=charges MAN*=marks {TRADE_FOB.format(max=200)})
        CTT?=ctt SE
"""

_CONDITIONS = "01 damaged; 02 short; 03 over; 07 good; 08 rejected; 09 on hold"

CODES = f"""
944 W13.03 {_CONDITIONS}
861 BRA.03 00 original; 01 cancellation; 05 replacement
861 RCD.08 {_CONDITIONS}
861 RCD.11 {_CONDITIONS}
861 DTM.01 050 received; 035 delivered
"""
