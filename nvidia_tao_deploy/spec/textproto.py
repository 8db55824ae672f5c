# SPDX-FileCopyrightText: 2026 The TAO Deploy authors
# SPDX-License-Identifier: Apache-2.0
"""Reading the protobuf text format (https://protobuf.dev/reference/protobuf/textformat-spec/) without message
descriptors: what is written, with the place of every field. `spec.proto_spec` gives it the meaning of a schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NoReturn, Union

from nvidia_tao_deploy.errors import SpecError

CLOSING = {"{": "}", "<": ">"}
DEEPEST = 100
"""Messages inside each other, as in protobuf's own parsers."""

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n\f\v]+|\#[^\n]*)
    |(?P<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
    |(?P<number>0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?[fF]?)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<mark>[{}<>\[\]:,;./-])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(
    r"""\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9a-fA-F]{1,2})|u(?P<short>[0-9a-fA-F]{4})
    |U(?P<long>[0-9a-fA-F]{8})|(?P<letter>.))""",
    re.VERBOSE | re.DOTALL,
)
_LETTERS = dict(zip("abfnrtv\\'\"?", "\a\b\f\n\r\t\v\\'\"?", strict=True))


class Word(str):
    """An unquoted value: the name of an enumerator, true, false, inf or nan (with its sign)."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message: its fields in the order of the file."""

    fields: list[Field] = field(default_factory=list)


Value = Union[str, Word, int, float, Message]  # noqa: UP007 (evaluated, on Python 3.10 too)


@dataclass(frozen=True, slots=True)
class Field:
    """One field as written; a list in brackets gives one Field per item.

    Attributes:
        name: field name; names of extensions keep their brackets.
        value: str for quoted text, else Word, int, float or Message.
        line, column: where its name stands, from 1 (the item, inside a list).
        listed: whether it stood in a list.
    """

    name: str
    value: Value
    line: int
    column: int
    listed: bool = False


class _Token(NamedTuple):
    kind: str
    text: str
    start: int


