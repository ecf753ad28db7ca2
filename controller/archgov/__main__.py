"""`python -m archgov` is the program `archgov`."""

from __future__ import annotations

from archgov.cli.main import main

if __name__ == "__main__":
    main()
