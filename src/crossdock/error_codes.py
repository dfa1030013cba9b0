"""The catalogue of everything that can go wrong: one stable code, what it means and what to do about it.

API problems, console pages, mails, `crossdock explain` and `docs/reference/errors.md` all read this table.
A code is never given a second meaning; a retired one stays. Which code applies is decided where the error is raised.
Families: DOC documents, MAP maps, ING the ingest door, PTR partners, ORD orders, CFG configuration, SEC security,
API the caller of the API, SYS this installation, EDI interchanges (single findings have names of their own).
"""

from __future__ import annotations

import difflib
from typing import Any, Literal

import msgspec

from crossdock.errors import CrossdockError, TransientError

# Who has to act: the partner, whoever keeps maps and tables, the operator, nobody knows yet, the caller.
Category = Literal["partner", "data", "system", "unknown", "caller"]


class ErrorCode(msgspec.Struct, frozen=True):
    """One kind of fault. `fix` lists steps in the order to try them; `retryable` says the same request may succeed."""

    code: str
    title: str
    category: Category
    http_status: int
    retryable: bool
    what: str
    why: str
    fix: tuple[str, ...]

    @property
    def docs(self) -> str:
        """The page about this code, relative to the installation's own address."""
        return f"/docs/errors/{self.code}"


_DOCUMENTS = (
    ErrorCode(
        "XD-DOC-001", "The document breaks the agreement", "partner", 422, False,
        "The document was stored but not applied.",
        "Its content contradicts what was agreed with this partner; the findings name each place.",
        ("Read the findings", "Ask the partner for a corrected document, or change the agreement and replay"),
    ),
    ErrorCode(
        "XD-DOC-002", "Malformed JSON", "partner", 400, False,
        "The body could not be read as JSON; the bytes are kept.",
        "It ends too early or has a character where none may stand; the offset says where.",
        ("Look at the byte named by the offset", "Send the whole document again"),
    ),
    ErrorCode(
        "XD-DOC-003", "Duplicate key in a JSON object", "partner", 400, False,
        "The document was not applied, because two systems could read it in two ways.",
        "An object holds the same key twice.",
        ("Remove one of the two keys at the named place", "Send the document again"),
    ),
    ErrorCode(
        "XD-DOC-004", "Invalid UTF-8", "partner", 400, False,
        "The text could not be decoded; the bytes are kept.",
        "A byte sequence is no UTF-8; the sender probably writes Latin-1 or Windows-1252.",
        ("Ask the sender for UTF-8", "Or set the encoding on the connection, then replay"),
    ),
    ErrorCode(
        "XD-DOC-005", "NUL byte in text", "partner", 400, False,
        "The document was not applied.",
        "It holds a byte 0, which no text field can carry; often padding of a fixed buffer.",
        ("Ask the sender to pad with blanks", "Send the document again"),
    ),
    ErrorCode(
        "XD-DOC-006", "Nested too deeply", "partner", 400, False,
        "The document was refused before it was read to the end.",
        "Objects, lists or elements are nested deeper than `limits.document_depth_max`.",
        ("Check the sender for a loop", "Raise `limits.document_depth_max` when the depth is real"),
    ),
    ErrorCode(
        "XD-DOC-007", "Message too large", "caller", 413, False,
        "The body was refused; nothing was stored.",
        "It is larger than `web.ingest_body_bytes_max`.",
        ("Split the message, or send it by SFTP", "Or raise `web.ingest_body_bytes_max`"),
    ),
    ErrorCode(
        "XD-DOC-008", "Columns differ from the agreement", "partner", 422, False,
        "The file was not applied.",
        "A column is missing, unknown or named twice in the first row.",
        ("Compare the first row with the columns of the connection", "Correct the file or the map, then replay"),
    ),
    ErrorCode(
        "XD-DOC-009", "Row with a wrong number of cells", "partner", 422, False,
        "This row was not applied; the other documents of the file were.",
        "The row has more or fewer cells than the first row, often because of a separator inside a value.",
        ("Quote the value that holds the separator", "Send the row again"),
    ),
    ErrorCode(
        "XD-DOC-010", "Record of the wrong length", "partner", 422, False,
        "This record was not applied; the other documents of the file were.",
        "A fixed-width record is shorter or longer than its layout.",
        ("Compare the record with the layout at the named line", "Send the record again"),
    ),
    ErrorCode(
        "XD-DOC-011", "The interchange header is too short", "partner", 422, False,
        "The interchange was not read; the bytes are kept.",
        "ISA is fixed width: 106 bytes, and this one ends before, so its separators are unknown.",
        ("Ask the partner to pad every ISA element to its width", "Then have the interchange sent again"),
    ),
    ErrorCode(
        "XD-DOC-012", "Transaction set rejected", "partner", 422, False,
        "This set was not applied and the acknowledgment says so; the other sets of the interchange went on.",
        "The set breaks its standard or the partner's guide; the findings name segment and element.",
        ("Read the findings", "Have the partner correct and send this set again"),
    ),
    ErrorCode(
        "XD-DOC-013", "Unknown kind of document", "partner", 415, False,
        "The message is kept, but nobody could tell what it is.",
        "Neither the connection nor the content names a document type that is configured.",
        ("Add the document type to the connection", "Then replay the message"),
    ),
    ErrorCode(
        "XD-DOC-014", "Number out of range", "partner", 422, False,
        "The document was not applied.",
        "A number is no finite decimal, has too many digits, or lies outside what its field may hold.",
        ("Correct the value at the named place", "Send the document again"),
    ),
    ErrorCode(
        "XD-DOC-015", "Empty message", "caller", 400, False,
        "There was nothing to store.",
        "The body has no bytes, or blanks only.",
        ("Check that the sender attaches the content", "Send it again"),
    ),
    ErrorCode(
        "XD-DOC-016", "Malformed or unsafe XML", "partner", 400, False,
        "The document was not applied; the bytes are kept.",
        "It is not well formed, or it declares a document type or entities, which are never read.",
        ("Remove the DOCTYPE and the entities", "Send the document again"),
    ),
    ErrorCode(
        "XD-DOC-017", "Too many documents in one message", "partner", 413, False,
        "The message is kept and none of its documents was applied.",
        "It holds more than `limits.documents_per_message_max`.",
        ("Split the message", "Or raise `limits.documents_per_message_max` and replay"),
    ),
    ErrorCode(
        "XD-DOC-018", "The document does not fit its schema", "partner", 422, False,
        "The document was not applied.",
        "A required field is missing, unknown, or has another type; the findings name every place.",
        ("Correct the named fields", "Send the document again"),
    ),
    ErrorCode(
        "XD-DOC-019", "Document not agreed with this partner", "partner", 422, False,
        "The document is kept and was not applied.",
        "The connection does not list this document type in this direction.",
        ("Add the document to the connection and replay", "Or ask the partner to stop sending it"),
    ),
    ErrorCode(
        "XD-DOC-020", "No rule reads this document", "data", 422, False,
        "The document is kept and was not applied.",
        "No inbound rule of the connection fits it.",
        ("Add a rule or map for it to the pack and apply", "Then replay"),
    ),
)  # fmt: skip

