"""Ciphertext blobs: what goes in comes out, and nothing else does, whatever bytes somebody sends."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.kms.ciphertext import BadCiphertextError, Envelope, canonical, decrypt, encrypt, read

SECRET = bytes(range(32))
EMPTY = Envelope(str(uuid.UUID(int=7)), 3, b"s" * 16, b"n" * 12, b"")
CONTEXTS = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4)


@given(st.binary(max_size=200), CONTEXTS)
def test_a_plaintext_goes_round(plaintext: bytes, context: dict[str, str]) -> None:
    """Through bytes and back; the plaintext does not show."""
    blob = encrypt(SECRET, plaintext, context, EMPTY).to_bytes()
    envelope = read(blob)
    assert (envelope.key_id, envelope.material) == (EMPTY.key_id, EMPTY.material)
    assert decrypt(SECRET, envelope, context) == plaintext
    assert len(plaintext) < 8 or plaintext not in envelope.sealed


@given(st.binary(min_size=1, max_size=40), CONTEXTS, st.data())
def test_a_changed_bit_is_noticed(plaintext: bytes, context: dict[str, str], data: st.DataObject) -> None:
    """Every byte of a blob is authenticated, those before the ciphertext too."""
    blob = bytearray(encrypt(SECRET, plaintext, context, EMPTY).to_bytes())
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BadCiphertextError):
        decrypt(SECRET, read(bytes(blob)), context)


@given(CONTEXTS, CONTEXTS)
def test_contexts_are_the_same_only_where_their_pairs_are(one: dict[str, str], other: dict[str, str]) -> None:
    """No two contexts share their bytes, however names and values could be joined; order does not matter."""
    assert (canonical(one) == canonical(other)) == (one == other)
    assert canonical(dict(reversed(one.items()))) == canonical(one)


@given(st.binary(max_size=120) | st.binary(max_size=80).map(lambda tail: EMPTY.head[:4] + tail))
def test_any_bytes_are_read_or_refused(blob: bytes) -> None:
    """Arbitrary bytes are taken apart and put together again as they were, or refused; none of them open."""
    try:
        envelope = read(blob)
    except BadCiphertextError:
        return
    assert envelope.to_bytes() == blob
    with pytest.raises(BadCiphertextError):
        decrypt(SECRET, envelope, {})


def test_blobs_of_the_same_plaintext_use_different_keys() -> None:
    """The salt decides the key that a blob is encrypted under, so that nonces may meet."""
    other = Envelope(EMPTY.key_id, EMPTY.material, b"t" * 16, EMPTY.nonce, b"")
    first, second = (encrypt(SECRET, b"same", {}, empty).sealed[:4] for empty in (EMPTY, other))
    assert first != second
