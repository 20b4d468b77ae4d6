"""``python -m doorward`` is the same as ``doorward``."""

from doorward.cli.main import main

if __name__ == "__main__":
    main()