_MAPS = (
    ErrorCode(
        "XD-MAP-001", "The map cannot be read", "data", 422, False,
        "The map was not accepted.",
        "The YAML or one of its expressions has a syntax fault at the named line.",
        ("Correct the line", "Run `crossdock map lint` on the file"),
    ),
    ErrorCode(
        "XD-MAP-002", "Not part of the mapping language", "data", 422, False,
        "The map was not accepted.",
        "An expression uses a construct the language leaves out, such as a loop, a lambda or an attribute.",
        ("Use a function of the reference, or `each` for lists", "Run `crossdock map lint` on the file"),
    ),
    ErrorCode(
        "XD-MAP-003", "Unknown function", "data", 422, False,
        "The map was not accepted.",
        "An expression calls a function that is not registered.",
        ("Use the name the message offers", "The reference of the mapping language lists every function"),
    ),
    ErrorCode(
        "XD-MAP-004", "Wrong arguments", "data", 422, False,
        "The map was not accepted.",
        "A function is called with too few, too many or unfit arguments.",
        ("Compare the call with the function's signature in the reference",),
    ),
    ErrorCode(
        "XD-MAP-005", "Unknown source field", "data", 422, False,
        "The map was not accepted.",
        "An expression reads a field or name that the source document does not have.",
        ("Use the name the message offers", "Or correct the source schema"),
    ),
    ErrorCode(
        "XD-MAP-006", "Unknown target field", "data", 422, False,
        "The map was not accepted.",
        "A rule sets a field that the target document does not have.",
        ("Use the name the message offers",),
    ),
    ErrorCode(
        "XD-MAP-007", "The value does not fit the target", "data", 422, False,
        "The document was not applied, or the map was not accepted.",
        "A rule gives a text where the target wants a number, a date, or the like.",
        ("Convert the value in the rule, with `number(…)` or `date(…)`", "Then replay"),
    ),
    ErrorCode(
        "XD-MAP-008", "A required target field is not set", "data", 422, False,
        "The document was not applied, or the map was not accepted.",
        "The target document requires a field that no rule of the map sets.",
        ("Add a rule for the field", "Then replay"),
    ),
    ErrorCode(
        "XD-MAP-009", "Unknown lookup table", "data", 422, False,
        "The map was not accepted.",
        "An expression names a table that the pack does not hold.",
        ("Use the name the message offers", "Or add the table to the pack"),
    ),
    ErrorCode(
        "XD-MAP-010", "A required value is missing", "partner", 422, False,
        "The document was not applied.",
        "The map needs a field that this document leaves empty.",
        ("Ask the partner for the value", "Or give the rule a default and replay"),
    ),
    ErrorCode(
        "XD-MAP-011", "A value has the wrong type", "data", 422, False,
        "The document was not applied.",
        "An expression calculates with a value that is no number, or joins one that is no text.",
        ("Convert the value in the rule", "Then replay"),
    ),
    ErrorCode(
        "XD-MAP-012", "A value cannot be read", "partner", 422, False,
        "The document was not applied.",
        "A text stands where a number, date, time, zone or unit was expected.",
        ("Ask the partner to correct the value", "Or tell the rule the format, then replay"),
    ),
    ErrorCode(
        "XD-MAP-013", "The map used up its budget", "data", 422, False,
        "The evaluation was stopped; the document was not applied.",
        "An expression took more steps, depth or output than a document may.",
        ("Simplify the expression at the named line", "Then replay"),
    ),
    ErrorCode(
        "XD-MAP-014", "Unmapped code", "data", 422, False,
        "The document is held; it goes on by itself as soon as the code is known.",
        "A lookup table has no row for a code that the partner sent, and no default.",
        ("Add the code to the table", "Or ask the partner to send the agreed code"),
    ),
    ErrorCode(
        "XD-MAP-015", "The map refused the document", "partner", 422, False,
        "The document was not applied.",
        "A rule of the map calls `fail`; its message says why.",
        ("Do what the message says", "Then replay"),
    ),
    ErrorCode(
        "XD-MAP-016", "Division by zero", "data", 422, False,
        "The document was not applied.",
        "An expression divides by a value that is 0 in this document.",
        ("Guard the division with `if … else`", "Then replay"),
    ),
    ErrorCode(
        "XD-MAP-017", "A test of the map failed", "data", 422, False,
        "The map was not released.",
        "One of the tests inside the map gives another result than it states.",
        ("Compare expected and actual in the output of `crossdock map test`", "Correct the rule or the test"),
    ),
    ErrorCode(
        "XD-MAP-018", "The map does not apply", "data", 422, False,
        "The document was read and left without effect.",
        "The map's `when` does not hold for this document.",
        ("Check the condition when the document should have had an effect",),
    ),
    ErrorCode(
        "XD-MAP-019", "The map has no tests", "data", 422, False,
        "The map was accepted with a warning.",
        "Nothing in the file proves what the map does.",
        ("Add a test: an input and the expected output",),
    ),
    ErrorCode(
        "XD-MAP-020", "The map's result is not valid", "data", 422, False,
        "The document was not applied.",
        "What the map made breaks a rule of the canonical object; the pointer names the field.",
        ("Correct the map at that field", "Then replay"),
    ),
)  # fmt: skip

