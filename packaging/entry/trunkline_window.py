"""The main module of the shipped window: media workers begin here, too, and must not open a second window."""

import multiprocessing
import sys

if __name__ == "__main__":
    multiprocessing.freeze_support()
    from ui.__main__ import main

    sys.exit(main())
