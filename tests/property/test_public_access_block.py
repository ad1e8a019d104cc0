"""PublicAccessBlockConfiguration documents: what is written is read, and what is hostile is refused, never misread."""

from hypothesis import given
from hypothesis import strategies as st

from opentrail.errors import ApiError
from opentrail.gateway.s3_markup import access_block, read_access_block
from opentrail.identity.public_access import SETTINGS, PublicAccessBlock

NAMES = st.sampled_from([*SETTINGS, "BlockPublicAclss", "blockpublicacls", "MfaDelete"])
TEXTS = st.sampled_from(["true", "false", "TRUE", " true ", "1", "yes", "", "<x/>"])


@given(st.sets(st.sampled_from(SETTINGS)))
def test_a_block_survives_its_document(on: set[str]) -> None:
    """Each of the sixteen combinations."""
    block = PublicAccessBlock.of(on)
    assert read_access_block(access_block(block)) == block
    assert set(block.names()) == on


@given(st.lists(st.tuples(NAMES, TEXTS), max_size=6))
def test_a_setting_is_on_only_where_a_document_says_so_once(members: list[tuple[str, str]]) -> None:
    """Repeated, unknown or unreadable settings refuse the document whole."""
    inside = "".join(f"<{name}>{text}</{name}>" for name, text in members)
    names = [name for name, _ in members]
    sound = len(set(names)) == len(names) and all(
        name in SETTINGS and text.strip().lower() in ("true", "false") for name, text in members
    )
    try:
        block = read_access_block(f"<PublicAccessBlockConfiguration>{inside}</PublicAccessBlockConfiguration>".encode())
    except ApiError as error:
        assert (error.code, sound) == ("MalformedXML", False)
    else:
        assert sound
        assert set(block.names()) == {name for name, text in members if text.strip().lower() == "true"}


@given(st.binary(max_size=200))
def test_bytes_are_a_document_or_malformed(body: bytes) -> None:
    """Nothing else comes out."""
    try:
        read_access_block(body)
    except ApiError as error:
        assert error.code == "MalformedXML"
