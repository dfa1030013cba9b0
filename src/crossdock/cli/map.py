"""`crossdock map`: test, lint, run and explain maps without touching the hub.

Exit codes: `test` and `lint` 0 when nothing is wrong, 6 when some maps are in order and some are not, 1 when none is.
`run` and `explain` 0, 1 when the document is rejected or held. All: 3 when a file does not exist.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import yaml

from crossdock import edi, formats, mapping
from crossdock.canonical.catalog import OBJECTS
from crossdock.errors import ConfigurationError, DocumentRejected, Finding, HeldAwaiting, NotFound
from crossdock.mapping.faults import shown

EXIT_FAILURE = 1
EXIT_PARTLY = 6

app = typer.Typer(help="Test, lint, run and explain maps.", no_args_is_help=True)

MapsArgument = Annotated[Path, typer.Argument(help="A map, or a folder of maps (*.yaml, all levels).")]
MapArgument = Annotated[Path, typer.Argument(help="The map.")]
InputArgument = Annotated[
    Path, typer.Argument(help="The document in the map's `from` format; JSON for a canonical one.")
]
LookupsOption = Annotated[
    Path | None,
    typer.Option(
        "--lookups", help="YAML: table name to its rows, or a pack's folder of tables; otherwise the map's own pack's."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]


@app.command("test")
def run_map_tests(path: MapsArgument, as_json: JsonOption = False) -> None:
    """Run the tests that stand in the maps."""
    report: list[dict[str, Any]] = []
    for file in _maps(path):
        compiled, findings = _compiled(file)
        results = mapping.run_tests(compiled, decode=decode) if compiled else []
        good = compiled is not None and all(result.passed for result in results)
        report.append({"file": str(file), "passed": good, "tests": results, "findings": findings})
        if not as_json:
            _show_tests(file, results, findings)
    if as_json:
        _print_json(report)
    else:
        count = sum(len(entry["tests"]) for entry in report)
        failed = sum(not result.passed for entry in report for result in entry["tests"])
        typer.echo(f"{len(report)} maps, {count} tests, {failed} failed", err=True)
    raise typer.Exit(_verdict([entry["passed"] for entry in report]))


@app.command()
def lint(path: MapsArgument, as_json: JsonOption = False) -> None:
    """Check maps without running them; canonical objects are checked by their schema, formats by their options."""
    report: list[dict[str, Any]] = []
    for file in _maps(path):
        findings = lint_file(file)
        good = not any(finding.severity == "error" for finding in findings)
        report.append({"file": str(file), "passed": good, "findings": findings})
        if not as_json:
            for finding in findings:
                _show_finding(file, finding)
    if as_json:
        _print_json(report)
    else:
        count = sum(len(entry["findings"]) for entry in report)
        typer.echo(f"{len(report)} maps, {count} findings", err=True)
    raise typer.Exit(_verdict([entry["passed"] for entry in report]))


@app.command()
def run(
    map_file: MapArgument, document: InputArgument, lookups: LookupsOption = None, as_json: JsonOption = False
) -> None:
    """Map a file and print what comes out: JSON, or the bytes of the target format."""
    compiled = _needed(map_file)
    results: list[Any] = []
    ended: list[DocumentRejected | HeldAwaiting] = []
    for one, context in _inputs(compiled, document, _tables(map_file, lookups)):
        try:
            results.append(compiled.run(one, context))
        except (DocumentRejected, HeldAwaiting) as error:
            ended.append(error)
    for end in ended:
        _show_end(map_file, end)
    if as_json or compiled.target.format not in ("csv", "fixed"):
        _print_json(results[0] if len(results) == 1 else results)
    elif results:
        typer.echo(formats.encode(results, compiled.target), nl=False)
    raise typer.Exit(_verdict([True] * len(results) + [False] * len(ended)))


@app.command()
def explain(
    map_file: MapArgument, document: InputArgument, lookups: LookupsOption = None, as_json: JsonOption = False
) -> None:
    """Show for each target field its value, expression, line, sources and lookups."""
    compiled = _needed(map_file)
    traces = [
        compiled.explain(one, context) for one, context in _inputs(compiled, document, _tables(map_file, lookups))
    ]
    if as_json:
        _print_json(traces[0] if len(traces) == 1 else traces)
        return
    for number, fields in enumerate(traces, 1):
        if len(traces) > 1:
            typer.echo(f"document {number}")
        for trace in fields:
            value = shown(trace.value) or "-"
            typer.echo(f"{trace.target_pointer} = {value}")
            typer.echo(f"    line {trace.line}  {trace.expression or '(constant)'}")
            if trace.sources:
                typer.echo(f"    from {', '.join(trace.sources)}")
            for table, key, found in trace.lookups:
                typer.echo(f"    lookup {table}[{key}] = {found or 'no such row'}")


# -- files --------------------------------------------------------------------------------------------------------


def decode(data: bytes, side: mapping.MapSide) -> list[dict[str, Any]]:
    """Return the documents of a file, whatever its format; rows that were left out are told on standard error."""
    if side.format == "x12":
        wanted = str(side.options.get("set", ""))
        every = [one for interchange in edi.read_all(data).interchanges for one in interchange.sets]
        sets = [one for one in every if not wanted or one.code == wanted]
        if not sets:
            raise DocumentRejected(f"there is no set {wanted} in the file", code="XD-DOC-015")
        return [edi.set_to_document(one) for one in sets]
    decoded = formats.decode(data, side if side.format else mapping.MapSide("json"))
    for finding in decoded.findings:
        typer.echo(f"{finding.severity}: {finding.pointer}: {finding.message}", err=True)
    return decoded.documents


def lint_file(file: Path) -> list[Finding]:
    """Return the findings of a map's file: language, schemas of canonical objects, options of formats."""
    text = file.read_text(encoding="utf-8")
    compiled, findings = _compiled(file)
    if compiled is None:
        return findings
    source, target = (_schema(side) for side in (compiled.source, compiled.target))
    found = mapping.lint(text, file=str(file), source_schema=source, target_schema=target)
    for side in (compiled.source, compiled.target):
        found += [msgspec.structs.replace(finding, line=side.line) for finding in formats.check(side)]
    return found