_INGEST = (
    ErrorCode(
        "XD-ING-001", "Unknown door", "caller", 404, False,
        "Nothing was stored.",
        "No connection listens at this address.",
        ("Compare the address with the one on the connection's page",),
    ),
    ErrorCode(
        "XD-ING-002", "Unknown partner", "partner", 422, False,
        "The message is kept, but nobody could tell whom it is from.",
        "The sender named in the content is no partner of this tenant.",
        ("Add the sender's id to the partner", "Then replay the message"),
    ),
    ErrorCode(
        "XD-ING-003", "Connection not in use", "caller", 409, False,
        "Nothing was stored.",
        "The connection is switched off or does not receive.",
        ("Switch the connection on in the pack and apply it",),
    ),
    ErrorCode(
        "XD-ING-004", "Duplicate", "partner", 200, False,
        "The same paper came before; it was answered as then and has no second effect.",
        "Its id, business key or content is already known on this connection.",
        ("Nothing to do", "When it is meant as a new paper, ask for a new number"),
    ),
    ErrorCode(
        "XD-ING-005", "Same key, other content", "partner", 409, False,
        "The message is kept and was not applied.",
        "A message with this id was received before, and its content was different.",
        ("Compare the two messages", "Send the correction under an id of its own"),
    ),
    ErrorCode(
        "XD-ING-006", "Still in flight", "caller", 409, True,
        "A request with this key is being worked on at this moment.",
        "The first request has not been answered yet.",
        ("Wait a second and ask again with the same key",),
    ),
    ErrorCode(
        "XD-ING-010", "Too busy", "system", 503, True,
        "Nothing was stored.",
        "More waits inside than may; accepting slows until sending has caught up.",
        ("Send again after the time in `Retry-After`", "See which connection lags on the overview"),
    ),
    ErrorCode(
        "XD-ING-011", "Control number used before", "partner", 409, False,
        "The interchange is kept and was not applied.",
        "The partner has used this interchange control number for another content.",
        ("Ask the partner for a new control number", "Or accept it once by replaying"),
    ),
    ErrorCode(
        "XD-ING-012", "Wrong content type", "caller", 415, False,
        "Nothing was stored.",
        "The connection does not take this `Content-Type`.",
        ("Send one of the types that the connection lists",),
    ),
)  # fmt: skip

