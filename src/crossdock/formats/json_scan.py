"""Find the place where a JSON text breaks the rules: byte offset, line and JSON pointer.

Runs only over texts that were refused or are under suspicion, so it may be slow.
But it is linear, and recurses no deeper than the levels a document may have.
"""

from __future__ import annotations

import re

from crossdock.errors import Finding
from crossdock.formats.documents import CHARACTER, DEPTH, DUPLICATE_KEY, ENCODING, NUMBER, SYNTAX

DEPTH_MAX = 64
EXPONENT_MAX = 308
DIGITS_MAX = 400

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"((?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+)"')
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_$+\-.0-9]+")
_SURROGATE = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})(\\u[dD][c-fC-F][0-9a-fA-F]{2})?|u([dD][c-fC-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_PLAIN = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def diagnose(data: bytes, offset: int = 0) -> Finding | None:
    """Return the first fault of a JSON text, `None` if there is none."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        scan = _Scan(data[: error.start].decode("utf-8"), offset)
        scan.run()
        value = data[error.start : error.end].hex(" ")
        return Finding(
            ENCODING, "this byte sequence is not UTF-8", pointer=scan.pointer(), value=value, expected="UTF-8",
            hint="the sender writes another encoding (often Latin-1): agree on UTF-8", offset=offset + error.start,
            line=data.count(b"\n", 0, error.start) + 1,
        )  # fmt: skip
    scan = _Scan(text, offset)
    return scan.run()


class _Scan:
    """One pass over the text with a stack of open objects and arrays."""

    def __init__(self, text: str, offset: int) -> None:
        self.text = text
        self.offset = offset
        self.at = 0
        # For each open container: its current key or index, and the keys seen (None for an array).
        self.path: list[str | int] = []
        self.keys: list[set[str] | None] = []

    def pointer(self) -> str:
        return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in self.path)

    def fault(
        self, code: str, message: str, at: int, *, value: str = "", expected: str = "", hint: str = ""
    ) -> Finding:
        return Finding(
            code, message, pointer=self.pointer(), value=value[:60] or None, expected=expected or None,
            hint=hint or None, offset=self.offset + len(self.text[:at].encode("utf-8")),
            line=self.text.count("\n", 0, at) + 1,
        )  # fmt: skip

    def space(self) -> str:
        """Skip white space and return the next character, empty at the end."""
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.text[self.at : self.at + 1]

    def run(self) -> Finding | None:
        finding = self.value()
        while finding is None and self.path:
            finding = self.after_value()
        if finding is None and self.space():
            return self.fault(
                SYNTAX, "there is something after the end of the document", self.at, value=self.text[self.at :][:20]
            )
        return finding

    def value(self) -> Finding | None:
        """Read a value; a container is opened and its first element or key is read by the next step."""
        character = self.space()
        if character in ("{", "["):
            if len(self.path) >= DEPTH_MAX:
                return self.fault(DEPTH, f"the document is nested more than {DEPTH_MAX} levels deep", self.at)
            self.at += 1
            return self.object_begins() if character == "{" else self.array_begins()
        if character == '"':
            return self.string()[0]
        if not character:
            return self.fault(
                SYNTAX,
                "the text ends in the middle of the document",
                self.at,
                hint="the file is truncated: ask for it again",
            )
        return self.scalar()

    def object_begins(self) -> Finding | None:
        self.path.append("")
        self.keys.append(set())
        if self.space() == "}":
            self.closes()
            return None
        return self.key()

    def array_begins(self) -> Finding | None:
        self.path.append(0)
        self.keys.append(None)
        if self.space() == "]":
            self.closes()
            return None
        return self.value()

    def closes(self) -> None:
        self.at += 1
        self.path.pop()
        self.keys.pop()

    def key(self) -> Finding | None:
        if self.space() != '"':
            if not self.space():
                return self.value()
            hint = "keys are written in double quotes, and there is no comma after the last one"
            return self.fault(SYNTAX, "a key was expected", self.at, value=self.text[self.at :][:20], hint=hint)
        begin = self.at
        finding, key = self.string()
        if finding:
            return finding
        seen = self.keys[-1]
        self.path[-1] = key
        if seen is not None and key in seen:
            hint = "the sender must write each key once: readers differ on which value counts"
            return self.fault(
                DUPLICATE_KEY, f'the key "{key[:60]}" appears twice in one object', begin, value=key, hint=hint
            )
        if seen is not None:
            seen.add(key)
        if self.space() != ":":
            return self.value() if not self.space() else self.fault(SYNTAX, 'a ":" was expected after the key', self.at)
        self.at += 1
        return self.value()

    def after_value(self) -> Finding | None:
        character = self.space()
        is_object = self.keys[-1] is not None
        if character == ("}" if is_object else "]"):
            self.closes()
            return None
        if character != ",":
            if not character:
                return self.value()
            expected = '"," or "}"' if is_object else '"," or "]"'
            return self.fault(
                SYNTAX, f"{expected} was expected", self.at, value=self.text[self.at :][:20], expected=expected
            )
        self.at += 1
        if is_object:
            return self.key()
        self.path[-1] = int(self.path[-1]) + 1
        return self.value()

    def string(self) -> tuple[Finding | None, str]:
        found = _STRING.match(self.text, self.at)
        if found is None:
            return self.broken_string(), ""
        content = found[1]
        begin, self.at = self.at, found.end()
        if "\\" not in content:
            return None, content
        for escape in _SURROGATE.finditer(content):
            lone = escape[3] or (escape[1] if escape[1] and not escape[2] else None)
            if lone:
                message = "half of a surrogate pair: this is no character"
                return self.fault(CHARACTER, message, begin + 1 + escape.start(), value=f"\\u{lone}"), ""
        decoded = _ESCAPE.sub(
            lambda escape: chr(int(escape[1], 16)) if escape[1] else _PLAIN.get(escape[2], escape[2]), content
        )
        if "\x00" in decoded:
            return self.fault(
                CHARACTER, "NUL (\\u0000) must not appear in data", begin + 1 + content.find("\\u0000"), value="\\u0000"
            ), ""
        return None, decoded

    def broken_string(self) -> Finding:
        """Return why a string cannot be read: it never ends, or holds a control character or a wrong escape."""
        at = self.at + 1
        while at < len(self.text):
            character = self.text[at]
            if character == '"':
                break
            if character < " ":
                hint = "control characters inside a text are written as \\n, \\t or \\u00XX"
                code = CHARACTER if character == "\x00" else SYNTAX
                return self.fault(
                    code, "a control character inside a text", at, value=f"\\u{ord(character):04x}", hint=hint
                )
            if character == "\\":
                if not re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})').match(self.text, at) and at + 6 <= len(
                    self.text
                ):
                    return self.fault(SYNTAX, "a wrong escape inside a text", at, value=self.text[at : at + 2])
                at += 1
            at += 1
        return self.fault(
            SYNTAX, "the text ends inside a string", len(self.text), hint="the file is truncated: ask for it again"
        )

    def scalar(self) -> Finding | None:
        found = _WORD.match(self.text, self.at)
        word = found[0] if found else self.text[self.at]
        begin, self.at = self.at, self.at + len(word)
        if word in ("true", "false", "null"):
            return None
        number = _NUMBER.fullmatch(word)
        if number:
            exponent = int(number[3][1:][:8]) if number[3] else 0
            if len(number[1]) + len(number[2] or "") > DIGITS_MAX or abs(exponent + len(number[1])) > EXPONENT_MAX:
                return self.fault(
                    NUMBER,
                    "this number is out of range",
                    begin,
                    value=word,
                    expected="up to 308 digits before the point",
                )
            return None
        if word.lstrip("+-").lower() in ("nan", "infinity", "inf"):
            return self.fault(
                NUMBER, f"{word} is no JSON number", begin, value=word, hint="send null for a missing number"
            )
        return self.fault(SYNTAX, "this is no JSON value", begin, value=word)
