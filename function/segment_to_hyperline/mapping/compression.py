"""Decompress strings of events, which must not fill the memory."""

import base64
import gzip
import io

from segment_to_hyperline.errors import Error

# Gzip makes JSON about ten times smaller, and Segment's limit for an event is 32 KB.
# https://www.twilio.com/docs/segment/connections/sources/catalog/libraries/server/http-api#max-request-size
MAX_BYTES = 1024 * 1024


class TextTooLong(Error):
    """Raised when there would be more than `MAX_BYTES`."""


def decompress(text: str) -> str:
    """Return the text in *text*, which is Base64 of gzip; raises `TextTooLong`.

    Raises ValueError, EOFError, gzip.BadGzipFile or zlib.error for anything else.
    """
    with gzip.GzipFile(fileobj=io.BytesIO(base64.b64decode(text))) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise TextTooLong(f"the result is larger than {MAX_BYTES:,} bytes")
    return content.decode()
