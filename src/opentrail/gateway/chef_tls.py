"""TLS of the Chef API door: one certificate for each name that a client asks for, chosen during the handshake (SNI).

A custom domain is shown its own certificate, an endpoint's name one of our authority's, anything else that for this
machine's addresses. No key is ever in a file for longer than it takes to be loaded.
"""

import hashlib
import logging
import ssl
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from opentrail.clock import Clock
from opentrail.errors import OpenTrailError
from opentrail.opsworks.endpoints import LOCAL_HOST
from opentrail.opsworks.front.places import CustomCertificate, Places
from opentrail.state.authorities import Authority
from opentrail.state.private_files import write_private

LOCAL_NAMES = (LOCAL_HOST, "localhost", "::1")
MOST_CONTEXTS = 512
_RENEW_BEFORE = timedelta(days=30)
_log = logging.getLogger(__name__)


class ChefTls:
    """Makes the contexts and keeps the latest; ``context`` is the one to listen with."""

    def __init__(self, authority: Authority, places: Places, clock: Clock, scratch: Path) -> None:
        """``scratch``: a private directory where certificates lie while they are loaded."""
        self._authority = authority
        self._places = places
        self._clock = clock
        self._scratch = scratch
        self._lock = threading.Lock()
        self._contexts: OrderedDict[tuple[str, str], tuple[ssl.SSLContext, datetime | None]] = OrderedDict()
        self.context = self._for_names(LOCAL_NAMES)[0]
        self.context.sni_callback = self._choose

    def _choose(self, handshake: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        """Show the certificate for the name in the hello; where there is none to show, ours."""
        try:
            handshake.context = self._context_for((name or "").lower())
        except (OpenTrailError, OSError, ssl.SSLError):
            _log.exception("no certificate for a name that a Chef client asked for")

    def _context_for(self, name: str) -> ssl.SSLContext:
        custom = self._places.certificate_for(name) if name else None
        if custom is not None:
            fingerprint = hashlib.sha256(f"{custom.chain}{custom.key}".encode()).hexdigest()
            return self._kept((name, fingerprint), lambda: (self._load(custom), None))
        if name and self._places.is_endpoint(name):
            return self._kept((name, ""), lambda: self._for_names((name,)))
        return self._kept(("", ""), lambda: self._for_names(LOCAL_NAMES))

    def _kept(self, key: tuple[str, str], make: Callable[[], tuple[ssl.SSLContext, datetime | None]]) -> ssl.SSLContext:
        with self._lock:
            found = self._contexts.pop(key, None)
            if found is None or (found[1] is not None and found[1] - self._clock.now() < _RENEW_BEFORE):
                found = make()
            self._contexts[key] = found
            while len(self._contexts) > MOST_CONTEXTS:
                self._contexts.popitem(last=False)
            return found[0]

    def _for_names(self, names: tuple[str, ...]) -> tuple[ssl.SSLContext, datetime]:
        leaf = self._authority.issue(names, self._clock.now())
        certificate = CustomCertificate(leaf.chain.decode("ascii"), leaf.key.decode("ascii"))
        return self._load(certificate), leaf.not_after

    def _load(self, certificate: CustomCertificate) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with tempfile.TemporaryDirectory(dir=self._scratch) as directory:
            chain, key = Path(directory) / "chain.pem", Path(directory) / "key.pem"
            write_private(chain, certificate.chain)
            write_private(key, certificate.key)
            context.load_cert_chain(chain, key)
        return context
