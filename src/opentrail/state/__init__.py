"""CONTROL STATE: accounts, trails, servers and everything else that calls change, in one transactional database."""