_PARTNERS = (
    ErrorCode(
        "XD-PTR-001", "Partner unavailable", "partner", 503, True,
        "The message waits and is sent again by itself.",
        "The partner could not be reached or asked to come back later.",
        ("Wait: attempts go on with growing pauses", "Call the partner when the circuit stays open"),
    ),
    ErrorCode(
        "XD-PTR-002", "Partner refused", "partner", 422, False,
        "The message is in the dead letters; it is not sent again by itself.",
        "The partner will never take this content; the answer says why.",
        ("Read the partner's answer", "Correct the order or the map, then replay"),
    ),
    ErrorCode(
        "XD-PTR-003", "Outcome unknown", "unknown", 504, True,
        "Nobody knows yet whether the message took effect; it is not sent blindly again.",
        "The connection broke after sending and before the answer.",
        ("Wait: the partner is asked by the message's identity", "Where it cannot be asked, look there and settle it"),
    ),
    ErrorCode(
        "XD-PTR-004", "Rate limited by the partner", "partner", 429, True,
        "Messages wait and go out at the partner's pace.",
        "The partner answered that too many requests came.",
        ("Wait: `Retry-After` is honored", "Agree on a higher limit when this happens daily"),
    ),
    ErrorCode(
        "XD-PTR-005", "Circuit open", "partner", 503, True,
        "Messages to this connection are buffered, in order; nothing is lost.",
        "Several sends in a row failed, so the connection is only probed for now.",
        ("Wait for the next probe", "Or probe at once from the connection's page"),
    ),
    ErrorCode(
        "XD-PTR-006", "Credentials refused", "system", 502, False,
        "Messages to this connection wait.",
        "The partner does not accept the user, key or secret.",
        ("Renew the secret of the connection", "Then run the connection's check"),
    ),
    ErrorCode(
        "XD-PTR-007", "Partner's identity changed", "partner", 502, False,
        "Nothing was sent.",
        "The host key or certificate is another one than agreed; somebody may be in between.",
        ("Ask the partner by another way whether the key was changed", "Only then store the new one"),
    ),
    ErrorCode(
        "XD-PTR-008", "Unreadable answer", "partner", 502, True,
        "The outcome is treated as unknown.",
        "The partner answered with something that its interface does not provide for.",
        ("Look at the answer kept with the attempt", "Show it to the partner"),
    ),
    ErrorCode(
        "XD-PTR-009", "File could not be placed", "partner", 502, True,
        "The file waits and is placed again by itself.",
        "The directory is missing, full or not writable.",
        ("Run the connection's check", "Ask the partner for the right directory and rights"),
    ),
    ErrorCode(
        "XD-PTR-010", "Cannot connect", "partner", 503, True,
        "The message waits and is sent again by itself.",
        "The name does not resolve, or nobody answers at the address.",
        ("Check the address of the connection", "Ask the partner whether the system is up"),
    ),
    ErrorCode(
        "XD-PTR-011", "No answer in time", "partner", 504, True,
        "Where the request had gone out, its outcome is unknown and is asked for first.",
        "The partner took longer than the connection's time limit.",
        ("Wait: attempts go on with growing pauses", "Raise the time limit when the partner is always slow"),
    ),
    ErrorCode(
        "XD-PTR-015", "Redirect refused", "partner", 502, False,
        "The redirect was not followed.",
        "The partner's server points to another address; credentials are never carried along.",
        ("Ask the partner for the final address and enter it on the connection",),
    ),
    ErrorCode(
        "XD-PTR-018", "Not trusted", "partner", 502, True,
        "The exchange was broken off.",
        "The partner's certificate is not trusted, or its answer is not in the protocol agreed.",
        ("Ask the partner to renew the certificate", "Or add its authority to the connection"),
    ),
    ErrorCode(
        "XD-PTR-019", "Value cannot go into a header", "data", 422, False,
        "Nothing was sent.",
        "A name or identity holds a line break or a character that HTTP headers cannot carry.",
        ("Correct the named value", "Then replay"),
    ),
    ErrorCode(
        "XD-PTR-030", "All attempts used up", "partner", 502, False,
        "The message is in the dead letters.",
        "Every attempt of the retry policy failed.",
        ("See the attempts for the cause", "Replay when the partner is well again"),
    ),
    ErrorCode(
        "XD-PTR-031", "Acknowledged as rejected", "partner", 422, False,
        "The partner received the message and rejected it.",
        "Its acknowledgment names what it found wrong.",
        ("Read the acknowledgment", "Correct the map or the order, then replay"),
    ),
    ErrorCode(
        "XD-PTR-032", "Acknowledgment overdue", "partner", 504, False,
        "The message was sent; the partner has not confirmed that it can read it.",
        "No acknowledgment came within the agreed time.",
        ("Ask the partner whether the message arrived", "Send it again under the same number when it did not"),
    ),
)  # fmt: skip

