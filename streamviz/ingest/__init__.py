"""From sockets to the store: receive, collect, know who is alive."""
