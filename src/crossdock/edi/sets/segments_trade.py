"""Segments of orders, ship notices, stock reports, receipts, returns and invoices.

Own names, lengths of release 004010, only positions partners really use; `@` as in `segments.py`.
`product_ids(n)` stands for n pairs of qualifier and product id, which many segments end with.
"""

from crossdock.edi.sets.segments import MORE_REFERENCES


def product_ids(count: int) -> str:
    """Return grammar of `count` pairs `id_qualifier_N`, `id_N`."""
    return " ".join(f"ID2/2=id_qualifier_{at}@235 AN1/48=id_{at}@234" for at in range(1, count + 1))


def pairs(first: int, count: int) -> str:
    """Return the syntax notes that hold `count` pairs together from element `first` on."""
    return " ".join(f"P{at:02}{at + 1:02}" for at in range(first, first + 2 * count, 2))


_QUANTITIES_OF_LOCATIONS = " ".join(
    f"{'M' if at == 1 else ''}AN2/80=location_{at}@67 {'M' if at == 1 else ''}R1/15=quantity_{at}@380"
    for at in range(1, 11)
)

GRAMMAR = f"""
# beginnings
BEG MID2/2=purpose@353 MID2/2=type@92 MAN1/22=number@324 AN1/30=release@328 MDT8/8=date@373 AN1/30=contract@367
    ID2/2=acknowledgment@587 ID1/3=invoice_type@1019 ID2/2=contract_type@1166 ID2/2=category@1232
    ID2/2=security@786 ID2/2=transaction_type@640
BAK MID2/2=purpose@353 MID2/2=acknowledgment@587 MAN1/22=number@324 MDT8/8=date@373 AN1/30=release@328
    AN1/45=request_reference@326 AN1/30=contract@367 AN1/30=reference@127 DT8/8=acknowledged_on@373
    ID2/2=transaction_type@640
BCH MID2/2=purpose@353 MID2/2=type@92 MAN1/22=number@324 AN1/30=release@328 AN1/8=change_number@327 MDT8/8=date@373
    AN1/45=request_reference@326 AN1/30=contract@367 AN1/30=reference@127 DT8/8=acknowledged_on@373
    DT8/8=changed_on@373 ID2/2=contract_type@1166
BCA MID2/2=purpose@353 ID2/2=acknowledgment@587 MAN1/22=number@324 AN1/30=release@328 AN1/8=change_number@327
    MDT8/8=date@373 AN1/45=request_reference@326 AN1/30=contract@367 AN1/30=reference@127 DT8/8=acknowledged_on@373
    DT8/8=changed_on@373 ID2/2=transaction_type@640
BSN MID2/2=purpose@353 MAN2/30=number@396 MDT8/8=date@373 MTM4/8=time@337 ID4/4=structure@1005
    ID2/2=transaction_type@640 ID3/3=status_reason@641 | C0706
BIA MID2/2=purpose@353 MID2/2=type@755 MAN1/30=number@127 MDT8/8=date@373 TM4/8=time@337 ID1/2=action@306
BIG MDT8/8=date@373 MAN1/22=number@76 DT8/8=order_date@373 AN1/22=purchase_order@324 AN1/30=release@328
    AN1/8=change_number@327 ID2/2=type@640 ID2/2=purpose@353 ID1/2=action@306 AN1/22=related_invoice@76
BGN MID2/2=purpose@353 MAN1/30=number@127 MDT8/8=date@373 TM4/8=time@337 ID2/2=zone@623 AN1/30=reference@127
    ID2/2=type@640 ID1/2=action@306 ID2/2=security@786 | C0504
BRA MAN1/30=number@127 MDT8/8=date@373 MID2/2=purpose@353 MID1/1=type@962 TM4/8=time@337 ID2/2=condition@412
    ID1/2=action@306

# what most of them share
CUR MID2/3=role@98 MID3/3=currency@100 R4/10=rate@280 ID2/3=role_2@98 ID3/3=currency_2@100 ID3/3=market@669
    ID3/3=date_qualifier@374 DT8/8=date@373 TM4/8=time@337 | C0807 C0907
REF MID2/3=qualifier@128 AN1/30=value@127 AN1/80=description@352 {MORE_REFERENCES} | R0203
DTM MID3/3=qualifier@374 DT8/8=date@373 TM4/8=time@337 ID2/2=zone@623 ID2/3=period_format@1250 AN1/35=period@1251 |
    R020305 C0403 P0506
TAX AN1/20=tax_id@325 ID1/2=location_qualifier_1@309 AN1/30=location_1@310 ID1/2=location_qualifier_2@309
    AN1/30=location_2@310 ID1/2=location_qualifier_3@309 AN1/30=location_3@310 ID1/2=location_qualifier_4@309
    AN1/30=location_4@310 ID1/2=location_qualifier_5@309 AN1/30=location_5@310 ID1/1=exempt@441
    ID1/1=customs_entry@1179 | R0103
FOB MID2/2=payment@146 ID1/2=location_qualifier@309 AN1/80=description@352 ID2/2=terms_qualifier@334
    ID3/3=terms@335 ID1/2=title_qualifier@309 AN1/80=title_place@352 ID2/2=risk@54 AN1/80=risk_place@352 |
    C0302 C0405 C0706 C0809
SAC MID1/1=indicator@248 ID4/4=code@1300 ID2/2=agency@559 AN1/10=agency_code@1301 N21/15=amount@610
    ID1/1=percent_qualifier@378 R1/6=percent@332 R1/9=rate@118 ID2/2=uom@355 R1/15=quantity@380 R1/15=quantity_2@380
    ID2/2=handling@331 AN1/30=reference@127 AN1/20=option@770 AN1/80=description@352 ID2/3=language@819 |
    R0203 P0304 P0607 P0910 C1110 C1413 C1615
CSH ID1/2=sales_requirement@563 ID1/2=action@306 N21/15=amount@610 AN1/35=account@508 DT8/8=date@373 ID2/2=agency@559
    ID2/10=service@560 ID1/2=substitution@566 R1/10=percent@954 ID1/2=percent_qualifier@1004
ITD ID2/2=type@336 ID1/2=basis@333 R1/6=discount_percent@338 DT8/8=discount_due_on@370 N01/3=discount_days@351
    DT8/8=net_due_on@446 N01/3=net_days@386 N21/10=discount_amount@362 DT8/8=deferred_due_on@388
    N21/10=deferred_amount@389 R1/5=invoice_percent@342 AN1/80=description@352 N01/2=day_of_month@765
    ID1/2=payment@107 R1/10=percent@954 | L03040513
TD1 AN3/5=packaging@103 N01/7=lading_quantity@80 ID1/1=commodity_qualifier@23 AN1/30=commodity@22
    AN1/50=description@79 ID1/2=weight_qualifier@187 R1/10=weight@81 ID2/2=weight_unit@355 R1/8=volume@183
    ID2/2=volume_unit@355 | C0102 C0304 C0607 P0708 P0910
TD3 ID2/2=equipment@40 AN1/4=equipment_initial@206 AN1/10=equipment_number@207 ID1/2=weight_qualifier@187
    R1/10=weight@81 ID2/2=weight_unit@355 ID1/1=ownership@102 ID2/2=seal_status@407 AN2/15=seal@225
    ID4/4=equipment_type@24 | C0203 C0405 P0506
TD4 ID2/3=handling@152 ID1/1=hazard_qualifier@208 AN1/4=hazard_class@209 AN1/80=description@352 | R010204 C0203
TD5 ID1/2=routing_sequence@133 ID1/2=id_qualifier@66 AN2/80=id@67 ID1/2=mode@91 AN1/35=routing@387 ID2/2=status@368
    ID1/2=location_qualifier@309 AN1/30=location@310 ID2/2=transit_direction@731 ID2/2=transit_unit@732
    R1/4=transit_time@733 ID2/2=service_level@284 ID2/2=service_level_2@284 ID2/2=service_level_3@284 |
    R0204050612 C0203 C0708 C1011
MSG MAN1/264=text@933 ID2/2=carriage@934 N01/9=lines@1470 | C0302
AMT MID1/3=qualifier@522 MR1/18=amount@782 ID1/1=sign@478
CTT MN01/6=lines@354 R1/10=hash@347 R1/10=weight@81 ID2/2=weight_unit@355 R1/8=volume@183 ID2/2=volume_unit@355
    AN1/80=description@352 | P0304 P0506
TXI MID2/2=kind@963 R1/18=amount@782 R1/10=percent@954 ID2/2=jurisdiction_qualifier@955 AN1/10=jurisdiction@956
    ID1/1=exempt@441 ID1/1=relationship@662 R1/9=base@828 AN1/20=tax_id@325 AN1/20=line@350 | R020306 P0405 C0803
LM  MID2/2=agency@559 AN1/15=source@822
LQ  ID1/3=list@1270 AN1/30=code@1271 | C0102

# lines
PO1 AN1/20=line@350 R1/15=quantity@330 ID2/2=uom@355 R1/17=price@212 ID2/2=price_basis@639 {product_ids(10)} |
    C0302 C0504 {pairs(6, 10)}
POC AN1/20=line@350 MID2/2=change@670 R1/15=quantity@330 R1/9=left_to_receive@671 ID2/2=uom@355 R1/17=price@212
    ID2/2=price_basis@639 {product_ids(10)} | C0305 C0706 {pairs(8, 10)}
IT1 AN1/20=line@350 R1/10=quantity@358 ID2/2=uom@355 R1/17=price@212 ID2/2=price_basis@639 {product_ids(10)} |
    P020304 {pairs(6, 10)}
LIN AN1/20=line@350 MID2/2=id_qualifier_1@235 MAN1/48=id_1@234 {product_ids(15).split(" ", 2)[2]} | {pairs(4, 14)}
SN1 AN1/20=line@350 MR1/10=shipped@382 MID2/2=uom@355 R1/15=shipped_to_date@646 R1/15=ordered@330
    ID2/2=ordered_uom@355 ID1/1=returnable@728 ID2/2=status@668 | P0506
SLN MAN1/20=line@350 AN1/20=parent_line@350 MID1/1=relationship@662 R1/15=quantity@380 ID2/2=uom@355 R1/17=price@212
    ID2/2=price_basis@639 ID1/1=price_relationship@662 {product_ids(10)} | P0405 C0706 C0806 {pairs(9, 10)}
BLI MID2/2=id_qualifier@235 MAN1/48=id@234 R1/15=quantity@380 ID2/2=uom@355 ID3/3=price_type@236 R1/17=price@212
    ID2/2=price_basis@639 ID2/2=id_qualifier_2@235 AN1/48=id_2@234 ID2/2=id_qualifier_3@235 AN1/48=id_3@234
    ID2/2=id_qualifier_4@235 AN1/48=id_4@234 | P0304 P0809 P1011 P1213
RCD AN1/20=line@350 R1/9=received@663 ID2/2=uom@355 R1/9=returned@664 ID2/2=returned_uom@355
    R1/9=questioned_1@667 ID2/2=questioned_uom_1@355 ID2/2=condition_1@412
    R1/9=questioned_2@667 ID2/2=questioned_uom_2@355 ID2/2=condition_2@412
    R1/9=questioned_3@667 ID2/2=questioned_uom_3@355 ID2/2=condition_3@412
    R1/9=questioned_4@667 ID2/2=questioned_uom_4@355 ID2/2=condition_4@412
    R1/9=questioned_5@667 ID2/2=questioned_uom_5@355 ID2/2=condition_5@412 |
    R020406 P0203 P0405 P060708 P091011 P121314 P151617 P181920
RDR ID2/2=disposition@1292 ID2/3=reason@1293 ID2/2=response@1294 AN1/80=description@352 ID1/1=used@1073
PRF MAN1/22=purchase_order@324 AN1/30=release@328 AN1/8=change_number@327 DT8/8=date@373 AN1/20=line@350
    AN1/30=contract@367 ID2/2=type@92
ACK MID2/2=status@668 R1/15=quantity@380 ID2/2=uom@355 ID3/3=date_qualifier@374 DT8/8=date@373
    AN1/45=request_reference@326 {product_ids(10)} | P0203 C0405 {pairs(7, 10)}
SCH MR1/15=quantity@380 MID2/2=uom@355 ID2/3=role@98 AN1/60=name@93 MID3/3=date_qualifier@374 MDT8/8=date@373
    TM4/8=time@337 ID3/3=date_qualifier_2@374 DT8/8=date_2@373 TM4/8=time_2@337 AN1/45=request_reference@326
    AN1/20=line@350 | C0403
SDQ MID2/2=uom@355 ID1/2=id_qualifier@66 {_QUANTITIES_OF_LOCATIONS} AN1/30=place@310 | {pairs(5, 9)}
IT8 ID1/2=sales_requirement@563 ID1/2=action@306 N21/15=amount@610 AN1/35=account@508 DT8/8=date@373 ID2/2=agency@559
    ID1/2=substitution@566 {product_ids(10)} | {pairs(8, 10)}
CTP ID2/2=trade_class@687 ID3/3=type@236 R1/17=price@212 R1/15=quantity@380 ID2/2=uom@355
    ID3/3=multiplier_qualifier@648 R1/10=multiplier@649 R1/18=amount@782 ID2/2=price_basis@639 AN1/10=condition@499
    N01/2=option@289 | P0405 C0607 C0902 C1002 C1103
PID MID1/1=kind@349 ID2/3=characteristic@750 ID2/2=agency@559 AN1/12=code@751 AN1/80=text@352 ID2/2=position@752
    AN1/15=source@822 ID1/1=confirmed@1073 ID2/3=language@819 | C0403 R0405 C0703 C0804 C0905
PO4 N01/6=pack@356 R1/8=size@357 ID2/2=size_unit@355 AN3/5=packaging@103 ID1/2=weight_qualifier@187
    R1/9=gross_weight@384 ID2/2=weight_unit@355 R1/9=gross_volume@385 ID2/2=volume_unit@355 R1/8=length@82
    R1/8=width@189 R1/8=height@65 ID2/2=dimension_unit@355 N01/6=inner_pack@810 ID2/2=position@752 AN1/20=line@350
    AN1/20=line_2@350 N01/9=count@1470 | P0203 C0506 P0607 P0809 L13101112
QTY MID2/2=qualifier@673 R1/15=quantity@380 ID2/2=uom@355 AN1/30=text@61 | R0204 E0204
UIT MID2/2=uom@355 R1/17=price@212 ID2/2=price_basis@639 | C0302

# levels of a ship notice
HL  MAN1/12=number@628 AN1/12=parent@734 MID1/2=level@735 ID1/1=has_children@736

# ends of an invoice
TDS MN21/15=total@610 N21/15=discountable@610 N21/15=discounted@610 N21/15=discount@610
CAD ID1/2=mode@91 AN1/4=equipment_initial@206 AN1/10=equipment_number@207 ID2/4=scac@140 AN1/35=routing@387
    ID2/2=status@368 ID2/3=qualifier@128 AN1/30=value@127 ID2/2=service_level@284 | R0504 C0708
ISS R1/10=units@382 ID2/2=uom@355 R1/10=weight@81 ID2/2=weight_unit@355 R1/8=volume@183 ID2/2=volume_unit@355 |
    R010305 P0102 P0304 P0506

# receipts
W17 MID1/2=reporting_code@514 MDT8/8=received_on@373 MAN1/12=receipt@394 AN1/22=depositor_order@285
    AN1/30=shipment_id@145 ID1/2=time_qualifier@176 TM4/8=time@337 AN1/22=master_reference@475
    N01/6=link_sequence@474 | C0607
W08 MID1/2=mode@91 ID2/4=scac@140 AN1/35=routing@387 AN1/4=equipment_initial@206 AN1/10=equipment_number@207
    AN2/15=seal_1@225 AN2/15=seal_2@225 ID2/2=seal_status@407 ID2/2=unit_load@398
W07 MR1/7=received@413 MID2/2=uom@355 AN12/12=upc@438 ID2/2=id_qualifier_1@235 AN1/48=id_1@234
    ID2/2=id_qualifier_2@235 AN1/48=id_2@234 AN1/12=lot@451 AN1/30=detail_reference@734 ID2/2=id_qualifier_3@235
    AN1/48=id_3@234 | R0304 P0405 P0607 P1011
W13 MR1/15=quantity@380 MID2/2=uom@355 MID2/2=condition@412 AN1/12=lot@451 ID2/2=damage_reason@415
W14 MR1/7=received@413 R1/10=shipped@382 R1/9=damaged_or_held N01/7=lading_received N01/7=lading@80
"""
