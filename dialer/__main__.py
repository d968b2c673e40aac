"""``python -m dialer``: the same as ``dialer``."""

from dialer.cli import main

if __name__ == "__main__":
    main()
