"""Whether every reader of zip archives finds the same members in a file. Pure.

A zip file is read from its end. Python looks for the list of members right before the end record, and takes what stands
before the archive for a prefix; C libraries look where the record says. A file with two lists shows each of them another
archive: what was looked through is then not what is loaded.
"""

import struct

# The end record, the locator of the 64-bit one, and that record without extensions.
_END, _LOCATOR, _END64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL"), struct.Struct("<4sQ2H2L4Q")
TAIL_BYTES = _END.size + _LOCATOR.size + _END64.size
_MOST_16, _MOST_32 = 0xFFFF, 0xFFFFFFFF


def is_unambiguous(tail: bytes, size: int) -> bool:
    """Say whether the list of members stands right before the end records, and these say so.

    Args:
        tail: The file's last `TAIL_BYTES` bytes, or all of a shorter one.
        size: Of the whole file.
    """
    if len(tail) < _END.size:
        return False
    mark, disk, first_disk, here, entries, length, offset, comment = _END.unpack(tail[-_END.size :])
    if mark != b"PK\5\6" or disk or first_disk or comment or here != entries:
        return False
    located = tail[-_END.size - _LOCATOR.size : -_END.size]
    if not located.startswith(b"PK\6\7"):
        return bool(offset + length == size - _END.size)
    if len(tail) < TAIL_BYTES:
        return False
    _, disk, place, disks = _LOCATOR.unpack(located)
    wide = _END64.unpack(tail[-TAIL_BYTES : -TAIL_BYTES + _END64.size])
    is_found = wide[0] == b"PK\6\6" and wide[1] == _END64.size - 12 and place == size - TAIL_BYTES
    is_one = (disk, disks, wide[4], wide[5]) == (0, 1, 0, 0) and wide[6] == wide[7]
    # Who does not read 64 bits goes by the short record.
    is_same = entries in {wide[7], _MOST_16} and length in {wide[8], _MOST_32} and offset in {wide[9], _MOST_32}
    return bool(is_found and is_one and is_same and wide[9] + wide[8] == place)
