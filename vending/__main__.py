"""`python -m vending`."""

from vending.cli import app

if __name__ == "__main__":
    app(prog_name="vending")