_ORDERS = (
    ErrorCode(
        "XD-ORD-001", "No site can fulfill", "data", 422, False,
        "The order is held.",
        "Every site was passed over by a sourcing rule; the order shows each reason.",
        ("See the reasons on the order", "Correct stock, calendar or rule, then source again"),
    ),
    ErrorCode(
        "XD-ORD-002", "Shipped short", "partner", 422, False,
        "The remainder is on backorder.",
        "The site confirmed less than it was asked for.",
        ("Source the remainder from another site", "Or cancel it"),
    ),
    ErrorCode(
        "XD-ORD-003", "Unknown order", "partner", 422, False,
        "The document is parked and goes on by itself when the order appears.",
        "It refers to an order that has not been received.",
        ("Wait when the order is on its way", "Ask the partner for the right reference otherwise"),
    ),
    ErrorCode(
        "XD-ORD-004", "Too late to cancel", "partner", 409, False,
        "The order goes on.",
        "The site has already shipped, or refused the cancel.",
        ("Offer a return", "Or stop the parcel with the carrier"),
    ),
    ErrorCode(
        "XD-ORD-005", "Quantities do not add up", "unknown", 422, False,
        "The change was refused; the order is as before.",
        "It would break: ordered = open + released + picked + shipped + cancelled + backordered.",
        ("Compare the document with the order's ledger", "Ask the site for a corrected confirmation"),
    ),
    ErrorCode(
        "XD-ORD-006", "Order number used before", "partner", 409, False,
        "The document is kept and was not applied.",
        "An order with this number exists and its content is different.",
        ("Send a change instead of a new order", "Or give the order a number of its own"),
    ),
    ErrorCode(
        "XD-ORD-007", "Shipped more than requested", "partner", 422, False,
        "The confirmation is held.",
        "The site reports more units than the request asked for.",
        ("Ask the site for the right quantity", "Accept the overage when the goods are gone"),
    ),
    ErrorCode(
        "XD-ORD-008", "Late or about to be", "partner", 422, False,
        "The order is marked at risk.",
        "The expected document did not come before its deadline.",
        ("Ask the site", "Or source the remainder from another site"),
    ),
    ErrorCode(
        "XD-ORD-009", "Request refused by the site", "partner", 422, False,
        "The quantity is open again and looks for another site.",
        "The site answered that it cannot take the request.",
        ("See the site's reason", "Nothing to do when another site took over"),
    ),
    ErrorCode(
        "XD-ORD-010", "Unknown item", "data", 422, False,
        "The order is held; it goes on by itself as soon as the item is known.",
        "An order line names an item code that no master record or lookup has.",
        ("Add the item", "Or correct the code with the sender"),
    ),
)  # fmt: skip

