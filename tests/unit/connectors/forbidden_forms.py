"""Forms of addresses that must never open a socket, and forms that may."""

# ruff: noqa: E501  tables are read by column

from __future__ import annotations

import ipaddress

V4_FORBIDDEN = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.254", "127.0.0.1",
    "127.0.0.2", "127.1.2.3", "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254", "169.254.170.2",
    "172.16.0.1", "172.31.255.254", "192.0.0.1", "192.0.0.8", "192.0.0.170", "192.0.0.192", "192.0.2.1", "192.31.196.1",
    "192.52.193.1", "192.88.99.1", "192.168.0.1", "192.168.255.254", "192.175.48.1", "198.18.0.1", "198.19.255.254",
    "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "254.1.2.3", "255.255.255.255",
)  # fmt: skip
V6_FORBIDDEN = (
    "::", "::1", "::2", "::ffff:0:127.0.0.1", "64:ff9b:1::a00:1", "100::1", "100:0:0:1::1", "200::1", "400::1", "1000::1",
    "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
    "2620:4f:8000::1", "3fff::1", "4000::1", "5f00::1", "5f00:0:1::", "8000::1", "fc00::1", "fd00::1", "fd00:ec2::254",
    "fd12:3456:789a::1", "fd20:ce::254", "fe00::1", "fe80::1", "fe80::a9fe:a9fe", "fec0::1", "feff::1", "ff02::1",
    "ff0e::1", "2600::5efe:7f00:1", "2600:1::200:5efe:7f00:1",
)  # fmt: skip
EMBEDDED_V4 = ("127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1", "0.0.0.0", "172.16.5.5")
PUBLIC = ("8.8.8.8", "93.184.216.34", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1")


def v6_embeddings() -> list[str]:
    """IPv6 addresses that carry a forbidden IPv4 address."""
    forms = []
    for text in EMBEDDED_V4:
        v4 = int(ipaddress.IPv4Address(text))
        high, low = v4 >> 16, v4 & 0xFFFF
        forms += [
            f"::ffff:{text}", f"::ffff:{high:x}:{low:x}", f"0:0:0:0:0:ffff:{high:04x}:{low:04x}", f"::{high:x}:{low:x}",
            f"64:ff9b::{text}", f"64:ff9b::{high:x}:{low:x}", f"64:ff9b:1::{high:x}:{low:x}", f"2002:{high:x}:{low:x}::",
            f"2002:{high:x}:{low:x}::1", f"2001::{0xFFFF ^ high:x}:{0xFFFF ^ low:x}", f"::ffff:0:{high:x}:{low:x}",
            f"2600::5efe:{high:x}:{low:x}", f"fe80::5efe:{high:x}:{low:x}", f"5f00::{high:x}:{low:x}",
        ]  # fmt: skip
    return forms


def odd_hosts() -> list[str]:
    """Spellings of hosts that some reader turns into an address."""
    forms = ["localhost", "LOCALHOST", "localhost.", "localhost.localdomain", "rebind.test", "mixed.test", "meta.test"]
    for text in ("127.0.0.1", "169.254.169.254", "10.0.0.1", "192.168.0.1"):
        a, b, c, d = (int(part) for part in text.split("."))
        number = int(ipaddress.IPv4Address(text))
        forms += [
            str(number), hex(number), hex(number).upper(), oct(number).replace("0o", "0"), f"0{oct(number)[2:]}",
            f"{a}.{(b << 16) + (c << 8) + d}", f"{a}.{b}.{(c << 8) + d}", f"0x{a:x}.{b}.{c}.{d}", f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}",
            f"0{a:o}.{b}.{c}.{d}", f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"{a}.{b}.{c}.{d}.", f"{a:03d}.{b:03d}.{c:03d}.{d:03d}",
            f"0x{a:x}.{d}", f"{a}.{d}", f"{text}%00", f"{text}%2e", f"%31{text[1:]}", f" {text}", f"{text} ", f"\t{text}",
            f"{text}\x00", f"{text}\x00.example.com", f"{text}\n", f"{text}#", f"{text}\\", f"{number + 2**32}",
            text.translate(str.maketrans("0123456789", "０１２３４５６７８９")), text.replace(".", "。"), text.replace(".", "．"),
        ]  # fmt: skip
    forms += [
        "①②⑦.⓪.⓪.①",
        "ⓛocalhost",
        "ʟocalhost",
        "127。0。0。1",
        "",
        ".",
        "..",
        "-",
        "-a.test",
        "a-.test",
        "a..test",
    ]
    forms += [
        "a" * 64 + ".test",
        "a." * 130 + "test",
        "*.test",
        "a,b",
        "a;b",
        "a/b",
        "a\\b",
        "a@b",
        "a:b",
        "[",
        "]",
        "[]",
    ]
    forms += [
        "[::1",
        "::1]",
        "[127.0.0.1]",
        "[::1%lo]",
        "fe80::1%eth0",
        "[fe80::1%25eth0]",
        "1::2::3",
        "[v1.fe80::a]",
        "0",
        "00",
    ]
    forms += ["0x", "0x0", "0.0", "127.1", "127", "1.2.3.4.5", "256.1.1.1", "127.0.0.256", "1e3", "0b1111", "١٢٧.٠.٠.١"]
    return forms


def tricky_urls() -> list[str]:
    """Whole URLs that different readers take apart differently."""
    forms = []
    for host in ("127.0.0.1", "169.254.169.254", "[::1]", "localhost", "2130706433", "0x7f.1", "017700000001"):
        forms += [
            f"http://{host}", f"https://{host}/", f"https://{host}:443/", f"HTTP://{host}:8080/a?b#c", f"https://user@{host}/",
            f"https://user:pass@{host}/", f"https://good.test@{host}/", f"https://good.test:80@{host}/", f"https://{host}@good.test/",
            f"https://good.test%40{host}/", f"https://good.test\\@{host}/", f"https://{host}\\.good.test/", f"https://good.test/\\{host}",
            f"https:/{host}/", f"https:{host}/", f"//{host}/", f"https:///{host}/", f"https://{host}:0/", f"https://{host}:65536/",
            f"https://{host}:-1/", f"https://{host}:80:81/", f"https://{host}:８０/", f"https://{host}:/", f"ftp://{host}/",
            f"file://{host}/etc/passwd", f"gopher://{host}:70/_", f"javascript://{host}/", f"unix://{host}/", f" https://{host}/",
            f"https://{host}/ ", f"https://{host}/\r\nX: y", f"https://{host}\t/", f"https://\t{host}/", f"https://{host}?@good.test/",
            f"https://{host}#@good.test/", f"https://[{host}]/",
        ]  # fmt: skip
    return forms


def forbidden_hosts() -> list[str]:
    """Every host form that must not open a socket."""
    plain = [*V4_FORBIDDEN, *V6_FORBIDDEN, *v6_embeddings(), *odd_hosts()]
    return list(dict.fromkeys([*plain, *(f"[{address}]" for address in (*V6_FORBIDDEN, *v6_embeddings()))]))
