"""What an administrator is told where something between this server and a peer rewrites SIP messages."""

MEDDLING = "something on the way changes SIP messages: switch off the SIP ALG of the router, or use TLS"
"""Most routers that do so call it an application layer gateway; what is encrypted it cannot change."""
