"""COMMANDS: one file per command group."""
