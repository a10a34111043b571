"""Readable text of an attachment, or the reason why there is none."""

from __future__ import annotations

import io
import logging
import re

import lxml.etree
import lxml.html
import pypdf
import pypdf.errors
from striprtf.striprtf import rtf_to_text

from adapters.documents.ccda.document import Document, is_cda
from adapters.documents.packed import BadGzip, gunzip
from adapters.documents.safe_xml import XmlRefused

logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it logs the objects of a damaged file: patients' text

MOST_CONTENT = 20_000_000
"""Bytes of one attachment we are willing to read."""
MOST_TEXT = 1_000_000
"""Code points of readable text kept from one attachment."""
MOST_PAGES = 500
_BLANKS = re.compile(r"[ \t\u00a0]+")
_LINES = re.compile(r"\n{3,}")
_RTF_KINDS = ("text/rtf", "application/rtf", "text/richtext")
_RTF_PICTURE = re.compile(r"\{\\(?:\*\\)?(?:shppict|nonshppict|pict|objdata)\b[^{}]*\}")
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_SINGLE_BYTE = ("ascii", "us-ascii", "latin-1", "latin1", "l1")
_META_CHARSET = re.compile(rb"<meta\b[^>]{0,200}?\bcharset\s*=\s*[\"']?\s*([A-Za-z0-9._-]{1,40})", re.I)
_XML_KINDS = ("text/xml", "application/xml", "application/hl7-sdwg-ccda+xml", "application/hl7-cda+xml")


def read_content(data: bytes, content_type: str) -> tuple[str, str]:
    """Text of `data` and '', or '' and the reason why there is none, or text and what of the document it lacks (pages of a PDF).
    The bytes are believed before the declared type."""
    if not data.strip():
        return "", "empty"
    if len(data) > MOST_CONTENT:
        return "", "too large"
    kind, _, parameters = content_type.lower().partition(";")
    kind = kind.strip()
    if data[:2] == b"\x1f\x8b":
        try:
            unpacked = gunzip(data, MOST_CONTENT)
        except BadGzip as error:
            return "", f"gzip: {error.code.replace('_', ' ')}"
        if unpacked[:2] == b"\x1f\x8b":
            return "", "gzip within gzip"
        return read_content(unpacked, "" if "gzip" in kind else content_type)
    if data[:4] == b"PK\x03\x04":
        return "", "a zip archive: not opened"
    if data[:5] == b"%PDF-" or kind == "application/pdf":
        return _pdf_text(data)
    charset = parameters.partition("charset=")[2].split(";")[0].strip(" \"'") if "charset=" in parameters else ""
    if data.lstrip()[:5] == b"{\\rtf" or kind in _RTF_KINDS:
        return _rtf_text(data)
    if kind in ("text/html", "application/xhtml+xml") or data[:200].lstrip().lower().startswith(
        (b"<!doctype html", b"<html", b"<div")
    ):
        said = _META_CHARSET.search(data[:4096])
        text, reason = _html(decode(data, charset or (said[1].decode().lower() if said else "")))
        return (text[:MOST_TEXT], "") if text else ("", reason or "no text")
    if is_cda(data) or (kind in _XML_KINDS or kind.endswith("+xml")):
        return _xml_text(data)
    if kind == "text/plain" or (not kind and _looks_like_text(data)):
        text = decode(data, charset).replace("\r\n", "\n").replace("\r", "\n")
        return text[:MOST_TEXT], ""
    return "", f"no reader for {kind or 'an undeclared type'}"


def decode(data: bytes, charset: str = "") -> str:
    """Text by its byte order mark, else as UTF-8 where the bytes are that and the declared set has one byte a character
    (text of another set that happens to be UTF-8 is not met), else in the declared set, else UTF-8, else what Windows writes;
    without NUL."""
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    single = charset.replace("_", "-") in _SINGLE_BYTE or charset.startswith(("iso-8859", "windows-", "cp125"))
    for name in (marked, "utf-8" if single else "", charset, "utf-8-sig", "cp1252"):
        if not name:
            continue
        try:
            return data.decode(name).replace("\x00", "")
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("latin-1").replace("\x00", "")


def _looks_like_text(data: bytes) -> bool:
    sample = data[:4096]
    return b"\x00" not in sample and sum(b < 9 or 13 < b < 32 for b in sample) < len(sample) / 50


def html_text(markup: str) -> str:
    """Readable text of HTML: scripts and styles dropped, blocks on lines of their own, cells apart; '' for none."""
    return _html(markup)[0]


