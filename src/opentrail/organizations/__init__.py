"""ORGANIZATIONS: accounts that belong together, and the services that may work across them."""
