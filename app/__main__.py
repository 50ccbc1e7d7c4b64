"""The command line: `python -m app serve | import | export | simulate | calls`."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 when all went well, 1 when it could not be done, 2 for bad input."""
    from app.command_line.arguments import parse
    from app.command_line.output import forget_output, prepare_streams, say
    from app.errors import RecordErrors, UserFacingError
    from app.text import printable

    prepare_streams()
    options = parse(arguments)
    try:
        return int(options.run(options))
    except RecordErrors as error:
        # One line each, whatever the document holds: programs read them.
        for each in error.errors:
            say(printable(str(each), "?"))
        return 2
    except UserFacingError as error:
        say(str(error))
        return 1
    except BrokenPipeError:
        # Whoever read our output has seen enough (`| head`).
        forget_output()
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
