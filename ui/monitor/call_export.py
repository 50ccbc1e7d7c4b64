"""Writes all call records of a query into a file, page by page, while everything else goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from app.events import CallRecord
from ui.face import CallQuery, Engine, as_csv, as_json

PAGE = 500


class CallExport:
    """One export. `finished(count, error)` is called once, with no error or its words."""

    def __init__(self, engine: Engine, query: CallQuery, path: Path, finished: Callable[[int, str], None]) -> None:
        self._engine = engine
        self._query = replace(query, after=None, limit=PAGE)
        self._path = path
        self._json = path.suffix.lower() == ".json"
        self._finished = finished
        self._count = 0
        self._file: TextIO | None = None

    def start(self) -> None:
        """Open the file and ask for the first page."""
        try:
            self._file = self._path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            self._end(error.strerror or str(error))
            return
        self._engine.call_records(self._query, self._take)

    def _take(self, records: list[CallRecord] | None, error: Exception | None) -> None:
        if records is None or self._file is None:
            self._end(str(error))
            return
        last = len(records) < PAGE
        try:
            self._file.write(self._text(records, last=last))
        except OSError as trouble:
            self._end(trouble.strerror or str(trouble))
            return
        self._count += len(records)
        if last:
            self._end("")
        else:
            self._engine.call_records(self._query.following(records[-1]), self._take)

    def _text(self, records: list[CallRecord], *, last: bool) -> str:
        """A page of the file: the pages of a JSON array are joined, CSV has its names only once."""
        first = self._count == 0
        if not self._json:
            text = "".join(as_csv(records))
            return text if first else text.partition("\r\n")[2]
        body = "".join(as_json(records)).removeprefix("[").removesuffix("]\n").strip("\n") if records else ""
        begin = "[" if first else "," if body else ""
        return begin + ("\n" if body else "") + body + ("\n]\n" if last else "")

    def _end(self, error: str) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._finished(self._count, error)
