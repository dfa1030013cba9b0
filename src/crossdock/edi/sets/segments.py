"""Segments of the warehouse sets: own names, lengths of release 004010, only positions partners really use.

`@` gives the data element number, which acknowledgments quote in AK402.
"""

MORE_REFERENCES = (
    "(MID2/3=qualifier@128 MAN1/30=value@127 ID2/3=qualifier_2@128 AN1/30=value_2@127 ID2/3=qualifier_3@128"
    " AN1/30=value_3@127)=more"
)

GRAMMAR = f"""
ST  MID3/3=set@143 MAN4/9=control_number@329 AN1/35=implementation@1705
SE  MN01/10=count@96 MAN4/9=control_number@329

W05 MID1/1=order_status@473 MAN1/22=depositor_order@285 AN1/22=purchase_order@324 N01/6=link_sequence@474
    AN1/22=master_reference@475 ID2/2=transaction_type@640 ID1/2=action@306
W06 MID1/2=reporting_code@514 AN1/22=depositor_order@285 DT8/8=shipped_on@373 AN1/30=shipment_id@145
    AN1/30=agent_shipment_id@531 AN1/22=purchase_order@324 AN1/22=master_reference@475 N01/6=link_sequence@474
    ID2/3=special_handling@152 ID2/2=ship_date_change_reason@1072 ID2/2=transaction_type@640 ID1/2=action@306

N1  MID2/3=role@98 AN1/60=name@93 ID1/2=id_qualifier@66 AN2/80=id@67 ID2/2=relationship@706 ID2/3=party_code@98 |
    R0203 P0304
N2  MAN1/60=name@93 AN1/60=name_2@93
N3  MAN1/55=line_1@166 AN1/55=line_2@166
N4  AN2/30=city@19 ID2/2=state@156 ID3/15=postal_code@116 ID2/3=country@26 ID1/2=location_qualifier@309
    AN1/30=location@310 | C0605
PER MID2/2=function@366 AN1/60=name@93 ID2/2=number_qualifier_1@365 AN1/80=number_1@364 ID2/2=number_qualifier_2@365
    AN1/80=number_2@364 ID2/2=number_qualifier_3@365 AN1/80=number_3@364 AN1/20=reference@443 | P0304 P0506 P0708
N9  MID2/3=qualifier@128 AN1/30=value@127 AN1/45=description@369 DT8/8=date@373 TM4/8=time@337 ID2/2=zone@623
    {MORE_REFERENCES} | R0203 C0605
G62 ID2/2=qualifier@432 DT8/8=date@373 ID1/2=time_qualifier@176 TM4/8=time@337 ID2/2=zone@623 | R0103 P0102 P0304
    C0503
NTE ID3/3=qualifier@363 MAN1/80=text@352

W09 MID2/2=equipment@40 R1/4=temperature@408 ID2/2=temperature_unit@355 R1/4=temperature_2@408
    ID2/2=temperature_unit_2@355 AN1/80=text@3 | P0203 P0405
W66 MID2/2=payment@146 MID1/2=mode@91 ID1/1=pallet_exchange@399 ID2/2=unit_load@398 AN1/35=routing@387
    ID2/2=fob_code@309 AN1/30=fob_point@310 ID1/1=cod_method@26 AN1/15=amount@610 ID2/4=scac@140 AN1/30=bol@531
W6  ID2/3=handling_1@152 ID2/3=handling_2@152 ID2/3=handling_3@152 ID2/3=handling_4@152
LX  MN01/6=number@554

W01 MR1/15=ordered@330 MID2/2=uom@355 AN12/12=upc@438 ID2/2=id_qualifier_1@235 AN1/48=id_1@234
    ID2/2=id_qualifier_2@235 AN1/48=id_2@234 ID1/5=freight_class@59 ID1/1=rate_class@58 AN1/16=commodity@357
    N01/3=pallet_tier@358 AN1/12=lot@451 ID2/2=condition@860 ID2/2=id_qualifier_3@235 AN1/48=id_3@234
    ID2/2=id_qualifier_4@235 AN1/48=id_4@234 | P0405 P0607 P1415 P1617
W12 MID2/2=status@368 R1/10=ordered@330 R1/10=shipped@382 R1/10=difference@383 ID2/2=uom@355 AN12/12=upc@438
    ID2/2=id_qualifier_1@235 AN1/48=id_1@234 AN1/12=lot@451 R1/10=weight@81 ID1/2=weight_qualifier@187
    ID1/1=weight_unit@188 R1/10=weight_2@81 ID1/2=weight_qualifier_2@187 ID1/1=weight_unit_2@188 AN12/12=upc_2@438
    ID2/2=id_qualifier_2@235 AN1/48=id_2@234 ID2/2=change_reason@371 AN1/30=detail_reference@734
    ID2/2=id_qualifier_3@235 AN1/48=id_3@234 | P0708 P1718 P2122
G69 MAN1/45=text@369
W20 N01/6=pack@356 R1/8=size@357 ID2/2=size_unit@355 MR1/10=weight@81 ID1/2=weight_qualifier@187
    ID1/1=weight_unit@188 R1/8=volume@183 ID1/1=volume_unit@184 | P0203 P0506 P0708
MAN MID1/2=qualifier@88 MAN1/48=mark@87 AN1/48=mark_to@87 ID1/2=qualifier_2@88 AN1/48=mark_2@87 AN1/48=mark_2_to@87
    | P0405 C0605
PAL ID1/2=type@883 N01/3=tiers@884 N01/3=blocks@885 N01/4=pack@356 R1/8=unit_weight@395 ID2/2=weight_unit@355
    R1/8=length@82 R1/8=width@189 R1/8=height@65 ID2/2=dimension_unit@355 R1/9=gross_weight@384
    ID2/2=gross_weight_unit@355 R1/9=gross_volume@385 ID2/2=volume_unit@355
MEA ID2/2=reference@737 ID1/3=qualifier@738 R1/20=value@739 ID2/2=uom@355 R1/20=minimum@740 R1/20=maximum@741

W27 MID1/2=mode@91 ID2/4=scac@140 AN1/35=routing@387 ID2/2=payment@146 ID2/2=equipment@40
    AN1/4=equipment_initial@206 AN1/10=equipment_number@207 ID2/2=order_status@368 ID2/3=special_handling@152
    ID1/2=load_code@284 ID2/2=unit_load@398
W28 MID1/1=consolidation_code@516 AN1/22=consolidation_number@517 N01/6=link_sequence@474 N01/6=stop@165
W10 ID2/2=unit_load@398 N01/4=pallets@884 ID1/1=pallet_exchange@399 AN2/15=seal_1@225 AN2/15=seal_2@225
W03 MR1/10=shipped@382 R1/10=weight@81 ID2/2=weight_unit@355 R1/8=volume@183 ID2/2=volume_unit@355
    N01/7=lading_quantity@80 ID2/3=lading_unit@353 | P0203 P0405 P0607
W76 MR1/10=ordered@396 R1/10=weight@81 ID2/2=weight_unit@355 R1/8=volume@183 ID2/2=volume_unit@355 R1/10=amount@610
    | P0203 P0405
TA1 MN09/9=control_number@I12 MDT6/6=date@I08 MTM4/4=time@I09 MID1/1=code@I17 MID3/3=note@I18
"""
