"""What people look at: the page, its live data, and the same as JSON."""
