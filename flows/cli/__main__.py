"""`python -m flows.cli`, the same as the installed command."""

from flows.cli.entry import main

if __name__ == "__main__":
    main()
