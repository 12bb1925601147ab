# Attests under somebody else's name.
# row: 57
# bare: n/a a bare process has no host
# sandboxed: result "refused"
# layer: supervisor

try:
    attest("a", "b", "c", source="root", actor="somebody", token="t")
    _result = "escaped"
except Exception as error:
    _result = "refused"
