"""``python -m triptych_cli``: the same as ``triptych``."""

from triptych_cli.main import main

main()
