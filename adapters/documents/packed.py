"""Gzip under a ceiling: a few kB may unpack to gigabytes."""

from __future__ import annotations

import zlib
from typing import Literal


class BadGzip(ValueError):
    """Why the bytes do not unpack: no gzip or damaged, cut off, or more than allowed."""

    def __init__(self, code: Literal["damaged", "cut_off", "too_large"]) -> None:
        super().__init__(code)
        self.code = code


def gunzip(data: bytes, most: int) -> bytes:
    """What `data` unpacks to, at most `most` bytes; raises BadGzip. Several members in one file are legal gzip; their sum
    is what counts."""
    out = bytearray()
    try:
        while data:
            unpacker = zlib.decompressobj(wbits=31)
            out += unpacker.decompress(data, most + 1 - len(out))
            if len(out) > most:
                raise BadGzip("too_large")
            if not unpacker.eof:
                raise BadGzip("cut_off")
            data = unpacker.unused_data.lstrip(b"\0")
    except zlib.error:
        raise BadGzip("damaged") from None
    return bytes(out)
