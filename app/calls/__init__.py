"""Calls: who is calling, where the call goes, and its legs until both have ended; no sockets, no database, no clock."""
