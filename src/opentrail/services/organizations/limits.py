"""The quotas of Organizations (User Guide, "Quotas for AWS Organizations"), and one that keeps this machine's memory
bounded: accounts, of which AWS grants as many as support agrees to.
"""

ACCOUNTS = 10_000
UNITS = 2_000
UNIT_DEPTH = 5
TAGS = 50
INVITATIONS_PER_DAY = 10_000
CREATIONS_KEPT = 10_000
DELEGATED_PER_SERVICE = {"cloudtrail.amazonaws.com": 3}
"""How many accounts may administer a service, where its documentation says (cloudtrail fact sheet 6.3)."""
