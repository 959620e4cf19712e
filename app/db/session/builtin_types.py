"""PostgreSQL's own array and range types, which asyncpg does not know before it has asked the server for them."""

from collections.abc import Mapping
from typing import Any

# Name, number (OID) and the number of its bounds or elements. These numbers are fixed in PostgreSQL.
_RANGES = """
    int4range:3904:23 numrange:3906:1700 tsrange:3908:1114 tstzrange:3910:1184 daterange:3912:1082 int8range:3926:20
"""
_MULTIRANGES = """
    int4multirange:4451:23 nummultirange:4532:1700 tsmultirange:4533:1114 tstzmultirange:4534:1184
    datemultirange:4535:1082 int8multirange:4536:20
"""
_ARRAYS = """
    xml:143:142 json:199:114 xid8:271:5069 line:629:628 cidr:651:650 circle:719:718 macaddr8:775:774 money:791:790
    bool:1000:16 bytea:1001:17 char:1002:18 name:1003:19 int2:1005:21 int4:1007:23 regproc:1008:24
    text:1009:25 tid:1010:27 xid:1011:28 cid:1012:29 bpchar:1014:1042 varchar:1015:1043 int8:1016:20
    point:1017:600 lseg:1018:601 path:1019:602 box:1020:603 float4:1021:700 float8:1022:701 polygon:1027:604
    oid:1028:26 aclitem:1034:1033 macaddr:1040:829 inet:1041:869 timestamp:1115:1114 date:1182:1082 time:1183:1083
    timestamptz:1185:1184 interval:1187:1186 numeric:1231:1700 timetz:1270:1266 bit:1561:1560 varbit:1563:1562
    refcursor:2201:1790 regprocedure:2207:2202 regoper:2208:2203 regoperator:2209:2204 regclass:2210:2205
    regtype:2211:2206 txid_snapshot:2949:2970 uuid:2951:2950 pg_lsn:3221:3220 tsvector:3643:3614 tsquery:3645:3615
    regconfig:3735:3734 regdictionary:3770:3769 jsonb:3807:3802 int4range:3905:3904 numrange:3907:3906
    tsrange:3909:3908 tstzrange:3911:3910 daterange:3913:3912 int8range:3927:3926 jsonpath:4073:4072
    regnamespace:4090:4089 regrole:4097:4096 regcollation:4192:4191 pg_snapshot:5039:5038 int4multirange:6150:4451
    nummultirange:6151:4532 tsmultirange:6152:4533 tstzmultirange:6153:4534 datemultirange:6155:4535
    int8multirange:6157:4536
"""


def know_builtin_types(connection: Any) -> None:
    """Register PostgreSQL's own arrays and ranges with the driver, which forgets them whenever a codec is set.

    The driver asks the server for the types of columns, but not for those inside a record: without this,
    `row(1, array[1, 2])` can be read only after another statement has had an int[] column.
    """
    # asyncpg has no public way that does not ask the server.
    settings: Any = connection._protocol.get_settings()
    settings.register_data_types(_BUILTIN)


def _described(text: str, kind: bytes) -> list[Mapping[str, Any]]:
    """Return the types of a list in the form of the driver's own question to the server."""
    return [_description(entry, kind) for entry in text.split()]


def _description(entry: str, kind: bytes) -> Mapping[str, Any]:
    name, number, of = entry.split(":")
    is_array = kind == b"b"
    return {
        "oid": int(number),
        "ns": "pg_catalog",
        "name": f"_{name}" if is_array else name,
        "kind": kind,
        "basetype": None,
        "basetype_name": None,
        "elemtype": int(of) if is_array else 0,
        "elemtype_name": name if is_array else "-",
        "elemdelim": b";" if name == "box" else b",",
        "range_subtype": None if is_array else int(of),
        "range_subtype_name": None,
        "attrtypoids": None,
        "attrnames": None,
    }


_BUILTIN = [*_described(_RANGES, b"r"), *_described(_MULTIRANGES, b"m"), *_described(_ARRAYS, b"b")]
