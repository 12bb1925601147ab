"""A script for a py glyph. Run by hand, `upstream` is None; behind an edge on
the canvas it is the attestation that fired."""

import secrets
import time

if upstream is None:
    print("run by hand")
    subjects, predicates, contexts = ["glyph"], ["ran"], ["canvas"]
else:
    subjects = upstream["subjects"]
    predicates = upstream["predicates"]
    contexts = upstream["contexts"]
    print("fired by", upstream["id"])

time.sleep(0.35)
made = attest(
    subjects=subjects,
    predicates=[f"seen:{predicate}" for predicate in predicates],
    contexts=contexts,
    attributes={"token": secrets.token_hex(4)},
)
print("attested", made["id"])