_CONFIGURATION = (
    ErrorCode(
        "XD-CFG-001", "Configuration fault", "system", 422, False,
        "The program did not start, or the change was not accepted.",
        "A setting is missing or contradicts another.",
        ("Do what the message says", "Run `crossdock doctor`"),
    ),
    ErrorCode(
        "XD-CFG-002", "Unknown setting", "system", 422, False,
        "The program did not start.",
        "A name in `crossdock.toml` or a `CROSSDOCK_*` variable is no setting.",
        ("Use the name the message offers", "See docs/reference/settings.md"),
    ),
    ErrorCode(
        "XD-CFG-003", "Setting out of range", "system", 422, False,
        "The program did not start.",
        "The value has another type than the setting, or lies outside its bounds.",
        ("Correct the value at the named place", "See docs/reference/settings.md"),
    ),
    ErrorCode(
        "XD-CFG-004", "Settings file unreadable", "system", 422, False,
        "The program did not start.",
        "The file is missing, not readable or no TOML.",
        ("Correct the named line", "Or name another file with `--config`"),
    ),
    ErrorCode(
        "XD-CFG-005", "Root key unusable", "system", 500, False,
        "Secrets cannot be opened, so the program did not start.",
        "The key is missing or is not the base64 of 32 bytes.",
        ("Restore the key file from your backup", "A new installation makes one by itself"),
    ),
    ErrorCode(
        "XD-CFG-006", "Invalid pack", "data", 422, False,
        "Nothing was applied.",
        "A file of the pack does not fit its schema; the findings name file and line.",
        ("Correct the named files", "Run `crossdock plan` again"),
    ),
    ErrorCode(
        "XD-CFG-007", "Reference to nothing", "data", 422, False,
        "Nothing was applied.",
        "A file of the pack names a partner, connection, map, table or calendar that the pack does not hold.",
        ("Use the name the message offers", "Or add what is missing"),
    ),
    ErrorCode(
        "XD-CFG-008", "The plan is stale", "caller", 409, False,
        "Nothing was applied.",
        "Somebody applied another release since this plan was made.",
        ("Run `crossdock plan` again and read what it would change",),
    ),
    ErrorCode(
        "XD-CFG-009", "Secret not available", "system", 422, False,
        "The connection was not started.",
        "A secret reference (`env:` or `file:`) leads nowhere.",
        ("Set the variable or create the file (mode 0600)", "Then run the connection's check"),
    ),
    ErrorCode(
        "XD-CFG-010", "Store address not understood", "system", 422, False,
        "The program did not start.",
        "`store.url` is neither an SQLite nor a PostgreSQL address.",
        ("Use sqlite:///var/crossdock.db or postgresql://user@host/database",),
    ),
    ErrorCode(
        "XD-CFG-011", "SQLite too old", "system", 500, False,
        "The program did not start.",
        "This release of SQLite may damage its write-ahead log.",
        ("Install the pinned apsw: pip install -r requirements/runtime.txt",),
    ),
    ErrorCode(
        "XD-CFG-012", "PostgreSQL may lose commits", "system", 500, False,
        "The program did not start.",
        "The server or role has `fsync`, `full_page_writes` or `synchronous_commit` switched off.",
        ("Switch the named setting on", "Then start again"),
    ),
    ErrorCode(
        "XD-CFG-013", "Port in use", "system", 500, False,
        "The program did not start.",
        "Another process listens on `web.port`.",
        ("Stop the other process", "Or choose another port: `CROSSDOCK_WEB_PORT=8601`"),
    ),
)  # fmt: skip

_SECURITY = (
    ErrorCode(
        "XD-SEC-001", "Not signed in", "caller", 401, False,
        "The request was refused.",
        "The credential is missing, wrong, expired or revoked.",
        ("Sign in again, or send a valid API key as `Authorization: Bearer …`",),
    ),
    ErrorCode(
        "XD-SEC-002", "Not allowed", "caller", 403, False,
        "The request was refused.",
        "The credential is good, but its role or scope does not include this.",
        ("Ask an administrator of your tenant for the role",),
    ),
    ErrorCode(
        "XD-SEC-004", "Request from a foreign page", "caller", 403, False,
        "The request was refused.",
        "The form's token is missing or old, or another site sent it.",
        ("Load the page again and repeat the step",),
    ),
    ErrorCode(
        "XD-SEC-005", "Too many requests", "caller", 429, True,
        "The request was refused.",
        "This address or key has used up its share for now.",
        ("Wait for the time in `Retry-After`",),
    ),
    ErrorCode(
        "XD-SEC-006", "Secret cannot be opened", "system", 500, False,
        "The connection was not started.",
        "The secret was sealed with another root key, or its record was changed.",
        ("Restore the root key that belongs to this database", "Or enter the secret again"),
    ),
    ErrorCode(
        "XD-SEC-010", "Signature missing", "caller", 401, False,
        "Nothing was stored.",
        "This connection takes signed requests only, and a header that has to be there is not.",
        ("Send `webhook-id`, `webhook-timestamp` and `webhook-signature`, or the header that the connection names",),
    ),
    ErrorCode(
        "XD-SEC-011", "Signature malformed", "caller", 401, False,
        "Nothing was stored.",
        "A signature header cannot be read.",
        ("Compare the header with the specification of Standard Webhooks",),
    ),
    ErrorCode(
        "XD-SEC-012", "Signature expired", "caller", 401, False,
        "Nothing was stored.",
        "The signed time is too old or too far ahead.",
        ("Sign each attempt anew", "Check the clocks on both sides"),
    ),
    ErrorCode(
        "XD-SEC-013", "Signature wrong", "caller", 401, False,
        "Nothing was stored.",
        "The signature does not belong to these bytes under any secret of the connection.",
        ("Sign the raw body, before anything reformats it", "Check that both sides hold the same secret"),
    ),
    ErrorCode(
        "XD-SEC-020", "Forbidden address", "system", 422, False,
        "No connection was opened.",
        "The name resolves to a private, loopback or otherwise reserved address.",
        ("Check the address of the connection", "An operator may allow a network in `security.allow_private_networks`"),
    ),
    ErrorCode(
        "XD-SEC-021", "Ambiguous address", "system", 422, False,
        "No connection was opened.",
        "The address can be read in more than one way, as attackers like it.",
        ("Write a plain host name, or four decimal numbers",),
    ),
    ErrorCode(
        "XD-SEC-022", "Port not open outwards", "system", 422, False,
        "No connection was opened.",
        "The port is not among those that connections may use.",
        ("Check the port of the connection", "Ask the operator to open it"),
    ),
    ErrorCode(
        "XD-SEC-023", "Unencrypted to the public network", "system", 422, False,
        "No connection was opened.",
        "The address is public and the connection would not be encrypted.",
        ("Use https:// or SFTP",),
    ),
)  # fmt: skip