def _html(markup: str) -> tuple[str, str]:
    """The text, or '' and why there is none, where it is not simply empty."""
    if not markup or len(markup) > MOST_CONTENT:
        return "", ""
    if "<" not in markup:
        return markup.strip(), ""
    parser = lxml.html.HTMLParser(encoding="utf-8", no_network=True, huge_tree=True)
    try:
        root = lxml.html.document_fromstring(markup.encode("utf-8", "replace"), parser=parser)
    except (lxml.etree.ParserError, lxml.etree.XMLSyntaxError, ValueError):
        return "", ""
    if any(e.type == lxml.etree.ErrorTypes.ERR_RESOURCE_LIMIT for e in parser.error_log):
        # libxml2 stops there and gives what came before: the rest of a note would be missing without a word
        return "", "HTML nested too deeply"
    for junk in root.xpath("//script|//style|//head|//noscript|//template|//comment()"):
        parent = junk.getparent()
        if parent is not None:
            junk.drop_tree()
    for block in root.iter("br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol"):
        block.tail = "\n" + (block.tail or "")
        if block.tag != "br":
            block.text = "\n" + (block.text or "")
    for cell in root.iter("td", "th"):
        cell.tail = " " + (cell.tail or "")
    return _tidy(str(root.text_content())), ""


def _tidy(text: str) -> str:
    lines = (_BLANKS.sub(" ", line).strip() for line in text.split("\n"))
    return _LINES.sub("\n\n", "\n".join(lines)).strip()


def _rtf_text(data: bytes) -> tuple[str, str]:
    """RTF is seven-bit text; what is not is read as Windows writes it. A picture's digits are no words."""
    source = _RTF_PICTURE.sub("", data.decode("cp1252", "replace"))
    if not source.lstrip().startswith("{\\rtf"):
        return "", "not RTF"
    try:
        words: str = rtf_to_text(source, errors="ignore")  # type: ignore[no-untyped-call]
        text = _tidy(words.replace("\x00", ""))
    except (ValueError, IndexError, KeyError, TypeError, LookupError, OverflowError, RecursionError):
        return "", "damaged RTF"  # striprtf lets the errors of a damaged file through as they come
    return (text[:MOST_TEXT], "") if text else ("", "no text in the RTF (a picture?)")


def _xml_text(data: bytes) -> tuple[str, str]:
    try:
        document = Document.parse(data)
    except XmlRefused as refused:
        return "", f"XML not read: {refused.code} ({refused.detail})"
    if document is None:
        return "", "XML of no kind we know"
    if document.unstructured is not None:
        content, kind = document.unstructured
        return read_content(content, kind) if not is_cda(content) else ("", "a document within a document")
    text = document.text()
    return (text[:MOST_TEXT], "") if text else ("", "no text")


def _pdf_text(data: bytes) -> tuple[str, str]:
    try:
        document = pypdf.PdfReader(io.BytesIO(data), strict=False)
        if document.is_encrypted and not document.decrypt(""):  # many are only locked against editing
            return "", "encrypted PDF"
        pages, size, pictures = [], 0, list[str]()
        for number, page in enumerate(document.pages[:MOST_PAGES], 1):
            text = page.extract_text() or ""
            pages.append(text)
            size += len(text)
            if not text.strip() and _has_picture(page):
                pictures.append(str(number))
            if size > MOST_TEXT:
                break
        lacking = (
            [f"no text layer on page {', '.join(pictures[:10])}{', ...' if len(pictures) > 10 else ''}"]
            if pictures
            else []
        )
        if len(document.pages) > MOST_PAGES:
            lacking.append(f"pages after {MOST_PAGES}: {len(document.pages) - MOST_PAGES}")
    except (
        pypdf.errors.PyPdfError,
        NotImplementedError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        RecursionError,
        OverflowError,
    ):
        # pypdf lets the errors of a damaged file's objects through as they come
        return "", "damaged PDF"
    joined = "\n\n".join(pages).strip()
    return (joined[:MOST_TEXT], "; ".join(lacking)) if joined else ("", "scanned PDF, no text layer")


def _has_picture(page: pypdf.PageObject) -> bool:
    """Whether a page shows an image or a form: something is there that has no words."""
    resources = page.get("/Resources")
    held = resources.get_object() if resources is not None else None
    return isinstance(held, dict) and bool(held.get("/XObject"))
