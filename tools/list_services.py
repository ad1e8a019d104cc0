"""Write ``services.json``, the table from which the catalogue finds a service without reading its model.

Run it after botocore has been updated: ``python tools/list_services.py``. A completeness test fails until that is done.
"""

from dataclasses import asdict
from pathlib import Path

import orjson

from opentrail.aws.service_table import BOTOCORE_DATA, read_entries

TABLE = Path(__file__).parents[1] / "src" / "opentrail" / "aws" / "services.json"


def table() -> bytes:
    """The file's text: a JSON array with one service per line, sorted by name."""
    rows = [orjson.dumps(asdict(entry)) for entry in read_entries([BOTOCORE_DATA])]
    return b"[\n" + b",\n".join(rows) + b"\n]\n"


def main() -> None:
    """Write the table, and say how many services it has."""
    text = table()
    TABLE.write_bytes(text)
    print(f"{TABLE}: {text.count(chr(10).encode()) - 2} services")


if __name__ == "__main__":
    main()
