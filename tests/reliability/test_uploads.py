"""Documents and images of a few KB that take gigabytes or minutes: other calls are answered."""

import asyncio
from base64 import b64encode
from functools import partial
from io import BytesIO
from time import monotonic

import docx
import openpyxl
import pytest
from docx.oxml import OxmlElement
from docx.oxml.ns import qn

from tests.reliability.calls import SETTLE_SECONDS, answers_still, side_by_side
from tests.reliability.evidence import Evidence
from tests.reliability.http1 import Http1, encode
from tests.reliability.mix import CONVERSE, to
from tests.reliability.service import SCRIPTED, Service, seconds_until, service_running
from tests.reliability.trials import BOMBS, MAX_WAIT_SECONDS
from tests.support.images import png
from tests.support.servers import LARGE_2407, PIXTRAL

MAX_MEMORY_MIB = 1_500  # growth of the service and its processes
LEAVE_SECONDS = 1.0  # until a client disconnects
AKID = "AKIDBOMB/20261130/us-west-2/bedrock/aws4_request"  # the region that has both models
SIGNED = {"Authorization": f"AWS4-HMAC-SHA256 Credential={AKID}, SignedHeaders=host, Signature=0"}


def spanning_docx() -> bytes:
    """Return a table whose only cell spans five million columns."""
    document, file = docx.Document(), BytesIO()
    cell = document.add_table(1, 1).cell(0, 0)
    span = OxmlElement("w:gridSpan")
    span.set(qn("w:val"), "5000000")
    cell._tc.get_or_add_tcPr().append(span)  # noqa: SLF001 - the public API refuses it
    document.save(file)
    return file.getvalue()


def merged_xlsx() -> bytes:
    """Return a sheet that merges three million cells."""
    book, file = openpyxl.Workbook(), BytesIO()
    sheet = book.active
    assert sheet
    sheet["A1"] = "one"
    sheet.merged_cells.add("A1:XFD200")
    book.save(file)
    return file.getvalue()


def document(kind: str, raw: bytes) -> dict[str, object]:
    source = {"bytes": b64encode(raw).decode()}
    return {"document": {"format": kind, "name": "bomb", "source": source}}


def image(raw: bytes) -> dict[str, object]:
    return {"image": {"format": "png", "source": {"bytes": b64encode(raw).decode()}}}


@pytest.fixture(scope="module")
def bombs() -> list[bytes]:
    large = image(png("white", (8_000, 8_000), "1"))
    contents = {
        LARGE_2407: [[document("docx", spanning_docx())], [document("xlsx", merged_xlsx())]],
        PIXTRAL: [[large] * 20],
    }
    return [
        encode("POST", to(CONVERSE, model), {"messages": [message(content)]}, SIGNED)
        for model, several in contents.items()
        for content in several
    ]


def message(content: list[dict[str, object]]) -> dict[str, object]:
    return {"role": "user", "content": [{"text": "Hi"}, *content]}


async def throw(url: str, raw: bytes) -> None:
    """Call, and disconnect soon."""
    connection = Http1(url)
    try:
        async with asyncio.timeout(LEAVE_SECONDS):
            await connection.ask(raw)
    except TimeoutError:
        connection.leave()
    connection.leave()


def memory(service: Service) -> float:
    processes = [service.seen(), *service.seen().children(recursive=True)]
    return sum(process.memory_info().rss for process in processes) / (1024 * 1024)


def test_what_unfolds_holds_up_nobody(bombs: list[bytes], evidence: Evidence) -> None:
    with service_running(*SCRIPTED) as service:
        answers_still(service.url)
        before = memory(service)
        works = [partial(throw, service.url, raw) for raw in bombs for _ in range(BOMBS)]
        asyncio.run(side_by_side(works))
        began = monotonic()
        lost = answers_still(service.url)
        took = monotonic() - began
        grown = memory(service) - before
        seconds_until(lambda: service.under_way() == 0, most=SETTLE_SECONDS)

    assert took < MAX_WAIT_SECONDS
    assert grown < MAX_MEMORY_MIB
    evidence.record("bombs", len(works), lost)