def read(path: Path) -> Message:
    """Read a file.

    Raises:
        SpecError: missing, a folder, unreadable, not UTF-8, or not in the text format (with line and column).
    """
    if path.is_dir():
        raise SpecError(f"{path}: a folder, not a spec file.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise SpecError(f"{path}: no such spec file.") from error
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not a text file (byte {error.start} is not UTF-8).") from error
    return parse(text, str(path))


def parse(text: str, source: str) -> Message:
    """Parse a text; `source` names it in messages. Raises SpecError with line and column."""
    return _Parser(text, source).message()


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str, source: str) -> None:
        self._text, self._source = text, source
        self._tokens = self._tokenize()
        self._next = next(self._tokens)

    def message(self, closing: str = "", opened: int = 0, depth: int = 0) -> Message:
        """Fields up to the closing bracket (or the end); the opening one stood at `opened`."""
        if depth > DEEPEST:
            self._fail(f"more than {DEEPEST} messages inside each other", opened)
        fields: list[Field] = []
        while self._next.text != closing or self._next.kind not in ("mark", "end"):
            if self._next.kind == "end":
                line, column = self._place(opened)
                self._fail(f"the file ends before the '{closing}' for the bracket of line {line}, column {column}")
            fields += self._field(depth)
        self._take()
        return Message(fields)

    def _field(self, depth: int) -> list[Field]:
        start = self._next.start
        name = self._name()
        colon = self._accept(":")
        if self._next.text == "[" and colon:
            values = self._list(depth)
        else:
            if not colon and self._next.text not in CLOSING:
                self._fail(f"expected ':' or '{{' after '{name}'")
            values = [(start, self._value(depth))]
        if not self._accept(","):
            self._accept(";")
        listed = len(values) != 1 or values[0][0] != start
        return [Field(name, value, *self._place(at), listed) for at, value in values]

    def _name(self) -> str:
        if self._next.text == "[" and self._next.kind == "mark":
            parts = [self._take().text]
            while self._next.text != "]":
                if self._next.kind not in ("word", "mark") or self._next.text in (*CLOSING, *CLOSING.values()):
                    self._fail("expected the name of an extension, such as [package.name]")
                parts.append(self._take().text)
            return "".join([*parts, self._take().text])
        if self._next.kind != "word":
            self._fail("expected a field name")
        return self._take().text

    def _list(self, depth: int) -> list[tuple[int, Value]]:
        self._take()
        values: list[tuple[int, Value]] = []
        if self._accept("]"):
            return values
        while True:
            values.append((self._next.start, self._value(depth)))
            if self._accept("]"):
                return values
            if not self._accept(","):
                self._fail("expected ',' or ']' in the list")

    def _value(self, depth: int) -> Value:
        token = self._next
        if token.kind == "mark" and token.text in CLOSING:
            self._take()
            return self.message(CLOSING[token.text], token.start, depth + 1)
        if token.kind == "string":
            return self._string()
        minus = self._accept("-")
        token = self._next
        if token.kind == "number":
            number = self._number(self._take())
            return -number if minus else number
        if token.kind == "word":
            return Word(("-" if minus else "") + self._take().text)
        unquoted = token.text in ("/", ".")
        return self._fail(f"expected a value{' (text stands in quotes)' if unquoted else ''}")

    def _string(self) -> str:
        """One or more strings beside each other are one."""
        data, start = b"", self._next.start
        while self._next.kind == "string":
            token = self._take()
            data += self._unescape(token)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            self._fail("the escapes of this string do not make UTF-8 text", start)

    def _unescape(self, token: _Token) -> bytes:
        body, parts, end = token.text[1:-1], [], 0
        for match in _ESCAPE.finditer(body):
            parts.append(body[end : match.start()].encode())
            parts.append(self._escaped(match, token.start + 1 + match.start()))
            end = match.end()
        return b"".join([*parts, body[end:].encode()])

    def _escaped(self, match: re.Match[str], at: int) -> bytes:
        if match["octal"]:
            return bytes([int(match["octal"], 8) & 0xFF])
        if match["hex"]:
            return bytes([int(match["hex"], 16)])
        if match["short"] or match["long"]:
            code = int(match["short"] or match["long"], 16)
            if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                self._fail(f"'{match[0]}' is no character", at)
            return chr(code).encode()
        if match["letter"] not in _LETTERS:
            self._fail(f"unknown escape '{match[0]}'; a backslash itself is written '\\\\'", at)
        return _LETTERS[match["letter"]].encode()

    def _number(self, token: _Token) -> int | float:
        text = token.text.lower()
        if self._next.start == token.start + len(token.text) and self._next.kind in ("word", "number"):
            self._fail(f"'{token.text}{self._next.text}' is no number", token.start)
        if text.startswith("0x"):
            return int(text, 16)
        if text.isdigit():
            if len(text) > 1 and text[0] == "0":
                if set(text) - set("01234567"):
                    self._fail(f"'{text}' starts with 0 and is no octal number", token.start)
                return int(text, 8)
            return int(text)
        return float(text.removesuffix("f"))

    def _tokenize(self) -> Iterator[_Token]:
        position, text = 0, self._text
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                if text[position] in "\"'":
                    self._fail("the string has no end on this line", position)
                self._fail(f"unexpected character {text[position]!r}", position)
            if match.lastgroup != "blank":
                yield _Token(match.lastgroup or "", match[0], position)
            position = match.end()
        yield _Token("end", "", len(text))

    def _take(self) -> _Token:
        token = self._next
        self._next = next(self._tokens, token)
        return token

    def _accept(self, mark: str) -> bool:
        if self._next.kind == "mark" and self._next.text == mark:
            self._take()
            return True
        return False

    def _place(self, position: int) -> tuple[int, int]:
        """(line, column) of a position, both from 1."""
        return self._text.count("\n", 0, position) + 1, position - (self._text.rfind("\n", 0, position) + 1) + 1

    def _fail(self, what: str, at: int | None = None) -> NoReturn:
        line, column = self._place(self._next.start if at is None else at)
        found = ""
        if at is None:
            found = ", found the end of the file" if self._next.kind == "end" else f", found '{self._next.text}'"
        raise SpecError(f"{self._source}:{line}:{column}: {what}{found}.")
