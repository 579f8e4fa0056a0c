"""What there is to see without a training of one's own: simulated ranks with scripted faults."""
