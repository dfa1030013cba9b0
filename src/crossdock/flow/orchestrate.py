"""Apply canonical documents to the aggregates they concern: load, decide, gather what follows.

The aggregates of a whole batch are loaded in one query; `decide` is called for each event in order;
everything that follows is gathered in the `Batch` and saved by the pipeline in the same transaction.
What waits for an order or fulfillment that only now became known is taken up in the same cycle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ..canonical.catalog import EVENT_TYPES, OBJECTS
from ..canonical.events import Event
from ..canonical.identifiers import match_key
from ..canonical.orders import Order
from ..canonical.requests import EVENT_PREFIX
from ..canonical.units import TABLE
from ..durable.identity import from_micros, to_micros
from ..governance.configuration import Configuration
from ..processes.order_state import OrderState
from ..processes.outcome import DecisionContext, Outcome, Request, StockPosition, Tell
from ..processes.registry import PROCESSES, Process
from ..store import aggregates, case_counts, issues, messages, own_words, workers
from ..store.engine import Row
from . import ownership
from .batch import Batch
from .inventory import apply_stock, bind_stock, contradiction, from_the_future, report_key
from .papers import Paper, Trouble
from .subjects import business_key_of, names_of, occurred_at, subject_of

Health = Callable[[str], Mapping[str, Any]]

_encode = msgspec.json.Encoder(decimal_format="string").encode
_DECODE = {kind: msgspec.json.Decoder(process.state).decode for kind, process in PROCESSES.items()}

PARKED_WARNING_MINUTES = 30
BACKORDERS_MAX = 500
# How far one event may echo from aggregate to aggregate before it is cut off: no two may talk for ever.
TELLS_MAX = 64
NO_OTHERS: Mapping[str, Any] = {}
NO_LOAD: Mapping[str, int] = {}


class Item(msgspec.Struct):
    """One paper on its way through the processes, with where it came from."""

    tenant_id: str
    configuration: Configuration
    paper: Paper
    message_id: str
    partner: str
    received_at: datetime
    traceparent: str = ""
    connection_id: str = ""


class PlacedRequest(msgspec.Struct):
    """A request of a process, with what caused it."""

    tenant_id: str
    configuration: Configuration
    request: Request
    subject: str
    event_id: str
    message_id: str
    traceparent: str


class _Stock(Mapping[tuple[str, str], StockPosition]):
    """The positions in memory as a decision sees them: what can be promised at (site, sku)."""

    def __init__(self, batch: Batch, tenant_id: str) -> None:
        self._positions = batch.positions
        self._tenant_id = tenant_id

    def __getitem__(self, place: tuple[str, str]) -> StockPosition:
        position = self._positions[(self._tenant_id, *place)]
        return StockPosition(
            position.on_hand - position.reserved, None if position.as_of is None else from_micros(position.as_of)
        )

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return (key[1:] for key in self._positions if key[0] == self._tenant_id and key[1])

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Load(Mapping[str, int]):
    """How many requests a site was given today, by its own calendar; asked of the record where a rule looks."""

    def __init__(self, batch: Batch, configuration: Configuration) -> None:
        self._batch, self._configuration = batch, configuration

    def __getitem__(self, site: str) -> int:
        configuration = self._configuration
        limited = configuration.compiled_policy.limited
        if site not in limited:
            raise KeyError(site)
        days = {one: _day_at(configuration, one, self._batch.now) for one in limited}
        return self._batch.requests_of(configuration.tenant_id, days)[site]

    def __iter__(self) -> Iterator[str]:
        return iter(self._configuration.compiled_policy.limited)

    def __len__(self) -> int:
        return len(self._configuration.compiled_policy.limited)


def _day_at(configuration: Configuration, site: str, now: datetime) -> str:
    return now.astimezone(configuration.compiled_policy.clock(site).zone).date().isoformat()


class _Entry:
    """One aggregate while the batch works on it."""

    __slots__ = ("aggregate_id", "created_at", "listed", "process", "state", "version")

    def __init__(
        self,
        process: Process,
        aggregate_id: str,
        version: int,
        created_at: int,
        state: Any,
        listed: tuple[Any, ...] | None = None,
    ) -> None:
        self.process = process
        self.aggregate_id = aggregate_id
        self.listed = listed
        self.version = version
        self.created_at = created_at
        self.state = state


class Orchestration:
    """One pass over a batch. Made anew for every cycle."""

    def __init__(self, batch: Batch, health: Health, *, parked: bool) -> None:
        self._batch = batch
        self._health = health
        self._parked = parked
        self._entries: dict[tuple[str, str], _Entry | None] = {}
        self._known: dict[str, dict[tuple[str, str], str]] = {}
        self._fresh_names: dict[str, list[str]] = {}
        self._waiting: dict[tuple[str, str], list[Item]] = {}
        self._asked_again: set[tuple[str, str]] = set()
        self.requests: list[PlacedRequest] = []
        self._changed: dict[tuple[str, str], _Entry] = {}
        self.freed: list[Item] = []
        self._restocked: dict[str, Configuration] = {}
        self._cases_before: dict[tuple[str, str], int] = {}
        self.duplicates = 0
        self.parked_now = False

    def apply(self, items: list[Item], configuration_of: Callable[[str, str], Configuration]) -> None:
        """Apply papers in order, then whatever they set free."""
        while items:
            self._prepare(items)
            for item in items:
                self._apply_one(item)
            items = self._set_free(configuration_of) if self._parked or self.parked_now else []
        for tenant_id, configuration in self._restocked.items():
            self._look_again(tenant_id, configuration)

    def apply_event(self, event: Event, configuration: Configuration) -> None:
        """Apply an event that no paper brought: a deadline."""
        self._load(event.tenant_id, {event.subject})
        entry = self._entries.get((event.tenant_id, event.subject))
        if entry is None:
            return
        self._load_stock_for(event.tenant_id, {event.subject}, configuration)
        outcome = self._decide(event, configuration, entry)
        if outcome.parked_until or outcome.duplicate:
            return
        self._follow(event, outcome, entry, configuration)

    def apply_word(self, event: Event, configuration: Configuration) -> Outcome:
        """Apply an event that a person gave and no paper brought; it may make its aggregate.

        The caller reads in the outcome what was refused, and why; a refused or repeated word leaves no trace.
        """
        entry, fresh = self._entry_for(event.tenant_id, event.subject)
        event = msgspec.structs.replace(event, correlation_id=entry.aggregate_id)
        return self._apply_to(event, entry, configuration, fresh=fresh, depth=0)

    def take_up(self, configuration_of: Callable[[str, str], Configuration]) -> None:
        """Apply what waited for a name that a person's word made known."""
        self.apply(self._set_free(configuration_of), configuration_of)

    def state(self, tenant_id: str, subject: str) -> Any:
        """Return the state of an aggregate as this pass has left it, or None when there is none."""
        self._load(tenant_id, {subject})
        entry = self._entries.get((tenant_id, subject))
        return entry.state if entry is not None else None

    def _tell(self, told: Tell, cause: Event, configuration: Configuration, depth: int) -> None:
        """Apply what one aggregate tells another; the other may be made by it."""
        tenant_id = cause.tenant_id
        entry, fresh = self._entry_for(tenant_id, told.subject)
        event = self._batch.event(
            tenant_id,
            told.type,
            told.subject,
            told.data if isinstance(told.data, dict) else msgspec.to_builtins(told.data),
            occurred_at=cause.occurred_at,
            correlation_id=entry.aggregate_id,
            causation_id=cause.id,
            message_id=cause.message_id,
            partner=cause.partner,
            release_id=configuration.release_id,
            traceparent=cause.traceparent,
        )
        self._apply_to(event, entry, configuration, fresh=fresh, depth=depth)

    def _entry_for(self, tenant_id: str, subject: str) -> tuple[_Entry, bool]:
        self._load(tenant_id, {subject})
        entry = self._entries[(tenant_id, subject)]
        return (self._new(PROCESSES[subject.partition("/")[0]]), True) if entry is None else (entry, False)

    def _apply_to(
        self, event: Event, entry: _Entry, configuration: Configuration, *, fresh: bool, depth: int
    ) -> Outcome:
        self._load_stock_for(event.tenant_id, {event.subject}, configuration)
        outcome = self._decide(event, configuration, entry)
        if outcome.parked_until or outcome.duplicate:
            return outcome
        if fresh and outcome.state is not None:
            self._entries[(event.tenant_id, event.subject)] = entry
        self._batch.record(event)
        self._forward(event, configuration, event.id)
        self._follow(event, outcome, entry, configuration, depth)
        return outcome

    def _new(self, process: Process) -> _Entry:
        batch = self._batch
        return _Entry(process, batch.ids.new(process.prefix, batch.now), 0, batch.now_micros, None)

    def order(self, tenant_id: str, number: str) -> OrderState | None:
        """Return the state of an order as this pass has left it, or None when there is no such order."""
        found: OrderState | None = self.state(tenant_id, f"order/{number}")
        return found

    # -- before the decisions

    def _prepare(self, items: list[Item]) -> None:
        by_tenant: dict[str, list[Item]] = {}
        for item in items:
            by_tenant.setdefault(item.tenant_id, []).append(item)
        for tenant_id, mine in by_tenant.items():
            ownership.load_own_words(self._batch, tenant_id, mine)
            self._resolve_names(tenant_id, mine)
            known = self._known[tenant_id]
            subjects = set()
            stock_subjects = set()
            skus: set[str] = set()
            reports: set[str] = set()
            for item in mine:
                found = subject_of(item.paper.value, known)
                item.paper.subject = found.subject
                if found.subject.partition("/")[0] in PROCESSES:
                    subjects.add(found.subject)
                value = item.paper.value
                if isinstance(value, Order):
                    policy = item.configuration.compiled_policy
                    skus.update(policy.with_substitutes([line.sku for line in value.lines]))
                elif item.paper.object in ("shipment", "fulfillment_answer", "order_change"):
                    stock_subjects.add(found.subject)
                elif report := report_key(item.paper):
                    reports.add(report)
            if reports:
                self._batch.load_reports(tenant_id, reports)
            self._load(tenant_id, subjects)
            if skus:
                self._batch.load_stock(tenant_id, skus)
            if stock_subjects:
                self._load_stock_for(tenant_id, stock_subjects, mine[0].configuration)

    def _resolve_names(self, tenant_id: str, items: list[Item]) -> None:
        known = self._known.setdefault(tenant_id, {})
        wanted = []
        for item in items:
            names = names_of(item.paper.value)
            # An order number needs no looking up, and it comes first where a paper has one.
            if names and names[0][0] != "order":
                wanted += [name for kind, name in names if (kind, match_key(name)) not in known]
        if wanted:
            known.update(aggregates.resolve(self._batch.connection, tenant_id, wanted))
            self._resolve_cross_references(tenant_id, items)

    def _resolve_cross_references(self, tenant_id: str, items: list[Item]) -> None:
        """Let names that only a partner uses mean what they meant to it at the time of the paper."""
        known = self._known[tenant_id]
        strange: dict[str, list[tuple[Item, str]]] = {}
        for item in items:
            names = names_of(item.paper.value)
            if item.partner and names and not any((kind, match_key(name)) in known for kind, name in names):
                for kind, name in names:
                    strange.setdefault(name, []).append((item, kind))
        if not strange:
            return
        rows = own_words.references(self._batch.connection, tenant_id, sorted(strange))
        meant: set[str] = set()
        for partner, kind, value, ours, valid_from, valid_until in rows:
            for item, wanted in strange[value]:
                at = to_micros(occurred_at(item.paper.value, item.received_at))
                if partner == item.partner and kind == wanted and valid_from <= at < (valid_until or at + 1):
                    ownership.call_it_ours(item, kind, ours)
                    meant.add(ours)
        if meant:
            known.update(aggregates.resolve(self._batch.connection, tenant_id, sorted(meant)))

    def _load(self, tenant_id: str, subjects: set[str]) -> None:
        missing = sorted(subject for subject in subjects if (tenant_id, subject) not in self._entries)
        if not missing:
            return
        by_kind: dict[str, list[str]] = {}
        for subject in missing:
            kind, _, key = subject.partition("/")
            by_kind.setdefault(kind, []).append(key)
        for kind, keys in by_kind.items():
            rows = aggregates.load(self._batch.connection, tenant_id, kind, keys)
            process, decode = PROCESSES[kind], _DECODE[kind]
            for key in keys:
                row = rows.get(key)
                self._entries[(tenant_id, f"{kind}/{key}")] = (
                    None if row is None else _Entry(process, row[0], row[1], row[2], decode(row[3]), tuple(row[4:]))
                )

    def _load_stock_for(self, tenant_id: str, subjects: set[str], configuration: Configuration) -> None:
        skus: set[str] = set()
        for subject in subjects:
            entry = self._entries.get((tenant_id, subject)) if subject.startswith("order/") else None
            if entry is not None:
                skus.update([line.sku for line in entry.state.order.lines])
        self._batch.load_stock(tenant_id, configuration.compiled_policy.with_substitutes(skus))

    # -- one paper

    def _apply_one(self, item: Item) -> None:
        batch, paper = self._batch, item.paper
        if ownership.is_echo(batch, item):
            # Our own word, told back: it says nothing new, and is sent to nobody.
            paper.business_key = business_key_of(paper.value)
            self._note_duplicate(item, paper.subject or f"document/{paper.document_id}", "")
            return
        if item.configuration.ownership_of(paper.object):
            entry = self._entries.get((item.tenant_id, paper.subject))
            if not ownership.owned(batch, item, None if entry is None else entry.state):
                return
        # An item of the same batch may just have introduced the name this one is known by.
        if not paper.subject:
            found = subject_of(paper.value, self._known[item.tenant_id])
            paper.subject = found.subject
            if found.awaits:
                self._park(item, found.awaits)
                return
        paper.business_key = business_key_of(paper.value)
        kind = EVENT_TYPES[paper.event_type].aggregate
        if kind == "inventory":
            self._apply_to_stock(item, self._event_of(item))
        elif kind == "statement":
            self._keep_statement(item, self._event_of(item))
        elif kind:
            self._apply_to_process(item, kind)
        else:
            event = self._event_of(item)
            batch.record(event, paper.canonical)
            self._forward(event, item.configuration, paper.document_id)
        if paper.stored_before and paper.state == "applied":
            batch.resolve(item.tenant_id, paper.document_id, "released by itself")

    def _event_of(self, item: Item, correlation_id: str = "") -> Event:
        """Return the event that a paper is."""
        paper = item.paper
        return self._batch.event(
            item.tenant_id,
            paper.event_type,
            paper.subject or f"document/{paper.document_id}",
            paper.value,
            occurred_at=occurred_at(paper.value, item.received_at),
            correlation_id=correlation_id,
            causation_id=paper.document_id,
            message_id=item.message_id,
            partner=item.partner,
            release_id=item.configuration.release_id,
            traceparent=item.traceparent,
        )

    def _apply_to_stock(self, item: Item, event: Event) -> None:
        result = apply_stock(self._batch, item.tenant_id, item.paper, item.configuration.lookups.get(TABLE, {}))
        if result == "repeated":
            self._note_duplicate(item, event.subject, "")
        elif result == "contradicted":
            item.paper.state, item.paper.trouble = "rejected", contradiction(item.paper)
        elif result == "from the future":
            item.paper.state, item.paper.trouble = "rejected", from_the_future(item.paper)
        else:
            self._restocked[item.tenant_id] = item.configuration
            self._batch.record(event, item.paper.canonical)
            self._forward(event, item.configuration, item.paper.document_id)

    def _keep_statement(self, item: Item, event: Event) -> None:
        """Note what a partner states of its books; nothing is changed by it."""
        value, now = item.paper.value, self._batch.now_micros
        since = None if value.from_at is None else to_micros(value.from_at)
        self._batch.statements.append(
            (
                item.tenant_id,
                item.paper.document_id,
                item.partner,
                value.kind,
                value.site,
                to_micros(value.as_of),
                since,
                len(value.rows),
                now,
            )
        )
        self._batch.record(event, item.paper.canonical)
        self._forward(event, item.configuration, item.paper.document_id)

    def _note_duplicate(self, item: Item, subject: str, correlation_id: str) -> None:
        """Record that a paper told nothing new: the same was applied before."""
        self.duplicates += 1
        paper = item.paper
        note = {"object": paper.object, "number": paper.business_key, "document_id": paper.document_id}
        self._batch.record(
            self._batch.event(
                item.tenant_id,
                "crossdock.document.duplicate.v1",
                subject,
                note,
                correlation_id=correlation_id,
                causation_id=paper.document_id,
                message_id=item.message_id,
                partner=item.partner,
            )
        )

    def _apply_to_process(self, item: Item, kind: str) -> None:
        """Let the process of an aggregate decide. What the paper's names lead to goes before the event's usual kind."""
        batch, paper = self._batch, item.paper
        subject = paper.subject or f"{kind}/{paper.document_id}"
        found = PROCESSES.get(subject.partition("/")[0])
        process = found if found is not None and paper.event_type in found.takes else PROCESSES[kind]
        place = (item.tenant_id, subject)
        if place not in self._entries:
            self._load(item.tenant_id, {subject})
        entry = self._entries[place]
        fresh = entry is None
        if entry is None:
            entry = self._new(process)
        event = self._event_of(item, entry.aggregate_id)
        outcome = self._decide(event, item.configuration, entry)
        if outcome.parked_until:
            self._park(item, outcome.parked_until)
            return
        if outcome.duplicate:
            self._note_duplicate(item, event.subject, entry.aggregate_id)
            return
        if fresh and outcome.state is not None:
            self._entries[place] = entry
        batch.record(event, paper.canonical)
        self._forward(event, item.configuration, paper.document_id)
        self._follow(event, outcome, entry, item.configuration)

    def _forward(self, event: Event, configuration: Configuration, identity: str) -> None:
        """Pass an applied event on to those who subscribe to it by a route; its document is its identity."""
        kind = EVENT_PREFIX + event.type
        if not configuration.takes(kind):
            return
        request = Request(kind, f"{kind}:{identity}", event.data)
        self.requests.append(
            PlacedRequest(
                event.tenant_id,
                configuration,
                request,
                event.subject,
                event.id,
                event.message_id,
                event.traceparent,
            )
        )

    def _decide(self, event: Event, configuration: Configuration, entry: _Entry) -> Outcome:
        process, tenant_id = entry.process, event.tenant_id
        stock = _Stock(self._batch, tenant_id)
        context = DecisionContext(
            configuration.policy_of(process.kind),
            self._batch.now,
            stock,
            self._health(tenant_id),
            load=_Load(self._batch, configuration) if configuration.compiled_policy.limited else NO_LOAD,
            others=self._others(process, entry.state, event),
            cases_today=self._cases_today(tenant_id, configuration),
        )
        return process.decide(entry.state, event, context)

    def _cases_today(self, tenant_id: str, configuration: Configuration) -> int:
        """Return how many cases the tenant opened today; nobody counts where no rule limits them."""
        policy = configuration.compiled_policy
        if not policy.case_rules.rules.per_day:
            return 0
        place = (tenant_id, self._batch.now.astimezone(policy.zone).date().isoformat())
        known = self._cases_before.get(place)
        if known is None:
            known = self._cases_before[place] = case_counts.opened(self._batch.connection, *place)
        return known + self._batch.cases_opened.get(place, 0)

    def _count_case(self, tenant_id: str, configuration: Configuration) -> None:
        policy = configuration.compiled_policy
        if policy.case_rules.rules.per_day:
            place = (tenant_id, self._batch.now.astimezone(policy.zone).date().isoformat())
            self._batch.cases_opened[place] = self._batch.cases_opened.get(place, 0) + 1

    def _others(self, process: Process, state: Any, event: Event) -> Mapping[str, Any]:
        subjects = process.others(state, event)
        if not subjects:
            return NO_OTHERS
        self._load(event.tenant_id, set(subjects))
        entries = [self._entries[(event.tenant_id, subject)] for subject in subjects]
        return {
            subject: entry.state if entry is not None else None
            for subject, entry in zip(subjects, entries, strict=True)
        }

    # -- what follows

    def _follow(
        self, event: Event, outcome: Outcome, entry: _Entry, configuration: Configuration, depth: int = 0
    ) -> None:
        batch, tenant_id, subject = self._batch, event.tenant_id, event.subject
        for new in outcome.events:
            batch.record(
                batch.event(
                    tenant_id,
                    new.type,
                    subject,
                    new.data,
                    correlation_id=entry.aggregate_id,
                    causation_id=event.id,
                    message_id=event.message_id,
                    release_id=configuration.release_id,
                    traceparent=event.traceparent,
                )
            )
        for request in outcome.requests:
            if request.kind == "service_case" and getattr(request.document, "action", "") == "open":
                self._count_case(tenant_id, configuration)
            self.requests.append(
                PlacedRequest(tenant_id, configuration, request, subject, event.id, event.message_id, event.traceparent)
            )
        for change in outcome.timers:
            batch.set_timer(tenant_id, subject, change.name, change.due_at)
        for reference in outcome.references:
            batch.names.append((tenant_id, reference.type, subject, reference.value))
            self._known.setdefault(tenant_id, {})[(reference.type, match_key(reference.value))] = subject
            self._fresh_names.setdefault(tenant_id, []).append(f"{reference.type}:{reference.value}")
        for exception in outcome.exceptions:
            self._except(exception, tenant_id, subject)
        if outcome.state is not None:
            self._keep(event, entry, outcome.state, configuration)
        if outcome.tells and depth >= TELLS_MAX:
            raise RuntimeError(f"{subject}: more than {TELLS_MAX} aggregates tell one another of {event.type}")
        for told in outcome.tells:
            self._tell(told, event, configuration, depth + 1)

    def _except(self, exception: Any, tenant_id: str, subject: str) -> None:
        batch = self._batch
        if exception.resolves:
            kind = subject.partition("/")[0]
            batch.resolve(tenant_id, f"{subject}|{exception.cause}", f"the {kind} recovered")
            return
        batch.faults.append(
            issues.Fault(
                tenant_id=tenant_id,
                code=exception.code,
                cause=f"{exception.code}|{exception.cause}",
                title=exception.message,
                object_kind=subject.partition("/")[0],
                object_id=f"{subject}|{exception.cause}",
                detail=exception.message,
                pointer=exception.pointer,
                subject=subject,
                error_class="data",
            )
        )

    def _keep(self, event: Event, entry: _Entry, state: Any, configuration: Configuration) -> None:
        batch, tenant_id, subject = self._batch, event.tenant_id, event.subject
        if isinstance(state, OrderState) and (entry.state is None or entry.state.fulfillments != state.fulfillments):
            known = 0 if entry.state is None else len(entry.state.fulfillments)
            limited = configuration.compiled_policy.limited
            for fresh in state.fulfillments[known:] if limited else ():
                if fresh.site in limited:
                    batch.count_request(tenant_id, fresh.site, _day_at(configuration, fresh.site, batch.now))
            bind_stock(batch, tenant_id, subject, entry.state, state, event)
        entry.state = state
        entry.version += 1
        self._changed[(tenant_id, subject)] = entry

    def finish(self) -> None:
        """Enter the changed aggregates in the batch, each once. Call it when everything has been applied."""
        for (tenant_id, subject), entry in self._changed.items():
            row = _aggregate_row(tenant_id, subject.partition("/")[2], entry, self._batch.now_micros)
            if entry.listed is None:
                self._batch.created.append(row)
            elif entry.listed == aggregates.listed(row):
                self._batch.states.append(row)
            else:
                self._batch.aggregates.append(row)
        self._changed = {}

    # -- what waits

    def _look_again(self, tenant_id: str, configuration: Configuration) -> None:
        """Stock was reported: orders that wait for stock are decided again, oldest first, before their timer."""
        waiting = [
            key
            for status in ("backordered", "on_hold")
            for key in aggregates.with_status(self._batch.connection, tenant_id, "order", status, BACKORDERS_MAX)
        ]
        subjects = ["order/" + key for key in waiting]
        self._load(tenant_id, set(subjects))
        self._load_stock_for(tenant_id, set(subjects), configuration)
        for subject in subjects:
            data = {"name": "backorder", "override": True}
            self.apply_event(self._batch.event(tenant_id, "crossdock.deadline.passed.v1", subject, data), configuration)

    def _park(self, item: Item, awaits: str) -> None:
        paper = item.paper
        paper.state, paper.awaits, self.parked_now = "parked", awaits, True
        self._waiting.setdefault((item.tenant_id, awaits), []).append(item)
        self._batch.set_timer(
            item.tenant_id,
            f"document/{paper.document_id}",
            "parked",
            self._batch.now + timedelta(minutes=PARKED_WARNING_MINUTES),
        )

    def _set_free(self, configuration_of: Callable[[str, str], Configuration]) -> list[Item]:
        """Return the parked papers whose order or fulfillment became known in this pass."""
        items: list[Item] = []
        if self._batch.connection.several:
            for tenant_id, _ in self._waiting:
                self._fresh_names.setdefault(tenant_id, [])
        for tenant_id, names in self._fresh_names.items():
            items += self._found_after_all(tenant_id, names)
            for name in names:
                items += self._taken_up(tenant_id, name)
            rows = messages.documents_awaiting(self._batch.connection, tenant_id, names)
            # Who sent a paper decides what it may say: parked papers keep their sender.
            senders = messages.partners_of(self._batch.connection, tenant_id, sorted({row[1] for row in rows}))
            freed = [
                self._parked_item(row, configuration_of(tenant_id, row[14]), senders.get(row[1], "")) for row in rows
            ]
            self.freed += freed
            items += freed
        self._fresh_names = {}
        return items

    def _found_after_all(self, tenant_id: str, fresh: list[str]) -> list[Item]:
        """Return what this pass parked for names that another process made known meanwhile.

        From here to the commit nobody parks papers under the fresh names, or makes known what is parked for: one of the
        two always sees the other. Without it a paper and its order, committed at the same time, would miss each other.
        """
        if not self._batch.connection.several:
            return []
        waiting = [name for tenant, name in self._waiting if tenant == tenant_id and name not in fresh]
        parked = [name for name in waiting if (tenant_id, name) not in self._asked_again]
        self._asked_again.update((tenant_id, name) for name in parked)
        workers.lock_names(
            self._batch.connection,
            [f"{tenant_id}|{name}" for name in fresh],
            [f"{tenant_id}|{name}" for name in parked],
        )
        if not parked:
            return []
        values = [name.partition(":")[2] for name in parked]
        found = aggregates.resolve(self._batch.connection, tenant_id, values)
        self._known.setdefault(tenant_id, {}).update(found)
        items: list[Item] = []
        for name in parked:
            kind, _, value = name.partition(":")
            subject = found.get((kind, match_key(value)))
            if subject is not None:
                # It was looked for and not there: it is now.
                if (tenant_id, subject) in self._entries and self._entries[(tenant_id, subject)] is None:
                    del self._entries[(tenant_id, subject)]
                items += self._taken_up(tenant_id, name)
        return items

    def _taken_up(self, tenant_id: str, name: str) -> list[Item]:
        """Return what this very pass parked for a name that it then made known."""
        items = self._waiting.pop((tenant_id, name), [])
        for item in items:
            item.paper.state, item.paper.awaits = "applied", ""
            self._batch.set_timer(tenant_id, f"document/{item.paper.document_id}", "parked", None)
        return items

    def _parked_item(self, row: Row, configuration: Configuration, partner: str) -> Item:
        paper = paper_of_row(row)
        self._batch.set_timer(row[19], f"document/{row[0]}", "parked", None)
        return Item(row[19], configuration, paper, row[1], partner, received_at=self._batch.now)


