"""Filters in the language of pcap-filter(7), compiled by libpcap.

libpcap is on every machine that has tshark, which otids needs anyway; it is loaded only when a
filter is set, and nothing but its compiler is used.
"""

import ctypes
import ctypes.util

LIBRARIES = ("libpcap.so.0.8", "libpcap.so.1", "libpcap.so")
ETHERNET = 1
SNAP_LENGTH = 262_144
OPTIMISE = 1
UNKNOWN_NETMASK = 0xFFFFFFFF
MOST_LETTERS = 4096


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("yes", ctypes.c_ubyte),
        ("no", ctypes.c_ubyte),
        ("operand", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.POINTER(_Instruction)))


def compile_filter(text: str) -> list[tuple[int, int, int, int]]:
    """Compile a filter for Ethernet: (code, jump if true, jump if false, operand) each.

    Raises ValueError saying what is wrong with it, or that libpcap is missing.
    """
    if len(text) > MOST_LETTERS or "\0" in text:
        raise ValueError("is too long, or holds a zero byte")
    pcap = _library()
    handle = pcap.pcap_open_dead(ETHERNET, SNAP_LENGTH)
    if not handle:
        raise ValueError("libpcap has no memory")
    program = _Program()
    try:
        if pcap.pcap_compile(
            handle, ctypes.byref(program), text.encode(), OPTIMISE, UNKNOWN_NETMASK
        ):
            raise ValueError(pcap.pcap_geterr(handle).decode(errors="replace"))
        found = [
            (one.code, one.yes, one.no, one.operand)
            for one in program.instructions[: program.length]
        ]
        pcap.pcap_freecode(ctypes.byref(program))
    finally:
        pcap.pcap_close(handle)
    return found


def _library() -> ctypes.CDLL:
    for name in (*LIBRARIES, ctypes.util.find_library("pcap")):
        if name is None:
            continue
        try:
            pcap = ctypes.CDLL(name)
        except OSError:
            continue
        pcap.pcap_open_dead.restype = ctypes.c_void_p
        pcap.pcap_open_dead.argtypes = (ctypes.c_int, ctypes.c_int)
        pcap.pcap_compile.argtypes = (
            ctypes.c_void_p,
            ctypes.POINTER(_Program),
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_uint32,
        )
        pcap.pcap_geterr.restype = ctypes.c_char_p
        pcap.pcap_geterr.argtypes = (ctypes.c_void_p,)
        pcap.pcap_freecode.argtypes = (ctypes.POINTER(_Program),)
        pcap.pcap_close.argtypes = (ctypes.c_void_p,)
        return pcap
    raise ValueError("a filter takes libpcap (package libpcap0.8), which is missing")
