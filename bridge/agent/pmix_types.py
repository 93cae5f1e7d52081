"""libpmix's structures and callbacks, as far as a server needs them; 64-bit layouts of 4.2, which 5.0 keeps."""

from __future__ import annotations

import ctypes

STRING, UINT16, UINT32, INFO, ARRAY, RANK = 3, 13, 14, 24, 39, 40
"""Kinds of values, by their numbers in `pmix_common.h`."""

_FUNCTIONS_AFTER_SPAWN = 32
"""28 functions in all are known to 4.2; zeros behind them are for what newer ones ask."""


class Proc(ctypes.Structure):
    _fields_ = [("nspace", ctypes.c_char * 256), ("rank", ctypes.c_uint32)]


class Array(ctypes.Structure):
    _fields_ = [("type", ctypes.c_uint16), ("size", ctypes.c_size_t), ("array", ctypes.c_void_p)]


class Data(ctypes.Union):
    _fields_ = [
        ("string", ctypes.c_char_p),
        ("u32", ctypes.c_uint32),
        ("u16", ctypes.c_uint16),
        ("array", ctypes.c_void_p),
        ("room", ctypes.c_char * 24),
    ]


class Value(ctypes.Structure):
    _fields_ = [("type", ctypes.c_uint16), ("data", Data)]


class Info(ctypes.Structure):
    _fields_ = [("key", ctypes.c_char * 512), ("flags", ctypes.c_uint32), ("value", Value)]


_PROC, _INFO, _ANY, _SIZE = ctypes.POINTER(Proc), ctypes.POINTER(Info), ctypes.c_void_p, ctypes.c_size_t

DONE = ctypes.CFUNCTYPE(None, ctypes.c_int, _ANY)
MODEX_DONE = ctypes.CFUNCTYPE(None, ctypes.c_int, _ANY, _SIZE, _ANY, _ANY, _ANY)
LOOK_UP = ctypes.CFUNCTYPE(None, ctypes.c_int, _ANY, _SIZE, _ANY)
CLIENT = ctypes.CFUNCTYPE(ctypes.c_int, _PROC, _ANY, _ANY, _ANY)
ABORT = ctypes.CFUNCTYPE(ctypes.c_int, _PROC, _ANY, ctypes.c_int, ctypes.c_char_p, _ANY, _SIZE, _ANY, _ANY)
FENCE = ctypes.CFUNCTYPE(ctypes.c_int, _PROC, _SIZE, _INFO, _SIZE, _ANY, _SIZE, _ANY, _ANY)
MODEX = ctypes.CFUNCTYPE(ctypes.c_int, _PROC, _ANY, _SIZE, _ANY, _ANY)
SPAWN = ctypes.CFUNCTYPE(ctypes.c_int, _PROC, _ANY, _SIZE, _ANY, _SIZE, _ANY, _ANY)


class Module(ctypes.Structure):
    """What a server can do; the order is libpmix's."""

    _fields_ = [
        ("connected", CLIENT),
        ("finalized", CLIENT),
        ("abort", ABORT),
        ("fence", FENCE),
        ("modex", MODEX),
        ("publish", _ANY),
        ("lookup", _ANY),
        ("unpublish", _ANY),
        ("spawn", _ANY),
        ("rest", _ANY * _FUNCTIONS_AFTER_SPAWN),
    ]