def _aggregate_row(tenant_id: str, key: str, entry: _Entry, now_micros: int) -> aggregates.AggregateRow:
    process, state = entry.process, entry.state
    summary, sites = process.summary(state), process.sites(state)
    return aggregates.AggregateRow(
        tenant_id,
        process.kind,
        key,
        entry.aggregate_id,
        entry.version,
        summary.status,
        summary.customer,
        summary.region,
        None if summary.due_at is None else to_micros(summary.due_at),
        int(summary.at_risk),
        0 if summary.value is None else int(summary.value.amount * 100),
        entry.created_at,
        now_micros,
        _encode(state),
        # As the record keeps them: `,RENO,SWIFT,`.
        f",{','.join(sites)}," if sites else "",
    )


def paper_of_row(row: Row) -> Paper:
    """Return the paper of a stored document (store.messages.DOCUMENT_COLUMNS), ready to be applied."""
    value = msgspec.json.decode(row[12], type=OBJECTS[row[6]]) if row[12] and row[6] in OBJECTS else None
    return Paper(
        position=row[2],
        pointer=row[3],
        type=row[4],
        state="applied",
        map=row[5],
        object=row[6],
        event_type=row[7],
        value=value,
        canonical=bytes(row[12]) if row[12] else None,
        byte_offset=row[15],
        byte_length=row[16],
        document_id=row[0],
        replay_of=row[17],
        stored_before=True,
    )


def fault_of(
    trouble: Trouble, tenant_id: str, kind: str, object_id: str, subject: str, partner: str, connection_id: str
) -> issues.Fault:
    """Return the fault that enters a trouble under the issue of its cause."""
    return issues.Fault(
        tenant_id=tenant_id,
        code=trouble.code,
        cause=trouble.cause,
        title=trouble.title,
        object_kind=kind,
        object_id=object_id,
        detail=trouble.detail,
        pointer=trouble.pointer,
        subject=subject,
        error_class=trouble.error_class,
        partner=partner,
        connection_id=connection_id,
        suggestion=trouble.suggestion,
    )
