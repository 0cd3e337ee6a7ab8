"""`python -m otids` is `otids`."""

from otids.cli import main

if __name__ == "__main__":
    main()