_API = (
    ErrorCode(
        "XD-API-001", "Idempotency key reused", "caller", 422, False,
        "The request was refused.",
        "The same `Idempotency-Key` was used within 24 hours for another request.",
        ("Use a new key for a new request",),
    ),
    ErrorCode(
        "XD-API-002", "Cursor not valid", "caller", 400, False,
        "The page was not given.",
        "The cursor was changed, is too old, or belongs to other filters.",
        ("Start again without a cursor",),
    ),
    ErrorCode(
        "XD-API-003", "Unknown error code", "caller", 404, False,
        "There is nothing to explain.",
        "The catalogue of this release has no such code.",
        ("Check the spelling: families are DOC MAP ING PTR ORD CFG SEC API SYS EDI", "See docs/reference/errors.md"),
    ),
    ErrorCode(
        "XD-API-400", "Bad request", "caller", 400, False,
        "The request was refused.",
        "A parameter is missing, unknown or malformed; the pointer names it.",
        ("Correct the named parameter", "The API's description is at /docs/api"),
    ),
    ErrorCode(
        "XD-API-404", "Not found", "caller", 404, False,
        "There is nothing to show.",
        "There is no such object in this tenant.",
        ("Check the id", "Search by any identifier: `crossdock find …`"),
    ),
    ErrorCode(
        "XD-API-405", "Method not allowed", "caller", 405, False,
        "The request was refused.",
        "This address does not take this method.",
        ("Use one of the methods in the `Allow` header",),
    ),
    ErrorCode(
        "XD-API-409", "Conflict", "caller", 409, False,
        "Nothing was changed.",
        "The request contradicts the present state.",
        ("Read the object again", "Repeat the step when it still makes sense"),
    ),
    ErrorCode(
        "XD-API-412", "Changed meanwhile", "caller", 412, False,
        "Nothing was changed.",
        "Somebody changed the object after you read it.",
        ("Read it again and send the new `ETag` in `If-Match`",),
    ),
    ErrorCode(
        "XD-API-415", "Unsupported media type", "caller", 415, False,
        "The request was refused.",
        "The API reads `application/json`.",
        ("Send JSON with that `Content-Type`",),
    ),
    ErrorCode(
        "XD-API-422", "Invalid content", "caller", 422, False,
        "Nothing was changed.",
        "The body is readable and breaks a rule; the pointer names the place.",
        ("Correct the named field",),
    ),
    ErrorCode(
        "XD-API-429", "Too many API requests", "caller", 429, True,
        "The request was refused.",
        "This key has used up its share for now.",
        ("Wait for the time in `Retry-After`", "Use the batch forms"),
    ),
)  # fmt: skip

