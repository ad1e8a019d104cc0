"""Which accounts and regions have digest files under a prefix: folders are listed level by level, never all objects."""

from collections.abc import Iterator

from opentrail.errors import ConfigError
from opentrail.storage.reading import ObjectReader
from opentrail.verify.object_keys import AccountRegion

_ROOT = "AWSLogs"
_DEPTH_MAX = 4
_FOLDERS_MAX = 2000


def find_places(reader: ObjectReader, bucket: str, prefix: str) -> Iterator[AccountRegion]:
    """The accounts and regions with digest files below a prefix, which may be a trail's own prefix, one above it, or
    anything inside ``AWSLogs``.

    Raises ConfigError where too many folders would have to be looked through, and OutboundError.
    """
    wanted = prefix.strip("/") + "/" if prefix.strip("/") else ""
    above, inside, _ = f"/{wanted}".partition(f"/{_ROOT}/")
    if inside:
        roots: Iterator[str] = iter([f"{above[1:]}/{_ROOT}/".removeprefix("/")])
    else:
        roots = _roots(reader, bucket, wanted)
    for root in roots:
        for place in _places(reader, bucket, root, wanted):
            if place.digest_folder.startswith(wanted) or wanted.startswith(place.digest_folder):
                yield place


def _roots(reader: ObjectReader, bucket: str, prefix: str) -> Iterator[str]:
    """Every ``AWSLogs/`` below a prefix, breadth first."""
    level = [prefix]
    looked_at = 0
    for _ in range(_DEPTH_MAX):
        below: list[str] = []
        for folder in level:
            looked_at += 1
            if looked_at > _FOLDERS_MAX:
                raise ConfigError(f"more than {_FOLDERS_MAX} folders to look through: name the trail's prefix")
            for child in reader.list_folders(bucket, folder):
                if child.endswith(f"/{_ROOT}/") or child == f"{_ROOT}/":
                    yield child
                else:
                    below.append(child)
        level = below


def _places(reader: ObjectReader, bucket: str, root: str, wanted: str) -> Iterator[AccountRegion]:
    for folder in _towards(reader.list_folders(bucket, root), wanted):
        name = folder.split("/")[-2]
        accounts = _towards(reader.list_folders(bucket, folder), wanted) if name.startswith("o-") else [folder]
        for account in accounts:
            account_id = account.split("/")[-2]
            if len(account_id) == 12 and account_id.isascii() and account_id.isdigit():
                for region in reader.list_folders(bucket, f"{account}CloudTrail-Digest/"):
                    yield AccountRegion(bucket, account, account_id, region.split("/")[-2])


def _towards(folders: list[str], wanted: str) -> list[str]:
    """Those that lead to what is wanted, or are in it."""
    return [folder for folder in folders if folder.startswith(wanted) or wanted.startswith(folder)]
