"""A handler that answers attestations: it runs whenever an order is placed.

Deploy it under the name `orders`:

    attest("orders", "handler", "python", attributes={"code": open("watcher.py").read()})
"""


@watch("order:placed", context="shop")
def on_order(order):
    """The attestation that fired is the argument, and `upstream`."""
    total = (order.get("attributes") or {}).get("total", 0)
    level = "large" if total >= 1000 else "small"
    log(f"order of {total}", stage="orders", subjects=order["subjects"])
    attest(order["subjects"], f"order:{level}", "shop", attributes={"total": total})


@watch("order:cancelled", context="shop")
def on_cancel(order):
    attest(order["subjects"], "order:closed", "shop")
