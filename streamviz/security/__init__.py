"""Who may reach what: login tokens, and the addresses that may be bound."""
