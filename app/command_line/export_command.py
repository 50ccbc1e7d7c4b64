"""`export`: writes the configuration as the document that `import` takes."""

from __future__ import annotations

import json
from argparse import Namespace

from app.command_line.output import show
from app.records.document import write_document


def run(options: Namespace) -> int:
    """Write the document to standard output."""
    from app.command_line.databases import open_database

    with open_database(options.data) as database:
        configuration, _ = database.load()
    show(json.dumps(write_document(configuration, with_secrets=options.with_secrets), indent=2, ensure_ascii=False))
    return 0
