"""Measure the X12 codec: full validation, documents, streaming, on generated 945s.

Run: `python bench/edi_codec.py [megabytes]`. Prints one line a measure: MB/s and sets/s, best of three.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator

from crossdock import edi

_ISA = "ISA*00*          *00*          *ZZ*SWIFT3PL       *ZZ*NORTHGATE      *260302*1200*U*00401*{:09}*0*P*>~"


def generated_set(number: int) -> str:
    """Return one 945 with five lines; contents differ by number."""
    lines = [
        f"ST*945*{number:04}", f"W06*F*SO-{number}*20260303*BOL{number}**PO-{number % 977}",
        "N1*WH*Swift Reno*9*1234567890000", f"N1*ST*Customer {number % 311}*92*{number:013}",
        f"N3*{number % 99} Harbor Road", "N4*Reno*NV*89501*US", f"N9*OQ*ORD-{number}", "G62*11*20260303",
        "NTE*WHI*Extra shrink applied", "W27*M*UPSN*UPS Ground*PP",
    ]  # fmt: skip
    for line in range(1, 6):
        lines += [
            f"LX*{line}", f"MAN*GM*00106141411{number * 7 + line:09}",
            f"W12*CC*{line * 12}*{line * 12}**EA**VN*SKU-{(number + line) % 4001}*LOT{number % 53}",
            f"G69*Article number {(number + line) % 4001}", f"N9*LI*{line}", f"N9*LV*LPN{number}{line}",
        ]  # fmt: skip
    lines += ["W03*180*2250*LB", ""]
    lines[-1] = f"SE*{len(lines)}*{number:04}"
    return "~".join(lines) + "~"


def big_file(megabytes: float) -> tuple[bytes, int]:
    """Return one interchange of about that size, and its number of sets."""
    count = int(megabytes * 1e6 / len(generated_set(1000)))
    body = "".join(generated_set(1000 + number) for number in range(count))
    head = _ISA.format(1) + "GS*SW*SWIFT3PL*NORTHGATE*20260302*1200*1*X*004010~"
    return (head + body + f"GE*{count}*1~IEA*1*000000001~").encode(), count


def small_files(megabytes: float) -> tuple[bytes, int]:
    """Return many interchanges of one set each."""
    count = int(megabytes * 1e6 / (len(generated_set(1000)) + 200))
    parts = []
    for number in range(count):
        parts.append(_ISA.format(number + 1) + "GS*SW*SWIFT3PL*NORTHGATE*20260302*1200*1*X*004010~")
        parts.append(generated_set(1000 + number) + f"GE*1*1~IEA*1*{number + 1:09}~")
    return "".join(parts).encode(), count


def best_of(rounds: int, work: Callable[[], object]) -> float:
    """Return the shortest wall time of several rounds, in seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def main() -> None:
    megabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    big, big_sets = big_file(megabytes)
    small, small_sets = small_files(megabytes)
    result = edi.read_all(big)
    assert big_sets == len(result.interchanges[0].sets)
    assert [] == [one.message for one in result.all_findings()]
    few = result.interchanges[0].sets[:2000]
    few_bytes = sum(len(generated_set(1000 + at)) for at in range(len(few)))
    documents = [edi.set_to_document(one) for one in few]

    def stream() -> None:
        for _ in edi.read_sets(chunks(big, 1 << 20)):
            pass

    measures: list[tuple[str, int, int, Callable[[], object]]] = [
        ("stream, full validation", len(big), big_sets, stream),
        ("read_all, full validation", len(big), big_sets, lambda: edi.read_all(big)),
        ("one-set interchanges, full validation", len(small), small_sets, lambda: list(edi.read(small))),
        ("set_to_document", few_bytes, len(few), lambda: [edi.set_to_document(one) for one in few]),
        ("document_to_set, with validation", few_bytes, len(few), lambda: [edi.document_to_set(d) for d in documents]),
        ("write back", len(big), big_sets, lambda: edi.write(result.interchanges[0])),
    ]
    for name, size, sets, work in measures:
        seconds = best_of(3, work)
        print(f"{name:40} {size / seconds / 1e6:7.1f} MB/s {sets / seconds:9.0f} sets/s")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
