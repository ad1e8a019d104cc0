"""Java's regular expressions, restated: each difference from Python's has its case."""

import time

import pytest

from opentrail.aws.java_patterns import compile_pattern
from opentrail.aws.model import Catalogue


@pytest.mark.parametrize(
    ("pattern", "accepted", "refused"),
    [
        (r"^[\-\p{Alnum}_:.]+$", ["node-1.example:2_x"], ["é", "a b", ""]),
        (r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$", ["Größe 日本 ⅷ", ""], ["a!", "a\n"]),
        (r"[\p{Print}&&[^|:/]]+", ["a b!"], ["a|b", "a:b", "é"]),
        (r"[a-c[x-z]]+", ["abz"], ["m"]),
        (r"[^\p{C}]*", ["plain"], ["\x00", "a\u200b"]),
        (r"\P{C}+", ["plain"], ["a\x07"]),
        (r"\w+", ["abc_1"], ["é"]),
        (r"\d+", ["123"], ["١"]),
        (r".*", ["abc", "a\tb"], ["a\nb", "a\rb", "a\u2028b", "a\u0085b"]),
        (r"(?s).*", ["a\r\nb\u2028"], []),
        (r"(?s)a(?-s:.)b", ["axb"], ["a\nb"]),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", ["a\t😀"], ["a\n"]),
        (r"^(?![^:\\]*/action/|(?i).*<script>.*</script>.*)[^:\\]+$", ["fine"], ["<SCRIPT>x</script>"]),
        (r"a(?i)b|c", ["aB", "ab", "C"], ["AB"]),
        (r"(?i)(true|false)", ["TRUE", "false"], ["maybe"]),
        (r"\A[a-z]+\z", ["abc"], ["abc\n"]),
        (r"(?<year>\d{4})-\k", [], []),
        (r"\Qa.b\E+", ["a.b", "a.bb"], ["axb"]),
        (r"[\w- ]+", ["a-b c"], ["é"]),
        (r"[^/:|\000-\037]+", ["abc"], ["a\x1f", "a/b"]),
        (r"[\x{60}\x41]+", ["`A"], ["B"]),
        (r"[a&&b]", [], ["a", "b"]),
    ],
)
def test_patterns_mean_what_java_means(pattern: str, accepted: list[str], refused: list[str]) -> None:
    """Every text is accepted or refused as Java would; what neither language knows is an error, not a guess."""
    if not accepted and not refused:
        with pytest.raises(ValueError, match=r"not supported|not a regular expression"):
            compile_pattern(pattern)
        return
    compiled = compile_pattern(pattern)
    assert [text for text in accepted if not compiled.fullmatch(text)] == []
    assert [text for text in refused if compiled.fullmatch(text)] == []


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_private_key_may_have_either_line_end(newline: str) -> None:
    """CustomPrivateKey's multi-line pattern takes PEM files of both kinds, and no other key block."""
    shape = Catalogue().loaded("opsworkscm").model.shape_for("CustomPrivateKey")
    compiled = compile_pattern(shape.metadata["pattern"])
    pem = newline.join(["-----BEGIN RSA PRIVATE KEY-----", "MIIB", "-----END RSA PRIVATE KEY-----", ""])
    assert compiled.fullmatch(pem)
    assert not compiled.fullmatch(pem.replace("PRIVATE", "PUBLIC"))
    assert not compiled.fullmatch(pem.replace("-----END", "x-----END"))


@pytest.mark.parametrize("pattern", ["(", "a)", "[a", "[z-a]", r"\p{Nonsense}", "\\", "(?x)a", "a{2}{3}"])
def test_what_is_no_pattern_is_a_value_error(pattern: str) -> None:
    """A broken pattern raises ValueError and nothing else."""
    with pytest.raises(ValueError, match=r"."):
        compile_pattern(pattern)


def test_patterns_of_our_services_resist_hostile_texts() -> None:
    """No pattern of a service of ours takes long on repetitions of its own pieces, at its greatest length."""
    catalogue = Catalogue()
    pieces = [
        "a",
        "A0",
        "-",
        "a.",
        "a/",
        ":",
        ":opsworks-cm:",
        "12",
        " ",
        "\n",
        "-----END CERTIFICATE-----",
        "KEY-----\n",
    ]
    starts = ["", "arn:aws", "-----BEGIN CERTIFICATE-----x", "-----BEGIN PRIVATE KEY-----\n"]
    for name in ("opsworkscm", "cloudtrail", "cloudtrail-data", "sts", "kms", "sns"):
        model = catalogue.loaded(name).model
        for shape_name in model.shape_names:
            metadata = model.shape_for(shape_name).metadata
            if "pattern" not in metadata:
                continue
            compiled = compile_pattern(metadata["pattern"])
            length = min(metadata.get("max", 16_384), 100_000)
            for start in starts:
                for piece in pieces:
                    text = (start + piece * (length // len(piece) + 1))[: length - 1] + "\0"
                    began = time.process_time()
                    compiled.fullmatch(text)
                    assert time.process_time() - began < 1, (name, shape_name, piece)
