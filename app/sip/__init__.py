"""The SIP core: messages, transactions, dialogs, digest authentication and the transports that carry them."""
