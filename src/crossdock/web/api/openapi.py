"""The API's own description: OpenAPI 3.1, from the handlers, with the ingest door and the error contract written in.

`python -m crossdock.web.api.openapi FILE` writes it; a test fails when the committed file differs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath

from ...canonical.catalog import schemas
from ...errors import NotFound
from ..rendering import page

DESCRIPTION = (
    "Orders, shipments, messages and issues of one tenant. The tenant always comes from the credential."
    " Errors are `application/problem+json` with a stable `code`; lists are cursor pages;"
    " writes take an `Idempotency-Key` that is kept for 24 hours."
    " What exists in another tenant is answered exactly like what does not exist."
)
ERRORS = {
    "400": "The request cannot be understood",
    "401": "The credential is missing or wrong",
    "403": "The role may not do this",
    "404": "There is no such object in this tenant",
    "409": "The request contradicts the present state",
    "422": "The content breaks a rule, or the idempotency key was used for another request",
    "429": "Too many requests",
    "503": "Not now; the same request may succeed later",
}


@get(["/v1/openapi.json", "/openapi.json"], include_in_schema=False)
async def serve_document(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return the document; there is no page that would load scripts from elsewhere."""
    content = msgspec.json.encode(completed(request.app.openapi_schema.to_schema()))
    return Response(content, media_type="application/json")


@get("/docs/api", include_in_schema=False)
async def api_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show the API's operations as a plain page, readable without signing in."""
    paths = completed(request.app.openapi_schema.to_schema())["paths"]
    operations = [
        (method.upper(), path, operation)
        for path, item in paths.items()
        for method, operation in item.items()
        if isinstance(operation, dict) and "responses" in operation
    ]
    return page(
        "console/api.html", {"operations": operations, "description": DESCRIPTION, "schemas": sorted(schemas())}
    )


@get("/schemas/{file:str}", include_in_schema=False)
async def serve_schema(file: FromPath[str]) -> Response[bytes]:
    """Return the JSON Schema of an event type or canonical object; events name theirs in `dataschema`."""
    schema = schemas().get(file.removesuffix(".json")) if file.endswith(".json") else None
    if schema is None:
        raise NotFound()
    return Response(
        msgspec.json.encode(schema),
        media_type="application/schema+json",
        headers={"cache-control": "public, max-age=3600", "access-control-allow-origin": "*"},
    )


def completed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the framework's document with what it cannot know: the ingest door, credentials, problems."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(schema))
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = _PROBLEM
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "an API key, `xd_<tenant>_…`"}
    }
    document["security"] = [{"key": []}]
    document["paths"]["/v1/ingest/{tenant}/{connection}"] = _INGEST
    for path, item in document["paths"].items():
        for operation in item.values():
            if isinstance(operation, dict) and "responses" in operation:
                _add_problems(operation, public=not path.startswith("/v1/"))
    document["paths"] = dict(sorted(document["paths"].items()))
    return document


def _add_problems(operation: dict[str, Any], *, public: bool) -> None:
    responses = operation["responses"]
    if public:
        operation["security"] = []
        return
    for status, words in ERRORS.items():
        responses[status] = {
            "description": words,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }


def _accepted(name: str) -> dict[str, Any]:
    return {"type": "object", "required": ["message_id", "state"], "title": name, "properties": {
        "message_id": {"type": "string"},
        "state": {"type": "string", "enum": ["received", "duplicate", "conflict"]},
        "duplicate_of": {"type": "string", "description": "set when the same paper came before"},
        "code": {"type": "string", "description": "in a batch, the code of an item that was not accepted"},
    }}  # fmt: skip


_PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457, with what, where, why, how to fix, and who is affected",
    "required": ["type", "title", "status", "detail", "code", "retryable"],
    "properties": {
        "type": {"type": "string", "description": "address of the page about the code"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string", "examples": ["XD-API-404"]},
        "pointer": {"type": "string", "description": "where in the document or request"},
        "hint": {"type": "array", "items": {"type": "string"}, "description": "how to fix it, in order"},
        "impact": {"type": "string"},
        "doc_url": {"type": "string"},
        "trace_id": {"type": "string"},
        "request_id": {"type": "string"},
        "retryable": {"type": "boolean", "description": "the same request may succeed later"},
        "retry_after": {"type": "integer", "description": "seconds"},
        "findings": {"type": "array", "items": {"type": "object"}},
    },
}

_INGEST: dict[str, Any] = {
    "post": {
        "operationId": "ingest",
        "summary": "Hand in documents",
        "tags": ["ingest"],
        "description": (
            "Takes any bytes the connection was configured for. Answered after they are durable;"
            " a duplicate is answered like the first. `application/x-ndjson` is one document a line;"
            " a JSON array is taken apart where the connection says so."
            " Authenticate as the connection says: a bearer key, an HMAC header, or Standard Webhooks headers."
        ),
        "security": [{"key": []}, {}],
        "parameters": [
            {"name": "tenant", "in": "path", "required": True, "schema": {"type": "string"}},
            {"name": "connection", "in": "path", "required": True, "schema": {"type": "string"}},
            {
                "name": "idempotency-key",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "maxLength": 255},
            },
            {"name": "x-file-name", "in": "header", "required": False, "schema": {"type": "string", "maxLength": 255}},
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {}},
                "application/x-ndjson": {"schema": {"type": "string"}},
                "application/edi-x12": {"schema": {"type": "string"}},
                "text/csv": {"schema": {"type": "string"}},
            },
        },
        "responses": {
            "202": {
                "description": "stored durably",
                "content": {
                    "application/json": {
                        "schema": {
                            "oneOf": [
                                _accepted("Accepted"),
                                {
                                    "type": "object",
                                    "title": "AcceptedBatch",
                                    "required": ["items"],
                                    "properties": {"items": {"type": "array", "items": _accepted("Item")}},
                                },
                            ]
                        }
                    }
                },
            },
            "413": {"description": "larger than this door takes"},
            "507": {"description": "the disk is full; nothing was kept"},
        },
    }
}


def document() -> dict[str, Any]:
    """Return the document of this version, without a running hub."""
    from ..app import create_litestar

    app = create_litestar(None)  # type: ignore[arg-type]  # no request is served
    return completed(app.openapi_schema.to_schema())


def text() -> str:
    """Return the document as it is committed."""
    return msgspec.json.format(msgspec.json.encode(document(), order="sorted"), indent=2).decode() + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
