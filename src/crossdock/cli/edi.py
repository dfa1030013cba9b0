"""`crossdock edi`: read, check and acknowledge an EDI file without touching the hub.

Exit codes: `read` 0 when anything could be read, 1 when nothing could. `check` 0 when no finding is an error,
6 when some sets are accepted and some are not (or only the envelope is at fault), 1 when no set is accepted.
`ack` 0, 1 when no answer is due. All: 3 when the file does not exist.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from crossdock import edi
from crossdock.edi.reference import set_layout
from crossdock.edi.sets import TITLES
from crossdock.errors import Finding, NotFound

EXIT_FAILURE = 1
EXIT_PARTLY = 6

app = typer.Typer(help="Read, check and acknowledge EDI files.", no_args_is_help=True)

FileArgument = Annotated[Path, typer.Argument(help="The file to read, or - for standard input.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]
LenientOption = Annotated[bool, typer.Option("--lenient", help="Accept sets with errors, as a lenient agreement does.")]


@app.command()
def read(file: FileArgument, as_json: JsonOption = False, lenient: LenientOption = False) -> None:
    """Show what a file holds: interchanges, groups, sets with every segment, and all findings."""
    result = _read(file, lenient)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(as_data(result)), indent=2).decode())
    else:
        _print_contents(result)
        _print_findings(result.all_findings())
    raise typer.Exit(0 if result.interchanges else EXIT_FAILURE)


@app.command()
def check(file: FileArgument, as_json: JsonOption = False, lenient: LenientOption = False) -> None:
    """List the findings of a file, with position and remedy."""
    result = _read(file, lenient)
    findings = result.all_findings()
    sets = [one for interchange in result.interchanges for one in interchange.sets]
    accepted = sum(one.accepted for one in sets)
    errors = sum(finding.severity == "error" for finding in findings)
    if as_json:
        summary = {
            "sets": len(sets),
            "accepted": accepted,
            "errors": errors,
            "findings": [finding_data(one) for one in findings],
        }
        typer.echo(msgspec.json.format(msgspec.json.encode(summary), indent=2).decode())
    else:
        _print_findings(findings)
        typer.echo(f"{len(sets)} sets, {accepted} accepted, {errors} errors", err=True)
    if errors == 0:
        raise typer.Exit(0)
    raise typer.Exit(EXIT_PARTLY if accepted else EXIT_FAILURE)


@app.command()
def ack(
    file: FileArgument,
    lenient: LenientOption = False,
    control_number: Annotated[int, typer.Option(help="Control number of the answer.", min=1, max=999_999_999)] = 1,
    at: Annotated[str, typer.Option(help="Instant written into the answer (ISO 8601); now when left out.")] = "",
) -> None:
    """Print the answer due to a file: 997 for each functional group, TA1 where one is asked for."""
    result = _read(file, lenient)
    try:
        moment = datetime.fromisoformat(at) if at else datetime.now(UTC)
    except ValueError as error:
        raise typer.BadParameter(f"{at!r} is not an ISO 8601 instant", param_hint="--at") from error
    answers = b""
    for number, interchange in enumerate(result.interchanges):
        if interchange.format == "x12":
            numbers = edi.AckNumbers(control_number + number, control_number + number)
            answers += edi.acknowledge(interchange, control_numbers=numbers, at=moment, newline="\n")
    if not answers:
        typer.echo("No acknowledgment is due: the file holds no functional group that asks for one.", err=True)
        raise typer.Exit(EXIT_FAILURE)
    typer.echo(answers.decode("utf-8"), nl=False)


@app.command()
def sets(code: Annotated[str, typer.Argument(help="A set, such as 850; all sets when left out.")] = "") -> None:
    """List the sets that are read and written in full, or show the layout of one."""
    if not code:
        for known in edi.known_sets():
            typer.echo(f"{known}  {edi.FUNCTIONAL_IDS[known]}  {TITLES[known]}")
        return
    if code not in edi.known_sets():
        raise NotFound(f"No schema is held for set {code}", hint="crossdock edi sets lists those that are")
    typer.echo("\n".join(set_layout(code)))


def _read(file: Path, lenient: bool) -> edi.ReadResult:
    overlay = edi.PartnerOverlay(acceptance="lenient" if lenient else "strict")
    if str(file) == "-":
        return edi.read_all(sys.stdin.buffer.read(), partner_overlay=overlay)
    if not file.is_file():
        raise NotFound(f"There is no file {file}", hint="Check the path, or use - for standard input")
    return edi.read_all(file.read_bytes(), partner_overlay=overlay)


# -- JSON ---------------------------------------------------------------------------------------------------------


def finding_data(finding: Finding) -> dict[str, Any]:
    """Return a finding as plain data; its severity and offset are always spelled out."""
    data: dict[str, Any] = msgspec.to_builtins(finding)
    return {**data, "severity": finding.severity, "offset": finding.offset, "pointer": finding.pointer}


def _segment_data(segment: edi.Segment | None) -> dict[str, Any] | None:
    if segment is None:
        return None
    return {"tag": segment.tag, "elements": segment.elements[1:], "offset": segment.offset}


def _set_data(one: edi.TransactionSet) -> dict[str, Any]:
    return {
        "code": one.code,
        "control_number": one.control_number,
        "pointer": one.pointer,
        "offset": one.offset,
        "accepted": one.accepted,
        "acceptance": one.acceptance,
        "segments": [_segment_data(segment) for segment in one.segments],
        "findings": [finding_data(finding) for finding in one.findings],
    }


def _group_data(group: edi.Group) -> dict[str, Any]:
    return {
        "functional_id": group.functional_id,
        "sender": group.sender,
        "receiver": group.receiver,
        "control_number": group.control_number,
        "version": group.version,
        "date": group.date,
        "time": group.time,
        "offset": group.offset,
        "header": _segment_data(group.header),
        "sets": [_set_data(one) for one in group.sets],
        "strays": [_segment_data(segment) for segment in group.strays],
        "trailer": _segment_data(group.trailer),
        "findings": [finding_data(finding) for finding in group.findings],
    }


def _interchange_data(one: edi.Interchange) -> dict[str, Any]:
    return {
        "format": one.format,
        "sender": {"qualifier": one.sender_qualifier, "id": one.sender},
        "receiver": {"qualifier": one.receiver_qualifier, "id": one.receiver},
        "control_number": one.control_number,
        "version": one.version,
        "usage": one.usage,
        "date": one.date,
        "time": one.time,
        "ack_requested": one.ack_requested,
        "delimiters": msgspec.to_builtins(one.delimiters),
        "offset": one.offset,
        "length": one.length,
        "segment_count": one.segment_count,
        "segments": [_segment_data(segment) for segment in one.segments],
        "groups": [_group_data(group) for group in one.groups],
        "findings": [finding_data(finding) for finding in one.findings],
    }


def as_data(result: edi.ReadResult) -> dict[str, Any]:
    """Return a read result as plain data: `findings` lists every finding of the file, at whatever level.

    `segment_count` counts every segment read; `garbage` stretches of bytes outside any interchange.
    """
    return {
        "format": result.format,
        "segment_count": result.segment_count,
        "garbage": result.garbage,
        "interchanges": [_interchange_data(one) for one in result.interchanges],
        "findings": [finding_data(finding) for finding in result.all_findings()],
    }


# -- text ---------------------------------------------------------------------------------------------------------


def _print_contents(result: edi.ReadResult) -> None:
    for number, one in enumerate(result.interchanges, 1):
        parties = f"{one.sender_qualifier}:{one.sender} to {one.receiver_qualifier}:{one.receiver}"
        typer.echo(f"Interchange {number}  {one.control_number or '-'}  {parties}  version {one.version or '-'}")
        for at, group in enumerate(one.groups, 1):
            if one.format == "x12":
                name = f"{group.functional_id or '-'}  {group.control_number or '-'}"
                typer.echo(f"  Group {at}  {name}  {group.version}")
            for each in group.sets:
                words = {"A": "accepted", "E": "accepted with errors", "R": "rejected"}[each.acceptance]
                typer.echo(f"    Set {each.code}  {each.control_number}  {len(each.segments)} segments  {words}")
                for segment in each.segments:
                    typer.echo(f"      {segment.offset:>8}  {one.delimiters.element.join(segment.elements)}")
    typer.echo(f"{result.format}: {result.segment_count} segments read", err=True)


def _print_findings(findings: list[Finding]) -> None:
    for finding in findings:
        place = f" at {finding.pointer}" if finding.pointer else ""
        byte = f" (byte {finding.offset})" if finding.offset is not None else ""
        typer.echo(f"{finding.severity:7} {finding.code}: {finding.message}{place}{byte}")
        if finding.hint and finding.severity != "info":
            typer.echo(f"        {finding.hint}")
