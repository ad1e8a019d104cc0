"""The Chef API door: what stands between Chef clients and an engine that must never be reached directly.

Rules: opsworks-cm fact sheet 12.4 to 12.6. Everything here is values and decisions, except ``door``, which asks the
engine and the state; sockets and TLS are in ``opentrail.gateway.chef_front``.
"""