def _schema(side: mapping.MapSide) -> dict[str, Any] | None:
    """Return the JSON Schema of a canonical object, `None` for a format or an object without one."""
    kind = OBJECTS.get(side.object or "")
    return msgspec.json.schema(kind) if kind is not None else None


def _maps(path: Path) -> list[Path]:
    if path.is_dir():
        found = [file for file in sorted(path.rglob("*.yaml")) if file.read_bytes()[:8192].find(b"map:") >= 0]
        maps = [file for file in found if _is_map(file)]
        if maps:
            return maps
        raise NotFound(f"There is no map in {path}", hint="A map is a YAML file with the key map")
    _exists(path)
    return [path]


def _is_map(file: Path) -> bool:
    return any(line.startswith("map:") for line in file.read_text(encoding="utf-8", errors="replace").splitlines())


def _exists(path: Path) -> None:
    if not path.is_file():
        raise NotFound(f"There is no file {path}", hint="Check the path")


def _compiled(file: Path) -> tuple[mapping.CompiledMap | None, list[Finding]]:
    try:
        return mapping.compile_map(file.read_text(encoding="utf-8"), file=str(file)), []
    except UnicodeDecodeError as error:
        return None, [Finding("XD-MAP-001", f"the file is not UTF-8: {error.reason}", offset=error.start)]
    except ConfigurationError as error:
        return None, list(error.findings)


def _needed(file: Path) -> mapping.CompiledMap:
    _exists(file)
    compiled, findings = _compiled(file)
    if compiled is None:
        for finding in findings:
            _show_finding(file, finding)
        raise typer.Exit(EXIT_FAILURE)
    return compiled


def _inputs(
    compiled: mapping.CompiledMap, document: Path, tables: dict[str, dict[str, str]]
) -> list[tuple[Any, mapping.MapContext]]:
    _exists(document)
    found: list[tuple[Any, mapping.MapContext]] = []
    for decoded in decode(document.read_bytes(), compiled.source):
        root = decoded if compiled.definition.select else None
        context = mapping.MapContext(lookups=tables, message={"name": document.name}, root=root)
        found += [(one, context) for one in compiled.split(decoded)]
    return found


def _tables(map_file: Path, lookups: Path | None) -> dict[str, dict[str, str]]:
    """Return the lookup tables: those named, else those that lie beside the maps of the map's own pack."""
    if lookups is None:
        beside = map_file.resolve().parent.parent / "lookups"
        files = sorted(beside.glob("*.yaml"))
    elif lookups.is_dir():
        files = sorted(lookups.glob("*.yaml"))
    else:
        _exists(lookups)
        files = [lookups]
    tables: dict[str, dict[str, str]] = {}
    for file in files:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        # A pack keeps one table in a file; a file of tables names each.
        named = {loaded["table"]: loaded.get("rows") or {}} if "table" in loaded and "rows" in loaded else loaded
        for name, rows in named.items():
            tables[str(name)] = {str(key): str(value) for key, value in rows.items()}
    return tables


# -- output -------------------------------------------------------------------------------------------------------


def _verdict(outcomes: list[bool]) -> int:
    if all(outcomes):
        return 0
    return EXIT_PARTLY if any(outcomes) else EXIT_FAILURE


def _print_json(value: Any) -> None:
    encoder = msgspec.json.Encoder(decimal_format="number")
    typer.echo(msgspec.json.format(encoder.encode(value), indent=2).decode())


def _show_tests(file: Path, results: list[mapping.TestResult], findings: list[Finding]) -> None:
    for finding in findings:
        _show_finding(file, finding)
    for result in results:
        typer.echo(f"{'ok  ' if result.passed else 'FAIL'}  {file}:{result.line}  {result.name}")
        for difference in result.differences:
            typer.echo(f"      {difference}")


def _show_finding(file: Path, finding: Finding) -> None:
    typer.echo(f"{file}:{finding.line or 1}: {finding.severity} {finding.code} {finding.message}")
    if finding.hint:
        typer.echo(f"      {finding.hint}")


def _show_end(file: Path, error: DocumentRejected | HeldAwaiting) -> None:
    word = f"held, awaits {error.awaits}" if isinstance(error, HeldAwaiting) else "rejected"
    typer.echo(f"{word}: {error}", err=True)
    for finding in error.findings:
        place = f"{file}:{finding.line or 1}: {finding.code} {finding.message}"
        typer.echo(place + (f" (source {finding.pointer})" if finding.pointer else ""), err=True)
