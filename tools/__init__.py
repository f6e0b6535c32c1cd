"""Command lines. They parse arguments and call `detector` and `datasets`; nothing is decided here."""
