"""What people do with messages that did not go through: dead letters and bulk replays, wired to a running hub.

Each act is one transaction with its audit entry; what follows for partners and subscribers starts after its commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import ConfigurationError, CrossdockError, NotFound
from ..flow import amend as amending
from ..flow import replay_jobs
from ..flow.amend import Amender, Change, Made, Outcome
from ..flow.replay_jobs import Filter, Job, Plan, ReasonRequired, StalePlan, Step, Under, Unselectable
from ..governance import audit, releases
from ..governance.configuration import Configuration, compile_pack
from ..store import dead_letters, jobs
from ..store.dead_letters import Wanted
from ..store.engine import Connection, Row

if TYPE_CHECKING:
    from .hub import Hub


class Repair:
    """The acts on dead letters and the runner of replay jobs. Lives on the hub's event loop."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._due: dict[tuple[str, str], datetime] | None = None
        self._amender = Amender(hub.stages, ids=hub.writer_ids, health=hub.tenancy.health, mode_of=hub.mode_of)

    # -- dead letters

    async def dead_ids(self, tenant_id: str, wanted: Wanted) -> list[str]:
        """Return the dead letters a filter finds; more than 1,000 are refused."""
        limit = amending.BULK_MAX
        rows = await self._hub.store.read(
            lambda connection: dead_letters.find(connection, tenant_id, wanted, limit + 1)
        )
        if len(rows) > limit:
            raise Unselectable(f"The filter finds more than {limit:,} dead letters", hint="Narrow it, or go in parts")
        return [row[0] for row in rows]

    async def amend(
        self,
        tenant_id: str,
        ids: Sequence[str],
        change: Change,
        *,
        actor: str,
        reason: str,
        dry_run: bool = False,
    ) -> list[Outcome]:
        """Make an amended version of each, one by one; a refused one keeps no other from going through."""
        _need(reason or dry_run)
        configuration, now = self._hub.tenancy.require(tenant_id), self._hub.clock.now()
        found = []
        for dead_id in ids:

            def act(connection: Connection, dead_id: str = dead_id) -> Made:
                made = self._amender.amend(
                    connection,
                    configuration,
                    dead_id,
                    change,
                    author=actor,
                    reason=reason,
                    now=now,
                    dry_run=dry_run,
                )
                if not dry_run:
                    detail = {"new": made.answer.new_id, "part": change.part, "fields": len(made.answer.differences)}
                    _book(connection, tenant_id, actor, "deadletter.amend", dead_id, reason, now, detail)
                    made.ready = self._hub.pipeline.in_order(connection, made.ready)
                return made

            try:
                made = await (self._hub.store.read(act) if dry_run else self._written(act))
            except CrossdockError as error:
                if len(ids) == 1:
                    raise
                found.append(Outcome(dead_id, "refused", code=error.code, detail=str(error)))
                continue
            word = "would" if dry_run else "done"
            found.append(Outcome(dead_id, word, made.answer.new_id, amended=made.answer))
        return found

    async def _written(self, act: Callable[[Connection], Made]) -> Made:
        made = await self._hub.pipeline.write(act, then=lambda found: self._hub.pipeline.send_on(found.ready))
        self._hub.backbone.announce(made.events)
        return made

    async def discard(
        self, tenant_id: str, ids: Sequence[str], *, actor: str, reason: str, dry_run: bool = False
    ) -> list[Outcome]:
        """Set dead letters aside for good, with a reason. A replay can still take up what came in."""
        _need(reason or dry_run)
        configuration, now = self._hub.tenancy.require(tenant_id), self._hub.clock.now()

        def act(connection: Connection) -> tuple[Any, list[Outcome]]:
            rows, found = _sorted_out(connection, tenant_id, ids, "would" if dry_run else "done")
            if dry_run or not rows:
                return None, found
            batch = amending.discard(connection, configuration, rows, reason, ids=self._hub.writer_ids, now=now)
            detail = {"ids": [row[0] for row in rows][:200]}
            object_id = rows[0][0] if len(rows) == 1 else f"{len(rows)} dead letters"
            _book(connection, tenant_id, actor, "deadletter.discard", object_id, reason, now, detail)
            return batch, found

        if dry_run:
            return (await self._hub.store.read(act))[1]
        batch, found = await self._hub.pipeline.write(act)
        if batch is not None:
            self._hub.backbone.announce(batch.events)
        return found

    async def requeue(
        self, tenant_id: str, ids: Sequence[str], *, actor: str, reason: str = "", dry_run: bool = False
    ) -> list[Outcome]:
        """Run or send dead letters again under the identity they have."""
        rows, found = await self._hub.store.read(
            lambda connection: _sorted_out(connection, tenant_id, ids, "would" if dry_run else "done")
        )
        if not dry_run and rows:
            documents = tuple(row[0] for row in rows if row[1] == "document")
            whole = tuple(row[0] for row in rows if row[1] != "document")
            await self._hub.run_again(tenant_id, whole, documents, actor=actor, reason=reason)
        return found

    # -- bulk replay

    async def plan(
        self,
        tenant_id: str,
        wanted: Filter,
        under: Under,
        *,
        release_id: str = "",
        files: Mapping[str, str] | None = None,
    ) -> Plan:
        """Say everything a replay would do; nothing is written."""
        return await self._hub.store.read(
            lambda connection: self._planned(connection, tenant_id, wanted, under, release_id, files)[0]
        )

    def _planned(
        self,
        connection: Connection,
        tenant_id: str,
        wanted: Filter,
        under: Under,
        release_id: str,
        files: Mapping[str, str] | None,
    ) -> tuple[Plan, list[tuple[str, str]]]:
        configuration = self._under(connection, tenant_id, under, release_id, files)
        limit = self._hub.settings.replay.messages_max
        message_ids = replay_jobs.select(connection, tenant_id, wanted, limit)
        now = self._hub.clock.now()
        return replay_jobs.plan(connection, self._hub.stages, tenant_id, message_ids, under, configuration, now)

    def _under(
        self,
        connection: Connection,
        tenant_id: str,
        under: Under,
        release_id: str,
        files: Mapping[str, str] | None,
    ) -> Configuration:
        if under != "candidate":
            return self._hub.tenancy.require(tenant_id)
        if bool(release_id) == bool(files):
            raise ConfigurationError(
                "A replay under a candidate names a release, or hands in the files of a pack",
                hint="One of the two: release_id, or files",
            )
        if not files:
            return releases.load(connection, tenant_id, release_id)
        configuration = compile_pack(files, release_id="candidate")
        if configuration.tenant_id != tenant_id:
            raise ConfigurationError(f"The pack is one of {configuration.tenant_id}, not of {tenant_id}")
        return configuration

    def _release(self, tenant_id: str, under: Under, made: Plan) -> str:
        """Return the release a plan would run under now; a candidate is what it was."""
        return self._hub.tenancy.require(tenant_id).release_id if under == "current" else made.release_id

    async def start(
        self,
        tenant_id: str,
        wanted: Filter,
        under: Under,
        digest: str,
        *,
        actor: str,
        reason: str = "",
        per_second: float = 0.0,
        release_id: str = "",
        files: Mapping[str, str] | None = None,
    ) -> Job:
        """Start the job whose dry run gave `digest`; StalePlan when it would do anything else by now.

        It is planned once more beside the writer, which goes on with what comes in; in the writer's turn only what the
        plan was made of is compared. What changes afterwards is met by each item as it runs.
        """
        settings, now = self._hub.settings.replay, self._hub.clock.now()
        rate = min(per_second or settings.per_second, settings.per_second_max)
        hint = "Make the dry run again: crossdock replays plan …"
        planned, items = await self._hub.store.read(
            lambda connection: self._planned(connection, tenant_id, wanted, under, release_id, files)
        )
        if planned.digest != digest:
            raise StalePlan(hint=hint)

        def act(connection: Connection) -> Job:
            made = planned
            selected = replay_jobs.select(connection, tenant_id, wanted, settings.messages_max)
            release_now = self._release(tenant_id, under, made)
            if selected != [message_id for message_id, _ in items] or release_now != made.release_id:
                raise StalePlan(hint=hint)
            if made.messages > settings.reason_required_above and not reason.strip():
                raise ReasonRequired(
                    f"A replay of {made.messages:,} messages says why",
                    hint=f"A reason is required above {settings.reason_required_above:,} messages",
                )
            if files:
                note = f"candidate of a replay: {reason}"[:500]
                kept = releases.keep(
                    connection, tenant_id, files, author=actor, note=note, at=now, ids=self._hub.writer_ids
                )
                made = msgspec.structs.replace(made, release_id=kept.release_id)
            job_id = self._hub.writer_ids.new("job", now)
            detail = {"messages": made.messages, "under": under, "digest": digest, "per_second": rate}
            _book(connection, tenant_id, actor, "replay.start", job_id, reason, now, detail)
            return replay_jobs.begin(
                connection,
                tenant_id,
                job_id,
                wanted,
                made,
                items,
                actor=actor,
                reason=reason,
                per_second=rate,
                now=now,
            )

        job: Job = await self._hub.pipeline.write(act)
        self._wake(tenant_id, job.job_id, now)
        return job

    async def move(self, tenant_id: str, job_id: str, verb: str, *, actor: str, reason: str = "") -> Job:
        """Pause, resume or cancel a replay."""
        now = self._hub.clock.now()

        def act(connection: Connection) -> Job | None:
            job = replay_jobs.move(connection, tenant_id, job_id, verb, now)
            if job is not None:
                _book(connection, tenant_id, actor, f"replay.{verb}", job_id, reason, now, {"done": job.done})
            return job

        job = await self._hub.pipeline.write(act)
        if job is None:
            raise NotFound(f"There is no replay {job_id}")
        self._wake(tenant_id, job_id, now)
        return job

    async def job(self, tenant_id: str, job_id: str) -> tuple[Job, list[Row]]:
        """Return a replay, and the first of its items that failed or went another way."""

        def look(connection: Connection) -> tuple[Job, list[Row]]:
            row = jobs.load(connection, tenant_id, job_id)
            if row is None:
                raise NotFound(f"There is no replay {job_id}")
            return replay_jobs.job_of(row), jobs.items(connection, tenant_id, job_id, "failed", 200)

        return await self._hub.store.read(look)

    async def jobs(self, tenant_id: str, before: str = "", limit: int = 50) -> list[Job]:
        """Return replays, newest first."""
        rows = await self._hub.store.read(
            lambda connection: jobs.newest(connection, tenant_id, replay_jobs.KIND, before, limit)
        )
        return [replay_jobs.job_of(row) for row in rows]

    def _wake(self, tenant_id: str, job_id: str, at: datetime) -> None:
        if self._due is not None:
            self._due[(tenant_id, job_id)] = at

    async def tick(self) -> None:
        """Run what is due of every job. Of several processes on a record, the one that does the chores runs it."""
        if not self._hub.does_chores():
            self._due = None
            return
        now = self._hub.clock.now()
        if self._due is None or self._hub.cluster is not None:
            known = await self._hub.store.read(lambda connection: jobs.running(connection, replay_jobs.KIND))
            due = self._due or {}
            self._due = {place: due.get(place, now) for place in known}
        for (tenant_id, job_id), at in list(self._due.items()):
            if at <= now:
                await self._step(tenant_id, job_id, now)

    async def _step(self, tenant_id: str, job_id: str, now: datetime) -> None:
        def act(connection: Connection) -> Step:
            made = replay_jobs.step(connection, self._hub.stages, tenant_id, job_id, now)
            if made.ended:
                _book(connection, tenant_id, "system", "replay.end", job_id, "", now, {"ran": made.ran})
            made.worked.ready = self._hub.pipeline.in_order(connection, made.worked.ready)
            return made

        made = await self._hub.pipeline.write(act, then=lambda found: self._hub.pipeline.send_on(found.worked.ready))
        self._hub.backbone.announce(made.worked.events)
        assert self._due is not None
        if made.next_at is None:
            self._due.pop((tenant_id, job_id), None)
        else:
            self._due[(tenant_id, job_id)] = made.next_at

    def next_due_at(self) -> datetime | None:
        """Return when a job goes on."""
        return min(self._due.values(), default=None) if self._due else None


def _sorted_out(
    connection: Connection, tenant_id: str, ids: Sequence[str], word: str
) -> tuple[list[Row], list[Outcome]]:
    """Return the dead letters among some ids and an outcome for each id. A single one that is none is raised."""
    by_id = {row[0]: row for row in dead_letters.find(connection, tenant_id, Wanted(ids=tuple(ids)), len(ids))}
    found = []
    for one in ids:
        if one in by_id:
            found.append(Outcome(one, word))
            continue
        try:
            amending.dead_letter(connection, tenant_id, one)
        except CrossdockError as error:
            if len(ids) == 1:
                raise
            found.append(Outcome(one, "refused", code=error.code, detail=str(error)))
    return list(by_id.values()), found


def _need(reason: str | bool) -> None:
    if not reason or (isinstance(reason, str) and not reason.strip()):
        raise ReasonRequired("What is amended or discarded says why", hint="Give a reason")


def _book(
    connection: Connection,
    tenant_id: str,
    actor: str,
    action: str,
    object_id: str,
    reason: str,
    now: datetime,
    detail: Any,
) -> None:
    audit.append(
        connection,
        tenant_id,
        actor=actor or "system",
        action=action,
        object=object_id,
        reason=reason,
        detail=detail,
        at=now,
    )
