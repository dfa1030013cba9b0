"""What later releases changed, as small patches on the 004010 base.

Each is laid over the base when GS08 is at or after the release; statements on absent segments are ignored.
"""

PATCHES = (
    (
        "005010",
        """
        N9.02 max 50
        W05.02 max 30
        W06.02 max 30
        N4.02 max 2
        PER.04 max 256
        PER.06 max 256
        PER.08 max 256
        N1.02 max 60
        G69.01 max 45
        """,
    ),
)
