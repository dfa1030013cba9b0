"""The party loops of the trade and freight sets, as parts of grammar."""

# Name and address, then references and contacts; `max` parties.
TRADE = "(N1 x{max} =parties[role]: N1 N2*x2=names N3*x2=street N4?=& REF*x12=references[qualifier] PER*x3=contacts)"
TRADE_FOB = TRADE.replace("PER*x3=contacts)", "PER*x3=contacts FOB?=fob)")
WAREHOUSE = "(N1 x{max} =parties[role]: N1 N2*x2=names N3*x2=street N4?=& PER*x5=contacts)"
FREIGHT = "(N1 x{max} =parties[role]: N1 N2*x2=names N3*x2=street N4?=& {rest})"
