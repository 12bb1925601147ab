"""Names of hosts, resolved by the supervisor.

An execution that is granted TCP connections has no UDP and reads no
resolv.conf, so libc can't look a name up. This takes the place of the lookups
in `_socket`; numeric addresses and everything else stay libc's.
"""

import _qntx
import _socket
import socket

_getaddrinfo = _socket.getaddrinfo
_connect = _socket.socket.connect
_connect_ex = _socket.socket.connect_ex
_gaierror = _socket.gaierror
_AF_INET = _socket.AF_INET
_FAMILIES = (_AF_INET, _socket.AF_INET6)
_NUMERIC = _socket.AI_NUMERICHOST
_ABSENT = (_socket.EAI_NONAME, _socket.EAI_FAMILY, getattr(_socket, "EAI_ADDRFAMILY", -9))


def _lookup(host):
    if isinstance(host, str):
        try:
            host = host.encode("ascii") if host.isascii() else host.encode("idna")
        except UnicodeError as error:
            raise _gaierror(_socket.EAI_NONAME, f"{host!r} is no name: {error}") from None
    name = bytes(host).decode("latin-1")
    arguments = _qntx.encode({"host": name}, "resolve")
    if not isinstance(arguments, bytes):
        raise _gaierror(_socket.EAI_NONAME, arguments[1])
    answer = _qntx.decode(_qntx._host_call("resolve", arguments))
    if answer["error"]:
        code = _socket.EAI_AGAIN if answer["temporary"] else _socket.EAI_NONAME
        raise _gaierror(code, answer["error"])
    return answer["addresses"]


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    try:
        return _getaddrinfo(host, port, family, type, proto, flags | _NUMERIC)
    except _gaierror as error:
        if host is None or not host or flags & _NUMERIC or error.errno != _socket.EAI_NONAME:
            raise
    flags = flags & ~_socket.AI_ADDRCONFIG | _NUMERIC
    found = []
    for address in _lookup(host):
        try:
            found += _getaddrinfo(address, port, family, type, proto, flags)
        except _gaierror as error:
            # an address of the other family
            if error.errno not in _ABSENT:
                raise
    if not found:
        raise _gaierror(_socket.EAI_NONAME, "Name or service not known")
    return found


def gethostbyname(hostname):
    return getaddrinfo(hostname, None, _AF_INET, _socket.SOCK_STREAM)[0][4][0]


def gethostbyname_ex(hostname):
    found = getaddrinfo(hostname, None, _AF_INET, _socket.SOCK_STREAM)
    return hostname, [], [entry[4][0] for entry in found]


def _resolved(own, address):
    if own.family not in _FAMILIES or not isinstance(address, tuple) or len(address) < 2:
        return address
    host, port = address[:2]
    if not isinstance(host, (str, bytes, bytearray)) or not host or not isinstance(port, int):
        return address
    return getaddrinfo(host, port, own.family, own.type)[0][4][:2] + address[2:]


def connect(self, address):
    return _connect(self, _resolved(self, address))


def connect_ex(self, address):
    return _connect_ex(self, _resolved(self, address))


for _function in (getaddrinfo, gethostbyname, gethostbyname_ex):
    _function.__module__ = "_socket"
    setattr(_socket, _function.__name__, _function)
socket.gethostbyname = gethostbyname
socket.gethostbyname_ex = gethostbyname_ex
socket.socket.connect = connect
socket.socket.connect_ex = connect_ex
