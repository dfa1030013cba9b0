"""Which issue stands behind another: papers that wait for an order, and the issue that keeps that very order out."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from ..canonical.identifiers import match_key
from ..store.engine import Connection

WAITING_CODE = "XD-ORD-020"


class Cause(msgspec.Struct, frozen=True):
    """An issue that keeps out what others wait for. `waiting` counts the papers that wait because of it."""

    issue_id: str
    title: str
    waiting: int


def causes(
    connection: Connection, tenant_id: str, waiting: Collection[str], titles: Mapping[str, str]
) -> dict[str, tuple[Cause, ...]]:
    """Return, for issues of papers that wait, the open issues (`titles` by id) whose papers are the orders waited for.

    The order's own paper is known by its number: it was held or rejected, so there is no order yet.
    """
    others = [issue_id for issue_id in titles if issue_id not in waiting]
    if not waiting or not others:
        return {}
    papers = (
        "select e.issue_id, {} from exceptions e"
        " join documents d on d.tenant_id = e.tenant_id and d.document_id = e.object_id"
    )
    of_issues = " where e.tenant_id = ? and e.state = 'open' and e.object_kind = 'document'{} and e.issue_id in ({{}})"
    kept_out: dict[str, str] = {}
    for issue_id, number in connection.many(
        papers.format("d.business_key") + of_issues.format(" and d.object = 'order' and d.business_key <> ''"),
        [tenant_id],
        others,
    ):
        kept_out[match_key(number)] = issue_id
    counts: dict[str, dict[str, int]] = {}
    for issue_id, awaits in connection.many(
        papers.format("d.awaits") + of_issues.format(" and d.awaits like 'order:%'"),
        [tenant_id],
        list(waiting),
    ):
        found = kept_out.get(match_key(str(awaits).partition(":")[2]))
        if found is not None:
            mine = counts.setdefault(issue_id, {})
            mine[found] = mine.get(found, 0) + 1
    return {
        issue_id: tuple(
            Cause(cause, titles[cause], count)
            for cause, count in sorted(mine.items(), key=lambda pair: (-pair[1], pair[0]))
        )
        for issue_id, mine in counts.items()
    }
