"""The composition root: the only place that knows every part, and puts them together."""

from opentrail.app.core import Core, open_offline
from opentrail.app.models import install_models
from opentrail.app.running import App

__all__ = ["App", "Core", "install_models", "open_offline"]
