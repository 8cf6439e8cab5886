"""`python -m handlers.cli`: what bin/ark runs."""

from handlers.cli.main import main

main()
