"""Which settings changed, by name."""

from dataclasses import replace

from opentrail.app.reloading import differences
from opentrail.config import Settings, UpstreamSettings


def test_nothing_changed() -> None:
    """The same settings have no differences."""
    assert list(differences(Settings(), Settings())) == []


def test_settings_and_upstreams_are_named() -> None:
    """A setting by section and name, an upstream as a whole, whether it is new, gone or other."""
    old = Settings(upstreams={"a": UpstreamSettings("http://a"), "b": UpstreamSettings("http://b")})
    new = replace(
        Settings(upstreams={"b": UpstreamSettings("http://c"), "c": UpstreamSettings("http://c")}),
        log=replace(Settings().log, level="debug"),
        gateway=replace(Settings().gateway, port=1),
    )
    assert set(differences(old, new)) == {"log.level", "gateway.port", "upstream.a", "upstream.b", "upstream.c"}
