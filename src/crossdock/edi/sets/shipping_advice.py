"""945 Warehouse shipping advice: the structure, and the names its parts have in a document.

The worked example, both ways, is in docs/reference/edi.md and tests/documents/x12/.
"""

GRAMMAR = """
945 SW  ST W06=w06
        (N1 x10 =parties[role]: N1 N2*x2=names N3*x2=street N4?=& PER*x3=contacts)
        N9*x10=references[qualifier] G62*x10=dates[qualifier] NTE*x20=notes
        W27?=w27 W28?=w28 W10?=w10
        (LX x9999 =lines:
            LX MAN*x9999=marks PAL?=pal N9*x10=references[qualifier]
            (W12 x9999 =items: W12 G69*x5=descriptions N9*x200=references[qualifier] MAN*x9999=marks
                MEA*x10=measures NTE*x20=notes))
        W03?=w03 SE
"""
