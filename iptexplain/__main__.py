"""``python -m iptexplain``"""

from __future__ import annotations

from iptexplain.commands import program


def main() -> None:
    """The console script."""
    program.main(prog_name="iptexplain")


if __name__ == "__main__":
    main()
