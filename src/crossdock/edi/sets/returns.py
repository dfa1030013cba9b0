"""180 Return merchandise authorization and notification: the structure, its names, and the codes we interpret."""

from crossdock.edi.sets.parties import WAREHOUSE

GRAMMAR = f"""
180 AN  ST BGN=bgn RDR?=rdr PRF?=prf DTM*x10=dates[qualifier] N9*x10=references[qualifier] PER*x2=contacts
        SAC*x10=charges TD1*x10=packages TD5*x10=carriers NTE*x5=notes {WAREHOUSE.format(max=200)}
        (LM x10 =lists: LM LQ*x100=codes)
        (BLI x999999 =lines:
            BLI N9*x20=references[qualifier] PID*x5=descriptions RDR?=rdr SAC*x10=charges AMT*=amounts[qualifier]
            MEA*=measures NTE*=notes PRF?=prf DTM*x15=dates[qualifier] TD5*x5=carriers SDQ*x100=distribution
            (LM x10 =lists: LM LQ*x100=codes) {WAREHOUSE.format(max=200)}
            QTY*=quantities)
        SE
"""

CODES = """
180 BGN.01 00 original; 01 cancellation; 05 replacement; 11 response; 13 request
180 RDR.01 CR credit
"""
