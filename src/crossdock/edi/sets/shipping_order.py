"""940 Warehouse shipping order: the structure, and the names its parts have in a document.

The worked example, both ways, is in docs/reference/edi.md and tests/documents/x12/.
"""

GRAMMAR = """
940 OW  ST W05=w05
        (N1 x10 =parties[role]: N1 N2*x2=names N3*x2=street N4?=& PER*x3=contacts)
        N9*x10=references[qualifier] G62*x10=dates[qualifier] NTE*x9999=notes
        W09?=w09 W66=w66 W6?=w6
        (LX! x9999 =lines:
            LX MAN*x10=marks N9*x10=references[qualifier]
            (W01! x9999 =items: W01 G69*x5=descriptions N9*x200=references[qualifier] W20?=w20 MEA*x10=measures
                NTE*x20=notes))
        W76?=w76 SE
"""
