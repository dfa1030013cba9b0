"""997 and 999: the structures of functional acknowledgments."""

SEGMENTS = """
AK1 MID2/2=functional_id@479 MN01/9=control_number@28 AN1/12=version@480
AK2 MID3/3=set_id@143 MAN4/9=control_number@329 AN1/35=implementation@1705
AK3 MID2/3=tag@721 MN01/10=position@719 AN1/6=loop@447 ID1/3=error@720
AK4 M(MN01/2=position@722 N01/2=component@1528 N01/4=repetition@1686)=& N01/4=reference@725 MID1/3=error@723
    AN1/99=value@724
AK5 MID1/1=code@717 ID1/3=error_1@718 ID1/3=error_2@718 ID1/3=error_3@718 ID1/3=error_4@718 ID1/3=error_5@718
AK9 MID1/1=code@715 MN01/6=included@97 MN01/6=received@123 MN01/6=accepted@2 ID1/3=error_1@716 ID1/3=error_2@716
    ID1/3=error_3@716 ID1/3=error_4@716 ID1/3=error_5@716
IK3 MID2/3=tag@721 MN01/10=position@719 AN1/4=loop@447 ID1/3=error@620
CTX M(MAN1/35=name@9999 AN1/35=value@9999)=context AN2/3=tag@721 N01/10=position@719 AN1/4=loop@447
    (N01/2=position@722 N01/2=component@1528 N01/4=repetition@1686)=place (AN1/4=reference@725
    AN1/4=reference_2@725)=data
IK4 M(MN01/2=position@722 N01/2=component@1528 N01/4=repetition@1686)=& N01/4=reference@725 MID1/3=error@621
    AN1/99=value@724
IK5 MID1/1=code@717 ID1/3=error_1@618 ID1/3=error_2@618 ID1/3=error_3@618 ID1/3=error_4@618 ID1/3=error_5@618
"""

GRAMMAR = """
997 FA  ST AK1=ak1
        (AK2 x999999 =sets: AK2 (AK3 x999999 =segments: AK3 AK4*x99=elements) AK5=ak5)
        AK9=ak9 SE
999 FA  ST AK1=ak1
        (AK2 x999999 =sets: AK2
            (IK3 x999999 =segments: IK3 CTX*x10=contexts (IK4 x99 =elements: IK4 CTX*x10=contexts)) IK5=ik5)
        AK9=ak9 SE
"""