_SYSTEM = (
    ErrorCode(
        "XD-SYS-001", "Internal fault", "system", 500, True,
        "The work was stopped, recorded with its trace, and is tried again a few times.",
        "This is a defect of Crossdock.",
        ("Try again", "Report it with the trace id"),
    ),
    ErrorCode(
        "XD-SYS-002", "Not yet", "system", 503, True,
        "The work waits for its time; this is no failure and counts as no attempt.",
        "What it needs comes later.",
        ("Nothing to do",),
    ),
    ErrorCode(
        "XD-SYS-003", "Store unavailable", "system", 503, True,
        "Nothing was accepted; what was accepted before is safe.",
        "The database does not answer.",
        ("Start the database", "Check `store.url` with `crossdock doctor`"),
    ),
    ErrorCode(
        "XD-SYS-004", "Disk full", "system", 507, True,
        "Nothing was accepted; what was accepted before is safe.",
        "The disk that holds the store has no room for a durable commit.",
        ("Make room or enlarge the disk", "Shorten the retention"),
    ),
    ErrorCode(
        "XD-SYS-005", "Store damaged", "system", 500, False,
        "The process stopped so as not to make it worse.",
        "The database reported a read, write or integrity fault.",
        ("Check the disk", "Restore the last backup to another disk and compare"),
    ),
    ErrorCode(
        "XD-SYS-006", "Schema does not fit", "system", 500, False,
        "The program did not start.",
        "The database was made by a newer release, or a migration is missing.",
        ("Start the release that made it", "Or let `crossdock up` migrate it after a backup"),
    ),
    ErrorCode(
        "XD-SYS-007", "Lease lost", "system", 409, True,
        "The late write was refused; another worker has taken over.",
        "This worker paused longer than its lease.",
        ("Nothing to do", "Look for overload when it happens often"),
    ),
    ErrorCode(
        "XD-SYS-008", "Shutting down", "system", 503, True,
        "Nothing was accepted.",
        "The process ends after finishing what it has begun.",
        ("Send again in a few seconds",),
    ),
    ErrorCode(
        "XD-SYS-009", "Another process owns the store", "system", 500, False,
        "The program did not start.",
        "On SQLite one process writes, and another one holds the file.",
        ("Stop the other process", "Use PostgreSQL for more than one"),
    ),
    ErrorCode(
        "XD-SYS-010", "Record cannot be written", "system", 503, True,
        "Nothing of this request was kept.",
        "The store does not take writes at this moment.",
        ("Send again after a few seconds", "Run `crossdock doctor`"),
    ),
    ErrorCode(
        "XD-SYS-011", "Store full", "system", 507, True,
        "Nothing of this request was kept; what was accepted before is safe.",
        "The disk of the store is full.",
        ("Make room or enlarge the disk", "Shorten the retention"),
    ),
    ErrorCode(
        "XD-SYS-012", "Commit in doubt", "unknown", 503, True,
        "Nobody knows yet whether this request was kept.",
        "The store was interrupted during the commit.",
        ("Send the same again under the same identity: it is taken once",),
    ),
    ErrorCode(
        "XD-SYS-020", "Stored bytes changed", "system", 500, False,
        "The content was not used.",
        "The bytes read are not those that were written: the disk or somebody changed them.",
        ("Check the disk", "Restore this content from a backup"),
    ),
)  # fmt: skip

_EDI = (
    ErrorCode(
        "XD-EDI-001", "No interchange found", "partner", 422, False,
        "The message is kept and was not applied.",
        "The file holds neither an X12 (ISA) nor an EDIFACT (UNA, UNB) interchange.",
        ("Look at the first bytes of the message", "Have the partner send the file again"),
    ),
)  # fmt: skip

CATALOG: dict[str, ErrorCode] = {
    entry.code: entry
    for family in (_DOCUMENTS, _MAPS, _INGEST, _PARTNERS, _ORDERS, _CONFIGURATION, _SECURITY, _API, _SYSTEM, _EDI)
    for entry in family
}


def lookup(code: str) -> ErrorCode | None:
    """Return the entry of `code`, whatever its case, or None."""
    return CATALOG.get(code.strip().upper())


def entry_of(code: str) -> ErrorCode:
    """Return the entry of `code`; a code nobody catalogued is treated as an internal fault."""
    return lookup(code) or CATALOG["XD-SYS-001"]


def close_to(code: str) -> tuple[str, ...]:
    """Return up to three codes that somebody may have meant."""
    return tuple(difflib.get_close_matches(code.strip().upper(), CATALOG, n=3, cutoff=0.7))


def as_problem(error: CrossdockError) -> dict[str, Any]:
    """Return the error contract as the members of an `application/problem+json`, ready to be encoded.

    Hints of the place where the error was raised come before the steps of the catalogue.
    """
    entry = entry_of(error.code)
    problem: dict[str, Any] = {
        "type": entry.docs,
        "title": entry.title,
        "status": entry.http_status,
        "detail": str(error),
        "code": error.code,
        "what": entry.what,
        "why": entry.why,
        "hint": list(dict.fromkeys((*error.hint, *entry.fix))),
        "retryable": entry.retryable,
        "doc_url": entry.docs,
    }
    if error.pointer:
        problem["pointer"] = error.pointer
    if error.findings:
        problem["findings"] = [msgspec.to_builtins(finding) for finding in error.findings]
    if isinstance(error, TransientError) and error.retry_after_seconds is not None:
        problem["retry_after"] = error.retry_after_seconds
    return problem
