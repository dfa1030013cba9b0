"""Segments of load tenders, responses, carrier status and freight invoices.

Own names, lengths of release 004010, only positions partners really use; `@` as in `segments.py`.
Segments of dangerous goods (LH1 and its family) are not held: they are kept under `unplaced`.
"""

GRAMMAR = """
B1  ID2/4=scac@140 MAN1/30=shipment_id@145 DT8/8=date@373 ID1/1=action@558
B2  ID2/2=tariff_service@375 ID2/4=scac@140 ID6/9=place@154 AN1/30=shipment_id@145 ID1/1=weight_unit@188
    MID2/2=payment@146 ID1/1=shipment_weight@160
B2A MID2/2=purpose@353 ID2/2=application@346
B3  ID1/1=shipment_qualifier@147 MAN1/22=number@76 AN1/30=shipment_id@145 MID2/2=payment@146 ID1/1=weight_unit@188
    MDT8/8=date@373 MN21/12=net_amount@193 ID2/2=correction@202 DT8/8=delivered_on@32 ID3/3=date_qualifier@374
    MID2/4=scac@140 DT8/8=shipped_on@373 ID2/2=tariff_service@375 ID3/3=terms@335 | C0910
B10 AN1/30=reference@127 AN1/30=shipment_id@145 MID2/4=scac@140 N01/3=inquiry@71 ID2/3=qualifier@128
    AN1/30=value@127 ID1/1=bar_coded@1073

C3  MID3/3=currency@100 R4/10=rate@280 ID3/3=currency_2@100 ID3/3=currency_3@100
K1  MAN1/30=text@61 AN1/30=text_2@61
L11 AN1/30=value@127 ID2/3=qualifier@128 AN1/80=description@352 DT8/8=date@373 | R0103 P0102
MS3 MID2/4=scac@140 MID1/2=routing_sequence@133 AN2/30=city@19 ID1/2=mode@91 ID2/2=state@156 | C0503
AT5 ID2/3=handling@152 ID2/10=instruction@560 AN2/30=description@153
PLD MN01/3=pallets@406 ID1/1=exchange@399 ID1/1=weight_unit@188 R1/10=weight@81 | P0304
G61 MID2/2=function@366 MAN1/60=name@93 ID2/2=number_qualifier@365 AN1/80=number@364 AN1/20=reference@443 | P0304
H3  ID2/3=handling@152 AN2/30=description@153 ID1/4=protective_service@241
R3  MID2/4=scac@140 MID1/2=routing_sequence@133 AN2/30=city@19 ID1/2=mode@91 ID6/9=place@154 AN1/22=invoice@76
    DT8/8=date@373 N21/15=amount@610 AN1/80=description@369 ID2/2=service_level@284

N7  AN1/4=equipment_initial@206 MAN1/10=equipment_number@207 R1/10=weight@81 ID1/2=weight_qualifier@187
    N03/8=tare@167 N02/6=weight_allowance@232 N02/6=dunnage@205 R1/8=volume@183 ID1/1=volume_unit@184
    ID1/1=ownership@102 ID2/2=equipment@40 ID2/4=scac@140 ID2/4=temperature_control@319 AN1/10=position@219
    N04/5=length@567 ID1/1=tare_qualifier@571 ID1/1=weight_unit@188 N01/1=check_digit@761 ID2/2=service@56
    R1/8=height@65 R1/8=width@189 ID4/4=equipment_type@24 ID2/4=owner_scac@140 ID1/4=car_type@301 | P0304 P0809
M7  MAN2/15=seal_1@225 AN2/15=seal_2@225 AN2/15=seal_3@225 AN2/15=seal_4@225 ID2/3=role@98

S5  MN01/3=sequence@165 MID2/2=reason@163 R1/10=weight@81 ID1/1=weight_unit@188 R1/10=units@382 ID2/2=uom@355
    R1/8=volume@183 ID1/1=volume_unit@184 AN1/80=description@352 ID6/9=place@154 | P0304 P0506 P0708
LAD ID3/3=packaging@211 N01/7=lading_quantity@80 ID1/1=unit_weight_unit@188 R1/8=unit_weight@395
    ID1/1=weight_unit@188 R1/10=weight@81 ID2/2=id_qualifier_1@235 AN1/48=id_1@234 ID2/2=id_qualifier_2@235
    AN1/48=id_2@234 ID2/2=id_qualifier_3@235 AN1/48=id_3@234 AN1/50=description@79 |
    P0102 P0304 P0506 P0708 P0910 P1112
OID AN1/30=reference@127 AN1/22=purchase_order@324 AN1/30=reference_2@127 ID3/3=packaging@211 R1/15=quantity@380
    ID1/1=weight_unit@188 R1/10=weight@81 ID1/1=volume_unit@184 R1/8=volume@183 | R0102 P0405 P0607 P0809
AT8 ID1/2=weight_qualifier@187 ID1/1=weight_unit@188 R1/10=weight@81 N01/7=lading_quantity@80
    N01/7=lading_quantity_2@80 ID1/1=volume_unit@184 R1/8=volume@183 | P010203 P0607

AT7 ID2/2=status@1650 ID2/2=reason@1651 ID2/2=appointment@1652 ID2/2=appointment_reason@1651 DT8/8=date@373
    TM4/8=time@337 ID2/2=zone@623 | E0103 C0201 C0403 C0605 C0706
MS1 AN2/30=city@19 ID2/2=state@156 ID2/3=country@26 ID7/7=longitude@1654 ID7/7=latitude@1655
    ID1/1=longitude_direction@1280 ID1/1=latitude_direction@1280 | C0201 C0301 P0405
MS2 ID2/4=scac@140 AN1/10=equipment_number@207 ID2/2=equipment@40 N01/1=check_digit@761 | P0102
Q7  MID1/1=exception@426 ID3/3=packaging@211 N01/7=lading_quantity@80 | P0203

L5  N01/3=number@213 AN1/50=description@79 AN1/30=commodity@22 ID1/1=commodity_qualifier@23 AN3/5=packaging@103
    AN1/48=mark@87 ID1/2=mark_qualifier@88 | P0304 C0706
L0  N01/3=number@213 R1/11=billed_quantity@220 ID2/2=billed_qualifier@221 R1/10=weight@81 ID1/2=weight_qualifier@187
    R1/8=volume@183 ID1/1=volume_unit@184 N01/7=lading_quantity@80 ID3/3=packaging@211 AN2/25=dunnage@458
    ID1/1=weight_unit@188 ID2/2=service@56 R1/15=quantity@380 ID3/3=packaging_2@211 ID1/1=hazardous@1073 |
    P0203 P0405 P0607 P0809 C1104 P1314
L1  N01/3=number@213 R1/9=rate@60 ID2/2=rate_qualifier@122 N21/12=charge@58 N21/9=advances@191 N21/9=prepaid@117
    AN3/9=rate_point@120 ID3/3=code@150 ID1/3=rate_class@121 ID1/1=entitlement@39 ID1/1=payment_method@16
    AN2/25=description@276 ID1/1=tariff_application@257 N02/12=declared_value@74 ID2/2=value_qualifier@122
    ID1/1=liability@372 R1/11=billed_quantity@220 ID2/2=billed_qualifier@221 R1/10=percent@954 ID3/3=currency@100
    N21/15=amount@610 | P0203 P1415 P1718
L7  N01/3=number@213 AN1/4=agency@168 AN1/7=tariff@171 AN1/2=section@172 AN1/16=item@169 N01/2=item_part@170
    AN2/5=freight_class@59 AN1/4=supplement@173
L3  R1/10=weight@81 ID1/2=weight_qualifier@187 R1/9=rate@60 ID2/2=rate_qualifier@122 N21/12=charge@58
    N21/9=advances@191 N21/9=prepaid@117 ID3/3=code@150 R1/8=volume@183 ID1/1=volume_unit@184
    N01/7=lading_quantity@80 ID1/1=weight_unit@188 AN1/7=tariff@171 N02/12=declared_value@74
    ID2/2=value_qualifier@122 | P0102 P0304 P0910 C1201 P1415
POD MDT8/8=date@373 TM4/8=time@337 MAN1/60=name@93
"""
